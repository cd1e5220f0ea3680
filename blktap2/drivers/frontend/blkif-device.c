/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's access to a disk, with all its queues: connected, disconnected, and as a source of the
 * vbd.
 *
 * A device is freed by whoever gives back its last slot after it was disconnected; who must not
 * lose it under his feet holds it as if he had a slot.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/core/server.h"
#include "drivers/frontend/blkif-internal.h"
#include "drivers/frontend/blkif-persistent.h"

#define DOMID_MAX 0x7fef /* what follows are not domains */

/* ---- the end ----------------------------------------------------------------------------------
 */

/* Touch the guest's memory no more. */
static void
let_go(struct blkif_device *device)
{
	unsigned i;

	if (device->severed)
		return;
	for (i = 0; i < device->config.queue_count; i++) {
		blkif_queue_publish(&device->queues[i]);
		blkif_queue_unmap(&device->queues[i]);
	}
	device->severed = true;
	persistent_free(device->persistent);
	device->persistent = NULL;
	device->blkif->kept_max -= device->kept_max;
	device->kept_max = 0;
	if (device->gone)
		device->gone(device->gone_arg);
	device->gone = NULL;
}

static void
free_device(struct blkif_device *device)
{
	struct blkif *blkif = device->blkif;
	unsigned i;

	for (i = 0; i < device->config.queue_count; i++)
		blkif_queue_free(&device->queues[i]);
	blkif_pages_free(device->pages);
	if (device->is_source) {
		vbd_source_del(&device->source);
		TAILQ_REMOVE(&blkif->devices, device, link);
		blkif->device_count--;
	}
	free(device->queue_configs);
	free(device->grefs);
	free(device);
}

void
blkif_device_settle(struct blkif_device *device)
{
	if (device->barrier_waits && device->in_flight == 1) {
		blkif_barrier_go(device->barrier);
		return;
	}
	if (device->in_flight)
		return;
	if (device->masked)
		vbd_source_idle(&device->source);
	if (device->state == BLKIF_DYING) {
		let_go(device);
		free_device(device);
	}
}

/* Nobody who waits for memory gets any. */
static void
drop_hungry(struct blkif_device *device)
{
	unsigned i;

	device->in_flight++;
	for (i = 0; i < device->config.queue_count; i++)
		blkif_request_drop_hungry(&device->queues[i]);
	device->in_flight--;
}

void
blkif_device_disconnect(struct blkif_device *device, bool force)
{
	unsigned i;

	blkif_pages_hide(device->pages);
	for (i = 0; i < device->config.queue_count; i++)
		blkif_queue_unbind(&device->queues[i]);
	/* What was taken from a broken ring is not answered there. */
	if (force || device->state == BLKIF_FAILED)
		let_go(device);
	device->state = BLKIF_DYING;
	if (device->severed)
		drop_hungry(device);
	blkif_device_settle(device);
}

void
blkif_device_fail(struct blkif_device *device, const char *why)
{
	device->state = BLKIF_FAILED;
	tlog_limited(device->blkif->log, &device->limit, LOG_ERR,
		     "minor %d: the ring of domain %u, device %u is closed: %s",
		     vbd_minor(device->vbd), device->config.domid, device->config.devid, why);
	drop_hungry(device);
	tapdisk_server_event(device->blkif->server, device->vbd, "ring-error");
}

/* ---- the vbd's source ---------------------------------------------------------------------------
 */

static struct blkif_device *
device_of(struct vbd_source *source)
{
	return (struct blkif_device *)((char *)source - offsetof(struct blkif_device, source));
}

static void
mask(struct vbd_source *source, bool masked)
{
	struct blkif_device *device = device_of(source);
	unsigned i;

	device->masked = masked;
	for (i = 0; i < device->config.queue_count; i++)
		blkif_touch(&device->queues[i]);
}

static bool
is_busy(struct vbd_source *source)
{
	return device_of(source)->in_flight;
}

/* What waits for memory or for its copy has not reached the vbd, and would be refused there. */
static void
shutdown_source(struct vbd_source *source)
{
	struct blkif_device *device = device_of(source);

	device->in_flight++;
	blkif_device_disconnect(device, false);
	drop_hungry(device);
	blkif_copy_run_own(device);
	device->in_flight--;
	blkif_device_settle(device);
}

/* Memory is let go of, whatever is in flight. */
static void
force(struct vbd_source *source)
{
	struct blkif_device *device = device_of(source);

	blkif_device_disconnect(device, true);
}

/* Nothing is in flight, so nothing is left by now; if it were, it would go without us. */
static void
release(struct vbd_source *source)
{
	struct blkif_device *device = device_of(source);

	device->in_flight++;
	blkif_copy_run_own(device);
	blkif_device_disconnect(device, true);
	device->in_flight--;
	blkif_device_settle(device);
}

static const struct vbd_source_ops source_ops = {
	.mask = mask,
	.is_busy = is_busy,
	.shutdown = shutdown_source,
	.force = force,
	.release = release,
	.ring_stats = blkif_device_stats,
};

/* ---- the beginning ------------------------------------------------------------------------------
 */

