/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open, close, pause and resume of a virtual disk.
 *
 * One operation at a time, each a walk through the stages of enum vbd_stage:
 *
 *	open, resume	OPENING
 *	close, pause	DRAINING - FLUSHING - FLUSHED - CLOSING
 *
 * Opening and closing happen on workers.  Every step down is taken from a task at the end of the
 * turn, never from inside a driver's callback: the driver may be gone after it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/chain.h"
#include "drivers/core/image.h"
#include "drivers/core/server-internal.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/vbd-internal.h"

#define STATE_CLOSING (VBD_SHUTDOWN_REQUESTED | VBD_QUIESCE_REQUESTED)
#define STATE_PAUSING (VBD_PAUSE_REQUESTED | VBD_QUIESCE_REQUESTED)
#define STATE_PAUSED (VBD_PAUSED | VBD_QUIESCED | VBD_CLOSED)

static void start_opening(void *arg);
static void start_closing(struct vbd *vbd);

/* ---- waiters ----------------------------------------------------------------------------------
 */

static void
refuse(vbd_done_fn done, void *arg, int err, const char *why)
{
	if (done)
		done(arg, err, why);
}

/* done is to be told how the operation ends.  Beyond the bound it is refused. */
static void
wait_for(struct vbd *vbd, vbd_done_fn done, void *arg)
{
	struct vbd_operation *op = &vbd->op;

	if (op->waiter_count == VBD_MAX_WAITERS)
		refuse(done, arg, -EAGAIN, "too many wait for this disk");
	else
		op->waiters[op->waiter_count++] = (struct vbd_waiter){ .done = done, .arg = arg };
}

static void
tell_waiters(struct vbd *vbd, int err, const char *why)
{
	struct vbd_waiter waiters[VBD_MAX_WAITERS];
	int count = vbd->op.waiter_count, i;

	memcpy(waiters, vbd->op.waiters, sizeof(waiters));
	vbd->op.waiter_count = 0;
	for (i = 0; i < count; i++)
		refuse(waiters[i].done, waiters[i].arg, err, why);
}

/* The operation is over; another may begin, even from inside a waiter's call. */
static void
end_operation(struct vbd *vbd, int err)
{
	struct vbd_waiter waiters[VBD_MAX_WAITERS];
	int count = vbd->op.waiter_count, i;
	struct reason why = vbd->op.why;

	if (err && !why.text[0])
		reason(&why, err, "%s", strerror(-err));
	memcpy(waiters, vbd->op.waiters, sizeof(waiters));
	loop_timer_cancel(vbd->server->loop, &vbd->op_timer);
	loop_defer_cancel(vbd->server->loop, &vbd->op_task);
	free(vbd->op.params);
	free(vbd->op.log_path);
	vbd->op = (struct vbd_operation){ 0 };
	tapdisk_server_event(vbd->server, vbd, "state");
	for (i = 0; i < count; i++)
		refuse(waiters[i].done, waiters[i].arg, err, err ? why.text : "");
}

static int
begin(struct vbd *vbd, enum vbd_goal goal, enum vbd_stage stage, vbd_done_fn done, void *arg)
{
	if (vbd->op.goal != VBD_GOAL_NONE) {
		refuse(done, arg, -EBUSY, "another operation on this disk is under way");
		return -EBUSY;
	}
	vbd->op =
		(struct vbd_operation){ .goal = goal, .stage = stage, .state_before = vbd->state };
	wait_for(vbd, done, arg);
	return 0;
}

/* ---- open and resume --------------------------------------------------------------------------
 */

static void
forget_key(struct vbd *vbd)
{
	if (vbd->key)
		explicit_bzero(vbd->key, vbd->key_len);
	free(vbd->key);
	vbd->key = NULL;
	vbd->key_len = 0;
}

static void
forget_names(struct vbd *vbd)
{
	free(vbd->params);
	free(vbd->log_path);
	vbd->params = vbd->log_path = NULL;
}

/* What is to be opened, copied: 0 or -ENOMEM. */
static int
set_names(struct vbd_operation *op, const char *params, const char *log_path)
{
	op->params = strdup(params);
	op->log_path = log_path ? strdup(log_path) : NULL;
	return op->params && (!log_path || op->log_path) ? 0 : -ENOMEM;
}

static int
open_work(void *arg)
{
	struct vbd *vbd = arg;
	struct chain_spec spec = {
		.server = vbd->server,
		.params = vbd->op.params,
		.flags = vbd->op.flags,
		.log_path = vbd->op.log_path,
		.key = vbd->key,
		.key_len = vbd->key_len,
	};

	return chain_open(&vbd->op.opened, &spec, &vbd->op.why);
}

