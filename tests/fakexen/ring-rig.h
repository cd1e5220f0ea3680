/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest and the block interface in one thread, over the engine's rig: who waits turns the loop.
 */
#ifndef TESTS_RING_RIG_H
#define TESTS_RING_RIG_H

#include "drivers/frontend/blkif.h"
#include "tests/engine/rig.h"
#include "tests/fakexen/blkfront.h"

#define RING_DOMID 5
#define RING_DEVID 51712
#define RING_DATA_PAGES 512
#define PAGE 4096 /* bytes that a grant names */

enum { READ = 0, WRITE = 1, BARRIER = 2, FLUSH = 3 }; /* operations of requests */

struct ring_rig {
	struct rig engine;
	struct blkif *blkif;
	char dir[64];
	char monitor[96]; /* what says how idle the CPUs are, if a test makes it */
	struct guest guest;
	struct front_queue queues[FRONT_QUEUES];
	unsigned queue_count;
	uint8_t *data;                              /* RING_DATA_PAGES pages of the guest ... */
	uint32_t grefs[RING_DATA_PAGES];            /* ... and their grants */
	uint8_t *page;                              /* for indirect segments ... */
	uint32_t page_gref;                         /* ... and its grant */
	uint32_t first_ring_page, first_ring_grant; /* what was not handed out by then */

	/* Faults of the next ring that is connected: of its last queue. */
	uint32_t producer_ahead;
	bool bad_gref, bad_port;
};

/* What a test wants different from one queue of one page, in the native layout. */
struct ring_form {
	unsigned queues, order;
	bool is_32, is_native;
	uint32_t start;
	bool read_only, no_discard;
	uint64_t offers;
	unsigned indirect_max;
	uint32_t poll_us, poll_idle;
};

/* A second guest of the same disk, with one page of data. */
struct ring_other {
	struct guest guest;
	struct front_queue queue;
	uint32_t gref;
};

#define RING_OTHER_DOMID 6

void ring_setup(struct ring_rig *rig); /* the disk is open, no ring is connected */
void ring_teardown(struct ring_rig *rig);

int ring_connect(struct ring_rig *rig, const struct ring_form *form);
int ring_reconnect(struct ring_rig *rig);              /* the same ring as it is, at other ports */
unsigned ring_state_of(struct ring_rig *rig);          /* BLKIF_*; 0: there is none */
int ring_disconnect(struct ring_rig *rig, bool force); /* and wait until it is unmapped */

/* A callback: sets the bool at arg. */
void ring_flag(void *arg);

void ring_other_open(struct ring_rig *rig, struct ring_other *other, bool is_32);
int ring_other_connect(struct ring_rig *rig, struct ring_other *other,
		       const struct ring_form *form);
int ring_other_disconnect(struct ring_rig *rig); /* nothing of it may be in flight */
void ring_other_close(struct ring_rig *rig, struct ring_other *other);

/* A segment of page number page of the data. */
struct front_segment ring_segment(const struct ring_rig *rig, unsigned page, unsigned first,
				  unsigned last);

/* Publish a request of a whole page of the data. */
void ring_ask(struct ring_rig *rig, unsigned queue, uint8_t op, uint64_t id, uint64_t sector,
	      unsigned page);

/* Turn the loop: is there a response then? */
bool ring_answered(struct ring_rig *rig, unsigned queue, struct front_response *response);

/* Publish, and turn the loop until the queue has a response. */
struct front_response ring_wait(struct ring_rig *rig, unsigned queue);
void ring_turn(struct ring_rig *rig); /* until nothing happens any more on the spot */

/* A request of whole pages of the data, from the first one on: its status. */
int ring_do(struct ring_rig *rig, uint8_t op, uint64_t sector, unsigned pages);

/* The same with up to 256 of them, as an indirect request. */
int ring_indirect(struct ring_rig *rig, uint8_t op, uint64_t sector, unsigned pages);

/* Bytes that differ from place to place, and from seed to seed. */
void ring_fill(void *at, size_t bytes, unsigned seed);

int ring_run(Suite *suite);

#endif
