/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's side of the block interface: see blkfront.h. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/fakexen/blkfront.h"

#define HEADER 64
#define OP_DISCARD 5
#define OP_INDIRECT 6

static unsigned
slot_bytes(const struct front_queue *queue)
{
	return queue->is_32 ? 108 : 112;
}

static unsigned
id_at(const struct front_queue *queue)
{
	return queue->is_32 ? 4 : 8;
}

_Atomic uint32_t *
front_word(const struct front_queue *queue, unsigned at)
{
	return (_Atomic uint32_t *)(void *)(queue->shared + at);
}

static uint8_t *
slot_at(const struct front_queue *queue, uint32_t counter)
{
	return queue->shared + HEADER + (size_t)(counter % queue->slots) * slot_bytes(queue);
}

void
front_queue_init(struct front_queue *queue, struct guest *guest, bool is_32, uint32_t order,
		 uint32_t start)
{
	uint32_t pages = 1u << order, first, i;

	memset(queue, 0, sizeof(*queue));
	queue->guest = guest;
	queue->is_32 = is_32;
	queue->order = order;
	queue->slots = 32u << order;
	queue->shared = guest_pages(guest, pages, &first);
	memset(queue->shared, 0, (size_t)pages * WORLD_PAGE);
	for (i = 0; i < pages; i++)
		queue->grefs[i] = guest_grant(guest, first + i, false);
	queue->req_prod = queue->rsp_cons = start;
	atomic_store(front_word(queue, FRONT_REQ_PROD), start);
	atomic_store(front_word(queue, FRONT_RSP_PROD), start);
	atomic_store(front_word(queue, FRONT_REQ_EVENT), start + 1);
	atomic_store(front_word(queue, FRONT_RSP_EVENT), start + 1);
	queue->port = (uint32_t)world_listen(&guest->events, guest->backend);
}

void
front_queue_end(struct front_queue *queue)
{
	uint32_t i;

	for (i = 0; i < 1u << queue->order; i++)
		guest_revoke(queue->guest, queue->grefs[i]);
	world_unbind(&queue->guest->events, queue->port);
}

uint32_t
front_unanswered(const struct front_queue *queue)
{
	return queue->req_prod - queue->rsp_cons;
}

/* ---- requests ---- */

uint8_t *
front_slot(struct front_queue *queue)
{
	uint8_t *slot = slot_at(queue, queue->req_prod++);

	memset(slot, 0, slot_bytes(queue));
	queue->last = slot;
	return slot;
}

static void
put_segment(uint8_t *raw, const struct front_segment *segment)
{
	put_le32(raw, segment->gref);
	raw[4] = segment->first;
	raw[5] = segment->last;
}

void
front_direct(struct front_queue *queue, uint8_t op, uint64_t id, uint64_t sector,
	     const struct front_segment *segments, unsigned count)
{
	uint8_t *slot = front_slot(queue), *body = slot + id_at(queue);
	unsigned i;

	slot[0] = op;
	slot[1] = (uint8_t)count;
	put_le64(body, id);
	put_le64(body + 8, sector);
	for (i = 0; i < count && i < 11; i++)
		put_segment(body + 16 + 8 * i, &segments[i]);
}

void
front_discard(struct front_queue *queue, uint64_t id, uint64_t sector, uint64_t sectors)
{
	uint8_t *slot = front_slot(queue), *body = slot + id_at(queue);

	slot[0] = OP_DISCARD;
	put_le64(body, id);
	put_le64(body + 8, sector);
	put_le64(body + 16, sectors);
}

void
front_indirect(struct front_queue *queue, uint8_t op, uint64_t id, uint64_t sector,
	       const struct front_segment *segments, unsigned count, void *page, uint32_t gref)
{
	uint8_t *slot = front_slot(queue), *body = slot + id_at(queue);
	unsigned i;

	for (i = 0; i < count && i < WORLD_PAGE / 8; i++)
		put_segment((uint8_t *)page + 8 * i, &segments[i]);
	slot[0] = OP_INDIRECT;
	slot[1] = op;
	put_le16(slot + 2, (uint16_t)count);
	put_le64(body, id);
	put_le64(body + 8, sector);
	put_le32(body + 20, gref);
}

/* ---- both ways ---- */

void
front_kick(struct front_queue *queue)
{
	world_notify(&queue->guest->events, queue->port);
}

bool
front_push(struct front_queue *queue)
{
	uint32_t old = atomic_load(front_word(queue, FRONT_REQ_PROD));
	uint32_t event;

	atomic_store(front_word(queue, FRONT_REQ_PROD), queue->req_prod);
	atomic_thread_fence(memory_order_seq_cst);
	event = atomic_load(front_word(queue, FRONT_REQ_EVENT));
	if (queue->req_prod - event >= queue->req_prod - old)
		return false;
	front_kick(queue);
	return true;
}

static bool
has_response(const struct front_queue *queue)
{
	return atomic_load(front_word(queue, FRONT_RSP_PROD)) != queue->rsp_cons;
}

bool
front_response(struct front_queue *queue, struct front_response *response)
{
	const uint8_t *raw;

	if (!has_response(queue)) {
		atomic_store(front_word(queue, FRONT_RSP_EVENT), queue->rsp_cons + 1);
		atomic_thread_fence(memory_order_seq_cst);
		if (!has_response(queue))
			return false;
	}
	raw = slot_at(queue, queue->rsp_cons++);
	memcpy(response->raw, raw, queue->is_32 ? 12 : 16);
	response->id = get_le64(response->raw);
	response->op = response->raw[8];
	response->status = (int16_t)get_le16(response->raw + 10);
	return true;
}

bool
front_was_kicked(struct front_queue *queue)
{
	bool kicked = false;
	int port;

	while ((port = world_pending(&queue->guest->events)) >= 0) {
		kicked |= (uint32_t)port == queue->port;
		world_unmask(&queue->guest->events, (uint32_t)port);
	}
	return kicked;
}
