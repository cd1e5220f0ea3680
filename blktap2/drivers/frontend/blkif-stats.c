/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told about the rings of a disk. */
#include <json.h>

#include "drivers/frontend/blkif-internal.h"

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
