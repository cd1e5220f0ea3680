/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the block interface share.
 *
 *   blkif.c            the process's part: rings by name, work of a turn
 *   blkif-device.c     a ring of a guest: connect, disconnect; the vbd's source
 *   blkif-queue.c      one shared ring of it: events, taking, publishing
 *   blkif-request.c    the way of a request
 *   blkif-barrier.c    ... that others have to wait for
 *   blkif-copy.c       data between guests and our buffers, all of a turn in one call
 *   blkif-persistent.c grants that stay mapped
 *   blkif-stats.c      what is counted and told about them
 *   blkif-pages.c      ... in shared memory
 *   blkif-ring.c, blkif-wire.c   the shared memory itself
 *
 * In the language of the control side a ring is a (domid, devid), which is a device here; it has
 * one or more queues, each a ring of shared memory with an event channel.
 *
 * The way of a request: taken from the ring into a slot of the queue; checked; given memory; what
 * the guest writes is copied; the vbd serves it; what the guest reads is copied; a response is
 * written.  Copies wait for the end of the turn, where they are one call, and the responses of a
 * turn are published with one notification.
 */
#ifndef FRONTEND_BLKIF_INTERNAL_H
#define FRONTEND_BLKIF_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "drivers/core/loop.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd.h"
#include "drivers/frontend/blkif-ring.h"
#include "drivers/frontend/blkif-wire.h"
#include "drivers/frontend/blkif.h"
#include "drivers/frontend/cpu-idle.h"
#include "drivers/frontend/xen-grants.h"

struct blkif_pages;
struct buffers;
struct json_object;
struct xen_events;
struct persistent;
struct blkif_device;
struct blkif_queue;

#define BLKIF_COPIES_MAX 4096  /* in one call */
#define BLKIF_TURN_REQUESTS 64 /* taken from a queue before others have their turn */

/* Grants that stay mapped, of all rings: each is a mapping, and a process may have 65530 of them.
 */
#define BLKIF_KEPT_MAX 32768

/* ---- requests ---------------------------------------------------------------------------------
 */

struct blkif_slot;
STAILQ_HEAD(blkif_slots, blkif_slot);

struct blkif_slot {
	struct blkif_queue *queue;
	struct blkif_request request;
	struct vbd_request vreq;
	struct iovec iov;
	uint64_t taken; /* loop microseconds */
	uint64_t bytes; /* of data, or to be discarded */
	char *data;     /* from the pool, or NULL */
	char *page;     /* the copy of the indirect page, from the pool, or NULL */

	/* What follows when it has memory, and when its copies were made; err is 0 or -EFAULT. */
	void (*begin)(struct blkif_slot *slot);
	void (*copied)(struct blkif_slot *slot, int err);
	unsigned copy_count; /* in the call that is being made */
	bool wants_page;     /* waits for memory not for the data, but for the indirect page */
	bool copies_page;    /* not the data, but the indirect page */
	bool copies_out;     /* data to the guest */
	bool answered;       /* its time was over */
	STAILQ_ENTRY(blkif_slot) link; /* free, waiting for memory, or to be copied */
};

/* ---- queues -----------------------------------------------------------------------------------
 */

struct blkif_queue {
	struct blkif_device *device;
	struct blkif_ring ring;
	void *pages; /* NULL: unmapped */
	unsigned order;
	uint32_t port; /* ours; 0: not bound */
	bool fired;    /* an event came, and its channel is still masked */
	bool active;   /* in the list of those that have something to do ... */
	unsigned turn; /* ... since this turn */
	TAILQ_ENTRY(blkif_queue) active_link;
	uint64_t poll_until; /* loop microseconds */

	struct blkif_slot *slots;
	struct blkif_slots free_slots;
	struct blkif_slots hungry; /* wait for memory: no more are taken meanwhile */
};

/* ---- devices ----------------------------------------------------------------------------------
 */

struct blkif_counters {
	uint64_t requests, responses;
	uint64_t kicks_in, kicks_out;
	uint64_t bad_requests; /* that could not be served as they were */
	uint64_t bad_copies;
	uint64_t disk_errors;
	uint64_t discards, flushes;
	uint64_t usecs_max[2];  /* of a read, of a write */
	struct shm_counters io; /* with barriers among the writes */
};

struct blkif_device {
	struct blkif *blkif;
	struct vbd_source source;
	struct vbd *vbd;
	TAILQ_ENTRY(blkif_device) link;
	struct blkif_config config; /* its queues are owned: configs, grefs */
	uint32_t *grefs;
	struct blkif_queue_config *queue_configs;
	enum blkif_state state;
	bool is_source;                /* known to the vbd, and in the list of all */
	bool masked;                   /* take no requests: the disk is paused */
	bool severed;                  /* the guest's memory is not to be touched any more */
	unsigned in_flight;            /* slots in use, of all queues */
	size_t bytes;                  /* of their data */
	struct blkif_slot *barrier;    /* everything waits for it; NULL: none */
	bool barrier_waits;            /* itself, for all before it */
	struct persistent *persistent; /* NULL: grants are not kept */
	unsigned kept_max;             /* grants that it may keep */
	void (*gone)(void *arg);
	void *gone_arg;
	struct blkif_counters counters;
	struct blkif_pages *pages; /* NULL: nothing is shown */
	struct tlog_limit limit;
	struct blkif_queue queues[];
};

/* ---- the process ------------------------------------------------------------------------------
 */

