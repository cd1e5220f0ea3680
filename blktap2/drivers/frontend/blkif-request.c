/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a request: checked, given memory, copied from the guest, served, copied to the guest,
 * answered.
 */
#include <errno.h>

#include "drivers/core/buffers.h"
#include "drivers/frontend/blkif-internal.h"

#define POOL_SHARE 4 /* what is held is at most such a part of what is left */

/* ---- memory ---- */

/*
 * Beyond its first request nobody takes so much that nothing is left for the next one.  Pages of
 * segments are counted apart, those of all guests together: however many requests have theirs,
 * there is room for the data of one, and then of the next one.
 */
static char *
get_buffer(struct buffers *pool, size_t *held, size_t bytes)
{
	char *buffer;

	if (*held && *held + bytes > buffers_left(pool) / POOL_SHARE)
		return NULL;
	buffer = buffers_get(pool, bytes);
	if (buffer)
		*held += bytes;
	return buffer;
}

static void
put_buffer(struct buffers *pool, size_t *held, char **buffer, size_t bytes)
{
	if (!*buffer)
		return;
	buffers_put(pool, *buffer, bytes);
	*held -= bytes;
	*buffer = NULL;
}

static bool
feed(struct blkif_slot *slot)
{
	struct blkif_device *device = slot->queue->device;
	struct blkif *blkif = device->blkif;

	if (slot->wants_page)
		slot->page = get_buffer(blkif->buffers, &blkif->page_bytes, BLKIF_PAGE);
	else
		slot->data = get_buffer(blkif->buffers, &device->bytes, slot->bytes);
	return slot->wants_page ? slot->page : slot->data;
}

static void
put_memory(struct blkif_slot *slot)
{
	struct blkif_device *device = slot->queue->device;
	struct blkif *blkif = device->blkif;

	put_buffer(blkif->buffers, &device->bytes, &slot->data, slot->bytes);
	put_buffer(blkif->buffers, &blkif->page_bytes, &slot->page, BLKIF_PAGE);
}

/* Begin when the slot has memory: now, or after those that wait already. */
static void
begin_fed(struct blkif_slot *slot, void (*begin)(struct blkif_slot *))
{
	struct blkif_queue *queue = slot->queue;

	if (STAILQ_EMPTY(&queue->hungry) && feed(slot)) {
		begin(slot);
		return;
	}
	slot->begin = begin;
	queue->device->counters.io.busy++;
	STAILQ_INSERT_TAIL(&queue->hungry, slot, link);
	blkif_starve(queue->device->blkif);
}

void
blkif_request_feed(struct blkif_queue *queue)
{
	struct blkif_slot *slot;

	while ((slot = STAILQ_FIRST(&queue->hungry)) && feed(slot)) {
		STAILQ_REMOVE_HEAD(&queue->hungry, link);
		slot->begin(slot);
	}
}

void
blkif_request_drop_hungry(struct blkif_queue *queue)
{
	struct blkif_slot *slot;

	while ((slot = STAILQ_FIRST(&queue->hungry))) {
		STAILQ_REMOVE_HEAD(&queue->hungry, link);
		blkif_request_end(slot, BLKIF_RSP_ERROR);
	}
}

/* ---- the end ---- */

static void
answer(struct blkif_slot *slot, int status)
{
	struct blkif_queue *queue = slot->queue;
	struct blkif_device *device = queue->device;

	if (slot->answered)
		return;
	slot->answered = true;
	if (!blkif_is_alive(device))
		return;
	/* Guests compare: an indirect request is answered as the read or write that it is. */
	blkif_ring_respond(&queue->ring, slot->request.id, blkif_effective_op(&slot->request),
			   status);
	blkif_count_end(slot, status);
	blkif_touch(queue);
}

void
blkif_request_end(struct blkif_slot *slot, int status)
{
	struct blkif_queue *queue = slot->queue;
	struct blkif_device *device = queue->device;

	answer(slot, status);
	put_memory(slot);
	STAILQ_INSERT_HEAD(&queue->free_slots, slot, link);
	device->in_flight--;
	blkif_touch(queue);
	if (device->barrier == slot)
		blkif_barrier_ended(device);
	blkif_device_settle(device);
}

int
blkif_status_of(int err)
{
	if (!err)
		return BLKIF_RSP_OKAY;
	return err == -EOPNOTSUPP ? BLKIF_RSP_EOPNOTSUPP : BLKIF_RSP_ERROR;
}

/* ---- the vbd ---- */

/* The guest has waited long enough, but the buffer is still with the drivers. */
static void
expired(struct vbd_request *req)
{
	answer(req->arg, BLKIF_RSP_ERROR);
}

void
blkif_request_submit(struct blkif_slot *slot, int op,
		     void (*done)(struct vbd_request *req, int err))
{
	struct vbd_request *vreq = &slot->vreq;

	vreq->op = op;
	vreq->flags = 0;
	vreq->sector = slot->request.sector;
	vreq->sectors = op == TD_OP_FLUSH ? 0 : slot->bytes >> SECTOR_SHIFT;
	slot->iov.iov_base = slot->data;
	slot->iov.iov_len = slot->bytes;
	vreq->iov = &slot->iov;
	vreq->iovcnt = 1;
	vreq->taken = true;
	vreq->done = done;
	vreq->expired = expired;
	vreq->arg = slot;
	vbd_submit(slot->queue->device->vbd, vreq);
}

static void
note_error(const struct blkif_slot *slot, int err)
{
	if (err && err != -EOPNOTSUPP)
		slot->queue->device->counters.disk_errors++;
}

static void
served(struct vbd_request *req, int err)
{
	note_error(req->arg, err);
	blkif_request_end(req->arg, blkif_status_of(err));
}

