/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From events of xenstore to devices that are dirty, and from there, one after the other, to a look
 * at each.  However many events there are, a device is in the queue once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/tapback.h"

#define DEVICES_PER_TURN 64

#define BASE_TOKEN "b"
#define DOMAINS "@releaseDomain"

void
devices_init(struct devices *devices)
{
	TAILQ_INIT(&devices->dirty);
}

/* ---- one device -------------------------------------------------------------------------------
 */

void
device_dirty(struct device *device)
{
	if (device->dirty)
		return;
	device->dirty = true;
	TAILQ_INSERT_TAIL(&device->tapback->devices.dirty, device, dirty_link);
}

static void
clean(struct device *device)
{
	if (device->dirty)
		TAILQ_REMOVE(&device->tapback->devices.dirty, device, dirty_link);
	device->dirty = false;
}

void
device_forget(struct device *device)
{
	struct devices *devices = &device->tapback->devices;
	struct domain *domain = device->domain;

	clean(device);
	LIST_REMOVE(device, link);
	domain->count--;
	device_free(device);
	if (domain->count)
		return;
	devices->domains[domain->domid] = NULL;
	free(domain);
}

struct device *
devices_find(const struct tapback *tapback, uint32_t domid, uint32_t devid)
{
	const struct domain *domain = tapback->devices.domains[domid];
	struct device *device = NULL;

	if (domain)
		LIST_FOREACH (device, &domain->devices, link)
			if (device->devid == devid)
				break;
	return device;
}

static struct domain *
domain_new(struct tapback *tapback, uint32_t domid)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return NULL;
	domain->domid = domid;
	domain->is_gone = !store_has_domain(tapback->store, domid);
	LIST_INIT(&domain->devices);
	tapback->devices.domains[domid] = domain;
	return domain;
}

/* A directory that was not known: 0 or -ENOMEM. */
static int
add(struct tapback *tapback, uint32_t domid, uint32_t devid)
{
	struct domain *domain = tapback->devices.domains[domid];
	struct device *device;

	if (!domain)
		domain = domain_new(tapback, domid);
	if (!domain)
		return -ENOMEM;
	if (domain->count == DEVICES_PER_DOMAIN) {
		if (!domain->is_full)
			tb_log(&tapback->log, LOG_ERR,
			       "domain %u: more than %u devices: %u and others are ignored", domid,
			       DEVICES_PER_DOMAIN, devid);
		domain->is_full = true;
		return 0;
	}
	device = device_new(tapback, domain, devid);
	if (device) {
		LIST_INSERT_HEAD(&domain->devices, device, link);
		domain->count++;
		device_dirty(device);
		return 0;
	}
	if (!domain->count) {
		tapback->devices.domains[domid] = NULL;
		free(domain);
	}
	return -ENOMEM;
}

/* 0 or -ENOMEM: whoever called begins anew in a moment, so that no device stays unknown. */
static int
touch(struct tapback *tapback, uint32_t domid, uint32_t devid)
{
	struct device *device;

	if (tapback->options.one_domain && tapback->options.domid != domid)
		return 0;
	device = devices_find(tapback, domid, devid);
	if (!device)
		return add(tapback, domid, devid);
	device_dirty(device);
	return 0;
}

/* ---- all devices ------------------------------------------------------------------------------
 */

/* Call fn for each device of a domain, or of all domains; fn must leave the lists alone. */
static void
each(struct tapback *tapback, int64_t domid, void (*fn)(struct device *device))
{
	struct device *device;
	uint32_t i;

	for (i = 0; i <= DOMID_MAX; i++) {
		if (!tapback->devices.domains[i] || (domid >= 0 && domid != i))
			continue;
		LIST_FOREACH (device, &tapback->devices.domains[i]->devices, link)
			fn(device);
	}
}

void
devices_free(struct tapback *tapback)
{
	struct domain *domain;
	uint32_t i;

	for (i = 0; i <= DOMID_MAX; i++)
		while ((domain = tapback->devices.domains[i]))
			device_forget(LIST_FIRST(&domain->devices));
}

static int
scan_domain(struct tapback *tapback, const char *name)
{
	char path[STORE_PATH_MAX];
	AUTO_FREE char **names = NULL;
	uint32_t domid, devid;
	unsigned count, i;
	int err;

	if (!parse_number(name, DOMID_MAX, &domid))
		return 0;
	snprintf(path, sizeof(path), "backend/%s/%u", tapback->options.name, domid);
	err = store_list(tapback->store, path, &names, &count);
	for (i = 0; !err && i < count; i++)
		if (parse_number(names[i], UINT32_MAX, &devid))
			err = touch(tapback, domid, devid);
	return err == -ENOENT ? 0 : err;
}

