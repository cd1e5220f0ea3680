/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The drivers and the server of the engine's tests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/minor.h"
#include "common/rundir.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "tests/engine/rig.h"

struct probe probe;

/* ---- the probe: a disk in memory ----------------------------------------------------------------
 */

static int
probe_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	(void)name;
	if (probe.open_err)
		return probe.open_err;
	probe.opens++;
	td_driver_key(driver, &probe.key_len);
	driver->info.size = probe.sectors ? probe.sectors : PROBE_SECTORS;
	if (flags & TD_OPEN_SHAREABLE && probe.parent_sectors)
		driver->info.size = probe.parent_sectors;
	driver->info.sector_size = probe.sector_size ? probe.sector_size : DEFAULT_SECTOR_SIZE;
	return 0;
}

static int
probe_is_busy(td_driver_t *driver)
{
	(void)driver;
	return probe.works;
}

static int
probe_close(td_driver_t *driver)
{
	char byte;

	(void)driver;
	if (probe.gate)
		ck_assert_int_eq((int)read(probe.gate, &byte, 1), 1);
	probe.closes++;
	return probe.close_err;
}

static int
probe_parent(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	(void)id;
	return TD_NO_PARENT;
}

static int
probe_validate(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	(void)child;
	(void)parent;
	(void)flags;
	return -EINVAL;
}

static void
transfer(const td_request_t *treq)
{
	char *at = probe.store + (treq->sec << SECTOR_SHIFT);
	size_t bytes = (size_t)treq->secs << SECTOR_SHIFT;

	if (treq->op == TD_OP_READ)
		memcpy(treq->buf, at, bytes);
	else if (treq->op == TD_OP_WRITE)
		memcpy(at, treq->buf, bytes);
}

/* Complete in one or more pieces, the pieces in random order. */
static void
complete(td_request_t treq, int res)
{
	td_request_t second = treq;
	int first = treq.secs;

	if (probe.split && treq.secs > 1)
		first = 1 + rand() % treq.secs;
	if (!res)
		transfer(&treq);
	if (first == treq.secs) {
		td_complete_request(treq, res);
		if (probe.complete_twice)
			td_complete_request(treq, res);
		return;
	}
	second.sec += (td_sector_t)first;
	second.secs -= first;
	second.buf += (size_t)first << SECTOR_SHIFT;
	treq.secs = first;
	if (rand() % 2) {
		td_complete_request(treq, res);
		complete(second, 0);
	} else {
		complete(second, 0);
		td_complete_request(treq, res);
	}
}

static void
take(td_request_t treq)
{
	int res = 0;

	if (treq.secs > probe.largest)
		probe.largest = treq.secs;
	if (probe.busy > 0) {
		probe.busy--;
		td_complete_request(treq, -EBUSY);
		return;
	}
	if (probe.transient > 0) {
		probe.transient--;
		td_complete_request(treq, -EAGAIN);
		return;
	}
	if (probe.fail_after > 0 && --probe.fail_after == 0)
		res = probe.fail_with;
	if (probe.hold && probe.room && probe.held_count == probe.room)
		td_complete_request(treq, -EBUSY);
	else if (probe.hold && probe.held_count < PROBE_HELD)
		probe.held[probe.held_count++] = treq;
	else
		complete(treq, res);
}

static void
probe_read(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	probe.reads++;
	take(treq);
}

static void
probe_write(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	probe.writes++;
	take(treq);
}

static void
probe_flush(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	probe.flushes++;
	if (probe.hold_flushes && probe.held_count < PROBE_HELD)
		probe.held[probe.held_count++] = treq;
	else
		td_complete_request(treq, probe.flush_err);
}

static void
probe_zeroes(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	probe.zeroes++;
	if (!probe.zeroes_err)
		memset(probe.store + (treq.sec << SECTOR_SHIFT), 0,
		       (size_t)treq.secs << SECTOR_SHIFT);
	td_complete_request(treq, probe.zeroes_err);
}

/* Two pieces, the upper one first, as a chain may deliver them. */
static void
probe_status(td_driver_t *driver, td_request_t treq)
{
	td_request_t upper = treq;
	int half = treq.secs / 2;

	(void)driver;
	upper.sec += (td_sector_t)half;
	upper.secs -= half;
	upper.status = TD_BLOCK_STATE_HOLE;
	td_complete_request(upper, 0);
	treq.secs = half;
	treq.status = TD_BLOCK_STATE_NONE;
	if (half)
		td_complete_request(treq, 0);
}

