/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process's part of the block interface: its rings by name, and the work at the end of a turn.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/core/server.h"
#include "drivers/frontend/blkif-internal.h"
#include "drivers/frontend/xen-events.h"

#define HUNGER_MS 2
#define TELL_MS 5000

/* ---- turns ------------------------------------------------------------------------------------
 */

void
blkif_touch(struct blkif_queue *queue)
{
	struct blkif *blkif = queue->device->blkif;

	if (queue->active)
		return;
	queue->active = true;
	queue->turn = blkif->turn;
	TAILQ_INSERT_TAIL(&blkif->active, queue, active_link);
	loop_defer(blkif->loop, &blkif->task);
}

/* Those that are touched meanwhile have their turn next time. */
static void
run(void *arg)
{
	struct blkif *blkif = arg;
	struct blkif_queue *queue;

	blkif_copy_run(blkif);
	blkif->turn++;
	while ((queue = TAILQ_FIRST(&blkif->active)) && queue->turn != blkif->turn) {
		TAILQ_REMOVE(&blkif->active, queue, active_link);
		queue->active = false;
		blkif_queue_turn(queue);
	}
}

void
blkif_starve(struct blkif *blkif)
{
	if (!loop_timer_is_set(&blkif->hunger))
		(void)loop_timer_set(blkif->loop, &blkif->hunger, HUNGER_MS);
}

static void
ask_again(void *arg)
{
	struct blkif *blkif = arg;
	struct blkif_device *device;
	unsigned i;

	TAILQ_FOREACH (device, &blkif->devices, link) {
		for (i = 0; i < device->config.queue_count; i++) {
			if (STAILQ_EMPTY(&device->queues[i].hungry))
				continue;
			blkif_touch(&device->queues[i]);
			blkif_starve(blkif);
		}
	}
}

void
blkif_tell_later(struct blkif *blkif)
{
	if (!loop_timer_is_set(&blkif->tell))
		(void)loop_timer_set(blkif->loop, &blkif->tell, TELL_MS);
}

static void
tell(void *arg)
{
	struct blkif *blkif = arg;
	const struct blkif_device *device;

	TAILQ_FOREACH (device, &blkif->devices, link)
		if (device->state == BLKIF_CONNECTED)
			blkif_pages_tell(device->pages, device);
	if (!TAILQ_EMPTY(&blkif->devices))
		blkif_tell_later(blkif);
}

/* ---- rings by name ------------------------------------------------------------------------------
 */

static struct blkif_device *
find(struct blkif *blkif, uint32_t domid, uint32_t devid, bool dying)
{
	struct blkif_device *device;

	TAILQ_FOREACH (device, &blkif->devices, link)
		if (device->config.domid == domid && device->config.devid == devid &&
		    (device->state == BLKIF_DYING) == dying && !device->severed)
			return device;
	return NULL;
}

int
blkif_connect(struct blkif *blkif, struct vbd *vbd, const struct blkif_config *config,
	      const char **why)
{
	int err;

	*why = "this process serves the ring already";
	if (find(blkif, config->domid, config->devid, false))
		return -EALREADY;
	*why = "there are too many rings";
	if (blkif->device_count >= BLKIF_MAX_RINGS)
		return -ENOSPC;
	err = blkif_device_new(blkif, vbd, config, why);
	tlog(blkif->log, err ? LOG_ERR : LOG_INFO,
	     "minor %d: ring of domain %u, device %u: %u queues, %s%s", vbd_minor(vbd),
	     config->domid, config->devid, config->queue_count,
	     err ? "not connected: " : "connected", err ? *why : "");
	if (!err)
		*why = NULL;
	return err;
}

int
blkif_disconnect(struct blkif *blkif, uint32_t domid, uint32_t devid, bool force,
		 void (*gone)(void *arg), void *arg)
{
	struct blkif_device *device = find(blkif, domid, devid, false);
	bool is_awaited;

	if (!device)
		device = find(blkif, domid, devid, true);
	if (!device)
		return -ENODEV;
	is_awaited = device->gone != NULL;
	if (gone && is_awaited && !force)
		return -EBUSY;
	tlog(blkif->log, LOG_INFO, "minor %d: ring of domain %u, device %u: disconnected%s",
	     vbd_minor(device->vbd), domid, devid, force ? " by force" : "");
	if (gone && !is_awaited) {
		device->gone = gone;
		device->gone_arg = arg;
	}
	blkif_device_disconnect(device, force);
	if (gone && is_awaited) /* by force it has gone by now, and the other one knows */
		gone(arg);
	return 0;
}

void
blkif_poll(struct blkif *blkif)
{
	struct blkif_device *device;
	unsigned i;

	if (!blkif)
		return;
	TAILQ_FOREACH (device, &blkif->devices, link) {
		for (i = 0; i < device->config.queue_count; i++)
			blkif_touch(&device->queues[i]);
	}
}

void
blkif_list(struct blkif *blkif, const struct vbd *vbd,
	   void (*each)(void *arg, const struct blkif_config *config, enum blkif_state state),
	   void *arg)
{
	const struct blkif_device *device;

	TAILQ_FOREACH (device, &blkif->devices, link)
		if (device->vbd == vbd)
			each(arg, &device->config, device->state);
}

/* ---- life -------------------------------------------------------------------------------------
 */

int
blkif_new(struct blkif **out, struct tapdisk_server *server, const char *cpu_monitor)
{
	struct blkif *blkif = calloc(1, sizeof(*blkif));
	int err;

	if (!blkif)
		return -ENOMEM;
	blkif->server = server;
	blkif->loop = tapdisk_server_loop(server);
	blkif->buffers = tapdisk_server_buffers(server);
	blkif->log = tapdisk_server_log(server);
	blkif->task.fn = run;
	blkif->task.arg = blkif;
	blkif->hunger.fn = ask_again;
	blkif->hunger.arg = blkif;
	blkif->tell.fn = tell;
	blkif->tell.arg = blkif;
	TAILQ_INIT(&blkif->devices);
	TAILQ_INIT(&blkif->active);
	STAILQ_INIT(&blkif->copies);
	cpu_idle_init(&blkif->cpu, cpu_monitor);
	err = xen_grants_open(&blkif->grants);
	if (!err)
		err = xen_events_new(&blkif->events, blkif->loop);
	if (err) {
		blkif_free(blkif);
		return err;
	}
	*out = blkif;
	return 0;
}

void
blkif_free(struct blkif *blkif)
{
	if (!blkif)
		return;
	loop_defer_cancel(blkif->loop, &blkif->task);
	loop_timer_cancel(blkif->loop, &blkif->hunger);
	loop_timer_cancel(blkif->loop, &blkif->tell);
	xen_events_free(blkif->events);
	xen_grants_close(&blkif->grants);
	cpu_idle_close(&blkif->cpu);
	free(blkif);
}
