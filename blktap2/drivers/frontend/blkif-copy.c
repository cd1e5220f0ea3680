/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data between guests and our buffers: the copies of all requests of a turn are one call.
 */
#include <errno.h>

#include "drivers/frontend/blkif-internal.h"
#include "drivers/frontend/blkif-persistent.h"

_Static_assert(BLKIF_MAX_INDIRECT <= BLKIF_PAGE_SEGMENTS, "one page has all segments");

void
blkif_segment(const struct blkif_slot *slot, unsigned i, struct blkif_segment *segment)
{
	if (slot->page)
		blkif_decode_segment(segment,
				     (const uint8_t *)slot->page + i * BLKIF_SEGMENT_BYTES);
	else
		*segment = slot->request.segment[i];
}

static void
enqueue(struct blkif_slot *slot, void (*copied)(struct blkif_slot *, int))
{
	struct blkif *blkif = slot->queue->device->blkif;

	slot->copied = copied;
	STAILQ_INSERT_TAIL(&blkif->copies, slot, link);
	loop_defer(blkif->loop, &blkif->task);
}

void
blkif_copy_later(struct blkif_slot *slot, bool out, void (*copied)(struct blkif_slot *, int))
{
	slot->copies_page = false;
	slot->copies_out = out;
	enqueue(slot, copied);
}

void
blkif_copy_page_later(struct blkif_slot *slot, void (*copied)(struct blkif_slot *, int))
{
	slot->copies_page = true;
	slot->copies_out = false;
	enqueue(slot, copied);
}

/* ---- describing ---- */

static unsigned
copies_of(const struct blkif_slot *slot)
{
	if (slot->queue->device->severed)
		return 0;
	return slot->copies_page ? 1 : slot->request.segments;
}

/* The segments of a slot, but for those that are mapped already, which are copied at once. */
static unsigned
describe_data(struct blkif_slot *slot, xen_copy_t *copy)
{
	const struct blkif_device *device = slot->queue->device;
	uint32_t domid = device->config.domid;
	xen_copy_t *first = copy;
	struct blkif_segment segment;
	unsigned i, offset, bytes;
	char *data = slot->data;

	for (i = 0; i < slot->request.segments; i++, data += bytes) {
		blkif_segment(slot, i, &segment);
		offset = segment.first * 512u;
		bytes = (segment.last - segment.first + 1u) * 512u;
		if (device->persistent && persistent_copy(device->persistent, segment.gref, offset,
							  data, bytes, slot->copies_out))
			continue;
		if (slot->copies_out)
			xen_copy_to(copy++, domid, segment.gref, offset, data, bytes);
		else
			xen_copy_from(copy++, domid, segment.gref, offset, data, bytes);
	}
	return (unsigned)(copy - first);
}

static unsigned
describe(struct blkif_slot *slot, xen_copy_t *copy)
{
	if (slot->queue->device->severed)
		return 0;
	if (!slot->copies_page)
		return describe_data(slot, copy);
	xen_copy_from(copy, slot->queue->device->config.domid, slot->request.page[0], 0, slot->page,
		      slot->request.segments * BLKIF_SEGMENT_BYTES);
	return 1;
}

/* ---- doing ---- */

static int
outcome(struct blkif_device *device, const xen_copy_t *copy, unsigned count)
{
	unsigned i;

	if (device->severed)
		return -EFAULT;
	for (i = 0; i < count; i++) {
		if (!xen_copy_failed(&copy[i]))
			continue;
		device->counters.bad_copies++;
		return -EFAULT;
	}
	return 0;
}

/* As many of the slots as fit into one call. */
static void
run_batch(struct blkif *blkif, struct blkif_slots *slots)
{
	struct blkif_slots batch = STAILQ_HEAD_INITIALIZER(batch);
	unsigned count = 0, at = 0;
	struct blkif_slot *slot;

	while ((slot = STAILQ_FIRST(slots)) && count + copies_of(slot) <= BLKIF_COPIES_MAX) {
		STAILQ_REMOVE_HEAD(slots, link);
		STAILQ_INSERT_TAIL(&batch, slot, link);
		slot->copy_count = describe(slot, blkif->copy + count);
		count += slot->copy_count;
	}
	if (count)
		xen_grants_copy(&blkif->grants, blkif->copy, count);
	while ((slot = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, link);
		count = slot->copy_count;
		slot->copied(slot, outcome(slot->queue->device, blkif->copy + at, count));
		at += count;
	}
}

void
blkif_copy_run(struct blkif *blkif)
{
	while (!STAILQ_EMPTY(&blkif->copies))
		run_batch(blkif, &blkif->copies);
}

/* Is there any?  They leave the list of all for own. */
static bool
take_own(const struct blkif_device *device, struct blkif_slots *own)
{
	struct blkif_slots all = STAILQ_HEAD_INITIALIZER(all), *list;
	struct blkif *blkif = device->blkif;
	struct blkif_slot *slot;

	STAILQ_CONCAT(&all, &blkif->copies);
	while ((slot = STAILQ_FIRST(&all))) {
		list = slot->queue->device == device ? own : &blkif->copies;
		STAILQ_REMOVE_HEAD(&all, link);
		STAILQ_INSERT_TAIL(list, slot, link);
	}
	return !STAILQ_EMPTY(own);
}

void
blkif_copy_run_own(struct blkif_device *device)
{
	struct blkif_slots own = STAILQ_HEAD_INITIALIZER(own);

	while (take_own(device, &own))
		while (!STAILQ_EMPTY(&own))
			run_batch(device->blkif, &own);
}
