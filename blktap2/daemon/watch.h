/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices of all guests, and which of them are to be looked at.
 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/log.h"
#include "daemon/parse.h"

#define DEVICES_PER_DOMAIN 512

struct device;
struct store_event;
struct tapback;

/* What the devices of one guest share. */
struct domain {
	uint32_t domid;
	bool is_gone; /* the guest has ended */
	bool is_full; /* it has had more devices than it may have, which has been told */
	unsigned count;
	struct tb_log_limit log_limit;
	LIST_HEAD(, device) devices;
};

struct devices {
	struct domain *domains[DOMID_MAX + 1]; /* owned; NULL: it has no devices */
	TAILQ_HEAD(, device) dirty;            /* to be looked at, in turn */
};

void devices_init(struct devices *devices);

/* Forget all of them, without touching their rings or nodes. */
void devices_free(struct tapback *tapback);

/* Watch, look for devices, and look at all of them anew: 0 or -errno. */
int devices_scan(struct tapback *tapback);

void devices_event(struct tapback *tapback, const struct store_event *event);

/* One that is known, or NULL.  domid is at most DOMID_MAX. */
struct device *devices_find(const struct tapback *tapback, uint32_t domid, uint32_t devid);

/* Look at some of those that are dirty.  True: there are more. */
bool devices_run(struct tapback *tapback);

/* Look at it soon.  Once is enough. */
void device_dirty(struct device *device);

/* Take it out of all lists, and free it. */
void device_forget(struct device *device);

/* Write all devices to the log. */
void devices_dump(struct tapback *tapback);

#endif
