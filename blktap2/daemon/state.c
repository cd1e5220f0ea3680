/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reactions of a backend, one function for each state of ours.
 */
#include "daemon/state.h"

static bool
has_ring(const struct state_view *view)
{
	return view->ring == RING_CONNECTED || view->ring == RING_OTHER;
}

/* The guest is using the device, or about to. */
static bool
is_active(const struct state_view *view)
{
	return view->frontend == XENBUS_INITIALISED || view->frontend == XENBUS_CONNECTED ||
	       view->frontend == XENBUS_CLOSING;
}

static bool
wants_ring(const struct state_view *view)
{
	return view->frontend == XENBUS_INITIALISED || view->frontend == XENBUS_CONNECTED;
}

/* Nobody is there any more to close anything. */
static bool
is_abandoned(const struct state_view *view)
{
	return view->domain_gone || view->frontend == XENBUS_MISSING ||
	       view->frontend == XENBUS_UNKNOWN;
}

/* The guest is done with the ring, whoever began. */
static enum reaction
after_closing(const struct state_view *view)
{
	if (view->ring == RING_UNKNOWN)
		return REACT_NOTHING;
	return has_ring(view) ? REACT_DISCONNECT : REACT_CLOSED;
}

static enum reaction
react_abandoned(const struct state_view *view)
{
	if (has_ring(view))
		return REACT_DISCONNECT_FORCE;
	if (view->ring == RING_UNKNOWN || view->own == XENBUS_CLOSED)
		return REACT_NOTHING;
	return REACT_CLOSED;
}

/* Our directory has gone: nothing is written any more, but no ring is left behind. */
static enum reaction
react_removed(const struct state_view *view)
{
	if (view->ring == RING_UNKNOWN)
		return REACT_NOTHING;
	return has_ring(view) ? REACT_DISCONNECT_FORCE : REACT_FORGET;
}

/* The guest has written a state that there is none of. */
static enum reaction
react_nonsense(const struct state_view *view)
{
	if (has_ring(view))
		return REACT_DISCONNECT;
	if (view->own == XENBUS_CLOSING || view->own == XENBUS_CLOSED)
		return REACT_NOTHING;
	return REACT_FAIL;
}

/* A new device: the toolstack goes on when it has seen our offer, so nothing is waited for. */
static enum reaction
react_new(const struct state_view *view)
{
	if (has_ring(view))
		return REACT_DISCONNECT;
	if (!view->online || view->frontend == XENBUS_CLOSED)
		return after_closing(view);
	if (view->frontend == XENBUS_CLOSING)
		return REACT_CLOSING;
	if (view->wait_for_hotplug && !view->hotplug_done)
		return REACT_NOTHING;
	return REACT_OFFER;
}

static enum reaction
react_offline(const struct state_view *view)
{
	if (is_active(view) || has_ring(view))
		return REACT_CLOSING;
	return after_closing(view);
}

static enum reaction
react_offered(const struct state_view *view)
{
	if (view->frontend == XENBUS_CLOSED)
		return after_closing(view);
	if (view->frontend == XENBUS_CLOSING)
		return REACT_CLOSING;
	if (!view->online)
		return react_offline(view);
	if (view->failed)
		return has_ring(view) ? REACT_DISCONNECT : REACT_FAIL;
	if (!wants_ring(view))
		return has_ring(view) ? REACT_DISCONNECT : REACT_NOTHING;
	if (view->ring == RING_CONNECTED)
		return REACT_FINISH;
	if (view->ring == RING_OTHER)
		return REACT_DISCONNECT;
	return view->disk_ready && view->ring == RING_NONE ? REACT_CONNECT : REACT_NOTHING;
}

