/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics in shared memory, for monitors that must not ask: one page per object under
 * /dev/shm/td3-<pid>/.  A failure to make them never fails a disk.
 */
#ifndef CORE_SHM_STATS_H
#define CORE_SHM_STATS_H

struct shm_stats;
struct shm_page;
struct vbd_counters;
struct tlog;

/* The directory of this process, emptied of what an earlier one with its pid left.  NULL: none. */
struct shm_stats *shm_stats_new(struct tlog *log);
void shm_stats_free(struct shm_stats *stats); /* removes it; NULL is fine */

/* The page <kind>-<number>; NULL when there is none. */
struct shm_page *shm_page_new(struct shm_stats *stats, const char *kind, int number);
void shm_page_update(struct shm_page *page, const struct vbd_counters *counters); /* NULL is fine */
void shm_page_free(struct shm_page *page); /* removes it; NULL is fine */

#endif
