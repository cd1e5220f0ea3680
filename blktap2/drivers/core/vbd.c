/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests of a virtual disk: checked at the door, cut into parts for the leaf, counted until
 * the last sector is back, ended once with the first error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "drivers/core/buffers.h"
#include "drivers/core/extents.h"
#include "drivers/core/image.h"
#include "drivers/core/server-internal.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/vbd-internal.h"

#define FIRST_SLOTS 64

enum { REQUEST_NEW, REQUEST_WORKING, REQUEST_FLUSHING, REQUEST_EXPIRED };

static bool
is_write_type(int op)
{
	return op == TD_OP_WRITE || op == TD_OP_DISCARD || op == TD_OP_WRITE_ZEROES;
}

/* ---- slots ------------------------------------------------------------------------------------
 */

static int
grow_slots(struct vbd *vbd)
{
	int count = vbd->slot_count ? vbd->slot_count * 2 : FIRST_SLOTS, i;
	struct vbd_slot *slots = reallocarray(vbd->slots, (size_t)count, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (i = vbd->slot_count; i < count; i++)
		slots[i] = (struct vbd_slot){ .next_free = i + 1 < count ? i + 1 : -1 };
	vbd->free_slot = vbd->slot_count;
	vbd->slots = slots;
	vbd->slot_count = count;
	return 0;
}

/* A ticket for req, or -ENOMEM. */
static int
take_slot(struct vbd *vbd, struct vbd_request *req)
{
	struct vbd_slot *slot;
	int at;

	if (vbd->free_slot < 0 && grow_slots(vbd))
		return -ENOMEM;
	at = vbd->free_slot;
	slot = &vbd->slots[at];
	vbd->free_slot = slot->next_free;
	slot->id = ++vbd->next_id;
	slot->req = req;
	req->slot = at;
	return 0;
}

static void
give_slot(struct vbd *vbd, struct vbd_request *req)
{
	struct vbd_slot *slot = &vbd->slots[req->slot];

	*slot = (struct vbd_slot){ .next_free = vbd->free_slot };
	vbd->free_slot = req->slot;
}

/* ---- the end of a request ---------------------------------------------------------------------
 */

static void
count_begin(struct vbd *vbd, const struct vbd_request *req)
{
	shm_tally_begin(&vbd->tally, req->op);
	if (req->tally)
		shm_tally_begin(req->tally, req->op);
}

static void
count_end(struct vbd *vbd, const struct vbd_request *req, int err)
{
	uint64_t usecs = loop_now(vbd->server->loop) - req->submitted;

	shm_tally_end(&vbd->tally, req->op, req->sectors, usecs, err);
	if (req->tally)
		shm_tally_end(req->tally, req->op, req->sectors, usecs, err);
}

/* No driver has seen it. */
static void
end_unserved(struct vbd *vbd, struct vbd_request *req, int err)
{
	count_end(vbd, req, err);
	req->done(req, err);
}

static void
finish(struct vbd *vbd, struct vbd_request *req)
{
	give_slot(vbd, req);
	TAILQ_REMOVE(&vbd->in_flight, req, link);
	vbd->in_flight_count--;
	if (req->op == TD_OP_BLOCK_STATUS && req->extents)
		vbd_extents_sort(req->extents);
	count_end(vbd, req, req->err);
	req->done(req, req->err);
	if (!vbd->in_flight_count)
		vbd->drained(vbd);
}

static void
queue_flush(struct vbd *vbd, struct vbd_request *req)
{
	td_request_t treq = {
		.op = TD_OP_FLUSH,
		.cb = vbd_part_done,
		.cb_data = vbd,
		.id = vbd->slots[req->slot].id,
		.sidx = req->slot,
		.vreq = req,
	};

	req->left = 1;
	td_queue_flush(chain_leaf(vbd->chain), treq);
}

static bool
is_flushing(const struct vbd_request *req)
{
	return req->op == TD_OP_FLUSH || req->state == REQUEST_FLUSHING;
}

/* All sectors are back. */
static void
request_worked(struct vbd *vbd, struct vbd_request *req)
{
	bool durable = req->flags & TD_REQ_FUA && is_write_type(req->op);

	if (req->state == REQUEST_WORKING && durable && !req->err) {
		req->state = REQUEST_FLUSHING;
		queue_flush(vbd, req);
		return;
	}
	/* After a failed flush nobody knows what is on the disk: trying again could only hide it.
	 */
	if (req->err && is_flushing(req))
		vbd_kill(vbd, "a flush failed");
	finish(vbd, req);
}

void
vbd_kill(struct vbd *vbd, const char *why)
{
	if (vbd->state & VBD_DEAD)
		return;
	vbd->state |= VBD_DEAD;
	tlog(vbd->server->config.log, LOG_ERR, "minor %d: %s: %s: no more writes", vbd->minor,
	     vbd->params ? vbd->params : "-", why);
	tapdisk_server_event(vbd->server, vbd, "dead");
}

/* ---- parts ------------------------------------------------------------------------------------
 */

/* The request of a part, or NULL when that request has ended already: a fault of the driver. */
static struct vbd_request *
request_of(struct vbd *vbd, const td_request_t *treq)
{
	const struct vbd_slot *slot;

	if (treq->sidx < 0 || treq->sidx >= vbd->slot_count)
		return NULL;
	slot = &vbd->slots[treq->sidx];
	return slot->id == treq->id ? slot->req : NULL;
}

static void
note_status(struct vbd_request *req, const td_request_t *treq)
{
	int err;

	if (!req->extents)
		return;
	err = vbd_extents_add(req->extents, treq->sec, (uint64_t)treq->secs, treq->status);
	if (err && !req->err)
		req->err = err;
}

void
vbd_part_done(td_request_t treq, int res)
{
	struct vbd *vbd = treq.cb_data;
	struct vbd_request *req = request_of(vbd, &treq);
	uint64_t sectors = treq.op == TD_OP_FLUSH ? 1 : (uint64_t)treq.secs;

	if (!req || treq.secs < 0 || sectors > req->left) {
		vbd_kill(vbd, "the driver completed more than it was given");
		return;
	}
	if (res && vbd_may_retry(vbd, req, res) && vbd_retry_later(vbd, &treq, res) == 0)
		return;
	vbd->progress = loop_now(vbd->server->loop);
	if (res && !req->err)
		req->err = res;
	if (!res && treq.op == TD_OP_BLOCK_STATUS)
		note_status(req, &treq);
	req->left -= sectors;
	if (!TAILQ_EMPTY(&vbd->retries))
		loop_defer(vbd->server->loop, &vbd->retry_task);
	if (!req->left)
		request_worked(vbd, req);
}

/* One part per contiguous buffer and driver limit.  The last part may end the request. */
static void
queue_transfer(struct vbd *vbd, struct vbd_request *req, td_request_t treq)
{
	td_image_t *leaf = chain_leaf(vbd->chain);
	const struct iovec *iov = req->iov;
	int left = req->iovcnt;
	uint64_t in_vector;

	for (; left > 0; left--, iov++) {
		in_vector = iov->iov_len >> SECTOR_SHIFT;
		treq.buf = iov->iov_base;
		while (in_vector) {
			treq.secs = in_vector < (uint64_t)vbd->max_secs ? (int)in_vector
									: vbd->max_secs;
			in_vector -= (uint64_t)treq.secs;
			td_queue_request(leaf, treq);
			treq.sec += (td_sector_t)treq.secs;
			treq.buf += (size_t)treq.secs << SECTOR_SHIFT;
		}
	}
}

static void
queue_range(struct vbd *vbd, struct vbd_request *req, td_request_t treq)
{
	td_image_t *leaf = chain_leaf(vbd->chain);
	uint64_t left = req->sectors;

	while (left) {
		treq.secs = left < TD_MAX_RANGE_SECS ? (int)left : TD_MAX_RANGE_SECS;
		left -= (uint64_t)treq.secs;
		td_queue_request(leaf, treq);
		treq.sec += (td_sector_t)treq.secs;
	}
}

/* Give req to the leaf.  req may have ended when this returns. */
static void
queue_parts(struct vbd *vbd, struct vbd_request *req)
{
	td_request_t treq = {
		.op = req->op,
		.sec = req->sector,
		.cb = vbd_part_done,
		.cb_data = vbd,
		.id = vbd->slots[req->slot].id,
		.sidx = req->slot,
		.vreq = req,
		.flags = req->flags & ~(unsigned)TD_REQ_FUA,
	};

	req->state = REQUEST_WORKING;
	req->left = req->sectors;
	if (req->op == TD_OP_FLUSH)
		queue_flush(vbd, req);
	else if (req->op == TD_OP_READ || req->op == TD_OP_WRITE)
		queue_transfer(vbd, req, treq);
	else
		queue_range(vbd, req, treq);
}

void
vbd_start(struct vbd *vbd, struct vbd_request *req)
{
	struct loop *loop = vbd->server->loop;
	int err = take_slot(vbd, req);

	if (err) {
		end_unserved(vbd, req, err);
		return;
	}
	TAILQ_INSERT_TAIL(&vbd->in_flight, req, link);
	if (!vbd->in_flight_count++)
		vbd->progress = loop_now(loop);
	if (!loop_timer_is_set(&vbd->tick))
		loop_timer_set(loop, &vbd->tick, VBD_RETRY_MS);
	queue_parts(vbd, req);
}

/* ---- the door ---------------------------------------------------------------------------------
 */

/* Do the buffers hold exactly the sectors? */
static bool
buffers_match(const struct vbd_request *req)
{
	uint64_t bytes = 0, want;
	int i;

	if (checked_mul(req->sectors, DEFAULT_SECTOR_SIZE, &want))
		return false;
	for (i = 0; i < req->iovcnt; i++) {
		if (!req->iov[i].iov_len || req->iov[i].iov_len % DEFAULT_SECTOR_SIZE)
			return false;
		if (checked_add(bytes, req->iov[i].iov_len, &bytes))
			return false;
	}
	return bytes == want;
}

/* 0, or why the request is refused: drivers may rely on what stands here. */
static int
check_request(const struct vbd *vbd, const struct vbd_request *req)
{
	uint64_t unit = vbd->info.sector_size >> SECTOR_SHIFT;

	if (!vbd_is_open(vbd))
		return -ENODEV;
	if (vbd->state & VBD_SHUTDOWN_REQUESTED)
		return -ESHUTDOWN;
	if (req->op < TD_OP_READ || req->op > TD_OP_WRITE_ZEROES)
		return -EINVAL;
	if (is_write_type(req->op) && vbd->read_only)
		return -EPERM;
	if ((is_write_type(req->op) || req->op == TD_OP_FLUSH) && vbd->state & VBD_DEAD)
		return -EIO;
	if (req->op == TD_OP_FLUSH)
		return 0;
	if (!req->sectors || !range_fits(req->sector, req->sectors, vbd->info.size))
		return -EINVAL;
	if (unit > 1 && (req->sector % unit || req->sectors % unit))
		return -EINVAL;
	if ((req->op == TD_OP_READ || req->op == TD_OP_WRITE) && !buffers_match(req))
		return -EINVAL;
	return 0;
}

/* A pause that waits for requests must not make them wait for it. */
static bool
must_wait(const struct vbd *vbd, const struct vbd_request *req)
{
	if (req->taken && vbd->op.stage == VBD_STAGE_DRAINING)
		return false;
	return vbd->state & (VBD_PAUSE_REQUESTED | VBD_PAUSED | VBD_QUIESCE_REQUESTED);
}

void
vbd_submit(struct vbd *vbd, struct vbd_request *req)
{
	int err = check_request(vbd, req);

	req->vbd = vbd;
	req->err = 0;
	req->retries = 0;
	req->state = REQUEST_NEW;
	req->submitted = loop_now(vbd->server->loop);
	req->deadline = req->submitted + (uint64_t)vbd->timeout_s * 1000000;
	count_begin(vbd, req);
	if (err) {
		end_unserved(vbd, req, err);
		return;
	}
	if (must_wait(vbd, req)) {
		TAILQ_INSERT_TAIL(&vbd->waiting, req, link);
		if (!loop_timer_is_set(&vbd->tick))
			loop_timer_set(vbd->server->loop, &vbd->tick, VBD_RETRY_MS);
		return;
	}
	vbd_start(vbd, req);
}

void
vbd_kick(struct vbd *vbd)
{
	struct vbd_request *req;

	while ((req = TAILQ_FIRST(&vbd->waiting)) && !must_wait(vbd, req)) {
		TAILQ_REMOVE(&vbd->waiting, req, link);
		vbd_start(vbd, req);
	}
}

void
vbd_fail_waiting(struct vbd *vbd, int err)
{
	struct vbd_request *req;

	while ((req = TAILQ_FIRST(&vbd->waiting))) {
		TAILQ_REMOVE(&vbd->waiting, req, link);
		end_unserved(vbd, req, err);
	}
}

/* ---- time -------------------------------------------------------------------------------------
 */

/*
 * The peer has waited long enough.  The buffers stay with the I/O that still runs; done follows
 * when that is back.
 */
static void
expire_in_flight(struct vbd *vbd, uint64_t now)
{
	struct vbd_request *req, *next;

	for (req = TAILQ_FIRST(&vbd->in_flight); req; req = next) {
		next = TAILQ_NEXT(req, link);
		if (req->state == REQUEST_EXPIRED || now < req->deadline)
			continue;
		vbd->counters.timeouts++;
		if (!req->err)
			req->err = -ETIMEDOUT;
		/* Guests believe that a flush which failed was none: nothing may follow it. */
		if (is_flushing(req))
			vbd_kill(vbd, "a flush was not served in time");
		req->state = REQUEST_EXPIRED;
		tlog_limited(vbd->server->config.log, &vbd->limit, LOG_ERR,
			     "minor %d: a request was not served within %u s", vbd->minor,
			     vbd->timeout_s);
		tapdisk_server_event(vbd->server, vbd, "request-timeout");
		if (req->expired)
			req->expired(req);
	}
}

static void
expire_waiting(struct vbd *vbd, uint64_t now)
{
	struct vbd_request *req, *next;

	for (req = TAILQ_FIRST(&vbd->waiting); req; req = next) {
		next = TAILQ_NEXT(req, link);
		if (now < req->deadline)
			continue;
		TAILQ_REMOVE(&vbd->waiting, req, link);
		vbd->counters.timeouts++;
		end_unserved(vbd, req, -ETIMEDOUT);
	}
}

/* Requests in flight, and none came back for long: say so once, and again now and then. */
static void
watch_progress(struct vbd *vbd, uint64_t now)
{
	if (!vbd->in_flight_count || now - vbd->progress < VBD_WATCHDOG_MS * 1000ull) {
		vbd->state &= ~(unsigned)VBD_LOG_DROPPED;
		return;
	}
	if (vbd->state & VBD_LOG_DROPPED &&
	    now - vbd->complained < VBD_WATCHDOG_REPEAT_MS * 1000ull)
		return;
	vbd->state |= VBD_LOG_DROPPED;
	vbd->complained = now;
	vbd_debug(vbd);
	tapdisk_server_event(vbd->server, vbd, "stalled");
}

static void
tick(void *arg)
{
	struct vbd *vbd = arg;
	uint64_t now = loop_now(vbd->server->loop);

	vbd_run_retries(vbd, false);
	expire_in_flight(vbd, now);
	expire_waiting(vbd, now);
	watch_progress(vbd, now);
	if (vbd->in_flight_count || !TAILQ_EMPTY(&vbd->waiting))
		loop_timer_set(vbd->server->loop, &vbd->tick, VBD_RETRY_MS);
	else
		buffers_trim(vbd->server->buffers);
}

static void
retry(void *arg)
{
	vbd_run_retries(arg, true);
}

/* ---- birth and death --------------------------------------------------------------------------
 */

void
vbd_requests_init(struct vbd *vbd, void (*drained)(struct vbd *vbd))
{
	vbd->drained = drained;
	vbd->free_slot = -1;
	vbd->timeout_s = VBD_DEFAULT_TIMEOUT_S;
	vbd->tick.fn = tick;
	vbd->tick.arg = vbd;
	vbd->retry_task.fn = retry;
	vbd->retry_task.arg = vbd;
	vbd->busy.fn = retry;
	vbd->busy.arg = vbd;
	TAILQ_INIT(&vbd->waiting);
	TAILQ_INIT(&vbd->in_flight);
	TAILQ_INIT(&vbd->retries);
	TAILQ_INIT(&vbd->free_parts);
}

void
vbd_requests_free(struct vbd *vbd)
{
	struct vbd_part *part;

	loop_timer_cancel(vbd->server->loop, &vbd->tick);
	loop_timer_cancel(vbd->server->loop, &vbd->busy);
	loop_defer_cancel(vbd->server->loop, &vbd->retry_task);
	while ((part = TAILQ_FIRST(&vbd->free_parts))) {
		TAILQ_REMOVE(&vbd->free_parts, part, link);
		free(part);
	}
	free(vbd->slots);
}
