/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks that somebody may hold for a while, but not for ever.
 */
#ifndef COMMON_PATIENCE_H
#define COMMON_PATIENCE_H

/* flock(2) fd exclusively, waiting at most 10 s: 0, -ETIMEDOUT, or -errno. */
int lock_with_patience(int fd);

#endif
