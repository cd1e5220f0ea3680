/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel device by the kernel's NBD client: it gets one end of a pair of sockets, and the other
 * end is served like any client's, but for a handshake.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/nbd-netlink.h"
#include "drivers/frontend/kernel-device-internal.h"
#include "drivers/frontend/nbd-conn.h"
#include "drivers/frontend/nbd.h"

/* A device's; the disconnect runs on a worker, and may outlive it. */
struct nbd_state {
	struct kernel_device *device; /* NULL: nobody waits for the worker any more */
	struct nbd_export *export;    /* the vbd's; NULL: not made */
	int number;                   /* N of /dev/nbd<N>; -1: there is none */
	bool working;
	int err;
};

/* Serve one end of a new pair; the other is *fd. */
static int
make_connection(struct kernel_device *device, struct nbd_state *state, int *fd)
{
	int pair[2], err;

	err = nbd_export_bare(device->vbd, &state->export);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	err = nbd_conn_new_ready(state->export, pair[0], &device->tally);
	if (err) {
		close(pair[1]);
		return err;
	}
	*fd = pair[1];
	return 0;
}

static int
connect_device(struct kernel_device *device, struct nbd_state *state, char **node)
{
	char backend[NBD_NETLINK_BACKEND];
	struct nbd_netlink_device request = { .backend = backend };
	AUTO_CLOSE int fd = -1;
	struct nbd_facts facts;
	int err;

	err = make_connection(device, state, &fd);
	if (err)
		return err;
	facts = nbd_export_facts(state->export);
	snprintf(backend, sizeof(backend), NBD_NETLINK_NAME, (int)getpid(), vbd_minor(device->vbd));
	request.bytes = facts.size;
	request.block_bytes = vbd_sector_size(device->vbd);
	request.flags = facts.flags;
	request.fd = fd;
	err = nbd_netlink_connect(&request, &state->number);
	if (err)
		return err;
	if (asprintf(node, "/dev/nbd%d", state->number) < 0) {
		*node = NULL;
		return -ENOMEM;
	}
	return 0;
}

/*
 * The kernel may be in the middle of sending to us while it is told to disconnect, and waits until
 * that is sent: who does not read on must hang up first.
 */
static void
disconnect_at_once(struct nbd_state *state)
{
	if (state->export)
		nbd_export_hang_up(state->export);
	if (state->number >= 0 && !state->working)
		state->err = nbd_netlink_disconnect(state->number);
	state->number = -1;
}

static void
start(struct kernel_device *device)
{
	struct nbd_state *state = calloc(1, sizeof(*state));
	char *node = NULL;
	int err;

	if (!state) {
		kernel_device_started(device, -ENOMEM, "memory is short", NULL);
		return;
	}
	state->device = device;
	state->number = -1;
	device->state = state;
	err = connect_device(device, state, &node);
	if (err)
		disconnect_at_once(state);
	kernel_device_started(device, err, "the kernel's NBD client made no device", node);
}

static void
abandon(struct kernel_device *device)
{
	disconnect_at_once(device->state);
}

static int
disconnect_work(void *arg)
{
	struct nbd_state *state = arg;

	return nbd_netlink_disconnect(state->number);
}

static void
disconnected(void *arg, int err)
{
	struct nbd_state *state = arg;
	struct kernel_device *device = state->device;

	state->working = false;
	if (!device) {
		free(state);
		return;
	}
	state->number = -1;
	if (err)
		tlog(device->log, LOG_WARNING, "minor %d: %s: cannot be disconnected: %s",
		     vbd_minor(device->vbd), device->node, strerror(-err));
	if (device->stage == KERNEL_DEVICE_STOPPING)
		kernel_device_stopped(device);
}

static void
stop(struct kernel_device *device)
{
	struct nbd_state *state = device->state;

	state->working = true;
	if (loop_work(device->loop, disconnect_work, disconnected, state)) {
		state->working = false;
		disconnect_at_once(state);
		kernel_device_stopped(device);
	}
}

/* The export is the vbd's, a source like the device itself. */
static void
free_state(struct kernel_device *device)
{
	struct nbd_state *state = device->state;

	device->state = NULL;
	if (state && state->working)
		state->device = NULL;
	else
		free(state);
}

const struct kernel_driver kernel_nbd = {
	.name = "nbd",
	.is_there = nbd_netlink_is_there,
	.start = start,
	.stop = stop,
	.abandon = abandon,
	.free = free_state,
};