struct blkif {
	struct tapdisk_server *server;
	struct loop *loop;
	struct buffers *buffers;
	struct tlog *log;
	struct xen_grants grants;
	struct xen_events *events;
	TAILQ_HEAD(, blkif_device) devices;
	unsigned device_count;
	unsigned kept_max; /* grants that all of them may keep */
	size_t page_bytes; /* of pages of segments, of all of them */
	TAILQ_HEAD(, blkif_queue) active;
	struct blkif_slots copies; /* to be made at the end of this turn */
	struct loop_task task;
	struct loop_timer hunger; /* to ask for memory again */
	struct loop_timer tell;   /* to show again how the rings stand */
	struct cpu_idle cpu;
	unsigned turn; /* changes with each run of the task */
	xen_copy_t copy[BLKIF_COPIES_MAX];
};

/* The queue has something to do at the end of this turn. */
void blkif_touch(struct blkif_queue *queue);

/* Some slot waits for memory: ask again by and by. */
void blkif_starve(struct blkif *blkif);

/* There is a ring: show from time to time how it stands. */
void blkif_tell_later(struct blkif *blkif);

/* ---- devices ---- */

/* May something be written to the guest's rings? */
static inline bool
blkif_is_alive(const struct blkif_device *device)
{
	return !device->severed && device->state != BLKIF_FAILED;
}

/* The guest broke the protocol: its rings are not looked at again. */
void blkif_device_fail(struct blkif_device *device, const char *why);

/* A slot was given back: whoever waits for the last one goes on.  The device may be gone then. */
void blkif_device_settle(struct blkif_device *device);

int blkif_device_new(struct blkif *blkif, struct vbd *vbd, const struct blkif_config *config,
		     const char **why);
void blkif_device_disconnect(struct blkif_device *device, bool force);

/* ---- statistics ---- */

/* For the vbd's statistics: see struct vbd_source_ops. */
struct json_object *blkif_device_stats(struct vbd_source *source, bool *connected);

/* The slot's request was taken; it is answered with BLKIF_RSP_*. */
void blkif_count_begin(struct blkif_slot *slot);
void blkif_count_end(struct blkif_slot *slot, int status);

/* Pages for monitors, of a device whose queues are connected.  NULL: there are none. */
struct blkif_pages *blkif_pages_new(const struct blkif_device *device);
void blkif_pages_update(struct blkif_pages *pages, const struct blkif_counters *counters);

/* Show how the rings, which are mapped, stand. */
void blkif_pages_tell(struct blkif_pages *pages, const struct blkif_device *device);

/* The guest's ring has gone: another may take the names.  May be updated still. */
void blkif_pages_hide(struct blkif_pages *pages);
void blkif_pages_free(struct blkif_pages *pages);

/* ---- queues ---- */

int blkif_queue_connect(struct blkif_queue *queue, const struct blkif_queue_config *config,
			const struct blkif_layout *layout, const char **why);
void blkif_queue_greet(struct blkif_queue *queue); /* connected: look, and have the guest look */
void blkif_queue_unbind(struct blkif_queue *queue);
void blkif_queue_unmap(struct blkif_queue *queue);
void blkif_queue_free(struct blkif_queue *queue);

/* At the end of a turn: publish, notify, look for more, or go to sleep. */
void blkif_queue_turn(struct blkif_queue *queue);

void blkif_queue_publish(struct blkif_queue *queue);

/* ---- requests ---- */

/* Serve the slot's request, which was just decoded. */
void blkif_request_start(struct blkif_slot *slot);

/* Those that wait for memory try again. */
void blkif_request_feed(struct blkif_queue *queue);

/* Answer with BLKIF_RSP_*, and give the slot back. */
void blkif_request_end(struct blkif_slot *slot, int status);

/* What the guest is told of an error of the vbd. */
int blkif_status_of(int err);

/* Answer what the vbd has not heard of yet: the disk closes. */
void blkif_request_drop_hungry(struct blkif_queue *queue);

/* Give op with the slot's data to the vbd; done as in struct vbd_request. */
void blkif_request_submit(struct blkif_slot *slot, int op,
			  void (*done)(struct vbd_request *req, int err));

/* The data of a barrier, whose turn it is now. */
void blkif_request_start_data(struct blkif_slot *slot);

/* ---- barriers ---- */

/* WRITE_BARRIER, or FLUSH_DISKCACHE with data: nothing else is taken until it has ended. */
void blkif_barrier_start(struct blkif_slot *slot);

/* Everything before it has ended. */
void blkif_barrier_go(struct blkif_slot *slot);

/* Its data have memory. */
void blkif_barrier_begin(struct blkif_slot *slot);

/* It was answered: whoever waited goes on. */
void blkif_barrier_ended(struct blkif_device *device);

/* ---- copies ---- */

/* Copy the slot's data, or its indirect page, at the end of this turn; then copied is called. */
void blkif_copy_later(struct blkif_slot *slot, bool out, void (*copied)(struct blkif_slot *, int));
void blkif_copy_page_later(struct blkif_slot *slot, void (*copied)(struct blkif_slot *, int));

/* Make all copies that wait, and those that follow from them. */
void blkif_copy_run(struct blkif *blkif);

/* Those of one device alone: no other one ends by them, which our caller may have in hand. */
void blkif_copy_run_own(struct blkif_device *device);

/* The segments of a request, wherever they stand. */
void blkif_segment(const struct blkif_slot *slot, unsigned i, struct blkif_segment *segment);

#endif
