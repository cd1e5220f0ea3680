/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at a device: read, react, do one thing; then look again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tapback.h"

#define RETRY_MS 1000
#define TIRED_MS 5000 /* the toolstack waits 10 s, then it uses force */

/* A device that keeps us busier than this is looked at once a second. */
#define RATE_PERIOD_MS 10000
#define LOOKS_MAX 400
#define CHANGES_MAX 50

static void
again(void *arg)
{
	device_dirty(arg);
}

struct device *
device_new(struct tapback *tapback, struct domain *domain, uint32_t devid)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->tapback = tapback;
	device->domain = domain;
	device->domid = domain->domid;
	device->devid = devid;
	device->again = (struct tb_timer){ .fn = again, .arg = device };
	nodes_init(device);
	attach_init(device);
	return device;
}

void
device_free(struct device *device)
{
	tb_timer_clear(device->tapback->loop, &device->again);
	attach_free(device);
	nodes_free(device);
	free(device);
}

void
device_look_in(struct device *device, uint64_t ms)
{
	if (!device->again.at || device->again.at > tb_loop_now() + ms)
		tb_timer_set(device->tapback->loop, &device->again, ms);
}

/* ---- words ------------------------------------------------------------------------------------
 */

void
device_log(struct device *device, int priority, const char *format, ...)
{
	struct tapback *tapback = device->tapback;
	char line[REASON_BYTES];
	unsigned left_out;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (priority > tapback->log.level || strcmp(line, device->told) == 0)
		return;
	memcpy(device->told, line, sizeof(line));
	if (!tb_log_may(&device->domain->log_limit, tb_loop_now(), &left_out))
		return;
	if (left_out)
		tb_log(&tapback->log, LOG_NOTICE, "domain %u: %u lines left out", device->domid,
		       left_out);
	tb_log(&tapback->log, priority, "domain %u device %u: %s", device->domid, device->devid,
	       line);
}

void
device_fail(struct device *device, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(device->error.text, sizeof(device->error.text), format, args);
	va_end(args);
	device->failed = true;
}

/* ---- seeing -----------------------------------------------------------------------------------
 */

/* Is the ring that is connected the one that the frontend describes by now? */
static int
compare_ring(struct device *device, struct state_view *view)
{
	struct reason why;
	struct ring ring;
	int err;

	view->ring = device->attach.ring_state;
	view->lets_go = device->attach.lets_go;
	view->dying = device->attach.is_dying;
	if (device->attach.is_hidden) {
		/* To connect it once more does no harm, and tells whether it is there. */
		bool is_used = view->own == XENBUS_CONNECTED && view->frontend == XENBUS_CONNECTED;

		view->ring = is_used ? RING_NONE : RING_OTHER;
		return 0;
	}
	if (view->ring != RING_CONNECTED || view->own == XENBUS_CLOSING ||
	    view->own == XENBUS_CLOSED)
		return 0;
	if (view->frontend != XENBUS_INITIALISED &&
	    (view->frontend != XENBUS_CONNECTED || view->own == XENBUS_CONNECTED))
		return 0;
	err = nodes_ring(device, &ring, &why);
	if (err == -EPROTO || (!err && !ring_is_equal(&ring, &device->attach.ring)))
		view->ring = RING_OTHER;
	return err == -EPROTO ? 0 : err;
}

/* For how long has the guest been asked to close? */
static void
watch_patience(struct device *device, struct state_view *view)
{
	uint64_t now = tb_loop_now();

	if (view->own != XENBUS_CLOSING) {
		device->closing_since = 0;
		return;
	}
	if (!device->closing_since)
		device->closing_since = now;
	view->tired = now - device->closing_since >= TIRED_MS;
	if (!view->tired && view->ring == RING_NONE)
		device_look_in(device, device->closing_since + TIRED_MS - now);
}