static enum reaction
react_connected(const struct state_view *view)
{
	if (view->frontend == XENBUS_CLOSED)
		return after_closing(view);
	if (view->frontend == XENBUS_CLOSING)
		return REACT_CLOSING;
	if (view->ring == RING_UNKNOWN)
		return REACT_NOTHING;
	if (view->failed)
		return has_ring(view) ? REACT_DISCONNECT : REACT_FAIL;
	if (!view->online)
		return react_offline(view);
	if (view->frontend == XENBUS_INITIALISING)
		return has_ring(view) ? REACT_DISCONNECT : REACT_OFFER;
	if (!wants_ring(view)) /* a guest that closed and went on without waiting for us */
		return has_ring(view) ? REACT_NOTHING : REACT_CLOSING;
	if (view->ring == RING_OTHER && view->frontend == XENBUS_INITIALISED)
		return REACT_DISCONNECT;
	if (view->ring == RING_CONNECTED && view->unannounced)
		return REACT_FINISH;
	return view->ring == RING_NONE && view->disk_ready ? REACT_CONNECT : REACT_NOTHING;
}

/* Asked to close, by the toolstack, the guest, or a failure. */
static enum reaction
react_closing(const struct state_view *view)
{
	if (view->frontend == XENBUS_CLOSED)
		return after_closing(view);
	if (is_active(view)) {
		/* The guest waits for a ring, and is never to be told of this one. */
		if (has_ring(view) && view->unannounced && view->frontend == XENBUS_INITIALISED)
			return REACT_DISCONNECT;
		if (view->tired && view->ring == RING_NONE && !view->online)
			return REACT_CLOSED;
		return REACT_NOTHING;
	}
	if (view->frontend == XENBUS_INITIALISING && view->online)
		return view->ring == RING_NONE ? REACT_OFFER : after_closing(view);
	if (view->frontend == XENBUS_RECONFIGURING || view->frontend == XENBUS_RECONFIGURED)
		return view->ring == RING_NONE ? REACT_CLOSED : REACT_NOTHING;
	/* Where others write our state, too, only the guest or the end of the device counts. */
	if (view->wait_for_hotplug && view->online)
		return REACT_NOTHING;
	return after_closing(view);
}

static enum reaction
react_closed(const struct state_view *view)
{
	if (has_ring(view))
		return REACT_DISCONNECT;
	if (view->ring == RING_UNKNOWN || !view->online)
		return REACT_NOTHING;
	if (view->wait_for_hotplug && !view->hotplug_done)
		return REACT_NOTHING;
	if (view->frontend == XENBUS_INITIALISING || wants_ring(view))
		return REACT_OFFER;
	return REACT_NOTHING;
}

/* One thing at a time; but what a disk that hangs has in flight is not waited for without a guest.
 */
static enum reaction
react_busy(const struct state_view *view)
{
	if (view->lets_go && (!view->exists || is_abandoned(view)))
		return REACT_DISCONNECT_FORCE;
	return REACT_NOTHING;
}

enum reaction
state_react(const struct state_view *view)
{
	if (view->ring == RING_BUSY)
		return react_busy(view);
	if (!view->exists)
		return react_removed(view);
	if (is_abandoned(view))
		return react_abandoned(view);
	if (view->dying && has_ring(view))
		return REACT_DISCONNECT;
	if (view->frontend == XENBUS_INVALID)
		return react_nonsense(view);
	switch (view->own) {
	case XENBUS_UNKNOWN:
	case XENBUS_INITIALISING:
		return react_new(view);
	case XENBUS_INIT_WAIT:
	case XENBUS_INITIALISED:
		return react_offered(view);
	case XENBUS_CONNECTED:
		return react_connected(view);
	case XENBUS_CLOSING:
		return react_closing(view);
	case XENBUS_CLOSED:
		return react_closed(view);
	default:
		return REACT_NOTHING; /* whoever wrote that will write again */
	}
}

const char *
reaction_name(enum reaction reaction)
{
	static const char *const names[REACT_COUNT] = {
		[REACT_NOTHING] = "nothing",
		[REACT_FORGET] = "forget",
		[REACT_OFFER] = "offer",
		[REACT_CONNECT] = "connect",
		[REACT_FINISH] = "finish",
		[REACT_DISCONNECT] = "disconnect",
		[REACT_DISCONNECT_FORCE] = "disconnect by force",
		[REACT_CLOSING] = "closing",
		[REACT_CLOSED] = "closed",
		[REACT_FAIL] = "fail",
	};

	return reaction < REACT_COUNT ? names[reaction] : "?";
}
