/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: room between the blocks of a file, which others have left there: earlier runs that unmapped
 * blocks, power cuts that came before a block was named, tools that moved one.
 *
 * Looked for once, on a worker, when a block is to be allocated and the blocks do not fill what
 * lies before the end of data, or a device is full; until then allocations wait, or files would
 * grow with every run. What no entry of the BAT names, behind all tables and locators, is free;
 * what vd->places have is not, since others know of it already.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/block-vhd.h"
#include "vhd/lib/layout.h"

/* One search.  The worker sees nothing else of the image. */
struct vd_gaps {
	struct vd_state *vd;
	struct vhd_layout layout;
	uint64_t end; /* bytes; of the last block */
	uint32_t *used, *found;
	uint32_t used_count, found_count, found_room;
};

static void
free_search(struct vd_gaps *gaps)
{
	free(gaps->used);
	free(gaps->found);
	free(gaps);
}

static int
by_entry(const void *a, const void *b)
{
	const uint32_t *first = a, *second = b;

	return *first < *second ? -1 : *first > *second;
}

/* All places from one offset on that end before another (bytes). */
static void
fill_gap(struct vd_gaps *gaps, uint64_t from, uint64_t end)
{
	uint32_t entry;

	while (gaps->found_count < gaps->found_room &&
	       vhd_layout_place(&gaps->layout, from, end, &entry) == 0) {
		gaps->found[gaps->found_count++] = entry;
		from = ((uint64_t)entry + gaps->layout.block_secs) << VHD_SECTOR_SHIFT;
	}
}

static int
seek(void *arg)
{
	struct vd_gaps *gaps = arg;
	uint64_t from = gaps->layout.metadata_end, end;
	uint32_t i;

	qsort(gaps->used, gaps->used_count, sizeof(gaps->used[0]), by_entry);
	for (i = 0; i < gaps->used_count; i++) {
		fill_gap(gaps, from, vhd_bitmap_offset(gaps->used[i]));
		end = ((uint64_t)gaps->used[i] + gaps->layout.block_secs) << VHD_SECTOR_SHIFT;
		if (end > from)
			from = end;
	}
	fill_gap(gaps, from, gaps->end);
	return 0;
}

/* They go to the head of the queue. */
static void
sought(void *arg, int err)
{
	struct vd_gaps *gaps = arg;
	struct vd_places *places = &gaps->vd->places;
	struct vd_request *request = vd_queue_take(&places->waiters), *next;

	while (gaps->found_count && places->last - places->first < places->room)
		places->ring[--places->first % places->room].entry =
			gaps->found[--gaps->found_count];
	places->gaps = VD_GAPS_KNOWN;
	free_search(gaps);
	for (; request; request = next) {
		next = request->next;
		request->go(request, err);
	}
}

/* ---- what is in use -----------------------------------------------------------------------------
 */

/* Everything that must not be found: blocks, and places that are known. */
static int
list_used(struct vd_gaps *gaps)
{
	const struct vd_state *vd = gaps->vd;
	const struct vd_places *places = &vd->places;
	uint32_t count = (uint32_t)(places->last - places->first), i;
	uint64_t number;

	for (i = 0; i < gaps->layout.entries; i++)
		count += vd->map[i].inverted != 0;
	gaps->used = malloc((count + 1ul) * sizeof(gaps->used[0]));
	if (!gaps->used)
		return -ENOMEM;
	for (i = 0; i < gaps->layout.entries; i++)
		if (vd->map[i].inverted)
			gaps->used[gaps->used_count++] = ~vd->map[i].inverted;
	for (number = places->first; number != places->last; number++)
		gaps->used[gaps->used_count++] = places->ring[number % places->room].entry;
	return 0;
}

/*
 * How many places there seem to be, if blocks lie as this driver puts them.  Others pack them: a
 * few gaps among very many blocks are overlooked.
 */
static uint64_t
estimate(const struct vd_state *vd)
{
	const struct vhd_layout *layout = &vd->image.layout;
	uint64_t room = (vd->end_of_data - layout->metadata_end) >> VHD_SECTOR_SHIFT;
	uint64_t used = vd->allocated + (vd->places.last - vd->places.first);

	room /= (layout->block_secs + 7ull) / 8 * 8;
	return room > used ? room - used : 0;
}

static int
start_search(struct vd_state *vd, uint32_t most)
{
	struct vd_gaps *gaps = calloc(1, sizeof(*gaps));
	int err;

	if (!gaps)
		return -ENOMEM;
	gaps->vd = vd;
	gaps->layout = vd->image.layout;
	gaps->end = vd->end_of_data;
	gaps->found_room = most;
	gaps->found = malloc(most * sizeof(gaps->found[0]));
	err = gaps->found ? list_used(gaps) : -ENOMEM;
	if (!err)
		err = td_work(vd->driver, seek, sought, gaps);
	if (err)
		free_search(gaps);
	return err;
}

void
vd_gaps_seek(struct vd_state *vd, bool is_full)
{
	struct vd_places *places = &vd->places;

	if (places->gaps != VD_GAPS_UNKNOWN || (!is_full && !estimate(vd)))
		return;
	/* More places than the disk has blocks are of no use.  Failed: the next allocation asks
	 * again. */
	if (vd_places_have_room(vd) && start_search(vd, vd->needed) == 0)
		places->gaps = VD_GAPS_SOUGHT;
}