/* A disk that has gone while a guest was connected is not to come back as another one unasked. */
static void
notice_loss(struct device *device, const struct state_view *view)
{
	const struct attach *attach = &device->attach;

	if (!disk_has_gone(attach->disk) || view->own != XENBUS_CONNECTED || device->failed)
		return;
	if (attach->disk == DISK_DEAD) {
		device_fail(device, "the disk's process has died");
		device_log(device, LOG_ERR, "tapdisk %u has died", attach->pid);
	} else {
		device_fail(device, "the disk has been taken away");
		device_log(device, LOG_ERR, "tapdisk %u has no minor %u any more", attach->pid,
			   attach->minor);
	}
}

static void
watch_disk(struct device *device, const struct state_view *before, struct state_view *view)
{
	const struct attach *attach = &device->attach;

	attach_again(device, view->hotplug_done && !before->hotplug_done);
	view->disk_ready = view->hotplug_done && attach->disk == DISK_READY &&
			   tb_loop_now() >= attach->connect_at;
	if (attach->connect_at > tb_loop_now())
		device_look_in(device, attach->connect_at - tb_loop_now());
	view->failed = device->failed;
}

/* Nobody is told when a domain of the same number becomes known. */
static bool
is_domain_gone(struct device *device)
{
	struct domain *domain = device->domain;

	if (domain->is_gone)
		domain->is_gone = !store_has_domain(device->tapback->store, domain->domid);
	return domain->is_gone;
}

static int
see(struct device *device, struct reason *why)
{
	struct state_view before = device->view, view = { 0 };
	int err = nodes_look(device, &view, why);

	view.domain_gone = is_domain_gone(device);
	device->view = view;
	if (err && err != -EINVAL)
		return err;
	notice_loss(device, &device->view); /* before it is looked for elsewhere */
	if (!err && view.exists)
		err = nodes_find_disk(device);
	if (err && err != -EINVAL)
		return err;
	watch_disk(device, &before, &device->view);
	if (err)
		return err;
	err = compare_ring(device, &device->view);
	device->view.unannounced = device->unannounced;
	watch_patience(device, &device->view);
	return err;
}

/* ---- doing ------------------------------------------------------------------------------------
 */

/*
 * The toolstack has written something that is no device: say so, and wait for better.  A ring can
 * only be that of a device which was there before.
 */
static int
idle(struct device *device, const struct reason *why)
{
	char path[STORE_PATH_MAX], found[STORE_PATH_MAX];
	int err;

	if (device->attach.ring_state == RING_CONNECTED && device->view.own == XENBUS_INITIALISING)
		attach_disconnect(device, true);
	device_log(device, LOG_WARNING, "%s", why->text);
	snprintf(path, sizeof(path), "%s/error", device->nodes.backend);
	err = store_read(device->tapback->store, STORE_NO_TX, path, found, sizeof(found));
	if (!err && strcmp(found, why->text) == 0)
		return 0;
	return nodes_error(device, why->text);
}

static int
offer(struct device *device)
{
	int err = nodes_offer(device);

	if (err)
		return err;
	device_log(device, LOG_INFO, "offered");
	device->failed = false;
	device->unannounced = false;
	device->is_named = false; /* the directory may be a new one */
	device->error.text[0] = '\0';
	return 0;
}

static int
connect_ring(struct device *device)
{
	struct device_wish wish;
	struct reason why;
	struct ring ring;
	int err = nodes_wish(device, &wish, &why);

	if (err == -EINVAL)
		return idle(device, &why);
	if (!err)
		err = nodes_ring(device, &ring, &why);
	if (err == -EPROTO) {
		device_fail(device, "%s", why.text);
		device_dirty(device);
		return 0;
	}
	if (!err)
		attach_connect(device, &ring, &wish);
	return err;
}

static int
finish(struct device *device)
{
	const struct attach *attach = &device->attach;
	int err;

	/* A ring that was found when we started: what the toolstack wants is not known yet. */
	if (!device->unannounced) {
		struct reason why;

		err = nodes_wish(device, &device->attach.wish, &why);
		if (err)
			return err == -EINVAL ? idle(device, &why) : err;
	}
	err = nodes_connected(device);
	if (err)
		return err;
	device->unannounced = false;
	device->announced_sectors = attach->info.sectors;
	attach_tell(device, "connected");
	return 0;
}

