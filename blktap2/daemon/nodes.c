/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the nodes of a device: what the toolstack says, and the guest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tap-ctl.h>
#include <tapdisk-message.h>

#include "daemon/locate.h"
#include "daemon/nodes-internal.h"
#include "daemon/tapback.h"

#define SHOWN_BYTES 65 /* of foreign text in the log */
#define RING_RETRIES 8 /* of reading a ring that is being changed */

#define LOCATE_AGAIN_MS 2000

#define POLL_US_MAX 1000000
#define POLL_IDLE_MAX 100

/* ---- one node ---------------------------------------------------------------------------------
 */

void
nodes_path(const struct device *device, const char *name, char *path)
{
	snprintf(path, STORE_PATH_MAX, "%s/%s", device->nodes.backend, name);
}

int
nodes_get(struct device *device, store_tx tx, const char *name, char *value, size_t size)
{
	char path[STORE_PATH_MAX];
	int err;

	nodes_path(device, name, path);
	err = store_read(device->tapback->store, tx, path, value, size);
	if (err == -ENOENT) {
		*value = '\0';
		return 0;
	}
	return err;
}

/* What the node holds is no value: it is too long, or has a NUL in it. */
static bool
is_no_value(int err)
{
	return err == -EMSGSIZE || err == -EINVAL;
}

/* The same as nodes_get, where what is no value is a mistake of the toolstack: -EINVAL and *why. */
static int
get_value(struct device *device, const char *name, char *value, size_t size, struct reason *why)
{
	int err = nodes_get(device, STORE_NO_TX, name, value, size);

	return is_no_value(err) ? reason(why, -EINVAL, "%s: not a value", name) : err;
}

int
nodes_get_online(struct device *device, store_tx tx, bool *online)
{
	char value[NODES_NUMBER_BYTES];
	int err = nodes_get(device, tx, "online", value, sizeof(value));

	if (err && !is_no_value(err))
		return err;
	*online = err || strcmp(value, "0") != 0;
	return 0;
}

int
nodes_get_state(struct device *device, store_tx tx, const char *directory, enum xenbus_state *state)
{
	char path[STORE_PATH_MAX], value[NODES_NUMBER_BYTES];
	int err;

	snprintf(path, sizeof(path), "%s/state", directory);
	err = store_read(device->tapback->store, tx, path, value, sizeof(value));
	switch (err) {
	case 0:
		*state = parse_state(value);
		return 0;
	case -ENOENT:
		*state = XENBUS_MISSING;
		return 0;
	case -EMSGSIZE:
	case -EINVAL:
	case -EACCES: /* what we may not read is of no use, either */
		*state = XENBUS_INVALID;
		return 0;
	default:
		return err;
	}
}

/* ---- looking ----------------------------------------------------------------------------------
 */

void
nodes_init(struct device *device)
{
	const struct tb_options *options = &device->tapback->options;
	struct device_nodes *nodes = &device->nodes;

	snprintf(nodes->backend, sizeof(nodes->backend), "backend/%s/%u/%u", options->name,
		 device->domid, device->devid);
	snprintf(nodes->token, sizeof(nodes->token), "f%u/%u", device->domid, device->devid);
	nodes->is_xapi = options->mode == TB_MODE_XAPI;
}

static void
unwatch(struct device *device)
{
	struct device_nodes *nodes = &device->nodes;
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/state", nodes->frontend);
	if (nodes->is_watched && device->tapback->store)
		store_unwatch(device->tapback->store, path, nodes->token);
	nodes->is_watched = false;
}

void
nodes_free(struct device *device)
{
	unwatch(device);
}

/* The frontend's directory: where the toolstack says, if that is where it must be. */
static int
find_frontend(struct device *device, struct reason *why)
{
	char path[STORE_PATH_MAX], id[NODES_NUMBER_BYTES], shown[NODES_PATH_BYTES];
	struct device_nodes *nodes = &device->nodes;
	uint32_t domid;
	int err = get_value(device, "frontend", path, sizeof(path), why);

	if (!err)
		err = get_value(device, "frontend-id", id, sizeof(id), why);
	if (err)
		return err;
	if (!is_frontend_path(path, device->domid, device->devid) ||
	    strlen(path) >= sizeof(nodes->frontend))
		return reason(why, -EINVAL, "frontend: not of this device: '%s'",
			      escape(path, shown, sizeof(shown)));
	if (!parse_number(id, DOMID_MAX, &domid) || domid != device->domid)
		return reason(why, -EINVAL, "frontend-id: not the domain of this device");
	if (strcmp(path, nodes->frontend) != 0)
		unwatch(device);
	memcpy(nodes->frontend, path, strlen(path) + 1);
	return 0;
}

static int
watch_frontend(struct device *device)
{
	struct device_nodes *nodes = &device->nodes;
	char path[STORE_PATH_MAX];
	int err;

	if (nodes->is_watched)
		return 0;
	snprintf(path, sizeof(path), "%s/state", nodes->frontend);
	err = store_watch(device->tapback->store, path, nodes->token);
	nodes->is_watched = !err;
	return err;
}

