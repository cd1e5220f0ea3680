/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend's side of a shared ring.
 *
 * The pages belong to the guest as much as to us, and it may write anything to them at any time:
 * every shared word is read once, and all that counts is kept here.  Counters run freely modulo
 * 2^32.
 */
#ifndef FRONTEND_BLKIF_RING_H
#define FRONTEND_BLKIF_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/frontend/blkif-wire.h"

struct blkif_ring {
	uint8_t *shared; /* the pages, contiguous; borrowed */
	const struct blkif_layout *layout;
	uint32_t slots;    /* a power of two */
	uint32_t req_cons; /* requests taken */
	uint32_t rsp_pvt;  /* responses written ... */
	uint32_t rsp_prod; /* ... and published */
};

/* The counters in the shared page, as they are at some moment. */
struct blkif_ring_words {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
};

/* Slots of a ring of 1 << order pages. */
uint32_t blkif_ring_slots(const struct blkif_layout *layout, unsigned order);

/*
 * Go on where the shared counters are: what was not answered is served (again).  Returns 0, or
 * -EPROTO when more has been asked than the ring has slots.
 */
int blkif_ring_attach(struct blkif_ring *ring, void *pages, unsigned order,
		      const struct blkif_layout *layout);

/* *available requests can be taken.  0, or -EPROTO: the guest broke the ring. */
int blkif_ring_available(const struct blkif_ring *ring, uint32_t *available);

/* Copy the next request's slot, of which there must be one, to slot (BLKIF_SLOT_MAX bytes). */
void blkif_ring_take(struct blkif_ring *ring, uint8_t *slot);

/* Ask to be told of the next request; then blkif_ring_available must be asked once more. */
void blkif_ring_arm(struct blkif_ring *ring);

/* Write a response to one of the requests taken. */
void blkif_ring_respond(struct blkif_ring *ring, uint64_t id, uint8_t op, int status);

/* Publish the responses.  Does the guest want to be notified? */
bool blkif_ring_publish(struct blkif_ring *ring);

/* What stands in the shared page: to be shown, and never to be believed. */
void blkif_ring_look(const struct blkif_ring *ring, struct blkif_ring_words *words);

/* Is it time to notify, when a counter went from old to now, somebody having asked for event? */
static inline bool
blkif_ring_passes(uint32_t old, uint32_t now, uint32_t event)
{
	return now - event < now - old;
}

#endif
