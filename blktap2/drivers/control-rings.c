/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests about guest rings: checked here, served by whoever was passed as struct control_rings.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/frame.h"
#include "common/message.h"
#include "drivers/control-internal.h"
#include "drivers/core/server.h"

#define PROTO_LAST 3       /* x86_64 */
#define QUEUES_MAX 64      /* of one request; the server of rings may take fewer */
#define QUEUE_HEAD_BYTES 8 /* before the grants */
#define KNOWN_FLAGS (TAPDISK_RING_READ_ONLY | TAPDISK_RING_NO_DISCARD)

/* ---- decoding ---------------------------------------------------------------------------------
 */

/* Room for one queue more, zeroed; NULL: memory is short. */
static struct control_ring_queue *
add_queue(struct control_op *op)
{
	unsigned count = op->ring.queue_count;
	struct control_ring_queue *queues;

	queues = reallocarray(op->queues, count + 1, sizeof(*queues));
	if (!queues)
		return NULL;
	op->queues = queues;
	op->ring.queues = queues;
	op->ring.queue_count = count + 1;
	memset(&queues[count], 0, sizeof(queues[count]));
	return &queues[count];
}

int
control_ring_take_queue(struct control_op *op, const struct frame_attr *attr)
{
	struct control_ring_queue *queue;
	uint32_t order;
	size_t pages, i;

	if (attr->length < QUEUE_HEAD_BYTES || op->ring.queue_count == QUEUES_MAX)
		return -EINVAL;
	order = get_le32(attr->value);
	if (order > TAPDISK_RING_MAX_ORDER)
		return -EINVAL;
	pages = (size_t)1 << order;
	if (attr->length != QUEUE_HEAD_BYTES + 4 * pages)
		return -EINVAL;
	queue = add_queue(op);
	if (!queue)
		return -ENOMEM;
	queue->order = order;
	queue->port = get_le32(attr->value + 4);
	for (i = 0; i < pages; i++)
		queue->gref[i] = get_le32(attr->value + QUEUE_HEAD_BYTES + 4 * i);
	return 0;
}

int
control_ring_decode(struct control_op *op, const tapdisk_message_blkif_t *blkif)
{
	struct control_ring_queue *queue;
	size_t i;

	op->ring.domid = blkif->domid;
	op->ring.devid = blkif->devid;
	op->attrs |= 1ull << TAPDISK_ATTR_DOMID | 1ull << TAPDISK_ATTR_DEVID;
	if (op->verb == TAPDISK_FRAME_RING_DISCONNECT)
		return 0;
	if (blkif->order > TAPDISK_MESSAGE_MAX_ORDER ||
	    !message_text_ends(blkif->pool, sizeof(blkif->pool)))
		return -EINVAL;
	queue = add_queue(op);
	if (!queue)
		return -ENOMEM;
	queue->order = blkif->order;
	queue->port = blkif->port;
	for (i = 0; i < (size_t)1 << blkif->order; i++)
		queue->gref[i] = blkif->gref[i];
	op->ring.proto = blkif->proto;
	op->ring.poll_us = blkif->poll_duration;
	op->ring.poll_idle = blkif->poll_idle_threshold;
	return 0;
}

/* ---- checking ---------------------------------------------------------------------------------
 */

/* Without somebody who serves rings, or a name of the ring, op has been answered: NULL. */
static const struct control_rings *
need_rings(struct control_op *op)
{
	const struct control_rings *rings = op->control->config.rings;

	if (!rings) {
		control_op_end(op, -ENODEV, "guest rings are not supported on this host");
		return NULL;
	}
	if (!(op->attrs >> TAPDISK_ATTR_DOMID & 1) || !(op->attrs >> TAPDISK_ATTR_DEVID & 1)) {
		control_op_end(op, -EINVAL, "domain and device must be given");
		return NULL;
	}
	return rings;
}

/* What is wrong with the ring of op: 0, or -errno and *why. */
static int
check_ring(const struct control_op *op, const struct control_rings *rings, const char **why)
{
	unsigned i;

	*why = "there must be at least one queue, and not more than are offered";
	if (!op->ring.queue_count || op->ring.queue_count > rings->max_queues)
		return -EINVAL;
	*why = "an event channel has no port";
	for (i = 0; i < op->ring.queue_count; i++)
		if (!op->queues[i].port)
			return -EINVAL;
	*why = "unknown flags of the ring";
	if (op->ring.flags & ~(uint32_t)KNOWN_FLAGS)
		return -EINVAL;
	*why = "unknown layout of the ring";
	if (!op->ring.proto || op->ring.proto > PROTO_LAST)
		return -EPROTONOSUPPORT;
	return 0;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

void
control_ring_connect(struct control_op *op)
{
	struct vbd *vbd = control_op_disk(op);
	const struct control_rings *rings = need_rings(op);
	const char *why;
	int err;

	if (!rings)
		return;
	if (!vbd) {
		control_op_end(op, -ENODEV, "no such disk is attached");
		return;
	}
	err = check_ring(op, rings, &why);
	if (!err && !vbd_is_open(vbd)) {
		why = "no image is open";
		err = -EINVAL;
	}
	if (!err) {
		why = NULL;
		err = rings->connect(rings->arg, vbd, &op->ring, &why);
	}
	control_op_end(op, err, why);
}

static void
unmapped(void *arg)
{
	control_op_end(arg, 0, NULL);
}

/* Legacy clients are answered when the ring takes no more requests, others when it is gone. */
void
control_ring_disconnect(struct control_op *op)
{
	bool waits = op->protocol == &control_frames;
	const struct control_rings *rings = need_rings(op);
	int err;

	if (!rings)
		return;
	err = rings->disconnect(rings->arg, op->ring.domid, op->ring.devid, op->force,
				waits ? unmapped : NULL, op);
	if (err || !waits)
		control_op_end(op, err, err ? "no such ring" : NULL);
}

void
control_ring_list(struct control_op *op)
{
	if (!op->control->config.rings)
		control_op_end(op, -ENODEV, "guest rings are not supported on this host");
	else if (op->minor != TAPDISK_FRAME_NO_MINOR && !control_op_disk(op))
		control_op_end(op, -ENODEV, "no such disk is attached");
	else
		control_op_end(op, 0, NULL);
}

struct each {
	void (*fn)(void *arg, struct vbd *vbd, const struct control_ring *ring, unsigned state);
	void *arg;
	struct vbd *vbd;
};

static void
pass_on(void *arg, const struct control_ring *ring, unsigned state)
{
	struct each *each = arg;

	each->fn(each->arg, each->vbd, ring, state);
}

void
control_ring_each(struct control_op *op,
		  void (*fn)(void *arg, struct vbd *vbd, const struct control_ring *ring,
			     unsigned state),
		  void *arg)
{
	const struct control_rings *rings = op->control->config.rings;
	struct tapdisk_server *server = op->control->config.server;
	struct each each = { .fn = fn, .arg = arg };

	while ((each.vbd = tapdisk_server_next(server, each.vbd)))
		if (op->minor == TAPDISK_FRAME_NO_MINOR ||
		    op->minor == (uint32_t)vbd_minor(each.vbd))
			rings->list(rings->arg, each.vbd, pass_on, &each);
}
