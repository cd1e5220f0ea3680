/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images read from beginning to end: a server with one disk that nobody else sees, a few reads in
 * flight, and none where the drivers know of zeroes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "drivers/chain-reader.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "drivers/core/vbd.h"
#include "drivers/tapdisk-disktype.h"

#define DEPTH 8                   /* reads in flight */
#define PIECE_SECTORS 2048u       /* 1 MiB */
#define STATUS_SECTORS (1u << 21) /* of one question where zeroes are: 1 GiB */
#define PIECE_BYTES (PIECE_SECTORS * 512)

/* A read on its way, or a piece that needs none. */
struct slot {
	struct vbd_request req;
	struct iovec iov;
	uint8_t *buf;
	bool is_zero;
	bool ended;
	int err;
};

struct chain_reader {
	struct tapdisk_type *types;
	struct tapdisk_server *server;
	struct vbd *vbd;
	uint8_t *memory; /* DEPTH pieces, and one of zeroes */
	struct slot slots[DEPTH];
	uint64_t next;  /* to be handed out */
	uint64_t ahead; /* to be asked for */
	uint64_t end;
	unsigned first; /* slot of next */
	unsigned count; /* slots in use */

	/* What is known of the range from ahead on. */
	struct vbd_extents extents;
	size_t extent;
	uint64_t known; /* sector where it ends */
};

/* Turn the loop until *ended. */
static int
await(struct chain_reader *reader, const bool *ended)
{
	int err = 0;

	while (!err && !*ended)
		err = loop_turn(tapdisk_server_loop(reader->server), -1);
	return err;
}

/* ---- where zeroes are -------------------------------------------------------------------------
 */

static void
slot_done(struct vbd_request *req, int err)
{
	struct slot *slot = req->arg;

	slot->ended = true;
	slot->err = err;
}

/* Ask about the range that begins at ahead.  What is not answered counts as data. */
static void
ask_status(struct chain_reader *reader)
{
	uint64_t left = reader->end - reader->ahead;
	struct slot slot = { .req = { .op = TD_OP_BLOCK_STATUS, .done = slot_done } };

	reader->extents.count = reader->extent = 0;
	slot.req.arg = &slot;
	slot.req.sector = reader->ahead;
	slot.req.sectors = left < STATUS_SECTORS ? left : STATUS_SECTORS;
	slot.req.extents = &reader->extents;
	reader->known = reader->ahead + slot.req.sectors;
	vbd_submit(reader->vbd, &slot.req);
	if (await(reader, &slot.ended) || slot.err)
		reader->extents.count = 0;
}

