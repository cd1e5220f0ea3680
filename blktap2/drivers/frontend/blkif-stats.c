/* SPDX-License-Identifier: BSD-2-Clause */
/* What is counted about the rings of a disk, and told. */
#include <json.h>

#include "drivers/frontend/blkif-internal.h"

/* ---- counting ---- */

/* Reads and writes are told apart by 0 and 1; anything else is NEITHER. */
#define NEITHER 2

static int
way_of(const struct blkif_slot *slot)
{
	switch (blkif_effective_op(&slot->request)) {
	case BLKIF_OP_READ:
		return 0;
	case BLKIF_OP_WRITE:
	case BLKIF_OP_WRITE_BARRIER:
		return 1;
	default:
		return NEITHER;
	}
}

void
blkif_count_begin(struct blkif_slot *slot)
{
	const struct blkif_device *device = slot->queue->device;
	struct blkif_counters *counters = &slot->queue->device->counters;
	int way = way_of(slot);

	slot->taken = loop_now(device->blkif->loop);
	counters->requests++;
	if (way != NEITHER)
		counters->io.submitted[way]++;
	if (slot->request.op == BLKIF_OP_DISCARD)
		counters->discards++;
	if (slot->request.op == BLKIF_OP_FLUSH_DISKCACHE)
		counters->flushes++;
}

void
blkif_count_end(struct blkif_slot *slot, int status)
{
	const struct blkif_device *device = slot->queue->device;
	struct blkif_counters *counters = &slot->queue->device->counters;
	uint64_t usecs = loop_now(device->blkif->loop) - slot->taken;
	int way = way_of(slot);

	counters->responses++;
	if (status == BLKIF_RSP_ERROR)
		counters->io.errors++;
	if (way == NEITHER)
		return;
	counters->io.completed[way]++;
	counters->io.usecs[way] += usecs;
	if (usecs > counters->usecs_max[way])
		counters->usecs_max[way] = usecs;
	if (status == BLKIF_RSP_OKAY)
		counters->io.sectors[way] += slot->bytes >> SECTOR_SHIFT;
}

/* ---- telling ---- */

static void
add_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_int64((int64_t)value));
}

static struct json_object *
pair(uint64_t first, uint64_t second)
{
	struct json_object *array = json_object_new_array();

	json_object_array_add(array, json_object_new_int64((int64_t)first));
	json_object_array_add(array, json_object_new_int64((int64_t)second));
	return array;
}

static struct json_object *
errors(const struct blkif_counters *counters)
{
	struct json_object *object = json_object_new_object();

	add_number(object, "msg", counters->bad_requests);
	add_number(object, "map", counters->bad_copies);
	add_number(object, "vbd", 0);
	add_number(object, "img", counters->disk_errors);
	return object;
}

struct json_object *
blkif_device_stats(struct vbd_source *source, bool *connected)
{
	const struct blkif_device *device =
		(const void *)((const char *)source - offsetof(struct blkif_device, source));
	const struct blkif_counters *counters = &device->counters;
	struct json_object *object = json_object_new_object();

	*connected = device->state == BLKIF_CONNECTED;
	json_object_object_add(object, "pool", json_object_new_string("td-xenio-default"));
	add_number(object, "domid", device->config.domid);
	add_number(object, "devid", device->config.devid);
	json_object_object_add(object, "reqs", pair(counters->requests, counters->responses));
	json_object_object_add(object, "kicks", pair(counters->kicks_in, counters->kicks_out));
	json_object_object_add(object, "errors", errors(counters));
	return object;
}
