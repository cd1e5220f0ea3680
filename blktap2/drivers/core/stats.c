/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a virtual disk tells about itself: its properties, its statistics as JSON, its state in the
 * log.
 *
 * Readers depend on the order of the keys; new ones go to the end of their object.
 */
#include <errno.h>
#include <unistd.h>

#include <json-c/json.h>

#include "drivers/core/image.h"
#include "drivers/core/server-internal.h"
#include "drivers/core/vbd-internal.h"

#define STATS_DEPTH 4

/* The objects a driver has entered, innermost last. */
struct td_stats {
	struct json_object *at[STATS_DEPTH];
	int depth;
};

/* ---- for drivers ------------------------------------------------------------------------------
 */

static void
add(td_stats_t *stats, const char *key, struct json_object *value)
{
	json_object_object_add(stats->at[stats->depth], key, value);
}

static struct json_object *
pair(int64_t first, int64_t second)
{
	struct json_object *array = json_object_new_array();

	json_object_array_add(array, json_object_new_int64(first));
	json_object_array_add(array, json_object_new_int64(second));
	return array;
}

void
td_stats_number(td_stats_t *stats, const char *key, int64_t value)
{
	add(stats, key, json_object_new_int64(value));
}

void
td_stats_text(td_stats_t *stats, const char *key, const char *value)
{
	add(stats, key, json_object_new_string(value));
}

void
td_stats_pair(td_stats_t *stats, const char *key, int64_t first, int64_t second)
{
	add(stats, key, pair(first, second));
}

void
td_stats_enter(td_stats_t *stats, const char *key)
{
	struct json_object *inner = json_object_new_object();

	add(stats, key, inner);
	if (stats->depth + 1 < STATS_DEPTH)
		stats->at[++stats->depth] = inner;
}

void
td_stats_leave(td_stats_t *stats)
{
	if (stats->depth > 0)
		stats->depth--;
}

void
td_stats_reqs(td_stats_t *stats, int64_t max, int64_t pending)
{
	td_stats_enter(stats, "reqs");
	td_stats_number(stats, "max", max);
	td_stats_number(stats, "pending", pending);
	td_stats_leave(stats);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static struct json_object *
driver_stats(const struct tapdisk_server *server, td_driver_t *driver)
{
	const struct tapdisk_type *type = tapdisk_server_type(server, driver->type);
	struct json_object *object = json_object_new_object();
	td_stats_t stats = { 0 };

	json_object_object_add(object, "type", json_object_new_int(driver->type));
	json_object_object_add(object, "name", json_object_new_string(type ? type->handle : ""));
	if (driver->ops->td_stats) {
		stats.at[0] = json_object_new_object();
		driver->ops->td_stats(driver, &stats);
	}
	json_object_object_add(object, "status", stats.at[0]);
	return object;
}

static struct json_object *
image_stats(const struct tapdisk_server *server, const td_image_t *image)
{
	struct json_object *object = json_object_new_object();
	const struct td_image_core *core = image->core;

	json_object_object_add(object, "name", json_object_new_string(image->name));
	json_object_object_add(object, "hits",
			       pair((int64_t)core->hits[0], (int64_t)core->hits[1]));
	json_object_object_add(object, "fail",
			       pair((int64_t)core->fail[0], (int64_t)core->fail[1]));
	json_object_object_add(object, "driver", driver_stats(server, image->driver));
	return object;
}

static struct json_object *
images_stats(const struct vbd *vbd)
{
	struct json_object *array = json_object_new_array();
	int i;

	for (i = 0; may_look_at_chain(vbd) && i < vbd->chain->count; i++)
		json_object_array_add(array, image_stats(vbd->server, vbd->chain->images[i]));
	return array;
}

/* All rings; *first is the first one that is connected, NULL if there is none. */
static struct json_object *
rings_stats(const struct vbd *vbd, struct json_object **first)
{
	struct json_object *array = json_object_new_array(), *ring;
	struct vbd_source *source;
	bool connected;

	*first = NULL;
	TAILQ_FOREACH (source, &vbd->sources, link) {
		if (!source->ops->ring_stats)
			continue;
		ring = source->ops->ring_stats(source, &connected);
		json_object_array_add(array, ring);
		if (connected && !*first)
			*first = ring;
	}
	return array;
}

static void
add_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_int64((int64_t)value));
}

