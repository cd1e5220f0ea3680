/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a disk server asks of the system; everything may be refused.
 */
#ifndef DRIVERS_LIMITS_H
#define DRIVERS_LIMITS_H

struct tlog;

/*
 * Raise the limits on descriptors and locked memory, lock the process in memory, keep it from the
 * out-of-memory killer.  What is refused is logged once, and the process goes on without.
 */
void limits_raise(struct tlog *log);

#endif
