/* SPDX-License-Identifier: BSD-2-Clause */
/* Who waits for whom among overlapping modifications. */
#include <stddef.h>

#include "drivers/frontend/nbd-range.h"

void
nbd_ranges_init(struct nbd_ranges *ranges)
{
	TAILQ_INIT(&ranges->entered);
	STAILQ_INIT(&ranges->ready);
	ranges->unaligned = 0;
	ranges->waiting = 0;
}

static bool
in_the_way(const struct nbd_range *a, const struct nbd_range *b)
{
	return (a->unaligned || b->unaligned) && a->start < b->end && b->start < a->end;
}

bool
nbd_ranges_enter(struct nbd_ranges *ranges, struct nbd_range *range)
{
	const struct nbd_range *other;

	range->blockers = 0;
	if (range->unaligned || ranges->unaligned)
		TAILQ_FOREACH (other, &ranges->entered, link)
			range->blockers += in_the_way(other, range);
	TAILQ_INSERT_TAIL(&ranges->entered, range, link);
	ranges->unaligned += range->unaligned;
	ranges->waiting += range->blockers > 0;
	return range->blockers == 0;
}

bool
nbd_ranges_leave(struct nbd_ranges *ranges, struct nbd_range *range)
{
	struct nbd_range *later;
	bool ready = false;

	if (ranges->waiting) {
		later = TAILQ_NEXT(range, link);
		for (; later; later = TAILQ_NEXT(later, link)) {
			if (!in_the_way(range, later) || --later->blockers > 0)
				continue;
			ranges->waiting--;
			STAILQ_INSERT_TAIL(&ranges->ready, later, ready_link);
			ready = true;
		}
	}
	TAILQ_REMOVE(&ranges->entered, range, link);
	ranges->unaligned -= range->unaligned;
	return ready;
}

struct nbd_range *
nbd_ranges_next(struct nbd_ranges *ranges)
{
	struct nbd_range *range = STAILQ_FIRST(&ranges->ready);

	if (range)
		STAILQ_REMOVE_HEAD(&ranges->ready, ready_link);
	return range;
}
