/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes, trims and zeroes.  What fills whole sectors goes to the vbd as it is; the rest is read,
 * changed and written, while no other modification of the export touches the same sectors.
 *
 * The buffer of a write holds the sectors that it covers and, when it is unaligned, one sector
 * more, for the old content; the buffer of an unaligned write-zeroes is one sector.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "drivers/frontend/nbd-conn.h"

/* The steps of an unaligned modification, in order. */
enum { HEAD, HEAD_WRITE, MIDDLE, TAIL, TAIL_WRITE, END };

static uint64_t
round_down(uint64_t value, uint32_t unit)
{
	return value & ~(uint64_t)(unit - 1);
}

/* Sums stay below the size of the disk plus a sector: requests are checked before. */
static uint64_t
round_up(uint64_t value, uint32_t unit)
{
	return round_down(value + unit - 1, unit);
}

static uint32_t
unit_of(const struct nbd_slot *slot)
{
	return vbd_sector_size(slot->conn->export->vbd);
}

uint64_t
nbd_modify_room(const struct nbd_request *request, uint32_t unit)
{
	uint64_t end = request->offset + request->length;
	uint64_t cover = round_up(end, unit) - round_down(request->offset, unit);
	bool aligned = cover == request->length;

	if (request->type == NBD_CMD_WRITE_ZEROES)
		return aligned ? 0 : unit;
	return aligned ? cover : cover + unit;
}

char *
nbd_modify_payload(const struct nbd_slot *slot)
{
	return slot->buffer + (slot->request.offset & (unit_of(slot) - 1));
}

static void
finish(struct nbd_slot *slot, int err)
{
	struct nbd_export *export = slot->conn->export;
	const struct nbd_request *request = &slot->request;
	uint32_t error = err ? nbd_error(err) : 0;

	if (err == -EOPNOTSUPP && request->type == NBD_CMD_TRIM)
		error = 0; /* a hint */
	if (err == -EOPNOTSUPP && (request->flags & NBD_CMD_FLAG_FAST_ZERO))
		error = NBD_ENOTSUP;
	if (nbd_ranges_leave(&export->ranges, &slot->range))
		loop_defer(export->loop, &export->ready_task);
	nbd_request_reply(slot, error);
}

/* ---- unaligned ---- */

static void step_done(struct nbd_slot *slot, int err);

/* The bytes of the request inside the sector at start, as offsets from it. */
static void
part_of(const struct nbd_slot *slot, uint64_t start, size_t *from, size_t *to)
{
	uint64_t end = slot->request.offset + slot->request.length;
	uint32_t unit = unit_of(slot);

	*from = slot->request.offset > start ? slot->request.offset - start : 0;
	*to = end < start + unit ? end - start : unit;
}

/* The old content of the sector at start is there: join it with the new one. */
static void
merge(struct nbd_slot *slot, uint64_t start)
{
	uint32_t unit = unit_of(slot);
	size_t from, to;
	char *old, *new;

	part_of(slot, start, &from, &to);
	if (slot->request.type == NBD_CMD_WRITE_ZEROES) {
		memset(slot->buffer + from, 0, to - from);
		return;
	}
	old = slot->buffer + slot->room - unit;
	new = slot->buffer + (start - slot->range.start);
	memcpy(new, old, from);
	memcpy(new + to, old + to, unit - to);
}