/* The opened chain becomes the disk's. */
static void
adopt(struct vbd *vbd)
{
	struct vbd_operation *op = &vbd->op;
	const td_image_t *leaf = chain_leaf(op->opened);

	vbd->chain = op->opened;
	op->opened = NULL;
	vbd->info = leaf->info;
	vbd->read_only = vbd->chain->read_only;
	if (vbd->read_only)
		vbd->info.info |= VBD_INFO_READ_ONLY;
	vbd->max_secs = chain_max_secs(vbd->chain);
	forget_names(vbd);
	vbd->params = STEAL(op->params);
	vbd->log_path = STEAL(op->log_path);
	vbd->flags = op->flags;
	vbd->state = 0;
	chain_arm(vbd->chain);
}

/* The chain is not wanted after all: close it again, and end with err. */
static void
reject_opened(struct vbd *vbd, int err)
{
	if (vbd->op.opened) {
		vbd->chain = vbd->op.opened;
		vbd->op.opened = NULL;
	}
	vbd->op.err = err;
	start_closing(vbd);
}

static void
opened_for_open(struct vbd *vbd)
{
	const char *why = NULL;
	int err;

	adopt(vbd);
	err = vbd->server->config.opened
		      ? vbd->server->config.opened(vbd->server->config.arg, vbd, &why)
		      : 0;
	if (!err) {
		tlog(vbd->server->config.log, LOG_INFO, "minor %d: %s: open, %llu sectors%s",
		     vbd->minor, vbd->params, (unsigned long long)vbd->info.size,
		     vbd->read_only ? ", read-only" : "");
		end_operation(vbd, 0);
		return;
	}
	reason(&vbd->op.why, err, "%s: %s", vbd->params, why ? why : strerror(-err));
	forget_names(vbd);
	/* The chain is about to be a worker's: no request may get at it. */
	vbd->state = vbd->op.state_before | VBD_SHUTDOWN_REQUESTED;
	reject_opened(vbd, err);
}

/* Is what was opened still the disk that the guest knows? */
static bool
is_same_medium(const struct vbd *vbd)
{
	const struct chain *opened = vbd->op.opened;
	const td_disk_info_t *now = &chain_leaf(opened)->info, *before = &vbd->info;
	uint32_t info = now->info | (opened->read_only ? VBD_INFO_READ_ONLY : 0);

	return now->size == before->size && now->sector_size == before->sector_size &&
	       info == before->info;
}

static void
opened_for_resume(struct vbd *vbd)
{
	if (!is_same_medium(vbd)) {
		reject_opened(vbd,
			      reason(&vbd->op.why, -EMEDIUMTYPE,
				     "%s: size, sector size or mode differ from the paused disk",
				     vbd->op.params));
		return;
	}
	adopt(vbd);
	vbd_mask_sources(vbd, false);
	vbd_kick(vbd);
	end_operation(vbd, 0);
}

static void
open_failed(struct vbd *vbd, int err)
{
	if (vbd->op.goal == VBD_GOAL_OPEN) {
		forget_key(vbd);
		vbd->state = vbd->op.state_before;
	} else {
		vbd->state |= VBD_RESUME_FAILED;
	}
	tlog(vbd->server->config.log, LOG_ERR, "minor %d: %s", vbd->minor,
	     vbd->op.why.text[0] ? vbd->op.why.text : strerror(-err));
	end_operation(vbd, err);
}

static void
opened(void *arg, int err)
{
	struct vbd *vbd = arg;
	struct vbd_operation *op = &vbd->op;

	/* A forced close came meanwhile. */
	if (op->goal == VBD_GOAL_CLOSE) {
		reject_opened(vbd, 0);
		return;
	}
	if (err == -EIO && op->tries++ < VBD_OPEN_RETRIES &&
	    loop_timer_set(vbd->server->loop, &vbd->op_timer, VBD_RETRY_MS) == 0)
		return;
	if (err)
		open_failed(vbd, err);
	else if (op->goal == VBD_GOAL_OPEN)
		opened_for_open(vbd);
	else
		opened_for_resume(vbd);
}

static void
start_opening(void *arg)
{
	struct vbd *vbd = arg;
	int err;

	vbd->op.why.text[0] = '\0';
	err = loop_work(vbd->server->loop, open_work, opened, vbd);
	if (err)
		opened(vbd, err);
}

