/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tapdisk2: the process that serves virtual disks.
 *
 * As a daemon it waits on its control socket for disks to attach; with -n it serves one disk at
 * once. This file joins the engine with what stands above it: the table of drivers, the frontends,
 * and the control server.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "common/reason.h"
#include "common/rundir.h"
#include "drivers/control-server.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd.h"
#include "drivers/daemonize.h"
#include "drivers/frontend/blkif.h"
#include "drivers/frontend/kernel-device.h"
#include "drivers/frontend/nbd.h"
#include "drivers/guest-rings.h"
#include "drivers/limits.h"
#include "drivers/options.h"
#include "drivers/tapdisk-disktype.h"

#define LOG_DIR "/var/log/blktap"
#define CPU_MONITOR "/dev/shm/cpu_util_monitor"

struct tapdisk {
	struct options options;
	struct tlog *log;
	struct tapdisk_server *server;
	struct control_server *control;
	struct nbdclient *nbdclient;
	struct blkif *blkif;        /* NULL: this host has no Xen */
	struct control_rings rings; /* of blkif */
	struct kernel_devices *devices;
	struct control_devices control_devices;
	struct tapdisk_type *types;
	char *control_dir;
	int report; /* see daemon_report */
	int signals;
	struct loop_watch *signal_watch;
	int minor;        /* of -n, and ours to give back; -1: none */
	int served_minor; /* of -n, once it is served */
	bool leaving;     /* a signal has come */
	int status;
	struct reason failure; /* told when everything is cleaned up */
};

/* ---- signals ----------------------------------------------------------------------------------
 */

/* Blocked before anything else: one that comes early is served later, and kills nobody. */
static int
block_signals(sigset_t *set)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	size_t i;

	sigemptyset(set);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(set, wanted[i]);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return sigprocmask(SIG_BLOCK, set, NULL) ? -errno : 0;
}

static void
debug_all(struct tapdisk *tapdisk)
{
	struct vbd *vbd = NULL;

	while ((vbd = tapdisk_server_next(tapdisk->server, vbd)))
		vbd_debug(vbd);
}

/* The block devices of the host are gone. */
static void
close_disks(void *arg)
{
	struct tapdisk *tapdisk = arg;

	tapdisk_server_shutdown(tapdisk->server, false);
}

/* A second signal does not wait for devices that are in use. */
static void
leave(struct tapdisk *tapdisk)
{
	bool again = tapdisk->leaving;

	tapdisk->leaving = true;
	if (again || !tapdisk->devices)
		close_disks(tapdisk);
	else
		kernel_devices_remove_all(tapdisk->devices, close_disks, tapdisk);
}

static void
on_signal(void *arg, unsigned events)
{
	struct tapdisk *tapdisk = arg;
	struct signalfd_siginfo info;

	(void)events;
	while (read(tapdisk->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			tlog(tapdisk->log, LOG_INFO, "signal %u: closing all disks",
			     info.ssi_signo);
			/* Nobody else gives the number back, then. */
			if (tapdisk->served_minor >= 0)
				tapdisk->minor = tapdisk->served_minor;
			leave(tapdisk);
			break;
		case SIGHUP:
			tlog_reopen(tapdisk->log);
			break;
		case SIGUSR1:
			debug_all(tapdisk);
			break;
		case SIGUSR2:
			blkif_poll(tapdisk->blkif);
			break;
		default:
			break;
		}
	}
}

static int
watch_signals(struct tapdisk *tapdisk, const sigset_t *set)
{
	tapdisk->signals = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (tapdisk->signals < 0)
		return -errno;
	return loop_watch(tapdisk_server_loop(tapdisk->server), tapdisk->signals, LOOP_READ,
			  on_signal, tapdisk, &tapdisk->signal_watch);
}

/* ---- what the engine calls ---------------------------------------------------------------------
 */

static int
disk_opened(void *arg, struct vbd *vbd, const char **why)
{
	(void)arg;
	return nbd_export_new(vbd, why);
}

/* ---- block devices, for the control server -----------------------------------------------------
 */

static void
add_device(void *arg, struct vbd *vbd, vbd_done_fn done, void *done_arg)
{
	kernel_device_add(arg, vbd, done, done_arg);
}

