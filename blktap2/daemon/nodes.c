/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing the nodes of a device.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tap-ctl.h>
#include <tapdisk-message.h>

#include "daemon/locate.h"
#include "daemon/tapback.h"

#define NUMBER_BYTES 33
#define SHOWN_BYTES 65 /* of foreign text in the log */
#define RETRIES 16     /* of a transaction that others have spoilt */
#define RING_RETRIES 8 /* of reading a ring that is being changed */
#define SET_MAX 20
#define SET_VALUE_BYTES 24

#define LOCATE_AGAIN_MS 2000

#define POLL_US_MAX 1000000
#define POLL_IDLE_MAX 100

/* ---- one node ---------------------------------------------------------------------------------
 */

static void
path_of(const struct device *device, const char *name, char *path)
{
	snprintf(path, STORE_PATH_MAX, "%s/%s", device->nodes.backend, name);
}

/* A node of our directory.  Missing ones are empty. */
static int
get(struct device *device, store_tx tx, const char *name, char *value, size_t size)
{
	char path[STORE_PATH_MAX];
	int err;

	path_of(device, name, path);
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

/* The same as get, where what is no value is a mistake of the toolstack: -EINVAL and *why. */
static int
get_value(struct device *device, const char *name, char *value, size_t size, struct reason *why)
{
	int err = get(device, STORE_NO_TX, name, value, size);

	return is_no_value(err) ? reason(why, -EINVAL, "%s: not a value", name) : err;
}

/* Garbage says nothing, like a node that is not there. */
static int
get_online(struct device *device, store_tx tx, bool *online)
{
	char value[NUMBER_BYTES];
	int err = get(device, tx, "online", value, sizeof(value));

	if (err && !is_no_value(err))
		return err;
	*online = err || strcmp(value, "0") != 0;
	return 0;
}

/* A state: it is always one of the enumeration, whatever the node holds. */
static int
get_state(struct device *device, store_tx tx, const char *directory, enum xenbus_state *state)
{
	char path[STORE_PATH_MAX], value[NUMBER_BYTES];
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
	char path[STORE_PATH_MAX], id[NUMBER_BYTES], shown[NODES_PATH_BYTES];
	struct device_nodes *nodes = &device->nodes;
	uint32_t domid;
	int err = get_value(device, "frontend", path, sizeof(path), why);

	if (!err)
		err = get_value(device, "frontend-id", id, sizeof(id), why);
	if (err)
		return err;
	if (!is_frontend_path(path, device->domid, device->devid))
		return reason(why, -EINVAL, "frontend: not of this device: '%s'",
			      escape(path, shown, sizeof(shown)));
	if (!parse_number(id, DOMID_MAX, &domid) || domid != device->domid)
		return reason(why, -EINVAL, "frontend-id: not the domain of this device");
	if (strcmp(path, nodes->frontend) != 0)
		unwatch(device);
	snprintf(nodes->frontend, sizeof(nodes->frontend), "%s", path);
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
	char value[NUMBER_BYTES];
	int err = get(device, STORE_NO_TX, "physical-device", value, sizeof(value));

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
	int err = get(device, STORE_NO_TX, "physical-device-path", path, sizeof(path));

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

	path_of(device, name, path);
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
	char value[NUMBER_BYTES];
	int err = get_online(device, STORE_NO_TX, &view->online);

	if (!err)
		err = get(device, STORE_NO_TX, "hotplug-status", value, sizeof(value));
	if (err && !is_no_value(err))
		return err;
	view->hotplug_done = !err && strcmp(value, "connected") == 0;
	return 0;
}

int
nodes_look(struct device *device, struct state_view *view, struct reason *why)
{
	struct device_nodes *nodes = &device->nodes;
	int err = get_state(device, STORE_NO_TX, nodes->backend, &view->own);

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
		err = get_state(device, STORE_NO_TX, nodes->frontend, &view->frontend);
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
	char value[NUMBER_BYTES];
	int err = get(device, STORE_NO_TX, name, value, sizeof(value));

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
	char value[NUMBER_BYTES], path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/feature-persistent", directory);
	return store_read(device->tapback->store, STORE_NO_TX, path, value, sizeof(value)) == 0 &&
	       strcmp(value, "1") == 0;
}

int
nodes_wish(struct device *device, struct device_wish *wish, struct reason *why)
{
	char value[NUMBER_BYTES], shown[NUMBER_BYTES];
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
	int err = get(device, STORE_NO_TX, "params", params, sizeof(params));

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
	char value[NUMBER_BYTES];
	int err = get(device, STORE_NO_TX, "sectors", value, sizeof(value));

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
	char value[NUMBER_BYTES];
	int err = get(device, tx, name, value, sizeof(value));

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
		end = get_state(device, place.tx, device->nodes.frontend, &state);
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

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Values to be written together. */
struct set {
	unsigned count;
	struct {
		const char *name;
		char value[SET_VALUE_BYTES];
	} node[SET_MAX];
};

static void
put(struct set *set, const char *name, uint64_t value)
{
	set->node[set->count].name = name;
	snprintf(set->node[set->count].value, sizeof(set->node[0].value), "%llu",
		 (unsigned long long)value);
	set->count++;
}

/* What a transaction writes. */
struct change {
	const struct set *set;   /* NULL: nothing */
	const char *error;       /* NULL: leave it */
	enum xenbus_state state; /* XENBUS_MISSING: leave it */
	bool needs_online;
};

static int
write_error(struct device *device, store_tx tx, const char *error)
{
	char path[STORE_PATH_MAX];
	int err;

	path_of(device, "error", path);
	if (*error)
		return store_set(device->tapback->store, tx, path, error);
	err = store_remove(device->tapback->store, tx, path);
	return err == -ENOENT ? 0 : err;
}

/* Is everything as it was when the change was decided upon? */
static int
check_unchanged(struct device *device, store_tx tx, const struct change *change)
{
	enum xenbus_state own = XENBUS_MISSING;
	bool online = true;
	int err = get_state(device, tx, device->nodes.backend, &own);

	if (err)
		return err;
	if (own == XENBUS_MISSING)
		return -ENOENT;
	if (own != device->view.own)
		return -ESTALE;
	if (change->needs_online)
		err = get_online(device, tx, &online);
	return online ? err : -ESTALE;
}

static int
write_change(struct device *device, store_tx tx, const struct change *change)
{
	struct store *store = device->tapback->store;
	char path[STORE_PATH_MAX], state[NUMBER_BYTES];
	int err = check_unchanged(device, tx, change);
	unsigned i;

	for (i = 0; !err && change->set && i < change->set->count; i++) {
		path_of(device, change->set->node[i].name, path);
		err = store_set(store, tx, path, change->set->node[i].value);
	}
	if (!err && change->error)
		err = write_error(device, tx, change->error);
	if (err || change->state == XENBUS_MISSING)
		return err;
	/* Even if it is the same: the guest looks when it is written. */
	path_of(device, "state", path);
	snprintf(state, sizeof(state), "%d", (int)change->state);
	return store_write(store, tx, path, state);
}

static int
apply(struct device *device, const struct change *change)
{
	struct store *store = device->tapback->store;
	unsigned tries;
	store_tx tx;
	int err = -EAGAIN;

	for (tries = 0; err == -EAGAIN && tries < RETRIES; tries++) {
		err = store_begin(store, &tx);
		if (err)
			return err;
		err = write_change(device, tx, change);
		if (err)
			store_abort(store, tx);
		else
			err = store_commit(store, tx);
	}
	if (!err && change->state != XENBUS_MISSING)
		device->transitions++;
	return err;
}

/* ---- what is written --------------------------------------------------------------------------
 */

/* Nobody knows what a legacy tapdisk makes of indirect requests; a guest takes 0 for none. */
static unsigned
indirect_segments(const struct device *device)
{
	return attach_is_legacy(device) ? 0 : ATTACH_INDIRECT_SEGMENTS;
}

int
nodes_offer(struct device *device)
{
	const struct tb_options *options = &device->tapback->options;
	const struct attach *attach = &device->attach;
	bool can_flush =
		attach->disk != DISK_READY || attach->info.capabilities & TAPDISK_CAN_FLUSH;
	uint32_t queues = options->max_queues, order = options->max_order;
	struct set set = { 0 };
	const struct change change = { .set = &set, .error = "", .state = XENBUS_INIT_WAIT };

	attach_limit(device, &queues, &order);
	put(&set, "max-ring-page-order", order);
	put(&set, "max-ring-pages", 1u << order);
	put(&set, "multi-queue-max-queues", queues);
	put(&set, "feature-barrier", can_flush && !options->no_barrier);
	put(&set, "feature-flush-cache", can_flush);
	put(&set, "feature-persistent", options->persistent && !attach_is_legacy(device));
	put(&set, "feature-max-indirect-segments", indirect_segments(device));
	return apply(device, &change);
}

int
nodes_connected(struct device *device)
{
	const struct tb_options *options = &device->tapback->options;
	const struct attach *attach = &device->attach;
	const struct disk_info *info = &attach->info;
	bool can_flush = info->capabilities & TAPDISK_CAN_FLUSH;
	bool can_discard = info->capabilities & TAPDISK_CAN_DISCARD && attach->wish.discard;
	struct set set = { 0 };
	const struct change change = {
		.set = &set, .error = "", .state = XENBUS_CONNECTED, .needs_online = true
	};

	put(&set, "sectors", info->sectors);
	put(&set, "sector-size", info->sector_size);
	put(&set, "physical-sector-size", info->phys_sector_size);
	put(&set, "info",
	    (attach->wish.writable ? 0 : DISK_INFO_READ_ONLY) |
		    (attach->wish.cdrom ? DISK_INFO_CDROM : 0));
	put(&set, "feature-barrier", can_flush && !options->no_barrier);
	put(&set, "feature-flush-cache", can_flush);
	put(&set, "feature-discard", can_discard);
	if (can_discard) {
		put(&set, "discard-granularity", info->phys_sector_size);
		put(&set, "discard-alignment", 0);
	}
	put(&set, "feature-max-indirect-segments", indirect_segments(device));
	put(&set, "kthread-pid", attach->pid);
	return apply(device, &change);
}

int
nodes_state(struct device *device, enum xenbus_state state)
{
	const struct change change = { .state = state };

	return apply(device, &change);
}

int
nodes_fail(struct device *device, const char *error)
{
	const struct change change = { .error = error, .state = XENBUS_CLOSING };

	return apply(device, &change);
}

int
nodes_error(struct device *device, const char *error)
{
	const struct change change = { .error = error, .state = XENBUS_MISSING };

	return apply(device, &change);
}

int
nodes_kthread_pid(struct device *device)
{
	char found[NUMBER_BYTES], wanted[NUMBER_BYTES];
	struct set set = { 0 };
	const struct change change = { .set = &set, .state = XENBUS_MISSING };
	int err = get(device, STORE_NO_TX, "kthread-pid", found, sizeof(found));

	snprintf(wanted, sizeof(wanted), "%u", device->attach.pid);
	if (!err && strcmp(found, wanted) == 0)
		return 0;
	put(&set, "kthread-pid", device->attach.pid);
	return apply(device, &change);
}

int
nodes_resized(struct device *device)
{
	struct set set = { 0 };
	const struct change change = { .set = &set,
				       .state = XENBUS_CONNECTED,
				       .needs_online = true };

	put(&set, "sectors", device->attach.info.sectors);
	return apply(device, &change);
}

/* Everything below the directory goes with it. */
int
nodes_remove(struct device *device)
{
	struct store *store = device->tapback->store;
	const struct change nothing = { .state = XENBUS_MISSING };
	char online[NUMBER_BYTES];
	store_tx tx;
	int err = store_begin(store, &tx);

	if (err)
		return err;
	err = check_unchanged(device, tx, &nothing);
	if (!err)
		err = get(device, tx, "online", online, sizeof(online));
	if (!err && strcmp(online, "1") == 0)
		err = -ESTALE;
	if (!err)
		err = store_remove(store, tx, device->nodes.backend);
	if (!err)
		return store_commit(store, tx);
	store_abort(store, tx);
	return err;
}
