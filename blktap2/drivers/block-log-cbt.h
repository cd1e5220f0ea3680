/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of changed blocks in a file, as cbt-util(8) makes it.
 *
 * A block's bit is in the file before a write to the block goes further down, so that neither the
 * end of this process nor, once a flush has completed, that of the power hides a change.  The file
 * is written, never mapped: what is done to it from outside is an error of a write.
 *
 * A log that fails costs the disk nothing: the file is marked as inconsistent, and nothing is
 * logged any more.
 */
#ifndef DRIVERS_BLOCK_LOG_CBT_H
#define DRIVERS_BLOCK_LOG_CBT_H

#include <tapdisk.h>

struct cbt_log;

/*
 * Open the file at path for the disk of driver, whose size must be the one in the file.  Returns 0,
 * -EINVAL when the file does not fit, or -errno.  Blocks.
 */
int cbt_log_open(td_driver_t *driver, const char *path, td_flag_t flags, struct cbt_log **log);

/* Make the bits durable, and close.  Blocks.  NULL is fine. */
void cbt_log_close(struct cbt_log *log);

/* Note that treq changes what it covers, then forward it. */
void cbt_log_change(struct cbt_log *log, td_request_t treq);

/* Complete treq when the image below has flushed, and the bits are durable. */
void cbt_log_flush(struct cbt_log *log, td_request_t treq);

/* The disk has grown to sectors.  What is new counts as changed.  0 or -ENOMEM. */
int cbt_log_resize(struct cbt_log *log, td_sector_t sectors);

void cbt_log_stats(const struct cbt_log *log, td_stats_t *stats);

#endif
