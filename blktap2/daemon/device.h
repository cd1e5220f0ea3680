/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One disk of one guest.
 */
#ifndef DAEMON_DEVICE_H
#define DAEMON_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/reason.h"
#include "daemon/attach.h"
#include "daemon/loop.h"
#include "daemon/nodes.h"
#include "daemon/state.h"

struct domain;
struct tapback;

/* How often something may happen in a while.  Zeroed before the first use. */
struct device_rate {
	uint64_t since; /* loop milliseconds */
	unsigned count;
};

struct device {
	struct tapback *tapback; /* borrowed */
	struct domain *domain;   /* borrowed */
	uint32_t domid, devid;
	struct device_nodes nodes;
	struct attach attach;

	struct state_view view;     /* as last seen */
	bool failed;                /* see struct state_view */
	bool unannounced;           /* see struct state_view */
	bool is_named;              /* the tapdisk, in its node; and its image was looked at */
	uint64_t announced_sectors; /* to the guest; 0: not known */
	struct reason error;        /* the last failure; empty: none */
	char told[REASON_BYTES];    /* the last line in the log, so as not to repeat it */

	bool dirty;
	uint64_t looked_at;     /* loop milliseconds */
	uint64_t closing_since; /* loop milliseconds; 0: nobody has asked to close */
	struct device_rate looks, changes;
	unsigned transitions;  /* of our state */
	struct tb_timer again; /* look at it then, whatever happens */
	TAILQ_ENTRY(device) dirty_link;
	LIST_ENTRY(device) link;
};

struct device *device_new(struct tapback *tapback, struct domain *domain, uint32_t devid);
void device_free(struct device *device);

/* Look at it, and do what is to be done.  The device may be gone afterwards. */
void device_look(struct device *device);

/* Look at it again in so many milliseconds, unless that is to happen earlier anyway. */
void device_look_in(struct device *device, uint64_t ms);

/*
 * The ring cannot be served as the guest describes it, or not any more: this is written to the
 * error node, and the device is closed.
 */
void device_fail(struct device *device, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A line about a device; what a guest can cause is bounded. */
void device_log(struct device *device, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