/* ---- reads ---- */

static void
read_copied(struct blkif_slot *slot, int err)
{
	blkif_request_end(slot, blkif_status_of(err));
}

static void
read_done(struct vbd_request *req, int err)
{
	struct blkif_slot *slot = req->arg;

	if (err || slot->answered)
		served(req, err);
	else
		blkif_copy_later(slot, true, read_copied);
}

static void
begin_read(struct blkif_slot *slot)
{
	blkif_request_submit(slot, TD_OP_READ, read_done);
}

/* ---- writes ---- */

static void
write_copied(struct blkif_slot *slot, int err)
{
	if (err)
		blkif_request_end(slot, BLKIF_RSP_ERROR);
	else
		blkif_request_submit(slot, TD_OP_WRITE, served);
}

static void
begin_write(struct blkif_slot *slot)
{
	blkif_copy_later(slot, false, write_copied);
}

/* ---- discard ---- */

/*
 * Whole logical sectors inside the range: what is left out stays as it is.  That it be done
 * securely was offered to nobody, and a guest that asks for it gets what others get.
 */
static void
start_discard(struct blkif_slot *slot)
{
	uint64_t unit = vbd_sector_size(slot->queue->device->vbd) >> SECTOR_SHIFT;
	uint64_t start = slot->request.sector, end = start + slot->request.sectors;

	start += (unit - start % unit) % unit;
	end -= end % unit;
	if (start >= end) {
		blkif_request_end(slot, BLKIF_RSP_OKAY);
		return;
	}
	slot->request.sector = start;
	slot->bytes = (end - start) << SECTOR_SHIFT;
	blkif_request_submit(slot, TD_OP_DISCARD, served);
}

/* ---- the beginning ---- */

static struct blkif_limits
limits_of(const struct blkif_device *device)
{
	const struct blkif_config *config = &device->config;
	const struct vbd *vbd = device->vbd;
	bool read_only = config->read_only || vbd_read_only(vbd);

	return (struct blkif_limits){
		.sectors = vbd_sectors(vbd),
		.sector_size = vbd_sector_size(vbd),
		.indirect_max = config->indirect_max,
		.read_only = read_only,
		.can_flush = config->offers & BLKIF_OFFERS_FLUSH,
		.can_barrier = config->offers & BLKIF_OFFERS_BARRIER,
		.can_discard = config->offers & BLKIF_OFFERS_DISCARD && !config->no_discard &&
			       !read_only && vbd_can_discard(vbd),
		.can_indirect = config->offers & BLKIF_OFFERS_INDIRECT,
	};
}

static void
refuse(struct blkif_slot *slot, int status)
{
	slot->queue->device->counters.bad_requests++;
	blkif_request_end(slot, status);
}

/* The segments are there and sound: give their data memory. */
static void
start_transfer(struct blkif_slot *slot, uint64_t sectors)
{
	bool reads = blkif_effective_op(&slot->request) == BLKIF_OP_READ;

	slot->bytes = sectors << SECTOR_SHIFT;
	slot->wants_page = false;
	if (slot->queue->device->barrier == slot)
		begin_fed(slot, blkif_barrier_begin);
	else
		begin_fed(slot, reads ? begin_read : begin_write);
}

/* The private copy of the indirect page is there; only now it can be checked. */
static void
page_copied(struct blkif_slot *slot, int err)
{
	struct blkif_limits limits = limits_of(slot->queue->device);
	struct blkif_segment segment;
	uint64_t sectors = 0;
	unsigned i;

	for (i = 0; !err && i < slot->request.segments; i++) {
		blkif_segment(slot, i, &segment);
		if (!blkif_segment_is_sound(&segment, &limits))
			err = -EINVAL;
		sectors += blkif_segment_sectors(&segment);
	}
	if (err || blkif_check_range(slot->request.sector, sectors, &limits))
		refuse(slot, BLKIF_RSP_ERROR);
	else
		start_transfer(slot, sectors);
}

static void
begin_indirect(struct blkif_slot *slot)
{
	blkif_copy_page_later(slot, page_copied);
}

static uint64_t
direct_sectors(const struct blkif_request *request)
{
	uint64_t sectors = 0;
	unsigned i;

	for (i = 0; i < request->segments; i++)
		sectors += blkif_segment_sectors(&request->segment[i]);
	return sectors;
}

static void
start_flush(struct blkif_slot *slot)
{
	blkif_request_submit(slot, TD_OP_FLUSH, served);
}

/* What is checked can be served. */
static void
start(struct blkif_slot *slot)
{
	const struct blkif_request *request = &slot->request;

	switch (request->op) {
	case BLKIF_OP_DISCARD:
		start_discard(slot);
		break;
	case BLKIF_OP_INDIRECT:
		slot->wants_page = true;
		begin_fed(slot, begin_indirect);
		break;
	case BLKIF_OP_FLUSH_DISKCACHE:
	case BLKIF_OP_WRITE_BARRIER:
		if (request->op == BLKIF_OP_FLUSH_DISKCACHE && !request->segments)
			start_flush(slot);
		else
			blkif_barrier_start(slot);
		break;
	default:
		start_transfer(slot, direct_sectors(request));
		break;
	}
}

void
blkif_request_start(struct blkif_slot *slot)
{
	struct blkif_limits limits = limits_of(slot->queue->device);
	int status = blkif_check(&slot->request, &limits);

	slot->answered = false;
	slot->bytes = 0;
	blkif_count_begin(slot);
	if (status != BLKIF_RSP_OKAY)
		refuse(slot, status);
	else
		start(slot);
}

void
blkif_request_start_data(struct blkif_slot *slot)
{
	start_transfer(slot, direct_sectors(&slot->request));
}
