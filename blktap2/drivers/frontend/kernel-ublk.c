/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel device by ublk: one queue, whose requests come and are answered through io_uring.
 *
 *	ADD_DEV - (open the device) - SET_PARAMS - FETCH every tag, START_DEV - serve
 *	STOP_DEV - (every tag is given back: close the device) - DEL_DEV
 *
 * Control commands wait in the kernel for the disk to be read and written, so none of them is
 * waited for here, unless the device is abandoned.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/tlog.h"
#include "drivers/frontend/kernel-device-internal.h"
#include "drivers/frontend/ublk-request.h"
#include "drivers/io/commands.h"

#define TAG_CONTROL 0x10000u /* of the control command in flight; below: the tag of a request */
#define COMMANDS (UBLK_DEPTH + 4)
#define ABANDON_MS 2000
#define NO_DEVICE "ublk takes no device"
#define MAP_BYTES 4096 /* UBLK_DEPTH requests, in whole pages */

struct ublk_state;

struct ublk_slot {
	struct ublk_state *state;
	struct vbd_request request;
	struct iovec iov;
	bool with_vbd;
};

struct ublk_state {
	struct kernel_device *device;
	struct commands *commands; /* owned */
	struct loop_watch *watch;
	struct loop_task submit; /* at the end of the turn */
	int control;             /* /dev/ublk-control */
	int queue;               /* /dev/ublkc<N>; -1: not open */
	uint32_t number;         /* N; UBLK_ANY_DEVICE: there is none */
	uint32_t asked;          /* for which number */
	uint32_t op;             /* the control command in flight; 0: none */
	struct ublk_info info;
	struct ublk_params params;
	const struct ublk_request *requests; /* mapped */
	char *buffers;                       /* mapped: one for each tag */
	unsigned fetched;                    /* tags that the kernel has, or that we serve */
	bool cleaning;                       /* the number was taken, and is looked at */
	bool stopped;                        /* STOP_DEV has ended */
	int err;                             /* of a start that failed */
	const char *why;
	struct ublk_slot slots[UBLK_DEPTH];
};

static_assert(MAP_BYTES >= UBLK_DEPTH * sizeof(struct ublk_request), "room for all requests");

static void delete_device(struct ublk_state *state);

/* ---- commands ---------------------------------------------------------------------------------
 */

static void
submit(void *arg)
{
	struct ublk_state *state = arg;
	int err = commands_submit(state->commands);

	/* Nothing is lost: the next turn tries again. */
	if (err)
		tlog(state->device->log, LOG_DEBUG, "ublk: %s", strerror(-err));
	if (err == -EAGAIN || err == -EBUSY)
		loop_defer(state->device->loop, &state->submit);
}

static int
queue_control(struct ublk_state *state, uint32_t op, void *argument, size_t length, uint64_t data)
{
	struct ublk_control control = {
		.device = state->number == UBLK_ANY_DEVICE ? state->asked : state->number,
		.queue = UBLK_NO_QUEUE,
		.length = (uint16_t)length,
		.address = (uintptr_t)argument,
		.data = data,
	};
	int err = commands_queue(state->commands, state->control, op, &control, sizeof(control),
				 TAG_CONTROL);

	if (err)
		return err;
	state->op = op;
	loop_defer(state->device->loop, &state->submit);
	return 0;
}

