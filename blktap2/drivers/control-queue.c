/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which request may run when.
 *
 * Questions are answered at once, in any state.  Requests about a disk are exclusive: one at a time
 * per minor, the others wait in the order of their arrival; but a close or a pause joins one that
 * is running, and a forced close waits for nobody.  Requests about a guest ring are one at a time
 * per ring, but a forced disconnect does not wait for one without force.  Everything that may run
 * is started from one task at the end of the turn, so no request is ever started from inside the
 * end of another.
 */
#include <errno.h>
#include <string.h>

#include "drivers/control-internal.h"
#include "drivers/core/server.h"

/* ---- who may start ----------------------------------------------------------------------------
 */

static bool
is_forced_close(const struct control_op *op)
{
	return op->verb == TAPDISK_FRAME_CLOSE && op->force;
}

static bool
may_join(const struct control_op *op, const struct control_op *running)
{
	return op->verb == running->verb &&
	       (op->verb == TAPDISK_FRAME_CLOSE || op->verb == TAPDISK_FRAME_PAUSE);
}

/*
 * The engine may be at work on a disk although no request of ours is running: a close whose asker
 * was told that it takes too long, a disk that runs again after a withdrawn pause.
 */
static bool
engine_is_ready(const struct control_op *op)
{
	const struct vbd *vbd = control_op_disk(op);

	if (!vbd || !vbd_is_busy(vbd))
		return true;
	if (op->verb == TAPDISK_FRAME_CLOSE)
		return vbd_state(vbd) & VBD_SHUTDOWN_REQUESTED;
	if (op->verb == TAPDISK_FRAME_PAUSE)
		return vbd_state(vbd) & VBD_PAUSE_REQUESTED;
	return false;
}

static bool
may_start_exclusive(const struct control_op *op)
{
	const struct control_op *other;
	bool earlier = true;

	if (is_forced_close(op))
		return true;
	TAILQ_FOREACH (other, &op->control->exclusive, queue_link) {
		if (other == op)
			earlier = false;
		else if (other->minor != op->minor)
			continue;
		else if (other->running ? !may_join(op, other) : earlier)
			return false;
	}
	return engine_is_ready(op);
}

static bool
is_closing(const struct control_op *op)
{
	const struct vbd *vbd = control_op_disk(op);

	return vbd && vbd_state(vbd) & VBD_SHUTDOWN_REQUESTED;
}

/* By force: who lets go of the same ring without it may be waiting for a disk that hangs. */
static bool
may_overtake(const struct control_op *op, const struct control_op *earlier)
{
	return op->verb == TAPDISK_FRAME_RING_DISCONNECT && op->force &&
	       earlier->verb == TAPDISK_FRAME_RING_DISCONNECT;
}

static bool
may_start_ring(const struct control_op *op)
{
	const struct control_op *other;

	TAILQ_FOREACH (other, &op->control->rings, queue_link) {
		if (other == op)
			break;
		if (other->ring.domid == op->ring.domid && other->ring.devid == op->ring.devid &&
		    !may_overtake(op, other))
			return false;
	}
	return op->verb != TAPDISK_FRAME_RING_CONNECT || !is_closing(op);
}

/* ---- starting ---------------------------------------------------------------------------------
 */

/* What waits for the disk of a forced close ends with it. */
static void
overtake_waiting(struct control_op *forced)
{
	struct control_op *op, *next;

	for (op = TAILQ_FIRST(&forced->control->exclusive); op; op = next) {
		next = TAILQ_NEXT(op, queue_link);
		if (op->minor != forced->minor || op->running)
			continue;
		if (op->verb == TAPDISK_FRAME_CLOSE)
			op->force = true;
		else if (op->verb == TAPDISK_FRAME_PAUSE || op->verb == TAPDISK_FRAME_RESUME ||
			 op->verb == TAPDISK_FRAME_COMMIT)
			control_op_end(op, -ECANCELED, "overtaken by a forced close");
	}
}

static void
start(struct control_op *op)
{
	op->running = true;
	if (is_forced_close(op))
		overtake_waiting(op);
	op->row->run(op);
}

/* The first that may start, or NULL. */
static struct control_op *
next_of(const struct control_ops *ops, bool (*may_start)(const struct control_op *op))
{
	struct control_op *op;

	TAILQ_FOREACH (op, ops, queue_link)
		if (!op->running && may_start(op))
			return op;
	return NULL;
}

/* One that starts may end others: look from the front each time. */
static void
schedule(void *arg)
{
	struct control_server *control = arg;
	struct control_op *op;

	while ((op = next_of(&control->exclusive, may_start_exclusive)))
		start(op);
	while ((op = next_of(&control->rings, may_start_ring)))
		start(op);
}

