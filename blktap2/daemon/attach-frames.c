/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks and rings in frames: see attach-frames.h.
 */
#include <string.h>

#include <tapdisk-message.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "daemon/attach-frames.h"
#include "daemon/device.h"

static void
take_params(struct disk_info *info, const struct frame_attr *attr)
{
	AUTO_FREE char *params = NULL;

	if (frame_get_text(attr, &params) == 0 && strlen(params) < sizeof(info->params))
		memcpy(info->params, params, strlen(params) + 1);
}

void
attach_take_info(struct disk_info *info, const struct frame *frame, const uint8_t *payload)
{
	struct frame_reader reader = { .at = payload, .left = frame->length };
	struct frame_attr attr;

	*info = (struct disk_info){ .sector_size = 512 };
	while (frame_next(&reader, &attr) == 1) {
		switch (attr.tag) {
		case TAPDISK_ATTR_SECTORS:
			frame_get_u64(&attr, &info->sectors);
			break;
		case TAPDISK_ATTR_SECTOR_SIZE:
			frame_get_u32(&attr, &info->sector_size);
			break;
		case TAPDISK_ATTR_PHYS_SECTOR_SIZE:
			frame_get_u32(&attr, &info->phys_sector_size);
			break;
		case TAPDISK_ATTR_INFO:
			frame_get_u32(&attr, &info->info);
			break;
		case TAPDISK_ATTR_CAPABILITIES:
			frame_get_u64(&attr, &info->capabilities);
			break;
		case TAPDISK_ATTR_PARAMS:
			take_params(info, &attr);
			break;
		case TAPDISK_ATTR_NBD_PATH:
			info->is_open = true;
			break;
		}
	}
	if (info->phys_sector_size < info->sector_size)
		info->phys_sector_size = info->sector_size;
}

bool
attach_take_ring(const struct device *device, const struct frame *frame, const uint8_t *payload,
		 struct ring *ring, uint32_t *state)
{
	struct frame_reader reader = { .at = payload, .left = frame->length };
	uint32_t domid = UINT32_MAX, devid = UINT32_MAX;
	struct ring_queue *queue;
	struct frame_attr attr;
	size_t i;

	*ring = (struct ring){ 0 };
	*state = 0;
	while (frame_next(&reader, &attr) == 1) {
		if (attr.tag == TAPDISK_ATTR_DOMID)
			frame_get_u32(&attr, &domid);
		if (attr.tag == TAPDISK_ATTR_DEVID)
			frame_get_u32(&attr, &devid);
		if (attr.tag == TAPDISK_ATTR_PROTO)
			frame_get_u32(&attr, &ring->proto);
		if (attr.tag == TAPDISK_ATTR_RING_STATE)
			frame_get_u32(&attr, state);
		if (attr.tag != TAPDISK_ATTR_QUEUE)
			continue;
		if (ring->queue_count == RING_QUEUES_MAX || attr.length < 8 ||
		    attr.length > 8 + sizeof(queue->gref))
			return false;
		queue = &ring->queue[ring->queue_count++];
		queue->order = get_le32(attr.value);
		queue->port = get_le32(attr.value + 4);
		for (i = 0; 8 + 4 * i + 4 <= attr.length; i++)
			queue->gref[i] = get_le32(attr.value + 8 + 4 * i);
	}
	return domid == device->domid && devid == device->devid;
}

void
attach_put_ring(struct frame_writer *writer, const struct device *device)
{
	const struct attach *attach = &device->attach;
	uint8_t raw[8 + 4 * RING_PAGES_MAX], poll[8];
	const struct ring_queue *queue;
	size_t pages, i;
	uint32_t q;

	frame_put_u32(writer, TAPDISK_ATTR_DOMID, device->domid);
	frame_put_u32(writer, TAPDISK_ATTR_DEVID, device->devid);
	frame_put_u32(writer, TAPDISK_ATTR_PROTO, attach->wanted.proto);
	for (q = 0; q < attach->wanted.queue_count; q++) {
		queue = &attach->wanted.queue[q];
		pages = (size_t)1 << queue->order;
		put_le32(raw, queue->order);
		put_le32(raw + 4, queue->port);
		for (i = 0; i < pages; i++)
			put_le32(raw + 8 + 4 * i, queue->gref[i]);
		frame_put(writer, TAPDISK_ATTR_QUEUE, raw, 8 + 4 * pages);
	}
	put_le32(poll, attach->wish.poll_us);
	put_le32(poll + 4, attach->wish.poll_idle);
	frame_put(writer, TAPDISK_ATTR_POLL, poll, sizeof(poll));
	frame_put_u32(writer, TAPDISK_ATTR_INDIRECT_MAX, ATTACH_INDIRECT_SEGMENTS);
	frame_put_u32(writer, TAPDISK_ATTR_RING_FLAGS,
		      (attach->wish.writable ? 0 : TAPDISK_RING_READ_ONLY) |
			      (attach->wish.discard ? 0 : TAPDISK_RING_NO_DISCARD));
	if (attach->wish.persistent)
		frame_put_u64(writer, TAPDISK_ATTR_RING_FEATURES,
			      TAPDISK_RING_FLUSH | TAPDISK_RING_BARRIER | TAPDISK_RING_DISCARD |
				      TAPDISK_RING_INDIRECT | TAPDISK_RING_PERSISTENT);
}