void
vbd_open(struct vbd *vbd, const struct vbd_options *options, vbd_done_fn done, void *arg)
{
	int err;

	if (vbd_is_open(vbd)) {
		refuse(done, arg, -EALREADY, "an image is open already");
		return;
	}
	if (begin(vbd, VBD_GOAL_OPEN, VBD_STAGE_OPENING, done, arg))
		return;
	err = set_names(&vbd->op, options->params, options->log_path);
	if (options->key_len) {
		vbd->key = malloc(options->key_len);
		vbd->key_len = vbd->key ? options->key_len : 0;
	}
	if (err || (options->key_len && !vbd->key)) {
		open_failed(vbd, -ENOMEM);
		return;
	}
	if (vbd->key)
		memcpy(vbd->key, options->key, vbd->key_len);
	vbd->op.flags = options->flags;
	vbd->timeout_s = options->timeout_s ? options->timeout_s : VBD_DEFAULT_TIMEOUT_S;
	start_opening(vbd);
}

void
vbd_resume(struct vbd *vbd, const struct vbd_options *options, vbd_done_fn done, void *arg)
{
	const td_flag_t replaced = TD_OPEN_SECONDARY | TD_OPEN_STANDBY | TD_OPEN_ADD_LOG;
	const struct vbd_options before = { .flags = vbd->flags, .log_path = vbd->log_path };
	int err;

	if (!(vbd->state & VBD_PAUSED)) {
		refuse(done, arg, vbd->op.goal == VBD_GOAL_NONE ? -EINVAL : -EBUSY,
		       "the disk is not paused");
		return;
	}
	if (begin(vbd, VBD_GOAL_RESUME, VBD_STAGE_OPENING, done, arg))
		return;
	vbd->state &= ~(unsigned)VBD_RESUME_FAILED;
	if (!options)
		options = &before;
	err = set_names(&vbd->op, options->params ? options->params : vbd->params,
			options->log_path);
	vbd->op.flags = (vbd->flags & ~replaced) | (options->flags & replaced) | TD_OPEN_STRICT;
	/* A disk that its storage made read-only must not become writable behind the guest's back.
	 */
	if (vbd->read_only)
		vbd->op.flags |= TD_OPEN_RDONLY;
	if (err)
		open_failed(vbd, err);
	else
		start_opening(vbd);
}

/* ---- the way down: drain, flush, close ---------------------------------------------------------
 */

static int
close_work(void *arg)
{
	struct vbd *vbd = arg;

	return chain_close(vbd->chain, vbd->op.why.text[0] ? NULL : &vbd->op.why);
}

static void
finish_close(struct vbd *vbd, int err)
{
	vbd_release_sources(vbd);
	forget_key(vbd);
	forget_names(vbd);
	vbd->state = VBD_CLOSED;
	tlog(vbd->server->config.log, err ? LOG_ERR : LOG_INFO, "minor %d: closed%s%s", vbd->minor,
	     err ? ": " : "", err ? strerror(-err) : "");
	end_operation(vbd, err);
}

static void
finish_pause(struct vbd *vbd, int err)
{
	bool withdrawn = vbd->op.withdrawn;

	vbd->state = STATE_PAUSED;
	end_operation(vbd, err);
	if (withdrawn && vbd->op.goal == VBD_GOAL_NONE)
		vbd_resume(vbd, NULL, NULL, NULL);
}

static void
closed(void *arg, int err)
{
	struct vbd *vbd = arg;

	vbd->chain = NULL;
	if (!vbd->op.err)
		vbd->op.err = err;
	switch (vbd->op.goal) {
	case VBD_GOAL_CLOSE:
		finish_close(vbd, vbd->op.err);
		break;
	case VBD_GOAL_PAUSE:
		finish_pause(vbd, vbd->op.err);
		break;
	default:
		open_failed(vbd, vbd->op.err);
		break;
	}
}

static void
start_closing(struct vbd *vbd)
{
	vbd->op.stage = VBD_STAGE_CLOSING;
	if (!vbd->chain) {
		closed(vbd, 0);
		return;
	}
	chain_disarm(vbd->chain);
	if (chain_is_busy(vbd->chain) &&
	    loop_timer_set(vbd->server->loop, &vbd->op_timer, VBD_BUSY_MS) == 0)
		return;
	/* Without a worker the loop waits rather than that the image stays open. */
	if (loop_work(vbd->server->loop, close_work, closed, vbd))
		closed(vbd, close_work(vbd));
}

