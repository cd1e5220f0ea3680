/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a virtual disk, for vbd.c (requests), vbd-parts.c (retries), vbd-life.c (open,
 * close, pause, resume), vbd-sources.c (frontends) and stats.c.
 */
#ifndef CORE_VBD_INTERNAL_H
#define CORE_VBD_INTERNAL_H

#include <stdbool.h>
#include <sys/queue.h>

#include <tapdisk.h>

#include "common/reason.h"
#include "drivers/core/chain.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd.h"

#define VBD_MAX_RETRIES 100
#define VBD_RETRY_MS 1000
#define VBD_BUSY_MS 1
#define VBD_DEFAULT_TIMEOUT_S 120
#define VBD_WATCHDOG_MS 10000
#define VBD_WATCHDOG_REPEAT_MS 120000
#define VBD_INFO_READ_ONLY 0x4 /* td_disk_info_t.info */
#define VBD_OPEN_RETRIES 10
#define VBD_MAX_WAITERS 16

TAILQ_HEAD(vbd_requests, vbd_request);
TAILQ_HEAD(vbd_sources, vbd_source);

/*
 * The ticket of a request that is with the drivers.  Its parts carry the slot and the id, so a part
 * that a faulty driver completes once too often is recognised without touching the request.
 */
struct vbd_slot {
	uint64_t id; /* 0: free */
	struct vbd_request *req;
	int next_free;
};

/* A part that the driver sent back: no resources, or a passing error of the system. */
struct vbd_part {
	td_request_t treq;
	uint64_t due; /* loop microseconds; 0: when something completes */
	TAILQ_ENTRY(vbd_part) link;
};
TAILQ_HEAD(vbd_parts, vbd_part);

enum vbd_stage {
	VBD_STAGE_IDLE,
	VBD_STAGE_OPENING,  /* a worker opens the chain */
	VBD_STAGE_DRAINING, /* requests in flight */
	VBD_STAGE_FLUSHING,
	VBD_STAGE_FLUSHED,
	VBD_STAGE_CLOSING, /* a worker closes the chain */
};

enum vbd_goal { VBD_GOAL_NONE, VBD_GOAL_OPEN, VBD_GOAL_CLOSE, VBD_GOAL_PAUSE, VBD_GOAL_RESUME };

/* Somebody who wants to know how the operation ended. */
struct vbd_waiter {
	vbd_done_fn done;
	void *arg;
};

/* What is being done to the disk; one at a time. */
struct vbd_operation {
	enum vbd_goal goal;
	enum vbd_stage stage;
	bool force;
	bool withdrawn;        /* a pause that nobody waits for any more */
	unsigned state_before; /* of a vbd_open */
	int err;
	int tries;
	struct reason why;
	struct vbd_waiter waiters[VBD_MAX_WAITERS];
	int waiter_count;
	struct chain *opened; /* by the worker */
	char *params;         /* owned: what is being opened */
	char *log_path;       /* owned; NULL: none */
	td_flag_t flags;
	struct vbd_request flush;
};

/* What a VBD has done since it was attached, besides what its page tells. */
struct vbd_counters {
	uint64_t retries;
	uint64_t timeouts;
};

struct vbd {
	struct tapdisk_server *server; /* borrowed */
	int minor;
	int marker_fd; /* the lock on the marker */
	unsigned state;
	TAILQ_ENTRY(vbd) link;

	/* The image. */
	char *params;   /* owned; NULL: closed */
	char *log_path; /* owned; NULL: none */
	td_flag_t flags;
	unsigned timeout_s;
	uint8_t *key; /* owned, wiped */
	size_t key_len;
	struct chain *chain; /* NULL: closed or paused */
	td_disk_info_t info;
	bool read_only;
	int max_secs; /* per read or write given to the leaf */

	/* Requests. */
	void (*drained)(struct vbd *vbd);
	struct vbd_requests waiting;   /* while paused or pausing */
	struct vbd_requests in_flight; /* in order of submission */
	size_t in_flight_count;
	struct vbd_slot *slots; /* owned */
	int slot_count;
	int free_slot; /* -1: none */
	uint64_t next_id;
	struct vbd_parts retries;
	struct vbd_parts free_parts;
	struct loop_task retry_task; /* something has completed: resources may be free */
	struct loop_timer busy;      /* and if nothing completes */
	struct loop_timer
		tick;      /* deadlines, retries and the watchdog, while requests are in flight */
	uint64_t progress; /* loop microseconds of the last completion */
	uint64_t complained;
	struct tlog_limit limit;

	struct vbd_sources sources;
	struct vbd_operation op;
	struct loop_task op_task; /* the next step, once the stack has unwound */
	struct loop_timer
		op_timer; /* the bound of draining; the pause before an open is tried again */
	struct vbd_counters counters;
	struct shm_tally tally;
};

/* The chain belongs to a worker while it is being closed. */
static inline bool
may_look_at_chain(const struct vbd *vbd)
{
	return vbd->chain && vbd->op.stage != VBD_STAGE_CLOSING;
}

int vbd_new(struct tapdisk_server *server, int minor, int marker_fd, struct vbd **vbd);
void vbd_free(struct vbd *vbd); /* closed before; NULL is fine */

/* ---- requests (vbd.c) -------------------------------------------------------------------------
 */

/* Start what has waited. */
void vbd_kick(struct vbd *vbd);

/* End what waits with err: nothing of it has reached a driver. */
void vbd_fail_waiting(struct vbd *vbd, int err);

/* A part comes back from the chain. */
void vbd_part_done(td_request_t treq, int res);

/* The disk has lost data or its driver its mind: no more writes. */
void vbd_kill(struct vbd *vbd, const char *why);

/* A request of the engine's own, past the door: a flush before close. */
void vbd_start(struct vbd *vbd, struct vbd_request *req);

/* drained is called whenever the last request in flight has ended. */
void vbd_requests_init(struct vbd *vbd, void (*drained)(struct vbd *vbd));
void vbd_requests_free(struct vbd *vbd);

/* ---- frontends (vbd-sources.c), each as vbd_source_ops has it --------------------------------
 */

void vbd_mask_sources(struct vbd *vbd, bool masked);
void vbd_shutdown_sources(struct vbd *vbd);
void vbd_force_sources(struct vbd *vbd);
void vbd_release_sources(struct vbd *vbd);
bool vbd_sources_are_busy(const struct vbd *vbd);

/* ---- parts to be tried again (vbd-parts.c) ----------------------------------------------------
 */

bool vbd_may_retry(const struct vbd *vbd, const struct vbd_request *req, int res);
int vbd_retry_later(struct vbd *vbd, const td_request_t *treq, int res); /* 0 or -ENOMEM */
void vbd_run_retries(struct vbd *vbd, bool all);

#endif
