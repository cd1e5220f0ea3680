/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests about guest rings become calls of the block interface: see guest-rings.h. */
#include <errno.h>
#include <stddef.h>

#include "drivers/core/vbd.h"
#include "drivers/frontend/blkif.h"
#include "drivers/guest-rings.h"

_Static_assert(TAPDISK_RING_CONNECTED == (int)BLKIF_CONNECTED &&
		       TAPDISK_RING_DYING == (int)BLKIF_DYING &&
		       TAPDISK_RING_FAILED == (int)BLKIF_FAILED,
	       "states are handed through");
_Static_assert(TAPDISK_RING_MAX_ORDER == BLKIF_MAX_ORDER, "orders are handed through");
_Static_assert(TAPDISK_RING_FLUSH == BLKIF_OFFERS_FLUSH &&
		       TAPDISK_RING_BARRIER == BLKIF_OFFERS_BARRIER &&
		       TAPDISK_RING_DISCARD == BLKIF_OFFERS_DISCARD &&
		       TAPDISK_RING_INDIRECT == BLKIF_OFFERS_INDIRECT &&
		       TAPDISK_RING_PERSISTENT == BLKIF_OFFERS_PERSISTENT,
	       "features are handed through");

static int
ring_connect(void *arg, struct vbd *vbd, const struct control_ring *ring, const char **why)
{
	struct blkif_queue_config queues[BLKIF_MAX_QUEUES];
	struct blkif_config config = {
		.domid = ring->domid,
		.devid = ring->devid,
		.proto = (enum blkif_proto)ring->proto,
		.read_only = ring->flags & TAPDISK_RING_READ_ONLY,
		.no_discard = ring->flags & TAPDISK_RING_NO_DISCARD,
		.offers = ring->features,
		.indirect_max = ring->indirect_max,
		.poll_us = ring->poll_us,
		.poll_idle = ring->poll_idle,
		.queue_count = ring->queue_count,
		.queues = queues,
	};
	unsigned i;

	if (ring->queue_count > BLKIF_MAX_QUEUES)
		return -EINVAL;
	for (i = 0; i < ring->queue_count; i++)
		queues[i] = (struct blkif_queue_config){
			.order = ring->queues[i].order,
			.port = ring->queues[i].port,
			.grefs = ring->queues[i].gref,
		};
	return blkif_connect(arg, vbd, &config, why);
}

static int
ring_disconnect(void *arg, uint32_t domid, uint32_t devid, bool force,
		void (*unmapped)(void *unmapped_arg), void *unmapped_arg)
{
	return blkif_disconnect(arg, domid, devid, force, unmapped, unmapped_arg);
}

struct listing {
	void (*each)(void *arg, const struct control_ring *ring, unsigned state);
	void *arg;
};

static void
pass_on(void *arg, const struct blkif_config *config, enum blkif_state state)
{
	struct control_ring_queue queues[BLKIF_MAX_QUEUES] = { 0 };
	const struct listing *listing = arg;
	struct control_ring ring = {
		.domid = config->domid,
		.devid = config->devid,
		.proto = config->proto,
		.flags = (config->read_only ? TAPDISK_RING_READ_ONLY : 0) |
			 (config->no_discard ? TAPDISK_RING_NO_DISCARD : 0),
		.features = config->offers,
		.poll_us = config->poll_us,
		.poll_idle = config->poll_idle,
		.indirect_max = config->indirect_max,
		.queue_count = config->queue_count,
		.queues = queues,
	};
	unsigned i, j;

	for (i = 0; i < config->queue_count; i++) {
		queues[i].order = config->queues[i].order;
		queues[i].port = config->queues[i].port;
		for (j = 0; j < 1u << queues[i].order; j++)
			queues[i].gref[j] = config->queues[i].grefs[j];
	}
	listing->each(listing->arg, &ring, state);
}

static void
ring_list(void *arg, struct vbd *vbd,
	  void (*each)(void *each_arg, const struct control_ring *ring, unsigned state),
	  void *each_arg)
{
	struct listing listing = { .each = each, .arg = each_arg };

	blkif_list(arg, vbd, pass_on, &listing);
}

struct control_rings
guest_rings(struct blkif *blkif)
{
	return (struct control_rings){
		.max_rings = BLKIF_MAX_RINGS,
		.max_queues = BLKIF_MAX_QUEUES,
		.connect = ring_connect,
		.disconnect = ring_disconnect,
		.list = ring_list,
		.arg = blkif,
	};
}
