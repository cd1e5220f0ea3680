/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a kernel device.
 *
 *	STARTING - SERVING - PROBING - STOPPING - GONE
 *
 * While one is being made or taken away the loop goes on: the kernel reads from a new device, and
 * writes what it holds back before an old one goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "drivers/core/server.h"
#include "drivers/core/tlog.h"
#include "drivers/frontend/kernel-device-internal.h"

#define AGAIN_MS 100 /* between two looks at a device in use */

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57 /* since Linux 5.6 */
#endif

/* The better one first. */
static const struct kernel_driver *const drivers[] = { &kernel_ublk, &kernel_nbd };

#define DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

struct kernel_devices {
	struct tapdisk_server *server;
	TAILQ_HEAD(, kernel_device) list;
	void (*all_gone)(void *arg); /* NULL: nobody asks */
	void *all_gone_arg;
};

static const struct kernel_driver *
driver_of(const struct kernel_device *device)
{
	return drivers[device->driver];
}

static void
tell(struct kernel_device *device, int err, const char *why)
{
	vbd_done_fn done = device->done;

	device->done = NULL;
	if (done)
		done(device->done_arg, err, why);
}

static struct kernel_device *
find(struct kernel_devices *devices, const struct vbd *vbd)
{
	struct kernel_device *device;

	TAILQ_FOREACH (device, &devices->list, link)
		if (device->vbd == vbd)
			break;
	return device;
}

/* ---- the classic name -------------------------------------------------------------------------
 */

/* Make the link beside its place, and put it there: an old one is replaced at once. */
static int
make_name(struct kernel_device *device)
{
	AUTO_FREE char *name = minor_device(vbd_minor(device->vbd));
	AUTO_FREE char *fresh = NULL;
	int err;

	if (!name || asprintf(&fresh, "%s.%d", name, (int)getpid()) < 0) {
		fresh = NULL;
		return -ENOMEM;
	}
	err = minor_device_dir();
	if (err)
		return err;
	if (symlink(device->node, fresh))
		return -errno;
	if (rename(fresh, name)) {
		unlink(fresh);
		return -errno;
	}
	device->name = STEAL(name);
	return 0;
}

