/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors and timeouts that drivers wait for.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "drivers/core/driver-events.h"
#include "drivers/core/image.h"
#include "drivers/core/loop.h"
#include "drivers/core/server-internal.h"

/* An event on the loop. */
struct driver_armed {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer timer;
};

static void
fd_ready(void *arg, unsigned ready)
{
	struct driver_event *event = arg;
	unsigned mode = 0;

	if (ready & LOOP_READ)
		mode |= TD_EVENT_READ;
	if (ready & LOOP_WRITE)
		mode |= TD_EVENT_WRITE;
	event->cb(event->arg, event->id, mode);
}

static void
time_out(void *arg)
{
	struct driver_event *event = arg;
	struct driver_armed *armed = event->armed;

	loop_timer_set(armed->loop, &armed->timer, (uint64_t)event->timeout_ms);
	event->cb(event->arg, event->id, TD_EVENT_TIMEOUT);
}

static void
disarm(struct driver_event *event)
{
	struct driver_armed *armed = event->armed;

	if (!armed)
		return;
	event->armed = NULL;
	loop_unwatch(armed->watch);
	loop_timer_cancel(armed->loop, &armed->timer);
	free(armed);
}

static int
arm(struct driver_event *event, struct loop *loop)
{
	struct driver_armed *armed = calloc(1, sizeof(*armed));
	unsigned ways = 0;
	int err = 0;

	if (!armed)
		return -ENOMEM;
	armed->loop = loop;
	armed->timer.fn = time_out;
	armed->timer.arg = event;
	event->armed = armed;
	if (event->mode & TD_EVENT_READ)
		ways |= LOOP_READ;
	if (event->mode & TD_EVENT_WRITE)
		ways |= LOOP_WRITE;
	if (ways)
		err = loop_watch(loop, event->fd, ways, fd_ready, event, &armed->watch);
	if (!err && event->mode & TD_EVENT_TIMEOUT)
		err = loop_timer_set(loop, &armed->timer, (uint64_t)event->timeout_ms);
	if (err)
		disarm(event);
	return err;
}

void
td_driver_arm(td_driver_t *driver)
{
	struct driver_event *event;

	driver->core->served++;
	for (event = driver->core->events; event; event = event->next)
		if (!event->armed && arm(event, driver->core->server->loop))
			td_log(driver, LOG_ERR, "%s: an event could not be registered",
			       driver->name);
}

void
td_driver_disarm(td_driver_t *driver)
{
	struct driver_event *event;

	if (--driver->core->served)
		return;
	for (event = driver->core->events; event; event = event->next)
		disarm(event);
}

int
td_register_event(td_driver_t *driver, unsigned mode, int fd, int timeout_ms,
		  td_event_callback_t cb, void *arg)
{
	struct td_driver_core *core = driver->core;
	struct driver_event *event;
	int err;

	if (!mode || (mode & TD_EVENT_TIMEOUT && timeout_ms < 0))
		return -EINVAL;
	event = calloc(1, sizeof(*event));
	if (!event)
		return -ENOMEM;
	*event = (struct driver_event){ .id = core->next_event,
					.mode = mode,
					.fd = fd,
					.timeout_ms = timeout_ms,
					.cb = cb,
					.arg = arg };
	err = core->served ? arm(event, core->server->loop) : 0;
	if (err) {
		free(event);
		return err;
	}
	core->next_event++;
	event->next = core->events;
	core->events = event;
	return event->id;
}

void
td_unregister_event(td_driver_t *driver, int id)
{
	struct driver_event **at = &driver->core->events;
	struct driver_event *event;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	event = *at;
	if (!event)
		return;
	*at = event->next;
	disarm(event);
	free(event);
}

void
driver_events_free(td_driver_t *driver)
{
	struct driver_event *event;

	while ((event = driver->core->events)) {
		driver->core->events = event->next;
		free(event);
	}
}