void
probe_release(int res)
{
	probe.hold = probe.hold_flushes = false;
	while (probe.held_count)
		complete(probe.held[--probe.held_count], res);
}

static const struct tap_disk probe_ops = {
	.disk_type = "probe",
	.td_open = probe_open,
	.td_close = probe_close,
	.td_get_parent_id = probe_parent,
	.td_validate_parent = probe_validate,
	.td_queue_read = probe_read,
	.td_queue_write = probe_write,
	.td_queue_flush = probe_flush,
	.td_queue_write_zeroes = probe_zeroes,
	.td_queue_block_status = probe_status,
	.td_is_busy = probe_is_busy,
};

static const struct tap_disk big_ops = {
	.disk_type = "big",
	.flags = TD_DISK_BIG_REQUESTS,
	.td_open = probe_open,
	.td_close = probe_close,
	.td_get_parent_id = probe_parent,
	.td_validate_parent = probe_validate,
	.td_queue_read = probe_read,
	.td_queue_write = probe_write,
};

/* ---- the probe with holes -----------------------------------------------------------------------
 */

static int
holes_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	driver->info.discard_granularity = DEFAULT_SECTOR_SIZE;
	return probe_open(driver, name, flags);
}

static void
holes_discard(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	probe.discards++;
	if (!probe.discard_err)
		memset(probe.store + (treq.sec << SECTOR_SHIFT), 0,
		       (size_t)treq.secs << SECTOR_SHIFT);
	td_complete_request(treq, probe.discard_err);
}

static const struct tap_disk holes_ops = {
	.disk_type = "holes",
	.td_open = holes_open,
	.td_close = probe_close,
	.td_get_parent_id = probe_parent,
	.td_validate_parent = probe_validate,
	.td_queue_read = probe_read,
	.td_queue_write = probe_write,
	.td_queue_discard = holes_discard,
};

/* ---- a filter, and a child of a parent ----------------------------------------------------------
 */

static int
filter_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	(void)driver;
	(void)name;
	(void)flags;
	return 0;
}

static int
filter_close(td_driver_t *driver)
{
	(void)driver;
	return 0;
}

static int
filter_parent(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	(void)id;
	return -EINVAL;
}

static int
accept_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	(void)child;
	(void)parent;
	(void)flags;
	return 0;
}

static void
forward(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	td_forward_request(treq);
}

static const struct tap_disk filter_ops = {
	.disk_type = "filter",
	.flags = TD_DISK_FILTER,
	.td_open = filter_open,
	.td_close = filter_close,
	.td_get_parent_id = filter_parent,
	.td_validate_parent = accept_parent,
	.td_queue_read = forward,
	.td_queue_write = forward,
};

static int
child_parent(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	id->name = strdup(probe.parent);
	id->drivertype = TYPE_PROBE;
	return id->name ? 0 : -ENOMEM;
}

static const struct tap_disk child_ops = {
	.disk_type = "child",
	.td_open = probe_open,
	.td_close = probe_close,
	.td_get_parent_id = child_parent,
	.td_validate_parent = accept_parent,
	.td_queue_read = forward,
	.td_queue_write = probe_write,
};

static const struct tapdisk_type types[] = {
	{ TYPE_PROBE, "probe", false, &probe_ops },  { TYPE_FILTER, "filter", false, &filter_ops },
	{ TYPE_SINGLE, "single", true, &probe_ops }, { TYPE_CHILD, "child", false, &child_ops },
	{ TYPE_UNBUILT, "unbuilt", false, NULL },    { TYPE_BIG, "big", false, &big_ops },
	{ TYPE_HOLES, "holes", false, &holes_ops },  { 0, NULL, false, NULL },
};

/* ---- the server ---------------------------------------------------------------------------------
 */

void
rig_setup(struct rig *rig)
{
	struct tapdisk_config config = {
		.types = types,
		.log = rig->log,
		.shm_root = rig->shm_root,
		.event = rig->event,
		.opened = rig->opened,
		.arg = rig->event_arg,
	};

	memset(&probe, 0, sizeof(probe));
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/engine.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->dir));
	config.control_dir = rig->dir;
	config.io_engine = getenv("TAPDISK_AIO");
	ck_assert_int_eq(rundir_create(rig->dir), 0);
	ck_assert_int_eq(tapdisk_server_new(&rig->server, &config), 0);
	ck_assert_int_eq(minor_allocate(rig->dir, &rig->minor), 0);
	ck_assert_int_eq(tapdisk_server_attach(rig->server, rig->minor, &rig->vbd), 0);
}