static void
go_on_running(struct vbd *vbd, int err)
{
	vbd->state &= ~(unsigned)STATE_PAUSING;
	vbd_mask_sources(vbd, false);
	vbd_kick(vbd);
	end_operation(vbd, err);
}

static void
flushed(struct vbd_request *req, int err)
{
	struct vbd *vbd = req->arg;

	vbd->op.stage = VBD_STAGE_FLUSHED;
	if (err)
		vbd->op.err = reason(&vbd->op.why, err, "%s: flush failed: %s", vbd->params,
				     strerror(-err));
	loop_defer(vbd->server->loop, &vbd->op_task);
}

static void
start_flushing(struct vbd *vbd)
{
	vbd->op.stage = VBD_STAGE_FLUSHING;
	vbd->op.flush = (struct vbd_request){
		.op = TD_OP_FLUSH,
		.done = flushed,
		.arg = vbd,
		.vbd = vbd,
		.submitted = loop_now(vbd->server->loop),
		.deadline = loop_now(vbd->server->loop) + vbd->timeout_s * 1000000ull,
	};
	if (vbd->read_only || vbd->state & VBD_DEAD)
		flushed(&vbd->op.flush, vbd->state & VBD_DEAD ? -EIO : 0);
	else
		vbd_start(vbd, &vbd->op.flush);
}

/* A pause waits for what its sources have taken, too; a close has it refused. */
static bool
is_drained(const struct vbd *vbd)
{
	return !vbd->in_flight_count &&
	       (vbd->op.goal != VBD_GOAL_PAUSE || !vbd_sources_are_busy(vbd));
}

/* The next step, from the end of a turn. */
static void
advance(void *arg)
{
	struct vbd *vbd = arg;
	struct vbd_operation *op = &vbd->op;

	if (op->stage == VBD_STAGE_DRAINING && is_drained(vbd)) {
		loop_timer_cancel(vbd->server->loop, &vbd->op_timer);
		start_flushing(vbd);
	} else if (op->stage == VBD_STAGE_FLUSHED) {
		if (op->goal == VBD_GOAL_PAUSE && (op->err || op->withdrawn))
			go_on_running(vbd, op->err);
		else
			start_closing(vbd);
	}
}

/* The last request in flight has ended, or the last one of a source. */
static void
drained(struct vbd *vbd)
{
	if (vbd->op.stage == VBD_STAGE_DRAINING)
		loop_defer(vbd->server->loop, &vbd->op_task);
}

/* Draining took as long as a request may take.  A pause is given up, a close goes on unwatched. */
static void
drain_timed_out(struct vbd *vbd)
{
	if (vbd->op.goal == VBD_GOAL_PAUSE) {
		reason(&vbd->op.why, -ETIMEDOUT, "%s: requests did not end in time", vbd->params);
		go_on_running(vbd, -ETIMEDOUT);
	} else {
		tell_waiters(vbd, -ETIMEDOUT, "requests did not end in time");
	}
}

static void
op_time(void *arg)
{
	struct vbd *vbd = arg;

	if (vbd->op.stage == VBD_STAGE_OPENING)
		start_opening(vbd);
	else if (vbd->op.stage == VBD_STAGE_DRAINING)
		drain_timed_out(vbd);
	else if (vbd->op.stage == VBD_STAGE_CLOSING)
		start_closing(vbd);
}

static void
start_draining(struct vbd *vbd)
{
	vbd->op.stage = VBD_STAGE_DRAINING;
	if (is_drained(vbd))
		loop_defer(vbd->server->loop, &vbd->op_task);
	else if (!vbd->op.force)
		loop_timer_set(vbd->server->loop, &vbd->op_timer, vbd->timeout_s * 1000ull);
}

/* ---- close and pause ---------------------------------------------------------------------------
 */

static void
start_shutdown(struct vbd *vbd)
{
	vbd->state = STATE_CLOSING | (vbd->state & VBD_DEAD);
	vbd_shutdown_sources(vbd);
	vbd_fail_waiting(vbd, -ESHUTDOWN);
}

