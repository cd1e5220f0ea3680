/* SPDX-License-Identifier: BSD-2-Clause */
/* Event channels on the loop: see xen-events.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <xenevtchn.h>
#include <xentoollog.h>

#include "drivers/core/loop.h"
#include "drivers/frontend/xen-events.h"
#include "drivers/frontend/xen-quiet.h"

#define EVENTS_PER_TURN 64
#define PORTS_MAX (1u << 20) /* no port of any interface of Xen is larger */

struct binding {
	void (*fn)(void *arg); /* NULL: the port is not ours (any more) */
	void *arg;
};

struct xen_events {
	xentoollog_logger quiet;
	xenevtchn_handle *handle;
	struct loop_watch *watch;
	struct binding *ports; /* by their numbers, which the kernel keeps small */
	uint32_t room;
};

static void
on_events(void *arg, unsigned ready)
{
	struct xen_events *events = arg;
	const struct binding *binding;
	int i, port;

	(void)ready;
	for (i = 0; i < EVENTS_PER_TURN; i++) {
		port = xenevtchn_pending(events->handle);
		if (port < 0)
			return;
		if ((uint32_t)port >= events->room)
			continue;
		binding = &events->ports[port];
		if (binding->fn)
			binding->fn(binding->arg);
	}
}

/* Asking for an event must not wait for one. */
static int
make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int
xen_events_new(struct xen_events **out, struct loop *loop)
{
	struct xen_events *events = calloc(1, sizeof(*events));
	int err, fd;

	if (!events)
		return -ENOMEM;
	errno = 0;
	events->quiet = xen_quiet();
	events->handle = xenevtchn_open(&events->quiet, 0);
	if (!events->handle) {
		err = errno ? -errno : -ENODEV;
		free(events);
		return err;
	}
	fd = xenevtchn_fd(events->handle);
	err = make_nonblocking(fd);
	if (!err)
		err = loop_watch(loop, fd, LOOP_READ, on_events, events, &events->watch);
	if (err) {
		xen_events_free(events);
		return err;
	}
	*out = events;
	return 0;
}

void
xen_events_free(struct xen_events *events)
{
	if (!events)
		return;
	loop_unwatch(events->watch);
	xenevtchn_close(events->handle);
	free(events->ports);
	free(events);
}

static int
make_room(struct xen_events *events, uint32_t port)
{
	uint32_t room = events->room ? events->room : 64;
	struct binding *ports;

	if (port >= PORTS_MAX)
		return -ERANGE;
	while (room <= port)
		room *= 2;
	if (room == events->room)
		return 0;
	ports = reallocarray(events->ports, room, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	memset(ports + events->room, 0, (room - events->room) * sizeof(*ports));
	events->ports = ports;
	events->room = room;
	return 0;
}

int
xen_events_bind(struct xen_events *events, uint32_t domid, uint32_t remote, void (*fn)(void *arg),
		void *arg, uint32_t *port)
{
	int bound, err;

	errno = 0;
	bound = xenevtchn_bind_interdomain(events->handle, domid, remote);
	if (bound < 0)
		return errno ? -errno : -EINVAL;
	err = make_room(events, (uint32_t)bound);
	if (err) {
		xenevtchn_unbind(events->handle, (uint32_t)bound);
		return err;
	}
	events->ports[bound] = (struct binding){ .fn = fn, .arg = arg };
	*port = (uint32_t)bound;
	return 0;
}

void
xen_events_unbind(struct xen_events *events, uint32_t port)
{
	events->ports[port].fn = NULL;
	xenevtchn_unbind(events->handle, port);
}

void
xen_events_unmask(struct xen_events *events, uint32_t port)
{
	xenevtchn_unmask(events->handle, port);
}

void
xen_events_notify(struct xen_events *events, uint32_t port)
{
	xenevtchn_notify(events->handle, port);
}