void
control_queue_kick(struct control_server *control)
{
	loop_defer(control->loop, &control->schedule);
}

/* ---- arriving ---------------------------------------------------------------------------------
 */

static bool
holds_exclusive(const struct connection *connection)
{
	const struct control_op *op;

	TAILQ_FOREACH (op, &connection->ops, link)
		if (op->queued && op->row->class == CLASS_EXCLUSIVE)
			return true;
	return false;
}

/* Too many for one disk, or so many that questions might no longer get through. */
static bool
is_crowded(const struct control_op *op)
{
	const struct control_op *other;
	const struct connection *connection;
	unsigned waiting = 0, holders = 0;

	TAILQ_FOREACH (other, &op->control->exclusive, queue_link)
		if (other->minor == op->minor && !other->running)
			waiting++;
	if (waiting >= CONTROL_QUEUE)
		return true;
	if (holds_exclusive(op->connection))
		return false;
	TAILQ_FOREACH (connection, &op->control->connections, link)
		if (holds_exclusive(connection))
			holders++;
	return holders >= CONTROL_HOLDERS;
}

static void
pause_expired(void *arg)
{
	struct control_op *op = arg;

	op->expired = true;
	if (!op->running)
		control_op_end(op, -ETIMEDOUT, "others were at work on the disk");
	else
		vbd_pause_cancel(control_op_disk(op), op);
}

static void
queue(struct control_op *op, struct control_ops *ops)
{
	struct control_server *control = op->control;

	op->queued = true;
	TAILQ_INSERT_TAIL(ops, op, queue_link);
	tlog(control->log, LOG_INFO, "control: minor %d: %s: asked by process %d of user %u",
	     (int)op->minor, op->row->name, (int)op->peer_pid, op->peer_uid);
	if (op->verb == TAPDISK_FRAME_PAUSE && op->timeout_ms) {
		op->timer = (struct loop_timer){ .fn = pause_expired, .arg = op };
		if (loop_timer_set(control->loop, &op->timer, op->timeout_ms)) {
			control_op_end(op, -ENOMEM, NULL);
			return;
		}
	}
	control_queue_kick(control);
}

void
control_queue_start(struct control_op *op)
{
	struct control_server *control = op->control;

	if (op->row->class == CLASS_QUESTION) {
		tlog(control->log, LOG_DEBUG, "control: minor %d: %s: asked by process %d",
		     (int)op->minor, op->row->name, (int)op->peer_pid);
		op->row->run(op);
	} else if (control->leaving) {
		control_op_end(op, -EAGAIN, "the process is about to end");
	} else if (op->row->class == CLASS_RING) {
		queue(op, &control->rings);
	} else if (!is_forced_close(op) && is_crowded(op)) {
		control_op_end(op, -EAGAIN, "too many requests are waiting");
	} else {
		queue(op, &control->exclusive);
	}
}

/* ---- leaving ----------------------------------------------------------------------------------
 */

void
control_queue_remove(struct control_op *op)
{
	struct control_server *control = op->control;

	if (!op->queued)
		return;
	op->queued = false;
	TAILQ_REMOVE(op->row->class == CLASS_RING ? &control->rings : &control->exclusive, op,
		     queue_link);
	control_queue_kick(control);
}

void
control_queue_orphan(struct control_op *op)
{
	TAILQ_REMOVE(&op->connection->ops, op, link);
	op->connection->outstanding--;
	op->connection = NULL;
	if (op->ended || op->verb != TAPDISK_FRAME_PAUSE)
		return;
	if (!op->running)
		control_op_end(op, -ECANCELED, "its asker has gone");
	else
		vbd_pause_cancel(control_op_disk(op), op);
}

int
control_queue_cancel(struct connection *connection, uint64_t id)
{
	struct control_op *op;

	TAILQ_FOREACH (op, &connection->ops, link)
		if (op->id == id && op->queued)
			break;
	if (!op)
		return -ENOENT;
	if (!op->running)
		control_op_end(op, -ECANCELED, "withdrawn");
	else if (op->verb == TAPDISK_FRAME_PAUSE)
		vbd_pause_cancel(control_op_disk(op), op);
	else
		return -EBUSY;
	return 0;
}

void
control_queue_init(struct control_server *control)
{
	TAILQ_INIT(&control->exclusive);
	TAILQ_INIT(&control->rings);
	control->schedule = (struct loop_task){ .fn = schedule, .arg = control };
}

void
control_queue_free(struct control_server *control)
{
	struct control_op *op;

	while ((op = TAILQ_FIRST(&control->exclusive)))
		control_op_free(op);
	while ((op = TAILQ_FIRST(&control->rings)))
		control_op_free(op);
	loop_defer_cancel(control->loop, &control->schedule);
}
