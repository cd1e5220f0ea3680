/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One shared ring: woken by events, emptied in portions, asleep only when nothing is left.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/frontend/blkif-internal.h"
#include "drivers/frontend/xen-events.h"

/* ---- taking ---- */

static bool
may_take(const struct blkif_queue *queue)
{
	const struct blkif_device *device = queue->device;

	return device->state == BLKIF_CONNECTED && !device->masked && !device->barrier &&
	       !STAILQ_EMPTY(&queue->free_slots) && STAILQ_EMPTY(&queue->hungry);
}

static void
take_one(struct blkif_queue *queue)
{
	struct blkif_slot *slot = STAILQ_FIRST(&queue->free_slots);
	uint8_t raw[BLKIF_SLOT_MAX];

	STAILQ_REMOVE_HEAD(&queue->free_slots, link);
	blkif_ring_take(&queue->ring, raw);
	blkif_decode(&slot->request, queue->ring.layout, raw);
	queue->device->in_flight++;
	blkif_request_start(slot);
}

/* How much there is to take; a broken ring has nothing any more. */
static uint32_t
available(struct blkif_queue *queue)
{
	uint32_t count;

	if (queue->device->state != BLKIF_CONNECTED)
		return 0;
	if (blkif_ring_available(&queue->ring, &count) == 0)
		return count;
	blkif_device_fail(queue->device, "more requests than the ring has slots");
	return 0;
}

/* Take a portion.  Was there anything? */
static bool
drain(struct blkif_queue *queue)
{
	uint32_t count = available(queue), taken = 0;

	while (taken < count && taken < BLKIF_TURN_REQUESTS && may_take(queue)) {
		take_one(queue);
		taken++;
	}
	if (taken && queue->device->config.poll_us)
		queue->poll_until =
			loop_now(queue->device->blkif->loop) + queue->device->config.poll_us;
	return taken;
}

static void
on_event(void *arg)
{
	struct blkif_queue *queue = arg;

	queue->fired = true;
	queue->device->counters.kicks_in++;
	drain(queue);
	blkif_touch(queue);
}

/* ---- the end of a turn ---- */

void
blkif_queue_publish(struct blkif_queue *queue)
{
	struct blkif_device *device = queue->device;

	if (blkif_is_alive(device) && blkif_ring_publish(&queue->ring) && queue->port) {
		xen_events_notify(device->blkif->events, queue->port);
		device->counters.kicks_out++;
	}
}

/* It pays to look again instead of sleeping. */
static bool
is_polling(const struct blkif_queue *queue)
{
	const struct blkif_device *device = queue->device;

	return queue->poll_until && loop_now(device->blkif->loop) < queue->poll_until &&
	       cpu_idle(&device->blkif->cpu, loop_now(device->blkif->loop)) >=
		       (float)device->config.poll_idle;
}

/* Nothing to do: have the guest wake us.  False: it has just put something there. */
static bool
sleep_on(struct blkif_queue *queue)
{
	blkif_ring_arm(&queue->ring);
	if (available(queue))
		return false;
	if (queue->device->state != BLKIF_CONNECTED)
		return true;
	if (queue->fired) {
		queue->fired = false;
		xen_events_unmask(queue->device->blkif->events, queue->port);
	}
	return true;
}

void
blkif_queue_turn(struct blkif_queue *queue)
{
	struct blkif_device *device = queue->device;

	/* The last request of a ring that goes may end here: not before we have done with it. */
	device->in_flight++;
	blkif_request_feed(queue);
	blkif_pages_update(device->pages, &device->counters);
	blkif_queue_publish(queue);
	/* Whatever keeps us from taking more touches the queue again when it is over. */
	if (may_take(queue) && (drain(queue) || is_polling(queue) || !sleep_on(queue)))
		blkif_touch(queue);
	device->in_flight--;
	blkif_device_settle(device);
}

/* ---- life ---- */

static int
make_slots(struct blkif_queue *queue)
{
	uint32_t i;

	queue->slots = calloc(queue->ring.slots, sizeof(*queue->slots));
	if (!queue->slots)
		return -ENOMEM;
	for (i = 0; i < queue->ring.slots; i++) {
		queue->slots[i].queue = queue;
		STAILQ_INSERT_TAIL(&queue->free_slots, &queue->slots[i], link);
	}
	return 0;
}

int
blkif_queue_connect(struct blkif_queue *queue, const struct blkif_queue_config *config,
		    const struct blkif_layout *layout, const char **why)
{
	struct blkif *blkif = queue->device->blkif;
	uint32_t domid = queue->device->config.domid;
	int err;

	queue->order = config->order;
	*why = "the ring cannot be mapped";
	err = xen_grants_map(&blkif->grants, domid, config->grefs, 1u << config->order,
			     &queue->pages);
	if (err)
		return err;
	*why = "the ring's producer index is out of range";
	err = blkif_ring_attach(&queue->ring, queue->pages, config->order, layout);
	if (err)
		return err;
	*why = "memory is short";
	err = make_slots(queue);
	if (err)
		return err;
	*why = "the event channel cannot be bound";
	return xen_events_bind(blkif->events, domid, config->port, on_event, queue, &queue->port);
}

void
blkif_queue_greet(struct blkif_queue *queue)
{
	xen_events_notify(queue->device->blkif->events, queue->port);
	blkif_touch(queue);
}

void
blkif_queue_unbind(struct blkif_queue *queue)
{
	if (queue->port)
		xen_events_unbind(queue->device->blkif->events, queue->port);
	queue->port = 0;
}

void
blkif_queue_unmap(struct blkif_queue *queue)
{
	xen_grants_unmap(&queue->device->blkif->grants, queue->pages, 1u << queue->order);
	queue->pages = NULL;
}

void
blkif_queue_free(struct blkif_queue *queue)
{
	if (queue->active)
		TAILQ_REMOVE(&queue->device->blkif->active, queue, active_link);
	queue->active = false;
	free(queue->slots);
	queue->slots = NULL;
}
