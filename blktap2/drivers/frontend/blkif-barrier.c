/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Barriers: everything taken before has ended, nothing after has begun; then flush, the data if
 * there are any, and flush again.
 */
#include "drivers/frontend/blkif-internal.h"

static void
end(struct blkif_slot *slot, int err)
{
	if (err)
		slot->queue->device->counters.disk_errors++;
	blkif_request_end(slot, blkif_status_of(err));
}

/* The others go on. */
void
blkif_barrier_ended(struct blkif_device *device)
{
	unsigned i;

	device->barrier = NULL;
	for (i = 0; i < device->config.queue_count; i++)
		blkif_touch(&device->queues[i]);
}

static void
flushed_after(struct vbd_request *req, int err)
{
	end(req->arg, err);
}

static void
written(struct vbd_request *req, int err)
{
	if (err)
		end(req->arg, err);
	else
		blkif_request_submit(req->arg, TD_OP_FLUSH, flushed_after);
}

static void
copied(struct blkif_slot *slot, int err)
{
	if (err)
		end(slot, err);
	else
		blkif_request_submit(slot, TD_OP_WRITE, written);
}

void
blkif_barrier_begin(struct blkif_slot *slot)
{
	blkif_copy_later(slot, false, copied);
}

static void
flushed_before(struct vbd_request *req, int err)
{
	struct blkif_slot *slot = req->arg;

	if (err || slot->answered || !slot->request.segments)
		end(slot, err);
	else
		blkif_request_start_data(slot);
}

void
blkif_barrier_go(struct blkif_slot *slot)
{
	slot->queue->device->barrier_waits = false;
	blkif_request_submit(slot, TD_OP_FLUSH, flushed_before);
}

/* blkif_device_settle sees when the others have ended. */
void
blkif_barrier_start(struct blkif_slot *slot)
{
	struct blkif_device *device = slot->queue->device;

	device->barrier = slot;
	device->barrier_waits = true;
	if (device->in_flight == 1)
		blkif_barrier_go(slot);
}