/* xapi may name the disk by the number of a device that is only a number. */
static int
find_numbered_disk(struct device *device)
{
	const struct attach *attach = &device->attach;
	uint32_t major, minor, pid;
	char value[NODES_NUMBER_BYTES];
	int err = nodes_get(device, STORE_NO_TX, "physical-device", value, sizeof(value));

	if (err && !is_no_value(err))
		return err;
	if (err || !parse_device_number(value, &major, &minor) ||
	    (major && (int)major != tap_ctl_blk_major())) {
		attach_lost(device);
		return 0;
	}
	if (attach->disk != DISK_NONE && !disk_has_gone(attach->disk) && attach->minor == minor)
		return 0;
	if (locate_minor(device->tapback->dir, minor, &pid) == 0) {
		attach_found(device, pid, minor);
		return 0;
	}
	attach_lost(device);
	device_look_in(device, LOCATE_AGAIN_MS);
	return 0;
}

int
nodes_find_disk(struct device *device)
{
	char path[STORE_PATH_MAX];
	uint32_t pid, minor;
	int err = nodes_get(device, STORE_NO_TX, "physical-device-path", path, sizeof(path));

	if (err && err != -EMSGSIZE && err != -EINVAL)
		return err;
	if (!err && parse_disk_path(path, device->tapback->dir, &pid, &minor))
		attach_found(device, pid, minor);
	else if (device->nodes.is_xapi)
		return find_numbered_disk(device);
	else
		attach_lost(device);
	return 0;
}

/* Whatever its value is. */
static int
find_node(struct device *device, const char *name, bool *is_there)
{
	char path[STORE_PATH_MAX], value[4];
	int err;

	nodes_path(device, name, path);
	err = store_read(device->tapback->store, STORE_NO_TX, path, value, sizeof(value));
	*is_there = err != -ENOENT;
	return err == -EPIPE ? err : 0;
}

/* Which toolstack's device is it?  That is not asked again before it is made anew. */
static int
find_mode(struct device *device, const struct state_view *view)
{
	bool is_known = device->nodes.frontend[0], is_xapi = false;
	int err;

	if (device->tapback->options.mode != TB_MODE_AUTO ||
	    (is_known && view->own != XENBUS_INITIALISING))
		return 0;
	err = find_node(device, "sm-data", &is_xapi);
	if (!err && !is_xapi)
		err = find_node(device, "hotplug-path", &is_xapi);
	if (err || (is_known && is_xapi == device->nodes.is_xapi))
		return err;
	device->nodes.is_xapi = is_xapi;
	device_log(device, LOG_INFO, "taken for a device of %s", is_xapi ? "xapi" : "libxl");
	return 0;
}

static int
look_at_wishes(struct device *device, struct state_view *view)
{
	char value[NODES_NUMBER_BYTES];
	int err = nodes_get_online(device, STORE_NO_TX, &view->online);

	if (!err)
		err = nodes_get(device, STORE_NO_TX, "hotplug-status", value, sizeof(value));
	if (err && !is_no_value(err))
		return err;
	view->hotplug_done = !err && strcmp(value, "connected") == 0;
	return 0;
}

int
nodes_look(struct device *device, struct state_view *view, struct reason *why)
{
	struct device_nodes *nodes = &device->nodes;
	int err = nodes_get_state(device, STORE_NO_TX, nodes->backend, &view->own);

	if (err)
		return err;
	view->exists = view->own != XENBUS_MISSING;
	if (!view->exists)
		return 0;
	err = find_mode(device, view);
	/* Only the toolstack writes it, and only when it makes a device. */
	if (!err && (view->own == XENBUS_INITIALISING || !nodes->frontend[0]))
		err = find_frontend(device, why);
	if (!err)
		err = watch_frontend(device);
	if (!err)
		err = nodes_get_state(device, STORE_NO_TX, nodes->frontend, &view->frontend);
	if (!err)
		err = look_at_wishes(device, view);
	view->wait_for_hotplug = nodes->is_xapi;
	return err;
}

/* ---- before connecting ------------------------------------------------------------------------
 */

/* An optional number; what is none is told once, and does not count. */
static int
get_optional(struct device *device, const char *name, uint32_t max, uint32_t *number)
{
	char value[NODES_NUMBER_BYTES];
	int err = nodes_get(device, STORE_NO_TX, name, value, sizeof(value));

	*number = 0;
	if (err && !is_no_value(err))
		return err;
	if (err || (*value && !parse_number(value, max, number)))
		device_log(device, LOG_WARNING, "%s: not a number up to %u: ignored", name, max);
	return 0;
}

/* Whatever else is written there means no. */
static bool
is_persistent(struct device *device, const char *directory)
{
	char value[NODES_NUMBER_BYTES], path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/feature-persistent", directory);
	return store_read(device->tapback->store, STORE_NO_TX, path, value, sizeof(value)) == 0 &&
	       strcmp(value, "1") == 0;
}