static int
fail(struct device *device)
{
	const char *error = device->failed ? device->error.text
					   : "the state of the frontend is none that there is";
	int err = nodes_fail(device, error);

	if (!err)
		device_log(device, LOG_ERR, "%s", error);
	return err;
}

/* xapi may leave it to us to clear away what belonged to a guest that has gone. */
static int
closed(struct device *device)
{
	int err = nodes_state(device, XENBUS_CLOSED);

	if (err)
		return err;
	device_log(device, LOG_INFO, "closed");
	if (device->tapback->options.remove_backend && device->nodes.is_xapi &&
	    device->view.frontend == XENBUS_MISSING) {
		device->view.own = XENBUS_CLOSED;
		err = nodes_remove(device);
	}
	return err;
}

/* What has to be done although no state changes. */
static int
keep_up(struct device *device)
{
	struct attach *attach = &device->attach;
	uint64_t sectors = attach->info.sectors;
	int err = 0;

	if (attach->disk != DISK_READY || !device->view.exists)
		return 0;
	if (!device->is_named) {
		err = nodes_kthread_pid(device);
		if (!err)
			err = nodes_compare_params(device);
		device->is_named = !err;
	}
	if (err || device->view.own != XENBUS_CONNECTED || device->view.ring != RING_CONNECTED)
		return err;
	if (!device->announced_sectors)
		err = nodes_announced(device, &device->announced_sectors);
	if (err || sectors <= device->announced_sectors)
		return err;
	err = nodes_resized(device);
	if (!err)
		device->announced_sectors = sectors;
	return err;
}

static int
react(struct device *device, enum reaction reaction)
{
	switch (reaction) {
	case REACT_OFFER:
		return offer(device);
	case REACT_CONNECT:
		return connect_ring(device);
	case REACT_FINISH:
		return finish(device);
	case REACT_DISCONNECT:
	case REACT_DISCONNECT_FORCE:
		attach_disconnect(device, reaction == REACT_DISCONNECT_FORCE);
		return 0;
	case REACT_CLOSING:
		return nodes_state(device, XENBUS_CLOSING);
	case REACT_CLOSED:
		return closed(device);
	case REACT_FAIL:
		return fail(device);
	default:
		return keep_up(device);
	}
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static bool
is_too_often(struct device_rate *rate, uint64_t now, unsigned max)
{
	if (now - rate->since >= RATE_PERIOD_MS)
		*rate = (struct device_rate){ .since = now };
	return rate->count > max;
}

/* Is it to wait?  Then it is looked at later. */
static bool
is_braked(struct device *device)
{
	uint64_t now = tb_loop_now(), next = device->looked_at + RETRY_MS;
	bool too_often = is_too_often(&device->looks, now, LOOKS_MAX);

	too_often |= is_too_often(&device->changes, now, CHANGES_MAX);
	if (too_often && now < next) {
		device_look_in(device, next - now);
		return true;
	}
	device->looked_at = now;
	device->looks.count++;
	return false;
}

static void
settle(struct device *device, int err)
{
	switch (err) {
	case 0:
		return;
	case -EPIPE:
		tapback_store_lost(device->tapback);
		return;
	case -ENOENT: /* it has gone: see that */
	case -ESTALE: /* it has changed: see how */
		device_dirty(device);
		return;
	default:
		device_log(device, LOG_WARNING, "xenstore: %s", strerror(-err));
		device_look_in(device, RETRY_MS);
	}
}

void
device_look(struct device *device)
{
	enum reaction reaction;
	struct reason why;
	int err;

	if (is_braked(device))
		return;
	err = see(device, &why);
	if (err) {
		settle(device, err == -EINVAL ? idle(device, &why) : err);
		return;
	}
	reaction = state_react(&device->view);
	if (reaction == REACT_FORGET) {
		device_forget(device);
		return;
	}
	if (reaction != REACT_NOTHING) {
		tb_log(&device->tapback->log, LOG_DEBUG, "domain %u device %u: %s", device->domid,
		       device->devid, reaction_name(reaction));
		device->changes.count++;
	}
	settle(device, react(device, reaction));
}
