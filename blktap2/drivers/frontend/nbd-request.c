/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of a peer become requests of the vbd, and their ends become replies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/buffers.h"
#include "drivers/frontend/nbd-conn.h"

#define POOL_SHARE 4 /* what a connection holds is at most such a part of what is left */

/* ---- slots ---- */

/* A slot, or NULL.  Those that were never needed are not touched, and cost no memory. */
static struct nbd_slot *
take_slot(struct nbd_conn *conn)
{
	struct nbd_slot *slot = STAILQ_FIRST(&conn->free_slots);

	if (slot) {
		STAILQ_REMOVE_HEAD(&conn->free_slots, link);
		return slot;
	}
	if (!conn->slots)
		conn->slots = calloc(NBD_SLOTS, sizeof(*conn->slots));
	if (!conn->slots || conn->slots_used == NBD_SLOTS)
		return NULL;
	return &conn->slots[conn->slots_used++];
}

static void
put_slot(struct nbd_conn *conn, struct nbd_slot *slot)
{
	STAILQ_INSERT_HEAD(&conn->free_slots, slot, link);
}

static void
drop_buffer(struct nbd_slot *slot)
{
	if (!slot->buffer)
		return;
	buffers_put(slot->conn->export->buffers, slot->buffer, slot->room);
	slot->conn->bytes -= slot->room;
	slot->buffer = NULL;
	slot->room = 0;
}

void
nbd_slots_free(struct nbd_conn *conn)
{
	size_t i;

	/* A request that was still waiting for its turn has kept its buffers. */
	for (i = 0; i < conn->slots_used; i++) {
		drop_buffer(&conn->slots[i]);
		free(conn->slots[i].map.extents.at);
	}
	free(conn->slots);
}

/* Bytes of buffer that the request needs while it is in flight. */
static uint64_t
room_for(const struct nbd_conn *conn, const struct nbd_request *request)
{
	uint32_t unit = vbd_sector_size(conn->export->vbd);
	uint64_t start = request->offset & ~(uint64_t)(unit - 1);

	if (!request->length)
		return 0;
	switch (request->type) {
	case NBD_CMD_READ:
		return (request->offset + request->length - start + unit - 1) &
		       ~(uint64_t)(unit - 1);
	case NBD_CMD_WRITE:
	case NBD_CMD_WRITE_ZEROES:
		return nbd_modify_room(request, unit);
	case NBD_CMD_BLOCK_STATUS:
		return NBD_MAP_ROOM;
	default:
		return 0;
	}
}

static uint32_t
error_of(const struct nbd_conn *conn, const struct nbd_request *request)
{
	struct nbd_limits limits = {
		.mode = conn->mode,
		.contexts = conn->contexts,
		.read_only = vbd_read_only(conn->export->vbd),
		.size = vbd_sectors(conn->export->vbd) << SECTOR_SHIFT,
	};

	if (conn->export->shutdown)
		return NBD_ESHUTDOWN;
	return nbd_request_error(request, &limits);
}

/*
 * What was read and waits for a peer that is slower is pushed out of the processor's cache by what
 * is read after it: large reads are begun a few at a time, and none while the socket is full.
 */
static bool
is_ahead(struct nbd_conn *conn, const struct nbd_request *request, uint64_t room)
{
	if (request->type != NBD_CMD_READ || !conn->bytes)
		return false;
	if (conn->stalled)
		return conn->bytes + room > NBD_AHEAD_BYTES;
	if (conn->turn_bytes + room <= NBD_AHEAD_BYTES)
		return false;
	nbd_conn_touch(conn); /* the next turn goes on with it */
	return true;
}

/* A buffer for the slot.  False: it has to wait for one. */
static bool
make_room(struct nbd_conn *conn, struct nbd_slot *slot, uint64_t room)
{
	size_t bytes = conn->bytes + room, left = buffers_left(conn->export->buffers);

	/* Beyond its first request nobody takes so much that nothing is left for the next one. */
	if (conn->bytes && (bytes > NBD_BYTES_MAX || bytes > left / POOL_SHARE))
		return false;
	slot->buffer = buffers_get(conn->export->buffers, room);
	if (!slot->buffer)
		return false;
	slot->room = room;
	conn->bytes += room;
	conn->turn_bytes += room;
	return true;
}

struct nbd_slot *
nbd_request_begin(struct nbd_conn *conn, const struct nbd_request *request)
{
	uint32_t error = error_of(conn, request);
	uint64_t room = error ? 0 : room_for(conn, request);
	struct nbd_slot *slot;

	slot = take_slot(conn);
	if (!slot) {
		nbd_conn_starve(conn);
		return NULL;
	}
	if (room > BUFFER_MAX) { /* the longest requests are served when they are aligned */
		error = NBD_EINVAL;
		room = 0;
	}
	if (room && (is_ahead(conn, request, room) || !make_room(conn, slot, room))) {
		put_slot(conn, slot);
		nbd_conn_starve(conn);
		return NULL;
	}
	conn->in_flight++;
	slot->conn = conn;
	slot->request = *request;
	slot->error = error;
	slot->payload_size = 0;
	slot->expired = false;
	slot->done_late = false;
	slot->sent_early = false;
	return slot;
}