static int
queue_io(struct ublk_state *state, uint32_t op, unsigned tag, int result)
{
	struct ublk_io io = {
		.tag = (uint16_t)tag,
		.result = result,
		.address = (uintptr_t)state->buffers + (uintptr_t)tag * UBLK_REQUEST_BYTES,
	};
	int err = commands_queue(state->commands, state->queue, op, &io, sizeof(io), tag);

	if (!err)
		loop_defer(state->device->loop, &state->submit);
	return err;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void
answer(struct ublk_slot *slot, int result)
{
	struct ublk_state *state = slot->state;

	/* An abandoned device hears no answers. */
	if (state->queue >= 0 &&
	    queue_io(state, UBLK_ANSWER_AND_FETCH, (unsigned)(slot - state->slots), result))
		state->fetched--;
}

static void
request_done(struct vbd_request *request, int err)
{
	struct ublk_slot *slot = request->arg;

	slot->with_vbd = false;
	answer(slot, ublk_result(request, err));
}

static void
serve(struct ublk_state *state, unsigned tag)
{
	struct ublk_slot *slot = &state->slots[tag];
	struct ublk_request request;
	int err;

	memcpy(&request, &state->requests[tag], sizeof(request));
	slot->request = (struct vbd_request){
		.done = request_done,
		.arg = slot,
		.tally = &state->device->tally,
	};
	err = ublk_translate(&request, state->buffers + (size_t)tag * UBLK_REQUEST_BYTES,
			     &slot->iov, &slot->request);
	if (err) {
		answer(slot, err);
		return;
	}
	slot->with_vbd = true;
	vbd_submit(state->device->vbd, &slot->request);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void
close_commands(struct ublk_state *state)
{
	loop_unwatch(state->watch);
	state->watch = NULL;
	loop_defer_cancel(state->device->loop, &state->submit);
	commands_free(state->commands);
	state->commands = NULL;
}

static void
close_queue(struct ublk_state *state)
{
	if (state->requests)
		munmap((void *)(uintptr_t)state->requests, MAP_BYTES);
	state->requests = NULL;
	if (state->queue >= 0)
		close(state->queue);
	state->queue = -1;
}

/* The device is gone, or never was. */
static void
ended(struct ublk_state *state)
{
	struct kernel_device *device = state->device;

	close_queue(state);
	state->number = UBLK_ANY_DEVICE;
	if (device->stage == KERNEL_DEVICE_STARTING)
		kernel_device_started(device, state->err, state->why, NULL);
	else if (device->stage == KERNEL_DEVICE_STOPPING)
		kernel_device_stopped(device);
}

static void
fail(struct ublk_state *state, int err, const char *why)
{
	state->err = err;
	state->why = why;
	delete_device(state);
}

/* Needs the queue to be closed: the kernel may wait for its last user. */
static void
delete_device(struct ublk_state *state)
{
	close_queue(state);
	if (state->number == UBLK_ANY_DEVICE ||
	    queue_control(state, UBLK_DEL_DEV_ASYNC, NULL, 0, 0))
		ended(state);
}

/* The kernel ends a device whose server has gone; then it is deleted, and that is waited for. */
static void
abandon(struct kernel_device *device)
{
	struct ublk_state *state = device->state;
	struct ublk_control control = { .device = state->number, .queue = UBLK_NO_QUEUE };

	close_commands(state);
	close_queue(state);
	if (state->number == UBLK_ANY_DEVICE || commands_new(&state->commands, 1))
		return;
	if (commands_queue(state->commands, state->control, UBLK_DEL_DEV_ASYNC, &control,
			   sizeof(control), TAG_CONTROL) == 0)
		(void)commands_wait(state->commands, ABANDON_MS);
	close_commands(state);
	state->number = UBLK_ANY_DEVICE;
}

/* ---- the beginning ----------------------------------------------------------------------------
 */

static int
open_queue(struct ublk_state *state)
{
	char node[32];
	void *map;

	snprintf(node, sizeof(node), UBLK_QUEUE_NODE, state->number);
	state->queue = open(node, O_RDWR | O_CLOEXEC);
	if (state->queue < 0)
		return -errno;
	map = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED | MAP_POPULATE, state->queue, 0);
	if (map == MAP_FAILED)
		return -errno;
	state->requests = map;
	map = mmap(NULL, (size_t)UBLK_DEPTH * UBLK_REQUEST_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	state->buffers = map;
	return 0;
}

static void
added(struct ublk_state *state)
{
	const struct vbd *vbd = state->device->vbd;
	const struct ublk_disk disk = {
		.sectors = vbd_sectors(vbd),
		.sector_size = vbd_sector_size(vbd),
		.read_only = vbd_read_only(vbd),
		.can_discard = vbd_can_discard(vbd),
	};
	int err;

	state->number = state->info.device;
	err = open_queue(state);
	ublk_describe(&disk, &state->params);
	if (!err)
		err = queue_control(state, UBLK_SET_PARAMS, &state->params, sizeof(state->params),
				    0);
	if (err)
		fail(state, err, "ublk's device cannot be opened");
}

static void
described(struct ublk_state *state)
{
	unsigned tag;
	int err = 0;

	for (tag = 0; !err && tag < UBLK_DEPTH; tag++) {
		err = queue_io(state, UBLK_FETCH, tag, 0);
		if (!err)
			state->fetched++;
	}
	if (!err)
		err = queue_control(state, UBLK_START_DEV, NULL, 0, (uint64_t)getpid());
	if (err)
		fail(state, err, "ublk's device cannot be started");
}

static void
started(struct ublk_state *state)
{
	char *node;

	if (asprintf(&node, "/dev/ublkb%u", state->number) < 0)
		fail(state, -ENOMEM, "memory is short");
	else
		kernel_device_started(state->device, 0, "", node);
}

/* ---- what comes back --------------------------------------------------------------------------
 */

static void
add(struct ublk_state *state, uint32_t number)
{
	int err;

	state->asked = number;
	state->info = (struct ublk_info){
		.queues = 1,
		.depth = UBLK_DEPTH,
		.request_bytes = UBLK_REQUEST_BYTES,
		.device = number,
	};
	err = queue_control(state, UBLK_ADD_DEV, &state->info, sizeof(state->info), 0);
	if (err)
		fail(state, err, NO_DEVICE);
}

/* The number of the minor is taken: by a tapdisk that was killed? */
static void
look_at_other(struct ublk_state *state)
{
	state->cleaning = true;
	memset(&state->info, 0, sizeof(state->info));
	if (queue_control(state, UBLK_GET_INFO, &state->info, sizeof(state->info), 0))
		add(state, UBLK_ANY_DEVICE);
}

/* It has no disk, and nobody serves it: a server would have it open, and there can be only one. */
static bool
is_abandoned(const struct ublk_state *state)
{
	AUTO_CLOSE int fd = -1;
	char node[32];

	if (state->info.state != UBLK_DEAD)
		return false;
	snprintf(node, sizeof(node), UBLK_QUEUE_NODE, state->asked);
	fd = open(node, O_RDWR | O_CLOEXEC);
	return fd >= 0;
}

/* It was looked at, or deleted. */
static void
other_done(struct ublk_state *state, uint32_t op, int result)
{
	bool was_deleted = op == UBLK_DEL_DEV && !result;

	if (op == UBLK_GET_INFO && !result && is_abandoned(state) &&
	    queue_control(state, UBLK_DEL_DEV, NULL, 0, 0) == 0)
		return;
	add(state, was_deleted ? state->asked : UBLK_ANY_DEVICE);
}

static void
control_failed(struct ublk_state *state, uint32_t op, int err)
{
	bool is_first = op == UBLK_ADD_DEV && state->asked != UBLK_ANY_DEVICE;

	if (is_first && err == -EEXIST && !state->cleaning) {
		look_at_other(state);
	} else if (is_first && (err == -EEXIST || err == -EINVAL)) {
		add(state, UBLK_ANY_DEVICE);
	} else if (op == UBLK_ADD_DEV) {
		fail(state, err, NO_DEVICE);
	} else if (op == UBLK_SET_PARAMS) {
		fail(state, err, "ublk does not like the disk");
	} else {
		/* Tags may be with the kernel: leave them there. */
		abandon(state->device);
		kernel_device_started(state->device, err, "ublk's device cannot be started", NULL);
	}
}

static void
control_done(struct ublk_state *state, int result)
{
	uint32_t op = state->op;

	state->op = 0;
	if (op == UBLK_GET_INFO || (op == UBLK_DEL_DEV && state->number == UBLK_ANY_DEVICE)) {
		other_done(state, op, result);
	} else if (op == UBLK_STOP_DEV) {
		state->stopped = true;
		if (!state->fetched)
			delete_device(state);
	} else if (op == UBLK_DEL_DEV_ASYNC && result < 0 &&
		   queue_control(state, UBLK_DEL_DEV, NULL, 0, 0) == 0) {
		return; /* before Linux 6.9 there is only the one that waits */
	} else if (op == UBLK_DEL_DEV || op == UBLK_DEL_DEV_ASYNC) {
		ended(state);
	} else if (result < 0) {
		control_failed(state, op, result);
	} else if (op == UBLK_ADD_DEV) {
		added(state);
	} else if (op == UBLK_SET_PARAMS) {
		described(state);
	} else if (op == UBLK_START_DEV) {
		started(state);
	}
}

static void
io_came(struct ublk_state *state, unsigned tag, int result)
{
	if (result == 0) {
		serve(state, tag);
		return;
	}
	state->fetched--;
	if (!state->fetched && state->stopped)
		delete_device(state);
}

static void
on_commands(void *arg, unsigned events)
{
	struct ublk_state *state = arg;
	uint64_t tag;
	int result;

	(void)events;
	commands_acknowledge(state->commands);
	while (state->commands && commands_next(state->commands, &tag, &result)) {
		if (tag == TAG_CONTROL)
			control_done(state, result);
		else if (tag < UBLK_DEPTH)
			io_came(state, (unsigned)tag, result);
	}
}

/* ---- the driver -------------------------------------------------------------------------------
 */

static bool
is_there(void)
{
	return access(UBLK_CONTROL_NODE, R_OK | W_OK) == 0;
}

static struct ublk_state *
new_state(struct kernel_device *device)
{
	struct ublk_state *state = calloc(1, sizeof(*state));
	unsigned tag;

	if (!state)
		return NULL;
	state->device = device;
	state->control = state->queue = -1;
	state->number = UBLK_ANY_DEVICE;
	state->submit.fn = submit;
	state->submit.arg = state;
	for (tag = 0; tag < UBLK_DEPTH; tag++)
		state->slots[tag].state = state;
	return state;
}

static void
start(struct kernel_device *device)
{
	struct ublk_state *state = new_state(device);
	int err;

	if (!state) {
		kernel_device_started(device, -ENOMEM, "memory is short", NULL);
		return;
	}
	device->state = state;
	state->control = open(UBLK_CONTROL_NODE, O_RDWR | O_CLOEXEC);
	err = state->control < 0 ? -errno : commands_new(&state->commands, COMMANDS);
	if (!err)
		err = loop_watch(device->loop, commands_fd(state->commands), LOOP_READ, on_commands,
				 state, &state->watch);
	if (err)
		kernel_device_started(device, err, "ublk cannot be used", NULL);
	else
		/* The minor's, so that names tell which is which; another number will do. */
		add(state, (uint32_t)vbd_minor(device->vbd));
}

static void
stop(struct kernel_device *device)
{
	struct ublk_state *state = device->state;

	if (queue_control(state, UBLK_STOP_DEV, NULL, 0, 0)) {
		abandon(device);
		kernel_device_stopped(device);
	}
}

static void
free_state(struct kernel_device *device)
{
	struct ublk_state *state = device->state;

	if (!state)
		return;
	device->state = NULL;
	close_commands(state);
	close_queue(state);
	if (state->control >= 0)
		close(state->control);
	if (state->buffers)
		munmap(state->buffers, (size_t)UBLK_DEPTH * UBLK_REQUEST_BYTES);
	free(state);
}

const struct kernel_driver kernel_ublk = {
	.name = "ublk",
	.is_there = is_there,
	.start = start,
	.stop = stop,
	.abandon = abandon,
	.free = free_state,
};