static void
remove_device(void *arg, struct vbd *vbd, bool force, vbd_done_fn done, void *done_arg)
{
	kernel_device_remove(arg, vbd, force ? KERNEL_DEVICE_FORCE : KERNEL_DEVICE_ASK, done,
			     done_arg);
}

static void
disk_event(void *arg, struct vbd *vbd, const char *kind)
{
	struct tapdisk *tapdisk = arg;

	/* Whoever has the last answer finds no trace of this process. */
	if (strcmp(kind, "leaving") == 0) {
		nbdclient_free(tapdisk->nbdclient);
		tapdisk->nbdclient = NULL;
	}
	if (tapdisk->control)
		control_server_event(tapdisk->control, vbd, kind);
}

/* ---- start and end -----------------------------------------------------------------------------
 */

static int
start_failed(struct tapdisk *tapdisk, int err, const char *what, const char *why)
{
	reason(&tapdisk->failure, err, "%s: %s", what, why && *why ? why : strerror(-err));
	tlog(tapdisk->log, LOG_ERR, "%s", tapdisk->failure.text);
	return err;
}

/* Those who serve guests; NULL: this host has no Xen, or we may not use it. */
static const struct control_rings *
open_rings(struct tapdisk *tapdisk)
{
	int err = blkif_new(&tapdisk->blkif, tapdisk->server, CPU_MONITOR);

	if (err) {
		tlog(tapdisk->log, LOG_DEBUG, "no guest rings: %s", strerror(-err));
		return NULL;
	}
	tapdisk->rings = guest_rings(tapdisk->blkif);
	return &tapdisk->rings;
}

/* What everything else needs: a log, the control directory, the drivers. */
static int
prepare(struct tapdisk *tapdisk)
{
	struct reason fault;
	int err;

	tapdisk->log = tlog_new(LOG_DIR, _PATH_LOG, tapdisk->options.foreground);
	err = rundir_path(&tapdisk->control_dir);
	if (!err)
		err = rundir_create(tapdisk->control_dir);
	if (err)
		return start_failed(tapdisk, err, "the control directory", NULL);
	err = tapdisk_disktype_check(&fault);
	if (err)
		return start_failed(tapdisk, err, "the table of drivers", fault.text);
	tapdisk->types = tapdisk_disktype_table();
	if (!tapdisk->types)
		return start_failed(tapdisk, -ENOMEM, "the table of drivers", NULL);
	limits_raise(tapdisk->log);
	return 0;
}

static int
start_engine(struct tapdisk *tapdisk, const sigset_t *signals)
{
	const struct tapdisk_config config = {
		.io_engine = secure_getenv("TAPDISK_AIO"),
		.control_dir = tapdisk->control_dir,
		.types = tapdisk->types,
		.log = tapdisk->log,
		.idle_timeout_s = tapdisk->options.params ? 0 : tapdisk->options.idle_timeout_s,
		.opened = disk_opened,
		.event = disk_event,
		.arg = tapdisk,
	};
	int err = tapdisk_server_new(&tapdisk->server, &config);

	if (err)
		return start_failed(tapdisk, err, "the event loop",
				    err == -EINVAL ? "TAPDISK_AIO names no I/O engine" : NULL);
	err = watch_signals(tapdisk, signals);
	return err ? start_failed(tapdisk, err, "signals", NULL) : 0;
}

static int
start_frontends(struct tapdisk *tapdisk)
{
	struct control_config control = { .server = tapdisk->server,
					  .devices = &tapdisk->control_devices };
	const char *why = NULL;
	int err = kernel_devices_new(&tapdisk->devices, tapdisk->server);

	if (err)
		return start_failed(tapdisk, err, "block devices", NULL);
	tapdisk->control_devices = (struct control_devices){
		.add = add_device,
		.remove = remove_device,
		.arg = tapdisk->devices,
	};
	control.rings = open_rings(tapdisk);
	err = control_server_new(&tapdisk->control, &control, &why);
	if (err)
		return start_failed(tapdisk, err, "the control socket", why);
	err = nbdclient_new(&tapdisk->nbdclient, tapdisk->server, &why);
	return err ? start_failed(tapdisk, err, "the receiver of NBD connections", why) : 0;
}

static int
start(struct tapdisk *tapdisk, const sigset_t *signals)
{
	int err = prepare(tapdisk);

	if (!err)
		err = start_engine(tapdisk, signals);
	return err ? err : start_frontends(tapdisk);
}

