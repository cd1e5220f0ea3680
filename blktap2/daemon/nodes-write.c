/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing the nodes of a device, in transactions that find it as it was when they were decided
 * upon.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tapdisk-message.h>

#include "daemon/nodes-internal.h"
#include "daemon/tapback.h"

#define RETRIES 16 /* of a transaction that others have spoilt */
#define SET_MAX 20
#define SET_VALUE_BYTES 24

/* ---- transactions -----------------------------------------------------------------------------
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

	nodes_path(device, "error", path);
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
	int err = nodes_get_state(device, tx, device->nodes.backend, &own);

	if (err)
		return err;
	if (own == XENBUS_MISSING)
		return -ENOENT;
	if (own != device->view.own)
		return -ESTALE;
	if (change->needs_online)
		err = nodes_get_online(device, tx, &online);
	return online ? err : -ESTALE;
}

static int
write_change(struct device *device, store_tx tx, const struct change *change)
{
	struct store *store = device->tapback->store;
	char path[STORE_PATH_MAX], state[NODES_NUMBER_BYTES];
	int err = check_unchanged(device, tx, change);
	unsigned i;

	for (i = 0; !err && change->set && i < change->set->count; i++) {
		nodes_path(device, change->set->node[i].name, path);
		err = store_set(store, tx, path, change->set->node[i].value);
	}
	if (!err && change->error)
		err = write_error(device, tx, change->error);
	if (err || change->state == XENBUS_MISSING)
		return err;
	/* Even if it is the same: the guest looks when it is written. */
	nodes_path(device, "state", path);
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
	char found[NODES_NUMBER_BYTES], wanted[NODES_NUMBER_BYTES];
	struct set set = { 0 };
	const struct change change = { .set = &set, .state = XENBUS_MISSING };
	int err = nodes_get(device, STORE_NO_TX, "kthread-pid", found, sizeof(found));

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
	char online[NODES_NUMBER_BYTES];
	store_tx tx;
	int err = store_begin(store, &tx);

	if (err)
		return err;
	err = check_unchanged(device, tx, &nothing);
	if (!err)
		err = nodes_get(device, tx, "online", online, sizeof(online));
	if (!err && strcmp(online, "1") == 0)
		err = -ESTALE;
	if (!err)
		err = store_remove(store, tx, device->nodes.backend);
	if (!err)
		return store_commit(store, tx);
	store_abort(store, tx);
	return err;
}
