/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's side of the block interface: what a test says, it writes to the ring, be it right or
 * wrong.  Written from the layout of the messages, not with the code that it is to test.
 */
#ifndef TESTS_FAKEXEN_BLKFRONT_H
#define TESTS_FAKEXEN_BLKFRONT_H

#include "tests/fakexen/guest.h"

#define FRONT_QUEUES 8
#define FRONT_SLOT_MAX 112

struct front_segment {
	uint32_t gref;
	uint8_t first, last;
};

struct front_response {
	uint64_t id;
	uint8_t op;
	int16_t status;
	uint8_t raw[16]; /* as it lay in the ring */
};

struct front_queue {
	struct guest *guest;
	bool is_32;
	uint32_t order, slots;
	uint8_t *shared;
	uint32_t grefs[16];
	uint32_t port;
	uint32_t req_prod; /* written; published by front_push */
	uint32_t rsp_cons;
	uint8_t *last; /* the slot that was written last */
};

/* Make a ring whose counters begin at start, and a port for it. */
void front_queue_init(struct front_queue *queue, struct guest *guest, bool is_32, uint32_t order,
		      uint32_t start);
void front_queue_end(struct front_queue *queue); /* closes the port, takes back the grants */

/* Counters in the shared page, by their offsets. */
enum { FRONT_REQ_PROD = 0, FRONT_REQ_EVENT = 4, FRONT_RSP_PROD = 8, FRONT_RSP_EVENT = 12 };
_Atomic uint32_t *front_word(const struct front_queue *queue, unsigned at);

/* Requests in the ring that are not answered. */
uint32_t front_unanswered(const struct front_queue *queue);

/* The next slot, zeroed, taken into account; anything may be written to its bytes. */
uint8_t *front_slot(struct front_queue *queue);

/* READ, WRITE, WRITE_BARRIER, FLUSH_DISKCACHE; more than 11 segments are told, but not written. */
void front_direct(struct front_queue *queue, uint8_t op, uint64_t id, uint64_t sector,
		  const struct front_segment *segments, unsigned count);
void front_discard(struct front_queue *queue, uint64_t id, uint64_t sector, uint64_t sectors);

/* The segments are written to page, which is granted as gref. */
void front_indirect(struct front_queue *queue, uint8_t op, uint64_t id, uint64_t sector,
		    const struct front_segment *segments, unsigned count, void *page,
		    uint32_t gref);

/* Publish; notify if the other side wants it.  Was it notified? */
bool front_push(struct front_queue *queue);
void front_kick(struct front_queue *queue); /* notify in any case */

/* The next response, or false; asks to be notified of the next one. */
bool front_response(struct front_queue *queue, struct front_response *response);

/* Has an event come since the last question? */
bool front_was_kicked(struct front_queue *queue);

#endif
