/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What to do next about a device: a pure function of what is seen of it.
 *
 * Nothing is remembered between two looks.  Whoever sees a device calls state_react, does the one
 * thing that it says, and looks again, until there is nothing to do.  Events that are lost, merged
 * or doubled therefore do no harm.
 */
#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

#include <stdbool.h>

#include "daemon/parse.h"

/* The guest's ring in the tapdisk. */
enum ring_state {
	RING_NONE,
	RING_UNKNOWN,   /* the tapdisk has not been asked yet, or has not answered */
	RING_BUSY,      /* being connected or disconnected */
	RING_CONNECTED, /* as the frontend describes it */
	RING_OTHER,     /* connected, but the frontend describes another one by now */
};

struct state_view {
	bool exists;                /* our directory */
	enum xenbus_state own;      /* what its state node says */
	bool online;                /* the toolstack wants the device */
	enum xenbus_state frontend; /* what the guest says */
	bool domain_gone;           /* the guest has ended */
	bool disk_ready;            /* a tapdisk serves the disk, and the toolstack says so */
	bool hotplug_done;          /* the toolstack has prepared the disk */
	bool wait_for_hotplug;      /* before anything is offered to the guest (xapi) */
	bool failed;                /* the ring cannot be served any more, or not as described */
	bool unannounced;           /* the ring is a new one, which the guest has not been told */
	bool tired;                 /* the guest has been asked to close for long */
	bool lets_go;               /* RING_BUSY: being disconnected, without force */
	bool dying;                 /* RING_CONNECTED: it serves no more, whoever said so */
	enum ring_state ring;
};

enum reaction {
	REACT_NOTHING,
	REACT_FORGET,           /* the device is none any more */
	REACT_OFFER,            /* publish features, state 2 */
	REACT_CONNECT,          /* connect the ring; then publish the disk, state 4 */
	REACT_FINISH,           /* the ring is connected: publish the disk, state 4 */
	REACT_DISCONNECT,       /* let go of the ring */
	REACT_DISCONNECT_FORCE, /* the same, without regard for the guest */
	REACT_CLOSING,          /* state 5 */
	REACT_CLOSED,           /* state 6 */
	REACT_FAIL,             /* say why, state 5 */
	REACT_COUNT
};

enum reaction state_react(const struct state_view *view);

const char *reaction_name(enum reaction reaction); /* static */

#endif
