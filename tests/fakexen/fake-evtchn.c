/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of libxenevtchn on the world of world.h. */
#include <errno.h>
#include <stdlib.h>

#include <xenevtchn.h>

#include "tests/fakexen/world.h"

struct xenevtchn_handle {
	struct world_events events;
};

static int
told(int result)
{
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

xenevtchn_handle *
xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	xenevtchn_handle *handle = NULL;
	const char *dir = world_dir();
	int err = -ENOENT;

	(void)logger;
	(void)flags;
	if (dir)
		handle = calloc(1, sizeof(*handle));
	if (handle)
		err = world_open_events(&handle->events, dir, world_domid());
	if (err) {
		free(handle);
		told(err);
		return NULL;
	}
	return handle;
}

int
xenevtchn_close(xenevtchn_handle *handle)
{
	if (handle)
		world_close_events(&handle->events);
	free(handle);
	return 0;
}

int
xenevtchn_fd(xenevtchn_handle *handle)
{
	return handle->events.fd;
}

int
xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
	return told(world_notify(&handle->events, port));
}

xenevtchn_port_or_error_t
xenevtchn_bind_unbound_port(xenevtchn_handle *handle, uint32_t domid)
{
	return told(world_listen(&handle->events, domid));
}

xenevtchn_port_or_error_t
xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domid, evtchn_port_t remote)
{
	return told(world_bind(&handle->events, domid, remote));
}

int
xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
	return told(world_unbind(&handle->events, port));
}

xenevtchn_port_or_error_t
xenevtchn_pending(xenevtchn_handle *handle)
{
	return told(world_pending(&handle->events));
}

int
xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t port)
{
	return told(world_unmask(&handle->events, port));
}
