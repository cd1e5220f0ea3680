/* SPDX-License-Identifier: BSD-2-Clause */
/* The backend's side of a shared ring: see blkif-ring.h. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "common/bytes.h"
#include "drivers/frontend/blkif-ring.h"

/* Offsets in the first page. */
#define REQ_PROD 0
#define REQ_EVENT 4
#define RSP_PROD 8
#define RSP_EVENT 12

static _Atomic uint32_t *
word(const struct blkif_ring *ring, unsigned at)
{
	return (_Atomic uint32_t *)(void *)(ring->shared + at);
}

static uint32_t
load(const struct blkif_ring *ring, unsigned at)
{
	uint32_t raw = atomic_load_explicit(word(ring, at), memory_order_relaxed);

	return get_le32((const uint8_t *)&raw);
}

static void
store(struct blkif_ring *ring, unsigned at, uint32_t value)
{
	uint32_t raw;

	put_le32((uint8_t *)&raw, value);
	atomic_store_explicit(word(ring, at), raw, memory_order_relaxed);
}

static uint8_t *
slot_at(const struct blkif_ring *ring, uint32_t counter)
{
	size_t index = counter & (ring->slots - 1);

	return ring->shared + BLKIF_RING_HEADER + index * ring->layout->slot_bytes;
}

uint32_t
blkif_ring_slots(const struct blkif_layout *layout, unsigned order)
{
	uint32_t most = ((BLKIF_PAGE << order) - BLKIF_RING_HEADER) / layout->slot_bytes;
	uint32_t slots = 1;

	while (slots * 2 <= most)
		slots *= 2;
	return slots;
}

int
blkif_ring_attach(struct blkif_ring *ring, void *pages, unsigned order,
		  const struct blkif_layout *layout)
{
	uint32_t answered;

	ring->shared = pages;
	ring->layout = layout;
	ring->slots = blkif_ring_slots(layout, order);
	answered = load(ring, RSP_PROD);
	ring->req_cons = ring->rsp_pvt = ring->rsp_prod = answered;
	return load(ring, REQ_PROD) - answered > ring->slots ? -EPROTO : 0;
}

int
blkif_ring_available(const struct blkif_ring *ring, uint32_t *available)
{
	uint32_t produced = load(ring, REQ_PROD);

	atomic_thread_fence(memory_order_acquire);
	if (produced - ring->rsp_pvt > ring->slots)
		return -EPROTO;
	/* A counter that goes back behind what was taken wraps here. */
	*available = produced - ring->req_cons;
	return *available > ring->slots ? -EPROTO : 0;
}

void
blkif_ring_take(struct blkif_ring *ring, uint8_t *slot)
{
	memcpy(slot, slot_at(ring, ring->req_cons), ring->layout->slot_bytes);
	/* The compiler must not look there again. */
	atomic_signal_fence(memory_order_seq_cst);
	ring->req_cons++;
}

void
blkif_ring_arm(struct blkif_ring *ring)
{
	store(ring, REQ_EVENT, ring->req_cons + 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void
blkif_ring_respond(struct blkif_ring *ring, uint64_t id, uint8_t op, int status)
{
	uint8_t raw[BLKIF_RESPONSE_MAX];

	blkif_encode_response(raw, ring->layout, id, op, status);
	memcpy(slot_at(ring, ring->rsp_pvt), raw, ring->layout->response_bytes);
	ring->rsp_pvt++;
}

bool
blkif_ring_publish(struct blkif_ring *ring)
{
	uint32_t old = ring->rsp_prod;

	if (old == ring->rsp_pvt)
		return false;
	ring->rsp_prod = ring->rsp_pvt;
	atomic_thread_fence(memory_order_release);
	store(ring, RSP_PROD, ring->rsp_prod);
	atomic_thread_fence(memory_order_seq_cst);
	return blkif_ring_passes(old, ring->rsp_prod, load(ring, RSP_EVENT));
}

void
blkif_ring_look(const struct blkif_ring *ring, struct blkif_ring_words *words)
{
	words->req_prod = load(ring, REQ_PROD);
	words->req_event = load(ring, REQ_EVENT);
	words->rsp_prod = load(ring, RSP_PROD);
	words->rsp_event = load(ring, RSP_EVENT);
}