static void
end(struct tapdisk *tapdisk)
{
	loop_unwatch(tapdisk->signal_watch);
	if (tapdisk->signals >= 0)
		close(tapdisk->signals);
	nbdclient_free(tapdisk->nbdclient);
	control_server_free(tapdisk->control);
	tapdisk->control = NULL;
	blkif_free(tapdisk->blkif);
	tapdisk_server_free(tapdisk->server);
	kernel_devices_free(tapdisk->devices);
	if (tapdisk->minor >= 0)
		minor_free(tapdisk->control_dir, tapdisk->minor);
	tlog_free(tapdisk->log);
	free(tapdisk->types);
	free(tapdisk->control_dir);
}

/* ---- one disk: -n ------------------------------------------------------------------------------
 */

static void
one_shot_failed(struct tapdisk *tapdisk, int err, const char *why)
{
	tapdisk->status = -err;
	reason(&tapdisk->failure, err, "%s", why);
	tapdisk_server_shutdown(tapdisk->server, false);
}

/* Where it is served. */
static void
one_shot_text(const struct tapdisk *tapdisk, char text[static REASON_BYTES])
{
	AUTO_FREE char *device = minor_device(tapdisk->minor);

	if (tapdisk->options.kernel_device && device)
		snprintf(text, REASON_BYTES, "%s", device);
	else
		snprintf(text, REASON_BYTES, "nbd+unix:///?socket=%s/nbd%d.%d",
			 tapdisk->control_dir, (int)getpid(), tapdisk->minor);
}

static void
one_shot_served(void *arg, int err, const char *why)
{
	struct tapdisk *tapdisk = arg;
	char text[REASON_BYTES];

	if (err) {
		one_shot_failed(tapdisk, err, why);
		return;
	}
	one_shot_text(tapdisk, text);
	/* From here on it is tap-ctl destroy that gives the number back, unless a signal comes. */
	tapdisk->served_minor = tapdisk->minor;
	tapdisk->minor = -1;
	daemon_report(&tapdisk->report, 0, text);
}

static void
one_shot_opened(void *arg, int err, const char *why)
{
	struct tapdisk *tapdisk = arg;

	if (err)
		one_shot_failed(tapdisk, err, why);
	else
		kernel_device_add(tapdisk->devices,
				  tapdisk_server_find(tapdisk->server, tapdisk->minor),
				  one_shot_served, tapdisk);
}

static int
serve_one(struct tapdisk *tapdisk)
{
	struct vbd_options options = {
		.params = tapdisk->options.params,
		.flags = tapdisk->options.read_only ? TD_OPEN_RDONLY : 0,
		.parent_minor = -1,
	};
	struct vbd *vbd;
	int err;

	err = minor_allocate(tapdisk->control_dir, &tapdisk->minor);
	if (!err && tapdisk->options.kernel_device)
		err = minor_want_device(tapdisk->control_dir, tapdisk->minor, NULL);
	if (err)
		return start_failed(tapdisk, err, "a minor number", NULL);
	err = tapdisk_server_attach(tapdisk->server, tapdisk->minor, &vbd);
	if (err)
		return start_failed(tapdisk, err, "attaching the disk", NULL);
	vbd_open(vbd, &options, one_shot_opened, tapdisk);
	return 0;
}

static int
serve(struct tapdisk *tapdisk)
{
	int err = 0;

	if (tapdisk->options.params)
		err = serve_one(tapdisk);
	else
		daemon_report(&tapdisk->report, 0, control_server_path(tapdisk->control));
	if (err)
		return err;
	err = loop_run(tapdisk_server_loop(tapdisk->server));
	return err ? err : -tapdisk->status;
}

int
main(int argc, char **argv)
{
	struct tapdisk tapdisk = { .report = -1, .signals = -1, .minor = -1, .served_minor = -1 };
	sigset_t signals;
	int status, err;

	if (options_parse(&tapdisk.options, argc, argv, &status))
		return status;
	err = block_signals(&signals);
	if (!err && !tapdisk.options.foreground)
		err = daemonize(&tapdisk.report);
	if (err) {
		daemon_report(&tapdisk.report, err, strerror(-err));
		return -err;
	}
	err = start(&tapdisk, &signals);
	if (!err)
		err = serve(&tapdisk);
	end(&tapdisk);
	if (err)
		daemon_report(&tapdisk.report, err, tapdisk.failure.text);
	return -err;
}
