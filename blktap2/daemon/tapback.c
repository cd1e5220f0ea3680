/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tapback: connects disks of tapdisks to guests, by what they and the toolstack say in xenstore.
 *
 * All that it knows is in xenstore and in the tapdisks: it may be stopped, killed and started again
 * at any time, and guests do not notice.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/rundir.h"
#include "daemon/instance.h"
#include "daemon/leftovers.h"
#include "daemon/notify.h"
#include "daemon/tapback.h"

#define STORE_AGAIN_MS 1000
#define STORE_ASK_MS 2000 /* how long the end of the connection may go unnoticed */
#define EVENTS_PER_TURN 1024

/* ---- xenstore ---------------------------------------------------------------------------------
 */

void
tapback_store_lost(struct tapback *tapback)
{
	if (!tapback->store)
		return;
	tb_log(&tapback->log, LOG_WARNING, "xenstore: connection lost");
	tb_watch_clear(tapback->loop, &tapback->store_watch);
	tb_timer_clear(tapback->loop, &tapback->store_ask);
	store_close(tapback->store);
	tapback->store = NULL;
	tb_timer_set(tapback->loop, &tapback->store_again, STORE_AGAIN_MS);
}

static void
store_ready(void *arg, uint32_t events)
{
	struct tapback *tapback = arg;
	unsigned left = EVENTS_PER_TURN;
	struct store_event event;
	int got = 0;

	(void)events;
	while (tapback->store && left-- && (got = store_next(tapback->store, &event)) == 1)
		devices_event(tapback, &event);
	if (got < 0)
		tapback_store_lost(tapback);
}

/* The library tells who asks it for something, and nobody else, that the connection has ended. */
static void
ask_store(void *arg)
{
	struct tapback *tapback = arg;

	if (!store_is_alive(tapback->store))
		tapback_store_lost(tapback);
	else
		tb_timer_set(tapback->loop, &tapback->store_ask, STORE_ASK_MS);
}

static void
connect_store(void *arg)
{
	struct tapback *tapback = arg;
	int err = store_open(&tapback->store);

	if (err) {
		tb_log(&tapback->log, LOG_DEBUG, "xenstore: %s", strerror(-err));
		tb_timer_set(tapback->loop, &tapback->store_again, STORE_AGAIN_MS);
		return;
	}
	err = devices_scan(tapback);
	if (!err)
		err = tb_watch_set(tapback->loop, &tapback->store_watch, store_fd(tapback->store),
				   EPOLLIN);
	if (err) {
		tapback_store_lost(tapback);
		return;
	}
	tb_timer_set(tapback->loop, &tapback->store_ask, STORE_ASK_MS);
	tb_log(&tapback->log, LOG_INFO, "serving %s", tapback->base);
}

/* ---- signals ----------------------------------------------------------------------------------
 */

static void
wrong_line(void *arg, const char *line)
{
	struct tapback *tapback = arg;

	tb_log(&tapback->log, LOG_WARNING, "%s: not understood: %s", tapback->given.config, line);
}

static void
configure(struct tapback *tapback)
{
	int err = tb_options_read(&tapback->options, &tapback->given, wrong_line, tapback);

	if (err)
		tb_log(&tapback->log, LOG_WARNING, "%s: %s", tapback->given.config, strerror(-err));
}

static void
signalled(void *arg, uint32_t events)
{
	struct tapback *tapback = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(tapback->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGHUP:
		configure(tapback);
		tb_log_open(&tapback->log);
		break;
	case SIGUSR1:
		devices_dump(tapback);
		break;
	default:
		tapback->is_leaving = true;
	}
}

/* Before any thread is made: all of them are to leave these signals to us. */
static int
catch_signals(struct tapback *tapback)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	tapback->signals = (struct tb_watch){ .fn = signalled, .arg = tapback };
	return tb_watch_set(tapback->loop, &tapback->signals, fd, EPOLLIN);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

/* A turn that takes for ever ends our life: whoever starts us again finds everything in place. */
static void
watchdog(void *arg)
{
	struct tapback *tapback = arg;

	notify("WATCHDOG=1");
	tb_timer_set(tapback->loop, &tapback->watchdog, notify_watchdog_ms());
}