struct json_object *
vbd_stats(struct vbd *vbd)
{
	struct json_object *object = json_object_new_object();
	const struct shm_counters *counters = &vbd->tally.counters;
	struct json_object *first, *rings = rings_stats(vbd, &first);
	struct vbd_source *source;

	json_object_object_add(object, "name",
			       json_object_new_string(vbd->params ? vbd->params : ""));
	json_object_object_add(object, "secs",
			       pair((int64_t)counters->sectors[0], (int64_t)counters->sectors[1]));
	json_object_object_add(object, "images", images_stats(vbd));
	if (first)
		json_object_object_add(object, "xenbus", json_object_get(first));
	add_number(object, "FIXME_enospc_redirect_count", 0);
	add_number(object, "nbd_mirror_failed", 0);
	add_number(object, "reqs_outstanding", vbd->in_flight_count);
	json_object_object_add(
		object, "read_caching",
		json_object_new_string(vbd->flags & TD_OPEN_NO_O_DIRECT ? "true" : "false"));
	add_number(object, "state", vbd->state);
	json_object_object_add(object, "rings", rings);
	add_number(object, "retries", vbd->counters.retries);
	add_number(object, "errors", counters->errors);
	add_number(object, "timeouts", vbd->counters.timeouts);
	TAILQ_FOREACH (source, &vbd->sources, link)
		if (source->ops->stats)
			source->ops->stats(source, object);
	add_number(object, "pid", (uint64_t)getpid());
	add_number(object, "minor", (uint64_t)vbd->minor);
	return object;
}

/* ---- properties -------------------------------------------------------------------------------
 */

int
vbd_minor(const struct vbd *vbd)
{
	return vbd->minor;
}

struct tapdisk_server *
vbd_server(const struct vbd *vbd)
{
	return vbd->server;
}

uint64_t
vbd_sectors(const struct vbd *vbd)
{
	return vbd->info.size;
}

uint32_t
vbd_sector_size(const struct vbd *vbd)
{
	return vbd->info.sector_size ? (uint32_t)vbd->info.sector_size : DEFAULT_SECTOR_SIZE;
}

bool
vbd_read_only(const struct vbd *vbd)
{
	return vbd->read_only;
}

bool
vbd_can_discard(const struct vbd *vbd)
{
	return vbd->info.discard_granularity > 0 && !vbd->read_only;
}

bool
vbd_can_fast_zero(const struct vbd *vbd)
{
	const td_image_t *image;

	if (!may_look_at_chain(vbd))
		return false;
	image = vbd->chain->images[chain_data(vbd->chain)];
	return image->driver->ops->td_queue_write_zeroes && !image->core->no_write_zeroes;
}

unsigned
vbd_state(const struct vbd *vbd)
{
	return vbd->state;
}

bool
vbd_is_open(const struct vbd *vbd)
{
	return vbd->chain || vbd->state & VBD_PAUSED;
}

bool
vbd_is_busy(const struct vbd *vbd)
{
	return vbd->op.goal != VBD_GOAL_NONE;
}

const char *
vbd_params(const struct vbd *vbd)
{
	return vbd->params;
}

const struct td_disk_info *
vbd_info(const struct vbd *vbd)
{
	return &vbd->info;
}

void
vbd_set_timeout(struct vbd *vbd, unsigned seconds)
{
	vbd->timeout_s = seconds ? seconds : VBD_DEFAULT_TIMEOUT_S;
}

int
vbd_resize(struct vbd *vbd, uint64_t sectors)
{
	int err;

	if (vbd_is_busy(vbd))
		return -EBUSY;
	if (!may_look_at_chain(vbd))
		return -EINVAL;
	if (sectors && vbd->read_only)
		return -EROFS;
	if (sectors && sectors < vbd->info.size)
		return -EINVAL;
	err = chain_resize(vbd->chain, sectors);
	if (err)
		return err;
	vbd->info.size = chain_leaf(vbd->chain)->info.size;
	tapdisk_server_event(vbd->server, vbd, "resized");
	return 0;
}

void
vbd_chain(struct vbd *vbd, void (*fn)(void *arg, const char *image), void *arg)
{
	const struct tapdisk_type *type;
	const td_image_t *image;
	char name[MAX_NAME_LEN + 16];
	int i;

	for (i = 0; may_look_at_chain(vbd) && i < vbd->chain->count; i++) {
		image = vbd->chain->images[i];
		type = tapdisk_server_type(vbd->server, image->type);
		snprintf(name, sizeof(name), "%s:%s", type ? type->handle : "?", image->name);
		fn(arg, name);
	}
}

void
vbd_debug(struct vbd *vbd)
{
	struct tlog *log = vbd->server->config.log;
	int i;

	tlog(log, LOG_WARNING,
	     "minor %d: %s: state %#x, %zu requests in flight, last progress %llu ms ago",
	     vbd->minor, vbd->params ? vbd->params : "-", vbd->state, vbd->in_flight_count,
	     (unsigned long long)(loop_now(vbd->server->loop) - vbd->progress) / 1000);
	for (i = 0; may_look_at_chain(vbd) && i < vbd->chain->count; i++)
		td_debug(vbd->chain->images[i]);
}
