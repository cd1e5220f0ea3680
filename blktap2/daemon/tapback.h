/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon as its rooms see it:
 *
 *	tapback.c	main: options, instance, loop, signals, the connection to xenstore
 *	watch.c		which devices there are, and which of them to look at
 *	device.c	a look at a device, and what follows from it
 *	nodes.c		its nodes in xenstore, read
 *	nodes-write.c	the same, written
 *	attach.c	its disk and its ring in a tapdisk
 *	attach-frames.c	what frames say of them
 *	state.c		the table of reactions
 *	ring.c		what the guest says about its ring
 *	tapdisk.c	connections to tapdisks
 *	stream.c	their bytes
 *	legacy.c	those that know no frames
 *	leftovers.c	rings of devices that are none any more
 *	locate.c	which tapdisk serves a minor
 *	store.c loop.c log.c parse.c options.c instance.c notify.c	what they stand on
 */
#ifndef DAEMON_TAPBACK_H
#define DAEMON_TAPBACK_H

#include "daemon/device.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/options.h"
#include "daemon/store.h"
#include "daemon/tapdisk.h"
#include "daemon/watch.h"

struct tapback {
	struct tb_options given; /* on the command line */
	struct tb_options options;
	struct tb_log log;
	struct tb_loop *loop;      /* owned */
	struct store *store;       /* owned; NULL: there is no connection now */
	char *dir;                 /* owned; the control directory */
	char base[STORE_PATH_MAX]; /* "backend/vbd3", or that of one domain */
	struct tapdisks tapdisks;
	struct devices devices;

	struct tb_watch store_watch;
	struct tb_timer store_again, store_ask;
	struct tb_watch signals;
	struct tb_timer watchdog;
	struct tb_timer soon; /* there is more to do than one turn takes */
	bool is_ready;        /* the first scan is done */
	bool is_leaving;
};

/* The connection to xenstore has failed: begin anew in a moment. */
void tapback_store_lost(struct tapback *tapback);

#endif