static void
nothing(void *arg)
{
	(void)arg;
}

static bool
turn(void *arg)
{
	struct tapback *tapback = arg;

	if (devices_run(tapback))
		tb_timer_set(tapback->loop, &tapback->soon, 0);
	else if (tapback->store && !tapback->is_ready) {
		tapback->is_ready = true;
		notify("READY=1");
		leftovers_look(tapback);
	}
	return !tapback->is_leaving;
}

static int
serve(struct tapback *tapback)
{
	tapback->store_watch = (struct tb_watch){ .fn = store_ready, .arg = tapback };
	tapback->store_again = (struct tb_timer){ .fn = connect_store, .arg = tapback };
	tapback->store_ask = (struct tb_timer){ .fn = ask_store, .arg = tapback };
	tapback->watchdog = (struct tb_timer){ .fn = watchdog, .arg = tapback };
	tapback->soon = (struct tb_timer){ .fn = nothing, .arg = tapback };
	tapback->tapdisks = (struct tapdisks){ .loop = tapback->loop,
					       .log = &tapback->log,
					       .dir = tapback->dir };
	devices_init(&tapback->devices);
	configure(tapback);
	connect_store(tapback);
	if (notify_watchdog_ms())
		watchdog(tapback);
	return tb_loop_run(tapback->loop, turn, tapback);
}

/* ---- start and end ----------------------------------------------------------------------------
 */

static int
start(struct tapback *tapback, struct instance *instance, struct reason *why)
{
	int err = instance_lock(instance, &tapback->given, why);

	if (err)
		return err;
	err = rundir_path(&tapback->dir);
	if (err)
		return reason(why, err, "control directory: %s", strerror(-err));
	snprintf(tapback->base, sizeof(tapback->base), "backend/%s", tapback->given.name);
	if (tapback->given.one_domain)
		snprintf(tapback->base, sizeof(tapback->base), "backend/%s/%u", tapback->given.name,
			 tapback->given.domid);
	return 0;
}

static int
run(struct tapback *tapback, struct instance *instance, int *report, struct reason *why)
{
	int err = instance_pidfile(instance, &tapback->given, why);

	if (err)
		return err;
	err = tb_loop_new(&tapback->loop);
	if (!err)
		err = catch_signals(tapback);
	if (err)
		return reason(why, err, "%s", strerror(-err));
	instance_drop_rights();
	tb_log_open(&tapback->log);
	instance_started(report);
	err = serve(tapback);
	if (err)
		return reason(why, err, "%s", strerror(-err));
	notify("STOPPING=1");
	return 0;
}

/* Rings stay connected: the next one of us adopts them. */
static void
stop(struct tapback *tapback)
{
	if (tapback->loop) {
		devices_free(tapback);
		tapdisks_free(&tapback->tapdisks);
	}
	store_close(tapback->store);
	tb_loop_free(tapback->loop);
	free(tapback->dir);
}

int
main(int argc, char **argv)
{
	struct tapback *tapback = calloc(1, sizeof(*tapback));
	int report = -1, status, err;
	struct instance instance;
	struct reason why;

	if (!tapback)
		return ENOMEM;
	if (tb_options_parse(&tapback->given, argc, argv, &status)) {
		free(tapback);
		return status;
	}
	tapback->log.foreground = tapback->given.foreground;
	tapback->log.level = tapback->given.verbose ? LOG_DEBUG : LOG_INFO;
	err = start(tapback, &instance, &why);
	if (!err && !tapback->given.foreground) {
		err = instance_background(&report);
		if (err)
			reason(&why, err, "background: %s", strerror(-err));
	}
	if (!err)
		err = run(tapback, &instance, &report, &why);
	if (err)
		fprintf(stderr, "tapback: %s\n", why.text);
	stop(tapback);
	instance_end(&instance);
	free(tapback);
	if (report >= 0) {
		unsigned char code = (unsigned char)-err;

		status = write(report, &code, 1) == 1;
	}
	return -err;
}
