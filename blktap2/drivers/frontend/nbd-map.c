/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block status: what is data, zeroes or a hole.
 *
 * The vbd is asked in parts, so that the memory for its answer is bounded however fragmented the
 * image is, and the parts are joined again in the reply.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/frontend/nbd-conn.h"

#define PART_SECTORS (1ull << (30 - SECTOR_SHIFT)) /* 1 GiB */
#define PARTS_MAX 4096                             /* per request: the reply may end early */
#define COMPACT_MAX 0xFFFFF000ull                  /* bytes of an extent with a 32-bit length */

static void map_ask(struct nbd_slot *slot);

static uint32_t
flags_of(int status)
{
	switch (status) {
	case TD_BLOCK_STATE_HOLE:
		return NBD_STATE_HOLE | NBD_STATE_ZERO;
	case TD_BLOCK_STATE_ZERO:
		return NBD_STATE_ZERO;
	default:
		return 0;
	}
}

/* Encode the extent that has been gathered. */
static void
emit(struct nbd_slot *slot)
{
	struct nbd_map *map = &slot->map;
	enum nbd_mode mode = slot->conn->mode;
	size_t at = map->count * nbd_extent_size(mode);
	uint64_t length = map->length;

	if (!length)
		return;
	if ((slot->request.flags & NBD_CMD_FLAG_REQ_ONE) && length > slot->request.length)
		length = slot->request.length;
	if (mode != NBD_EXTENDED && length > COMPACT_MAX) {
		length = COMPACT_MAX;
		map->ended = true; /* the next extent would not be adjacent */
	}
	nbd_put_extent((uint8_t *)slot->buffer + at, mode, length, map->flags);
	map->count++;
	map->length = 0;
	at += 2 * nbd_extent_size(mode);
	if ((slot->request.flags & NBD_CMD_FLAG_REQ_ONE) || at > slot->room)
		map->ended = true;
}

static void
add(struct nbd_slot *slot, uint64_t length, uint32_t flags)
{
	struct nbd_map *map = &slot->map;

	if (map->length && map->flags != flags)
		emit(slot);
	if (map->ended)
		return;
	map->flags = flags;
	map->length += length;
}

/* Take the answer to one part: its pieces follow each other from map->at on. */
static void
take_part(struct nbd_slot *slot)
{
	struct nbd_map *map = &slot->map;
	uint64_t from = slot->request.offset, start, end;
	size_t i;

	for (i = 0; i < map->extents.count && !map->ended; i++) {
		const struct vbd_extent *extent = &map->extents.at[i];

		start = extent->sector << SECTOR_SHIFT;
		end = (extent->sector + extent->sectors) << SECTOR_SHIFT;
		if (start < from) /* the request begins inside a sector */
			start = from;
		if (start < end)
			add(slot, end - start, flags_of(extent->status));
	}
	map->at = map->part_end;
	if (map->at >= map->end || map->parts >= PARTS_MAX)
		map->ended = true;
}

static void
map_finish(struct nbd_slot *slot)
{
	struct nbd_map *map = &slot->map;
	enum nbd_mode mode = slot->conn->mode;

	free(map->extents.at);
	map->extents.at = NULL;
	if (!map->err && map->length && (map->count + 1) * nbd_extent_size(mode) <= slot->room &&
	    !((slot->request.flags & NBD_CMD_FLAG_REQ_ONE) && map->count))
		emit(slot);
	if (map->err || !map->count) {
		nbd_request_reply(slot, map->err ? nbd_error(map->err) : NBD_EIO);
		return;
	}
	slot->payload = slot->buffer;
	slot->payload_size = map->count * nbd_extent_size(mode);
	slot->head_size = nbd_put_block_status(slot->head, mode, &slot->request,
					       NBD_CONTEXT_ALLOCATION, map->count);
	nbd_request_queue(slot);
}

static void
part_done(struct nbd_slot *slot, int err)
{
	struct nbd_map *map = &slot->map;

	map->err = err;
	if (err)
		map->ended = true;
	else
		take_part(slot);
	map->answered = true;
	if (!map->submitting)
		map_ask(slot);
}

/* Ask part after part until one is answered later: then part_done goes on. */
static void
map_ask(struct nbd_slot *slot)
{
	struct nbd_map *map = &slot->map;

	while (!map->ended) {
		if (slot->conn->export->shutdown) {
			map->err = -ESHUTDOWN;
			break;
		}
		map->part_end =
			map->end - map->at > PART_SECTORS ? map->at + PART_SECTORS : map->end;
		map->parts++;
		map->extents.count = 0;
		map->answered = false;
		map->submitting = true;
		nbd_request_submit(slot, TD_OP_BLOCK_STATUS, map->at << SECTOR_SHIFT,
				   map->part_end << SECTOR_SHIFT, NULL, part_done);
		map->submitting = false;
		if (!map->answered)
			return;
	}
	map_finish(slot);
}

void
nbd_map_run(struct nbd_slot *slot)
{
	const struct nbd_request *request = &slot->request;
	uint64_t unit = vbd_sector_size(slot->conn->export->vbd);
	struct nbd_map *map = &slot->map;

	*map = (struct nbd_map){ 0 };
	map->at = (request->offset & ~(unit - 1)) >> SECTOR_SHIFT;
	map->end = ((request->offset + request->length + unit - 1) & ~(unit - 1)) >> SECTOR_SHIFT;
	map_ask(slot);
}