void
nbd_request_end(struct nbd_slot *slot)
{
	struct nbd_conn *conn = slot->conn;

	if (slot->expired && !slot->done_late) {
		slot->sent_early = true;
		return;
	}
	drop_buffer(slot);
	conn->in_flight--;
	put_slot(conn, slot);
}

/* ---- replies ---- */

void
nbd_request_queue(struct nbd_slot *slot)
{
	struct nbd_conn *conn = slot->conn;

	if (conn->fd >= 0)
		nbd_output_add(conn, slot);
	else
		nbd_request_end(slot);
	nbd_conn_touch(conn);
}

bool
nbd_request_is_late(struct nbd_slot *slot)
{
	if (!slot->expired)
		return false;
	slot->done_late = true;
	if (slot->sent_early) {
		nbd_request_end(slot);
		nbd_conn_touch(slot->conn);
	}
	return true;
}

void
nbd_request_reply(struct nbd_slot *slot, uint32_t error)
{
	if (nbd_request_is_late(slot))
		return;
	drop_buffer(slot);
	slot->payload_size = 0;
	slot->head_size = nbd_put_status(slot->head, slot->conn->mode, &slot->request, error);
	nbd_request_queue(slot);
}

/* ---- requests ---- */

static void
vreq_done(struct vbd_request *vreq, int err)
{
	struct nbd_slot *slot = vreq->arg;

	slot->done(slot, slot->expired ? -ETIMEDOUT : err);
}

static void
vreq_expired(struct vbd_request *vreq)
{
	struct nbd_slot *slot = vreq->arg;

	if (slot->expired)
		return;
	slot->expired = true;
	slot->payload_size = 0;
	slot->head_size = nbd_put_status(slot->head, slot->conn->mode, &slot->request, NBD_EIO);
	nbd_request_queue(slot);
}

void
nbd_request_submit(struct nbd_slot *slot, int op, uint64_t start, uint64_t end, char *data,
		   void (*done)(struct nbd_slot *slot, int err))
{
	struct vbd_request *vreq = &slot->vreq;
	bool fua = slot->request.flags & NBD_CMD_FLAG_FUA;

	memset(vreq, 0, sizeof(*vreq));
	vreq->op = op;
	vreq->sector = start >> SECTOR_SHIFT;
	vreq->sectors = (end - start) >> SECTOR_SHIFT;
	if (fua && (op == TD_OP_WRITE || op == TD_OP_WRITE_ZEROES || op == TD_OP_DISCARD))
		vreq->flags |= TD_REQ_FUA;
	if (op == TD_OP_WRITE_ZEROES && (slot->request.flags & NBD_CMD_FLAG_NO_HOLE))
		vreq->flags |= TD_REQ_NO_UNMAP;
	if (data) {
		slot->iov.iov_base = data;
		slot->iov.iov_len = end - start;
		vreq->iov = &slot->iov;
		vreq->iovcnt = 1;
	}
	if (op == TD_OP_BLOCK_STATUS)
		vreq->extents = &slot->map.extents;
	slot->done = done;
	vreq->done = vreq_done;
	vreq->expired = vreq_expired;
	vreq->tally = slot->conn->tally;
	vreq->arg = slot;
	vbd_submit(slot->conn->export->vbd, vreq);
}

static void
read_done(struct nbd_slot *slot, int err)
{
	if (err) { /* also when it is late */
		nbd_request_reply(slot, nbd_error(err));
		return;
	}
	slot->payload_size = slot->request.length;
	slot->head_size = nbd_put_read(slot->head, slot->conn->mode, &slot->request);
	nbd_request_queue(slot);
}

static void
run_read(struct nbd_slot *slot)
{
	uint32_t unit = vbd_sector_size(slot->conn->export->vbd);
	uint64_t start = slot->request.offset & ~(uint64_t)(unit - 1);

	slot->payload = slot->buffer + (slot->request.offset - start);
	nbd_request_submit(slot, TD_OP_READ, start, start + slot->room, slot->buffer, read_done);
}

static void
flush_done(struct nbd_slot *slot, int err)
{
	nbd_request_reply(slot, err ? nbd_error(err) : 0);
}

void
nbd_request_run(struct nbd_slot *slot)
{
	const struct nbd_request *request = &slot->request;

	if (slot->error) {
		nbd_request_reply(slot, slot->error);
		return;
	}
	if (request->type == NBD_CMD_FLUSH) {
		nbd_request_submit(slot, TD_OP_FLUSH, 0, 0, NULL, flush_done);
		return;
	}
	if (request->length == 0 || request->type == NBD_CMD_CACHE) {
		nbd_request_reply(slot, 0); /* a read-ahead is left to the storage */
		return;
	}
	if (request->type == NBD_CMD_READ)
		run_read(slot);
	else if (request->type == NBD_CMD_BLOCK_STATUS)
		nbd_map_run(slot);
	else
		nbd_modify_run(slot);
}
