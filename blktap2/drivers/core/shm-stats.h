/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics in shared memory, for monitors that must not ask: one page per object under
 * /dev/shm/td3-<pid>/.  A failure to make them never fails a disk.
 */
#ifndef CORE_SHM_STATS_H
#define CORE_SHM_STATS_H

#include <stdint.h>

struct shm_stats;
struct shm_page;
struct tlog;

/* What a page tells; pairs are of reads and writes.  It only grows. */
struct shm_counters {
	uint64_t busy; /* times that something was missing to go on */
	uint64_t submitted[2];
	uint64_t completed[2];
	uint64_t sectors[2]; /* completed well */
	uint64_t usecs[2];
	uint64_t errors;
};

/* The directory of this process below root, emptied of what an earlier one with its pid left.
 * NULL: none. */
struct shm_stats *shm_stats_new(const char *root, struct tlog *log);
void shm_stats_free(struct shm_stats *stats); /* removes it; NULL is fine */

const char *shm_stats_root(const struct shm_stats *stats); /* borrowed */

/* ---- pages ---- */

/* The page of that name; NULL when there is none.  stats NULL is fine. */
struct shm_page *shm_page_new(struct shm_stats *stats, const char *name);
void shm_page_update(struct shm_page *page, const struct shm_counters *counters); /* NULL is fine */

/* Readers do not find it any more, and another may take its name; it may be updated still. */
void shm_page_hide(struct shm_page *page); /* NULL is fine */
void shm_page_free(struct shm_page *page); /* hides it; NULL is fine */

/* ---- counters and their page ---- */

/* Zeroed by its owner, who must outlive the requests that are counted. */
struct shm_tally {
	struct shm_counters counters;
	struct shm_page *page; /* owned; NULL: they are not shown */
};

/* A request of TD_OP_* begins, and ends after usecs with 0 or -errno. */
void shm_tally_begin(struct shm_tally *tally, int op);
void shm_tally_end(struct shm_tally *tally, int op, uint64_t sectors, uint64_t usecs, int err);

#endif
