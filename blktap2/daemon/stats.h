/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Statistics where monitors of guests (xentop) look for them: a page for each ring.
 *
 * A tapdisk counts what a disk does in a page of the disk; the page of the ring is another name of
 * it, unless the tapdisk has made a page of its own.
 */
#ifndef DAEMON_STATS_H
#define DAEMON_STATS_H

#include <stdint.h>

struct stats_name {
	uint32_t pid, minor; /* the disk */
	uint32_t domid, devid;
};

/* 0, or -errno: then there are no statistics, which harms nobody. */
int stats_show(const struct stats_name *name);

/* Remove what stats_show has made. */
void stats_hide(const struct stats_name *name);

#endif