static int
scan_all(struct tapback *tapback)
{
	char path[STORE_PATH_MAX];
	AUTO_FREE char **names = NULL;
	unsigned count, i;
	int err;

	if (tapback->options.one_domain) {
		snprintf(path, sizeof(path), "%u", tapback->options.domid);
		return scan_domain(tapback, path);
	}
	err = store_list(tapback->store, tapback->base, &names, &count);
	if (err)
		return err == -ENOENT ? 0 : err;
	for (i = 0; !err && i < count; i++)
		err = scan_domain(tapback, names[i]);
	return err;
}

static void
look_anew(struct device *device)
{
	device->nodes.is_watched = false;
	device_dirty(device);
}

int
devices_scan(struct tapback *tapback)
{
	int err = store_watch(tapback->store, tapback->base, BASE_TOKEN);

	/* Not everybody may know: a driver domain learns of a guest's end from the toolstack. */
	if (!err && store_watch(tapback->store, DOMAINS, DOMAINS) == -EPIPE)
		err = -EPIPE;
	each(tapback, -1, look_anew);
	return err ? err : scan_all(tapback);
}

/* ---- events -----------------------------------------------------------------------------------
 */

/* "f<domid>/<devid>": somebody's frontend */
static void
frontend_event(struct tapback *tapback, const char *token)
{
	struct backend_path name;
	struct device *device;
	char path[STORE_PATH_MAX];

	snprintf(path, sizeof(path), "f/f/%.64s", token);
	if (!parse_backend_path(path, "f/f", &name) || name.level != BACKEND_DEVICE)
		return;
	device = devices_find(tapback, name.domid, name.devid);
	if (device)
		device_dirty(device);
}

/* Some domain has ended, or become known. */
static void
domains_event(struct tapback *tapback)
{
	struct domain *domain;
	bool is_gone;
	uint32_t i;

	for (i = 0; i <= DOMID_MAX; i++) {
		domain = tapback->devices.domains[i];
		if (!domain)
			continue;
		is_gone = !store_has_domain(tapback->store, i);
		if (is_gone != domain->is_gone)
			each(tapback, i, device_dirty);
		domain->is_gone = is_gone;
	}
}

static int
backend_event(struct tapback *tapback, const char *path)
{
	struct backend_path name;
	char domid[16];

	if (!parse_backend_path(path, tapback->base, &name))
		return 0;
	if (name.level == BACKEND_DEVICE)
		return touch(tapback, name.domid, name.devid);
	/* A level above was made or removed: that is the only event for all that is in it. */
	if (name.level == BACKEND_ALL) {
		each(tapback, -1, device_dirty);
		return scan_all(tapback);
	}
	each(tapback, name.domid, device_dirty);
	snprintf(domid, sizeof(domid), "%u", name.domid);
	return scan_domain(tapback, domid);
}

void
devices_event(struct tapback *tapback, const struct store_event *event)
{
	int err = 0;

	if (strcmp(event->token, BASE_TOKEN) == 0)
		err = backend_event(tapback, event->path);
	else if (strcmp(event->token, DOMAINS) == 0)
		domains_event(tapback);
	else if (event->token[0] == 'f')
		frontend_event(tapback, event->token + 1);
	if (err)
		tapback_store_lost(tapback);
}

bool
devices_run(struct tapback *tapback)
{
	unsigned left = DEVICES_PER_TURN;
	struct device *device;

	while (left-- && tapback->store && (device = TAILQ_FIRST(&tapback->devices.dirty))) {
		clean(device);
		device_look(device);
	}
	return tapback->store && !TAILQ_EMPTY(&tapback->devices.dirty);
}

static void
dump(struct device *device)
{
	const struct state_view *view = &device->view;
	const struct attach *attach = &device->attach;

	tb_log(&device->tapback->log, LOG_INFO,
	       "dump: domid %u devid %u own %d frontend %d online %d hotplug %d pid %u minor %u "
	       "queues %u transitions %u unlogged %u error '%s'",
	       device->domid, device->devid, (int)view->own, (int)view->frontend, view->online,
	       view->hotplug_done, attach->pid, attach->minor,
	       attach->ring_state == RING_CONNECTED ? attach->ring.queue_count : 0,
	       device->transitions, device->domain->log_limit.left_out, device->error.text);
}

void
devices_dump(struct tapback *tapback)
{
	each(tapback, -1, dump);
}