static void
remove_name(struct kernel_device *device)
{
	if (device->name)
		unlink(device->name);
	free(device->name);
	device->name = NULL;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void
tell_all_gone(struct kernel_devices *devices)
{
	void (*all_gone)(void *arg) = devices->all_gone;
	struct kernel_device *device;

	TAILQ_FOREACH (device, &devices->list, link)
		if (device->stage != KERNEL_DEVICE_GONE)
			return;
	devices->all_gone = NULL;
	if (all_gone)
		all_gone(devices->all_gone_arg);
}

static void
finish_stop(struct kernel_device *device)
{
	struct kernel_devices *devices = device->devices;

	device->stage = KERNEL_DEVICE_GONE;
	loop_defer_cancel(device->loop, &device->heard);
	remove_name(device);
	shm_page_hide(device->tally.page);
	tlog(device->log, LOG_INFO, "minor %d: %s is gone", vbd_minor(device->vbd),
	     device->node ? device->node : "its device");
	tell(device, 0, "");
	tell_all_gone(devices);
}

static void
stop(struct kernel_device *device)
{
	device->stage = KERNEL_DEVICE_STOPPING;
	driver_of(device)->stop(device);
}

static void
abandon(struct kernel_device *device)
{
	driver_of(device)->abandon(device);
	finish_stop(device);
}

/* ---- is it in use? ----------------------------------------------------------------------------
 */

struct kernel_device_probe {
	struct kernel_device *device; /* NULL: nobody waits any more */
	char *node;                   /* owned */
	bool read_only;
};

/* Opening it for nobody else fails while it is mounted, or a guest has it.  On a worker. */
static int
probe_work(void *arg)
{
	const struct kernel_device_probe *probe = arg;
	AUTO_CLOSE int fd = open(probe->node, (probe->read_only ? O_RDONLY : O_RDWR) | O_EXCL |
						      O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno == EBUSY ? -EBUSY : 0;
	/* What was written through the host's page cache goes out before the device does. */
	return probe->read_only || fsync(fd) == 0 ? 0 : -errno;
}

static void
probed(void *arg, int err)
{
	struct kernel_device_probe *probe = arg;
	struct kernel_device *device = probe->device;

	free(probe->node);
	free(probe);
	if (!device)
		return;
	device->probe = NULL;
	if (err == -EBUSY && loop_now(device->loop) < device->patience_ends &&
	    loop_timer_set(device->loop, &device->again, AGAIN_MS) == 0)
		return;
	if (err)
		tlog(device->log, LOG_WARNING, "minor %d: %s: %s", vbd_minor(device->vbd),
		     device->node, err == -EBUSY ? "still in use" : strerror(-err));
	if (err != -EBUSY || device->manner != KERNEL_DEVICE_ASK) {
		stop(device);
		return;
	}
	device->stage = KERNEL_DEVICE_SERVING;
	tell(device, -EBUSY, "the block device of the disk is in use");
}

static void
probe(void *arg)
{
	struct kernel_device *device = arg;
	struct kernel_device_probe *probe = calloc(1, sizeof(*probe));

	if (probe)
		probe->node = strdup(device->node);
	if (!probe || !probe->node) {
		free(probe);
		stop(device);
		return;
	}
	probe->device = device;
	probe->read_only = vbd_read_only(device->vbd);
	device->probe = probe;
	if (loop_work(device->loop, probe_work, probed, probe))
		probed(probe, 0);
}

static void
forget_probe(struct kernel_device *device)
{
	loop_timer_cancel(device->loop, &device->again);
	if (device->probe)
		device->probe->device = NULL;
	device->probe = NULL;
}

/* ---- the disk's source ------------------------------------------------------------------------
 */

static void
mask(struct vbd_source *source, bool masked)
{
	(void)source;
	(void)masked; /* what still comes waits in the disk */
}

static void
shutdown_source(struct vbd_source *source)
{
	(void)source; /* what still comes is answered by the disk */
}

static void
release(struct vbd_source *source)
{
	struct kernel_device *device =
		(struct kernel_device *)((char *)source - offsetof(struct kernel_device, source));

	/* Only a disk whose process must leave is closed with its device in place. */
	forget_probe(device);
	if (device->stage != KERNEL_DEVICE_GONE)
		abandon(device);
	loop_defer_cancel(device->loop, &device->heard);
	driver_of(device)->free(device);
	vbd_source_del(source);
	TAILQ_REMOVE(&device->devices->list, device, link);
	shm_page_free(device->tally.page);
	free(device->node);
	free(device);
}

static const struct vbd_source_ops source_ops = {
	.mask = mask,
	.shutdown = shutdown_source,
	.release = release,
};

/* ---- the beginning ----------------------------------------------------------------------------
 */

/* The next driver from this one on that is there: false if none is. */
static bool
choose(struct kernel_device *device, unsigned from)
{
	for (device->driver = from; device->driver < DRIVERS; device->driver++)
		if (driver_of(device)->is_there())
			return true;
	device->driver = DRIVERS - 1;
	return false;
}

/* The driver made no device: the next one may. */
static void
finish_failed_start(struct kernel_device *device)
{
	tlog(device->log, LOG_WARNING, "minor %d: no device by %s: %s: %s", vbd_minor(device->vbd),
	     driver_of(device)->name, device->why, strerror(-device->err));
	driver_of(device)->free(device);
	if (device->driver + 1 < DRIVERS && choose(device, device->driver + 1)) {
		driver_of(device)->start(device);
		return;
	}
	device->stage = KERNEL_DEVICE_GONE;
	tell(device, device->err, device->why);
}

/* What it has read by now is told, too. */
static void
show_statistics(struct kernel_device *device)
{
	char name[32];

	snprintf(name, sizeof(name), "blktap-%d", vbd_minor(device->vbd));
	device->tally.page = shm_page_new(tapdisk_server_shm(vbd_server(device->vbd)), name);
	shm_page_update(device->tally.page, &device->tally.counters);
}

static void
finish_start(struct kernel_device *device)
{
	int err = make_name(device);

	if (err) {
		tell(device, err, "cannot make the name of the device in " MINOR_DEVICE_DIR);
		abandon(device);
		return;
	}
	device->stage = KERNEL_DEVICE_SERVING;
	show_statistics(device);
	tlog(device->log, LOG_INFO, "minor %d: is %s, by %s", vbd_minor(device->vbd), device->node,
	     driver_of(device)->name);
	tell(device, 0, "");
}

/* The driver's own functions have returned, so that anything may follow. */
static void
heard(void *arg)
{
	struct kernel_device *device = arg;

	if (device->stage == KERNEL_DEVICE_STOPPING)
		finish_stop(device);
	else if (device->err)
		finish_failed_start(device);
	else
		finish_start(device);
}

void
kernel_device_started(struct kernel_device *device, int err, const char *why, char *node)
{
	device->err = err;
	device->why = why;
	device->node = node;
	loop_defer(device->loop, &device->heard);
}

void
kernel_device_stopped(struct kernel_device *device)
{
	loop_defer(device->loop, &device->heard);
}

void
kernel_device_add(struct kernel_devices *devices, struct vbd *vbd, vbd_done_fn done, void *arg)
{
	struct tapdisk_server *server = devices->server;
	struct kernel_device *device;

	if (!minor_wants_device(tapdisk_server_control_dir(server), vbd_minor(vbd))) {
		done(arg, 0, "");
		return;
	}
	device = calloc(1, sizeof(*device));
	if (!device) {
		done(arg, -ENOMEM, "memory is short");
		return;
	}
	device->vbd = vbd;
	device->devices = devices;
	device->loop = tapdisk_server_loop(server);
	device->log = tapdisk_server_log(server);
	device->source.ops = &source_ops;
	device->heard.fn = heard;
	device->heard.arg = device;
	device->again.fn = probe;
	device->again.arg = device;
	device->done = done;
	device->done_arg = arg;
	vbd_source_add(vbd, &device->source);
	TAILQ_INSERT_TAIL(&devices->list, device, link);
	/* The host may write to this very device when it looks for memory: not for ours. */
	(void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	if (choose(device, 0)) {
		driver_of(device)->start(device);
		return;
	}
	device->stage = KERNEL_DEVICE_GONE;
	tell(device, -ENODEV, MINOR_NO_DEVICES);
}

/* ---- on request -------------------------------------------------------------------------------
 */

static void
overtake(struct kernel_device *device, vbd_done_fn done, void *arg)
{
	tell(device, -ECANCELED, "overtaken by force");
	device->done = done;
	device->done_arg = arg;
	forget_probe(device);
	abandon(device);
}

void
kernel_device_remove(struct kernel_devices *devices, struct vbd *vbd,
		     enum kernel_device_manner manner, vbd_done_fn done, void *arg)
{
	struct kernel_device *device = find(devices, vbd);

	if (!device || device->stage == KERNEL_DEVICE_GONE) {
		done(arg, 0, "");
	} else if (manner == KERNEL_DEVICE_FORCE) {
		overtake(device, done, arg);
	} else if (device->stage != KERNEL_DEVICE_SERVING) {
		done(arg, -EALREADY, "the block device is being made, or taken away");
	} else {
		device->stage = KERNEL_DEVICE_PROBING;
		device->manner = manner;
		device->done = done;
		device->done_arg = arg;
		device->patience_ends =
			loop_now(device->loop) + KERNEL_DEVICE_PATIENCE_MS * 1000ull;
		probe(device);
	}
}

static void
removed_one(void *arg, int err, const char *why)
{
	(void)arg;
	(void)err;
	(void)why;
}

void
kernel_devices_remove_all(struct kernel_devices *devices, void (*done)(void *arg), void *arg)
{
	struct kernel_device *device, *next;

	devices->all_gone = done;
	devices->all_gone_arg = arg;
	for (device = TAILQ_FIRST(&devices->list); device; device = next) {
		next = TAILQ_NEXT(device, link);
		if (device->stage == KERNEL_DEVICE_PROBING)
			device->manner = KERNEL_DEVICE_INSIST;
		else
			kernel_device_remove(devices, device->vbd, KERNEL_DEVICE_INSIST,
					     removed_one, NULL);
	}
	tell_all_gone(devices);
}

int
kernel_devices_new(struct kernel_devices **out, struct tapdisk_server *server)
{
	struct kernel_devices *devices = calloc(1, sizeof(*devices));

	if (!devices)
		return -ENOMEM;
	devices->server = server;
	TAILQ_INIT(&devices->list);
	*out = devices;
	return 0;
}

void
kernel_devices_free(struct kernel_devices *devices)
{
	free(devices);
}