int
nodes_wish(struct device *device, struct device_wish *wish, struct reason *why)
{
	char value[NODES_NUMBER_BYTES], shown[NODES_NUMBER_BYTES];
	int err = get_value(device, "mode", value, sizeof(value), why);

	*wish = (struct device_wish){ 0 };
	if (!err && !parse_mode(value, &wish->writable))
		return reason(why, -EINVAL, "mode: neither r nor w: '%s'",
			      escape(value, shown, sizeof(shown)));
	if (!err)
		err = get_value(device, "device-type", value, sizeof(value), why);
	wish->cdrom = !err && strcmp(value, "cdrom") == 0;
	if (!err)
		err = get_value(device, "discard-enable", value, sizeof(value), why);
	wish->discard = !err && strcmp(value, "0") != 0 && wish->writable;
	if (!err)
		err = get_optional(device, "polling-duration", POLL_US_MAX, &wish->poll_us);
	if (!err)
		err = get_optional(device, "polling-idle-threshold", POLL_IDLE_MAX,
				   &wish->poll_idle);
	/* What the guest was offered counts, not what it would be by now. */
	wish->persistent = !err && is_persistent(device, device->nodes.backend) &&
			   is_persistent(device, device->nodes.frontend);
	return err;
}

int
nodes_compare_params(struct device *device)
{
	const struct attach *attach = &device->attach;
	char params[DISK_PARAMS_MAX], wanted[SHOWN_BYTES], found[SHOWN_BYTES];
	int err = nodes_get(device, STORE_NO_TX, "params", params, sizeof(params));

	if (is_no_value(err) || (!err && (!*params || !*attach->info.params ||
					  strcmp(params, attach->info.params) == 0)))
		return 0;
	if (!err)
		device_log(device, LOG_INFO, "minor %u of tapdisk %u serves '%s', params are '%s'",
			   attach->minor, attach->pid,
			   escape(attach->info.params, found, sizeof(found)),
			   escape(params, wanted, sizeof(wanted)));
	return err;
}

int
nodes_announced(struct device *device, uint64_t *sectors)
{
	char value[NODES_NUMBER_BYTES];
	int err = nodes_get(device, STORE_NO_TX, "sectors", value, sizeof(value));

	if (!err) /* it is our own */
		*sectors = strtoull(value, NULL, 10);
	return err;
}

/* ---- the ring ---------------------------------------------------------------------------------
 */

struct ring_place {
	struct device *device;
	store_tx tx;
};

static int
get_ring_node(void *arg, const char *name, char *value, size_t size)
{
	const struct ring_place *place = arg;
	char path[STORE_PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%s/%s", place->device->nodes.frontend, name);
	err = store_read(place->device->tapback->store, place->tx, path, value, size);
	return err == -EACCES ? -EINVAL : err;
}

/* A guest may use what it was offered, also where less would be offered by now. */
static int
get_offered(struct device *device, store_tx tx, const char *name, uint32_t max, uint32_t *limit)
{
	char value[NODES_NUMBER_BYTES];
	int err = nodes_get(device, tx, name, value, sizeof(value));

	if (!err)
		parse_number(value, max, limit);
	return is_no_value(err) ? 0 : err;
}

static int
get_limits(struct device *device, store_tx tx, struct ring_limits *limits)
{
	const struct tb_options *options = &device->tapback->options;
	int err;

	limits->max_queues = options->max_queues;
	limits->max_order = options->max_order;
	err = get_offered(device, tx, "multi-queue-max-queues", RING_QUEUES_MAX,
			  &limits->max_queues);
	if (!err)
		err = get_offered(device, tx, "max-ring-page-order", TAPDISK_RING_MAX_ORDER,
				  &limits->max_order);
	attach_limit(device, &limits->max_queues, &limits->max_order);
	return err;
}

/* In one transaction, so that a guest that changes them cannot give a mixed set. */
static int
try_ring(struct device *device, struct ring *ring, struct reason *why)
{
	struct ring_place place = { .device = device };
	const struct ring_source source = { .get = get_ring_node, .arg = &place };
	struct ring_limits limits = {
		.default_proto = device->nodes.is_xapi ? RING_PROTO_X86_32 : RING_PROTO_NATIVE,
	};
	enum xenbus_state state = XENBUS_MISSING;
	int err = store_begin(device->tapback->store, &place.tx), end;

	if (err)
		return err;
	err = get_limits(device, place.tx, &limits);
	if (!err)
		err = ring_read(&source, &limits, ring, why);
	if (!err || err == -EPROTO) {
		/* A guest that is leaving takes its nodes away: that is nothing wrong. */
		end = nodes_get_state(device, place.tx, device->nodes.frontend, &state);
		if (!end && state != device->view.frontend)
			end = -ESTALE;
		if (end)
			err = end;
	}
	if (err && err != -EPROTO) {
		store_abort(device->tapback->store, place.tx);
		return err;
	}
	end = store_commit(device->tapback->store, place.tx);
	return end ? end : err;
}

int
nodes_ring(struct device *device, struct ring *ring, struct reason *why)
{
	unsigned tries;
	int err = -EAGAIN;

	for (tries = 0; err == -EAGAIN && tries < RING_RETRIES; tries++)
		err = try_ring(device, ring, why);
	return err == -EAGAIN ? -ESTALE : err;
}
