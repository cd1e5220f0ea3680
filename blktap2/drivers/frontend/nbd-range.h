/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of overlapping modifications of one export.
 *
 * A write that does not fill whole sectors reads, changes and writes them; nobody else may change
 * these sectors meanwhile.  So every modification has a range here while it is under way: one that
 * is unaligned waits for the earlier ones that it overlaps, and later ones that overlap it wait for
 * it.  Aligned ones never wait for each other.
 */
#ifndef FRONTEND_NBD_RANGE_H
#define FRONTEND_NBD_RANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct nbd_range {
	uint64_t start, end; /* bytes, in whole sectors */
	bool unaligned;
	unsigned blockers; /* earlier ranges that are in the way */
	TAILQ_ENTRY(nbd_range) link;
	STAILQ_ENTRY(nbd_range) ready_link;
};

struct nbd_ranges {
	TAILQ_HEAD(, nbd_range) entered; /* under way and waiting, in the order of arrival */
	STAILQ_HEAD(, nbd_range) ready;  /* waited, and may go ahead now */
	unsigned unaligned;              /* of those entered */
	unsigned waiting;                /* of those entered */
};

void nbd_ranges_init(struct nbd_ranges *ranges);

/* Enter range, whose first three members are set.  True: go ahead; false: wait to be next. */
bool nbd_ranges_enter(struct nbd_ranges *ranges, struct nbd_range *range);

/* range, which went ahead, is done.  True: others have become ready. */
bool nbd_ranges_leave(struct nbd_ranges *ranges, struct nbd_range *range);

/* The next range that waited and may go ahead, or NULL. */
struct nbd_range *nbd_ranges_next(struct nbd_ranges *ranges);

#endif