static const struct blkif_layout *
layout_of(enum blkif_proto proto)
{
#if defined(__i386__)
	return proto == BLKIF_PROTO_X86_64 ? &blkif_layout_64 : &blkif_layout_32;
#else
	return proto == BLKIF_PROTO_X86_32 ? &blkif_layout_32 : &blkif_layout_64;
#endif
}

static int
check_config(const struct blkif_config *config, const char **why)
{
	unsigned i;

	*why = "no such domain can be";
	if (config->domid > DOMID_MAX)
		return -EINVAL;
	*why = "there must be at least one queue, and not more than are offered";
	if (!config->queue_count || config->queue_count > BLKIF_MAX_QUEUES)
		return -EINVAL;
	*why = "the ring has too many pages";
	for (i = 0; i < config->queue_count; i++)
		if (config->queues[i].order > BLKIF_MAX_ORDER)
			return -EINVAL;
	*why = "more indirect segments than can be served";
	return config->indirect_max > BLKIF_MAX_INDIRECT ? -EINVAL : 0;
}

/* Keep what the caller lends us. */
static int
copy_config(struct blkif_device *device, const struct blkif_config *config)
{
	const unsigned pages = 1u << BLKIF_MAX_ORDER;
	uint32_t *grefs;
	unsigned i, j;

	device->config = *config;
	device->queue_configs = calloc(config->queue_count, sizeof(*device->queue_configs));
	device->grefs = calloc(config->queue_count, pages * sizeof(*device->grefs));
	if (!device->queue_configs || !device->grefs)
		return -ENOMEM;
	for (i = 0; i < config->queue_count; i++) {
		grefs = device->grefs + i * pages;
		for (j = 0; j < 1u << config->queues[i].order; j++)
			grefs[j] = config->queues[i].grefs[j];
		device->queue_configs[i] = config->queues[i];
		device->queue_configs[i].grefs = grefs;
	}
	device->config.queues = device->queue_configs;
	if (!config->indirect_max)
		device->config.indirect_max = BLKIF_MAX_INDIRECT;
	if (!config->offers)
		device->config.offers = BLKIF_OFFERS_FLUSH | BLKIF_OFFERS_BARRIER |
					BLKIF_OFFERS_DISCARD | BLKIF_OFFERS_INDIRECT;
	return 0;
}

/* A promise of the guest; without memory for it the hypervisor goes on copying. */
static void
keep_grants(struct blkif_device *device)
{
	struct blkif *blkif = device->blkif;
	unsigned left = BLKIF_KEPT_MAX - blkif->kept_max, i, limit = 0;

	if (!(device->config.offers & BLKIF_OFFERS_PERSISTENT))
		return;
	for (i = 0; i < device->config.queue_count; i++)
		limit += device->queues[i].ring.slots * BLKIF_DIRECT_SEGMENTS;
	limit = limit < left ? limit : left;
	if (!limit)
		return;
	device->persistent =
		persistent_new(&blkif->grants, blkif->loop, device->config.domid, limit);
	if (!device->persistent)
		return;
	device->kept_max = limit;
	blkif->kept_max += limit;
}

static void
init_device(struct blkif_device *device, struct blkif *blkif, struct vbd *vbd)
{
	unsigned i;

	device->blkif = blkif;
	device->vbd = vbd;
	device->state = BLKIF_CONNECTED;
	device->source.ops = &source_ops;
	device->masked = vbd_state(vbd) & (VBD_PAUSE_REQUESTED | VBD_PAUSED);
	for (i = 0; i < device->config.queue_count; i++) {
		device->queues[i].device = device;
		STAILQ_INIT(&device->queues[i].free_slots);
		STAILQ_INIT(&device->queues[i].hungry);
	}
}

static void
abandon(struct blkif_device *device)
{
	unsigned i;

	for (i = 0; i < device->config.queue_count; i++) {
		blkif_queue_unbind(&device->queues[i]);
		blkif_queue_unmap(&device->queues[i]);
	}
	free_device(device);
}

static int
connect_queues(struct blkif_device *device, const char **why)
{
	const struct blkif_layout *layout = layout_of(device->config.proto);
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < device->config.queue_count; i++)
		err = blkif_queue_connect(&device->queues[i], &device->config.queues[i], layout,
					  why);
	return err;
}

int
blkif_device_new(struct blkif *blkif, struct vbd *vbd, const struct blkif_config *config,
		 const char **why)
{
	struct blkif_device *device;
	int err = check_config(config, why);
	unsigned i;

	if (err)
		return err;
	*why = "memory is short";
	device = calloc(1, sizeof(*device) + config->queue_count * sizeof(device->queues[0]));
	if (!device)
		return -ENOMEM;
	err = copy_config(device, config);
	init_device(device, blkif, vbd);
	if (!err)
		err = connect_queues(device, why);
	if (err) {
		abandon(device);
		return err;
	}
	keep_grants(device);
	device->pages = blkif_pages_new(device);
	device->is_source = true;
	vbd_source_add(vbd, &device->source);
	TAILQ_INSERT_TAIL(&blkif->devices, device, link);
	blkif->device_count++;
	blkif_tell_later(blkif);
	/* The guest may have asked before we could be told. */
	for (i = 0; i < config->queue_count; i++)
		blkif_queue_greet(&device->queues[i]);
	return 0;
}