/* Start the step; false: it has nothing to do. */
static bool
step(struct nbd_slot *slot)
{
	const struct nbd_request *request = &slot->request;
	bool zeroes = request->type == NBD_CMD_WRITE_ZEROES;
	uint32_t unit = unit_of(slot);
	uint64_t start = slot->range.start, end = slot->range.end, last = end - unit;
	uint64_t tail = request->offset + request->length;
	char *old = slot->buffer + slot->room - unit;

	switch (slot->step) {
	case HEAD:
	case HEAD_WRITE:
		if (request->offset == start && (tail == end || start != last))
			return false;
		if (slot->step == HEAD_WRITE && !zeroes)
			return false;
		nbd_request_submit(slot, slot->step == HEAD ? TD_OP_READ : TD_OP_WRITE, start,
				   start + unit, old, step_done);
		return true;
	case MIDDLE:
		if (!zeroes)
			return false; /* the whole is written at the end */
		start = round_up(request->offset, unit);
		end = round_down(tail, unit);
		if (start >= end)
			return false;
		nbd_request_submit(slot, TD_OP_WRITE_ZEROES, start, end, NULL, step_done);
		return true;
	case TAIL:
	case TAIL_WRITE:
		if (slot->step == TAIL_WRITE && !zeroes) {
			nbd_request_submit(slot, TD_OP_WRITE, start, end, slot->buffer, step_done);
			return true;
		}
		if (tail == end || start == last)
			return false;
		nbd_request_submit(slot, slot->step == TAIL ? TD_OP_READ : TD_OP_WRITE, last, end,
				   old, step_done);
		return true;
	default:
		return false;
	}
}

static void
run_steps(struct nbd_slot *slot)
{
	for (; slot->step < END; slot->step++)
		if (step(slot))
			return; /* it may even be done, and the slot gone */
	finish(slot, 0);
}

static void
step_done(struct nbd_slot *slot, int err)
{
	if (!err && slot->step == HEAD)
		merge(slot, slot->range.start);
	if (!err && slot->step == TAIL)
		merge(slot, slot->range.end - unit_of(slot));
	slot->step++;
	if (!err && slot->step < END && slot->conn->export->shutdown)
		err = -ESHUTDOWN;
	if (err)
		finish(slot, err);
	else
		run_steps(slot);
}

/* ---- all ---- */

/* Nothing is in the way of the slot's range. */
static void
go(struct nbd_slot *slot)
{
	struct nbd_range *range = &slot->range;

	if (slot->conn->export->shutdown) {
		finish(slot, -ESHUTDOWN);
	} else if (range->unaligned) {
		slot->step = HEAD;
		run_steps(slot);
	} else if (slot->request.type == NBD_CMD_WRITE) {
		nbd_request_submit(slot, TD_OP_WRITE, range->start, range->end, slot->buffer,
				   finish);
	} else {
		nbd_request_submit(slot,
				   slot->request.type == NBD_CMD_TRIM ? TD_OP_DISCARD
								      : TD_OP_WRITE_ZEROES,
				   range->start, range->end, NULL, finish);
	}
}

void
nbd_modify_run(struct nbd_slot *slot)
{
	struct nbd_export *export = slot->conn->export;
	const struct nbd_request *request = &slot->request;
	uint64_t end = request->offset + request->length;
	struct nbd_range *range = &slot->range;
	uint32_t unit = unit_of(slot);

	if ((request->flags & NBD_CMD_FLAG_FAST_ZERO) && !vbd_can_fast_zero(export->vbd)) {
		nbd_request_reply(slot, NBD_ENOTSUP);
		return;
	}
	range->start = round_down(request->offset, unit);
	range->end = round_up(end, unit);
	range->unaligned = range->start != request->offset || range->end != end;
	if (request->type == NBD_CMD_TRIM) { /* only what is inside for sure */
		range->start = round_up(request->offset, unit);
		range->end = round_down(end, unit);
		range->unaligned = false;
		if (range->start >= range->end || !vbd_can_discard(export->vbd)) {
			nbd_request_reply(slot, 0);
			return;
		}
	}
	if (nbd_ranges_enter(&export->ranges, range))
		go(slot);
}

void
nbd_modify_ready(void *arg)
{
	struct nbd_export *export = arg;
	struct nbd_range *range;

	while ((range = nbd_ranges_next(&export->ranges)))
		go((struct nbd_slot *)((char *)range - offsetof(struct nbd_slot, range)));
}