/* Is [ahead, ahead + sectors) known to be zero? */
static bool
is_zero(struct chain_reader *reader, uint64_t sectors)
{
	const struct vbd_extent *extent;

	if (reader->ahead >= reader->known)
		ask_status(reader);
	for (; reader->extent < reader->extents.count; reader->extent++) {
		extent = &reader->extents.at[reader->extent];
		if (extent->sector + extent->sectors > reader->ahead)
			return extent->status != TD_BLOCK_STATE_NONE &&
			       extent->sector <= reader->ahead &&
			       extent->sector + extent->sectors >= reader->ahead + sectors;
	}
	return false;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* Ask for the piece at ahead, in the slot behind those in use. */
static void
ask_piece(struct chain_reader *reader)
{
	struct slot *slot = &reader->slots[(reader->first + reader->count) % DEPTH];
	uint64_t left = reader->end - reader->ahead;

	slot->req = (struct vbd_request){ .op = TD_OP_READ, .done = slot_done, .arg = slot };
	slot->req.sector = reader->ahead;
	slot->req.sectors = left < PIECE_SECTORS ? left : PIECE_SECTORS;
	slot->is_zero = is_zero(reader, slot->req.sectors);
	slot->ended = slot->is_zero;
	slot->err = 0;
	reader->count++;
	reader->ahead += slot->req.sectors;
	if (slot->is_zero)
		return;
	slot->iov = (struct iovec){ slot->buf, (size_t)slot->req.sectors << SECTOR_SHIFT };
	slot->req.iov = &slot->iov;
	slot->req.iovcnt = 1;
	vbd_submit(reader->vbd, &slot->req);
}

/* What was asked for and is not wanted any more. */
static void
drain(struct chain_reader *reader)
{
	for (; reader->count; reader->count--) {
		if (await(reader, &reader->slots[reader->first].ended))
			return;
		reader->first = (reader->first + 1) % DEPTH;
	}
}

void
chain_reader_seek(struct chain_reader *reader, uint64_t first, uint64_t end)
{
	drain(reader);
	reader->next = reader->ahead = first;
	reader->known = first;
	reader->end = end;
}

int
chain_reader_next(struct chain_reader *reader, struct chain_piece *piece)
{
	struct slot *slot;
	int err;

	/* The slot of the piece before is free again by now. */
	while (reader->count < DEPTH - 1 && reader->ahead < reader->end)
		ask_piece(reader);
	if (!reader->count)
		return 0;
	slot = &reader->slots[reader->first];
	err = await(reader, &slot->ended);
	if (err)
		return err;
	*piece = (struct chain_piece){ .sector = slot->req.sector,
				       .sectors = (uint32_t)slot->req.sectors,
				       .data = slot->is_zero ? reader->memory + DEPTH * PIECE_BYTES
							     : slot->buf,
				       .is_zero = slot->is_zero };
	reader->first = (reader->first + 1) % DEPTH;
	reader->count--;
	reader->next += piece->sectors;
	return slot->err ? slot->err : 1;
}

uint64_t
chain_reader_sectors(const struct chain_reader *reader)
{
	return vbd_sectors(reader->vbd);
}

/* ---- open and close ---------------------------------------------------------------------------
 */

struct outcome {
	bool ended;
	int err;
	struct reason *why;
};

static void
operation_done(void *arg, int err, const char *why)
{
	struct outcome *outcome = arg;

	outcome->ended = true;
	outcome->err = err;
	if (err)
		reason(outcome->why, err, "%s", why);
}

static int
start(struct chain_reader *reader, struct reason *why)
{
	struct tapdisk_config config = { 0 };
	unsigned i;
	int err;

	reader->types = tapdisk_disktype_table();
	reader->memory = aligned_alloc(4096, (DEPTH + 1) * PIECE_BYTES);
	if (!reader->types || !reader->memory)
		return reason(why, -ENOMEM, "%s", strerror(ENOMEM));
	memset(reader->memory + DEPTH * PIECE_BYTES, 0, PIECE_BYTES);
	for (i = 0; i < DEPTH; i++)
		reader->slots[i].buf = reader->memory + i * PIECE_BYTES;
	config.types = reader->types;
	err = tapdisk_server_new(&reader->server, &config);
	if (!err)
		err = tapdisk_server_attach(reader->server, 0, &reader->vbd);
	return err ? reason(why, err, "%s", strerror(-err)) : 0;
}

int
chain_reader_open(const char *params, struct chain_reader **out, struct reason *why)
{
	struct vbd_options options = { .params = params,
				       .flags = TD_OPEN_RDONLY,
				       .parent_minor = -1 };
	struct chain_reader *reader = calloc(1, sizeof(*reader));
	struct outcome outcome = { .why = why };
	int err;

	if (!reader)
		return reason(why, -ENOMEM, "%s", strerror(ENOMEM));
	err = start(reader, why);
	if (!err) {
		vbd_open(reader->vbd, &options, operation_done, &outcome);
		err = await(reader, &outcome.ended);
	}
	if (!err)
		err = outcome.err;
	if (err) {
		chain_reader_close(reader);
		return err;
	}
	*out = reader;
	return 0;
}

void
chain_reader_close(struct chain_reader *reader)
{
	struct outcome outcome = { 0 };

	if (!reader)
		return;
	if (reader->vbd) {
		drain(reader);
		vbd_close(reader->vbd, false, operation_done, &outcome);
		await(reader, &outcome.ended);
		tapdisk_server_detach(reader->server, reader->vbd);
	}
	tapdisk_server_free(reader->server);
	free(reader->extents.at);
	free(reader->memory);
	free(reader->types);
	free(reader);
}