/* A forced close takes over from whatever is being done. */
static void
overtake(struct vbd *vbd, vbd_done_fn done, void *arg)
{
	struct vbd_operation *op = &vbd->op;
	bool was_close = op->goal == VBD_GOAL_CLOSE;

	if (!was_close)
		tell_waiters(vbd, -ECANCELED, "overtaken by a forced close");
	op->goal = VBD_GOAL_CLOSE;
	op->force = true;
	op->withdrawn = false;
	wait_for(vbd, done, arg);
	if (!was_close)
		start_shutdown(vbd);
	vbd_force_sources(vbd);
	/* An open between two attempts has no worker that would come back. */
	if (op->stage == VBD_STAGE_OPENING && loop_timer_is_set(&vbd->op_timer))
		reject_opened(vbd, 0);
	loop_timer_cancel(vbd->server->loop, &vbd->op_timer);
	if (op->stage == VBD_STAGE_DRAINING || op->stage == VBD_STAGE_FLUSHED)
		loop_defer(vbd->server->loop, &vbd->op_task);
	vbd_run_retries(vbd, true);
}

void
vbd_close(struct vbd *vbd, bool force, vbd_done_fn done, void *arg)
{
	if (vbd->op.goal == VBD_GOAL_CLOSE && !force) {
		wait_for(vbd, done, arg);
	} else if (vbd->op.goal != VBD_GOAL_NONE && force) {
		overtake(vbd, done, arg);
	} else if (vbd->op.goal == VBD_GOAL_NONE && !vbd_is_open(vbd)) {
		refuse(done, arg, 0, "");
	} else if (begin(vbd, VBD_GOAL_CLOSE, VBD_STAGE_DRAINING, done, arg) == 0) {
		vbd->op.force = force;
		start_shutdown(vbd);
		if (force)
			vbd_force_sources(vbd);
		if (vbd->chain) {
			vbd_run_retries(vbd, force);
			start_draining(vbd);
		} else {
			start_closing(vbd);
		}
	}
}

void
vbd_pause(struct vbd *vbd, vbd_done_fn done, void *arg)
{
	if (vbd->op.goal == VBD_GOAL_PAUSE) {
		vbd->op.withdrawn = false;
		wait_for(vbd, done, arg);
	} else if (vbd->op.goal == VBD_GOAL_NONE && vbd->state & VBD_PAUSED) {
		refuse(done, arg, 0, "");
	} else if (vbd->op.goal == VBD_GOAL_NONE && !vbd_is_open(vbd)) {
		refuse(done, arg, -EINVAL, "no image is open");
	} else if (begin(vbd, VBD_GOAL_PAUSE, VBD_STAGE_DRAINING, done, arg) == 0) {
		vbd->state |= STATE_PAUSING;
		vbd_mask_sources(vbd, true);
		start_draining(vbd);
	}
}

void
vbd_pause_cancel(struct vbd *vbd, void *arg)
{
	struct vbd_operation *op = &vbd->op;
	struct vbd_waiter gone;
	int i;

	if (op->goal != VBD_GOAL_PAUSE)
		return;
	for (i = 0; i < op->waiter_count && op->waiters[i].arg != arg; i++)
		;
	if (i == op->waiter_count)
		return;
	gone = op->waiters[i];
	op->waiters[i] = op->waiters[--op->waiter_count];
	if (!op->waiter_count && op->stage == VBD_STAGE_DRAINING)
		go_on_running(vbd, 0);
	else if (!op->waiter_count)
		op->withdrawn = true;
	refuse(gone.done, gone.arg, -ECANCELED, "withdrawn");
}

/* ---- birth and death ---------------------------------------------------------------------------
 */

int
vbd_new(struct tapdisk_server *server, int minor, int marker_fd, struct vbd **out)
{
	struct vbd *vbd = calloc(1, sizeof(*vbd));
	char page[32];

	if (!vbd)
		return -ENOMEM;
	vbd->server = server;
	vbd->minor = minor;
	vbd->marker_fd = marker_fd;
	vbd->op_task.fn = advance;
	vbd->op_task.arg = vbd;
	vbd->op_timer.fn = op_time;
	vbd->op_timer.arg = vbd;
	TAILQ_INIT(&vbd->sources);
	vbd_requests_init(vbd, drained);
	snprintf(page, sizeof(page), "vdi-%d", minor);
	vbd->tally.page = shm_page_new(server->shm, page);
	*out = vbd;
	return 0;
}

void
vbd_free(struct vbd *vbd)
{
	if (!vbd)
		return;
	loop_defer_cancel(vbd->server->loop, &vbd->op_task);
	loop_timer_cancel(vbd->server->loop, &vbd->op_timer);
	vbd_requests_free(vbd);
	forget_key(vbd);
	shm_page_free(vbd->tally.page);
	forget_names(vbd);
	if (vbd->marker_fd >= 0)
		close(vbd->marker_fd);
	free(vbd);
}