void
rig_teardown(struct rig *rig)
{
	char path[128];

	if (tapdisk_server_find(rig->server, rig->minor)) {
		probe_release(0);
		rig_close(rig);
		ck_assert_int_eq(tapdisk_server_detach(rig->server, rig->vbd), 0);
	}
	tapdisk_server_free(rig->server);
	ck_assert_int_eq(minor_free(rig->dir, rig->minor), 0);
	snprintf(path, sizeof(path), "%s/tapdisk", rig->dir);
	rmdir(path);
	rmdir(rig->dir);
}

void
rig_turn(struct rig *rig)
{
	ck_assert_int_eq(loop_turn(tapdisk_server_loop(rig->server), 0), 0);
}

void
rig_until(struct rig *rig, const bool *flag)
{
	while (!*flag)
		ck_assert_int_eq(loop_turn(tapdisk_server_loop(rig->server), -1), 0);
}

void
outcome_done(void *arg, int err, const char *why)
{
	struct outcome *outcome = arg;

	outcome->ended = true;
	outcome->times++;
	outcome->err = err;
	snprintf(outcome->why, sizeof(outcome->why), "%s", why ? why : "");
}

int
rig_open(struct rig *rig, const char *params, td_flag_t flags)
{
	struct vbd_options options = { .params = params, .flags = flags, .parent_minor = -1 };
	struct outcome outcome = { 0 };

	vbd_open(rig->vbd, &options, outcome_done, &outcome);
	rig_until(rig, &outcome.ended);
	return outcome.err;
}

int
rig_close(struct rig *rig)
{
	struct outcome outcome = { 0 };

	vbd_close(rig->vbd, false, outcome_done, &outcome);
	rig_until(rig, &outcome.ended);
	return outcome.err;
}

struct vbd *
rig_open_other(struct rig *rig, const struct vbd_options *options, int *err)
{
	struct outcome outcome = { 0 };
	struct vbd *other;
	int minor;

	ck_assert_int_eq(minor_allocate(rig->dir, &minor), 0);
	ck_assert_int_eq(tapdisk_server_attach(rig->server, minor, &other), 0);
	vbd_open(other, options, outcome_done, &outcome);
	rig_until(rig, &outcome.ended);
	*err = outcome.err;
	return other;
}

void
rig_drop_other(struct rig *rig, struct vbd *other)
{
	struct outcome outcome = { 0 };
	int minor = vbd_minor(other);

	vbd_close(other, false, outcome_done, &outcome);
	rig_until(rig, &outcome.ended);
	ck_assert_int_eq(tapdisk_server_detach(rig->server, other), 0);
	ck_assert_int_eq(minor_free(rig->dir, minor), 0);
}

/* ---- requests -----------------------------------------------------------------------------------
 */

static void
ask_done(struct vbd_request *req, int err)
{
	struct ask *ask = req->arg;

	ask->ended = true;
	ask->times++;
	ask->err = err;
}

static void
ask_expired(struct vbd_request *req)
{
	struct ask *ask = req->arg;

	ask->expired = true;
}

void
ask_start(struct rig *rig, struct ask *ask, int op, uint64_t sector, uint64_t sectors, void *buf)
{
	struct vbd_extents *extents = ask->req.extents;
	uint32_t flags = ask->req.flags;

	memset(ask, 0, sizeof(*ask));
	ask->iov.iov_base = buf;
	ask->iov.iov_len = (size_t)sectors << SECTOR_SHIFT;
	ask->req.op = op;
	ask->req.flags = flags;
	ask->req.sector = sector;
	ask->req.sectors = sectors;
	ask->req.iov = &ask->iov;
	ask->req.iovcnt = buf ? 1 : 0;
	ask->req.extents = extents;
	ask->req.done = ask_done;
	ask->req.expired = ask_expired;
	ask->req.arg = ask;
	vbd_submit(rig->vbd, &ask->req);
}

int
ask_wait(struct rig *rig, struct ask *ask)
{
	rig_until(rig, &ask->ended);
	ck_assert_int_eq(ask->times, 1);
	return ask->err;
}

int
ask_run(struct rig *rig, int op, uint64_t sector, uint64_t sectors, void *buf)
{
	struct ask ask = { 0 };

	ask_start(rig, &ask, op, sector, sectors, buf);
	return ask_wait(rig, &ask);
}

int
rig_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
