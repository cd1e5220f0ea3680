/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that means harm: requests that are sound, almost sound, or noise, changed while they are
 * looked at, and indexes that jump.
 */
#ifndef TESTS_FAKEXEN_HOSTILE_H
#define TESTS_FAKEXEN_HOSTILE_H

#include "tests/fakexen/blkfront.h"

struct hostile {
	struct front_queue *queue;
	const uint32_t *grefs; /* of data */
	unsigned gref_count;
	uint8_t *page; /* for indirect segments, granted as page_gref */
	uint32_t page_gref;
	uint64_t sectors; /* of the disk, more or less */
	uint64_t random;
	bool breaks_ring; /* may make the producer's index wild, which ends the ring */
};

uint64_t hostile_draw(struct hostile *hostile);

/* One thing more, good or bad.  False: it has broken the ring. */
bool hostile_step(struct hostile *hostile);

/* Take what is answered; only so there is room for more. */
unsigned hostile_take(struct hostile *hostile);

#endif
