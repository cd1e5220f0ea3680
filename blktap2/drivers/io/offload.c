/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tiocbs done by worker threads: see offload.h.
 */
#include "drivers/io/offload.h"

static void
slot_put(struct offload_slot *slot)
{
	slot->next = slot->offload->free;
	slot->offload->free = slot;
}

int
offload_open(struct offload *offload, struct ioengine *io)
{
	unsigned i;

	offload->free = NULL;
	for (i = 0; i < OFFLOAD_SLOTS; i++) {
		offload->slots[i].io = io;
		offload->slots[i].offload = offload;
		slot_put(&offload->slots[i]);
	}
	return workers_new(&offload->workers, WORKERS_MAX, WORKERS_IDLE_MS);
}

void
offload_close(struct offload *offload)
{
	workers_free(offload->workers);
}

static void
run(struct worker_job *job)
{
	struct offload_slot *slot = (struct offload_slot *)job;

	slot->res = transfer_execute(slot->tiocb, TRANSFER_MAX);
}

static void
done(struct worker_job *job)
{
	struct offload_slot *slot = (struct offload_slot *)job;

	slot_put(slot);
	ioengine_settle(slot->io, slot->tiocb, slot->res);
}

bool
offload_submit(struct offload *offload, struct tiocb *tiocb)
{
	struct offload_slot *slot = offload->free;
	int err;

	if (!slot)
		return false;
	offload->free = slot->next;
	slot->tiocb = tiocb;
	slot->job.run = run;
	slot->job.done = done;
	err = workers_add(offload->workers, &slot->job);
	if (err) {
		slot_put(slot);
		ioengine_settle(slot->io, tiocb, err);
	}
	return true;
}
