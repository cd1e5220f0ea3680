/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is asked of a tapdisk, whichever protocol asked it.
 *
 * Questions are answered at once, in any state.  Operations on a disk are exclusive: one at a time
 * per minor, the others wait in the order of their arrival, but for a forced close, which starts at
 * once, and for a close or pause that joins one that is running.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/control-internal.h"
#include "drivers/core/server.h"

/* ---- one request ------------------------------------------------------------------------------
 */

static void pause_timed_out(void *arg);

struct control_op *
control_op_new(struct connection *connection, unsigned verb, unsigned type, uint32_t minor)
{
	struct control_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->control = connection->control;
	op->connection = connection;
	op->protocol = connection->protocol;
	op->verb = verb;
	op->type = type;
	op->minor = minor;
	op->begun = loop_now(connection->control->loop);
	op->options.parent_minor = -1;
	op->timer.fn = pause_timed_out;
	op->timer.arg = op;
	TAILQ_INSERT_TAIL(&connection->ops, op, link);
	connection->outstanding++;
	return op;
}

static void
leave_connection(struct control_op *op)
{
	if (!op->connection)
		return;
	TAILQ_REMOVE(&op->connection->ops, op, link);
	op->connection->outstanding--;
	op->connection = NULL;
}

void
control_op_free(struct control_op *op)
{
	leave_connection(op);
	if (op->exclusive)
		TAILQ_REMOVE(&op->control->exclusive, op, queue_link);
	loop_timer_cancel(op->control->loop, &op->timer);
	explicit_bzero(op->key, sizeof(op->key));
	free(op->params);
	free(op->secondary);
	free(op->log_path);
	free(op->name);
	free(op->purpose);
	free(op);
}

static struct vbd *
disk_of(const struct control_op *op)
{
	if (op->minor > VBD_MAX_MINOR)
		return NULL;
	return tapdisk_server_find(op->control->config.server, (int)op->minor);
}

/* ---- the queue of exclusive requests -----------------------------------------------------------
 */

static void run(struct control_op *op);

static const char *
verb_name(const struct control_op *op)
{
	static const char *const names[] = {
		[TAPDISK_FRAME_ATTACH] = "attach", [TAPDISK_FRAME_DETACH] = "detach",
		[TAPDISK_FRAME_OPEN] = "open",     [TAPDISK_FRAME_CLOSE] = "close",
		[TAPDISK_FRAME_PAUSE] = "pause",   [TAPDISK_FRAME_RESUME] = "unpause",
		[TAPDISK_FRAME_RESIZE] = "resize", [TAPDISK_FRAME_SET] = "set",
		[TAPDISK_FRAME_MIRROR] = "mirror", [TAPDISK_FRAME_COMMIT] = "commit",
	};

	if (op->verb >= sizeof(names) / sizeof(names[0]) || !names[op->verb])
		return "request";
	return names[op->verb];
}

static bool
is_exclusive(unsigned verb)
{
	switch (verb) {
	case TAPDISK_FRAME_ATTACH:
	case TAPDISK_FRAME_DETACH:
	case TAPDISK_FRAME_OPEN:
	case TAPDISK_FRAME_CLOSE:
	case TAPDISK_FRAME_PAUSE:
	case TAPDISK_FRAME_RESUME:
	case TAPDISK_FRAME_RESIZE:
	case TAPDISK_FRAME_SET:
	case TAPDISK_FRAME_MIRROR:
	case TAPDISK_FRAME_COMMIT:
		return true;
	default:
		return false;
	}
}

/* May op run beside this one that is running on the same disk? */
static bool
may_join(const struct control_op *op, const struct control_op *running)
{
	if (op->verb == TAPDISK_FRAME_CLOSE && op->force)
		return true;
	return op->verb == running->verb &&
	       (op->verb == TAPDISK_FRAME_CLOSE || op->verb == TAPDISK_FRAME_PAUSE);
}

static bool
must_wait(const struct control_op *op)
{
	const struct control_op *other;

	TAILQ_FOREACH(other, &op->control->exclusive, queue_link)
	{
		if (other == op)
			return false;
		if (other->minor == op->minor && !(other->running && may_join(op, other)) &&
		    !(op->verb == TAPDISK_FRAME_CLOSE && op->force))
			return true;
	}
	return false;
}

/* Too many for one disk, or so many that questions might no longer get through. */
static bool
queue_is_full(const struct control_op *op)
{
	const struct control_op *other;
	unsigned same = 0, all = 0;

	TAILQ_FOREACH(other, &op->control->exclusive, queue_link)
	{
		all++;
		if (other->minor == op->minor && !other->running)
			same++;
	}
	return same >= CONTROL_QUEUE || all >= CONTROL_EXCLUSIVE;
}

static void
run_next(struct control_server *control, uint32_t minor)
{
	struct control_op *op, *next;

	for (op = TAILQ_FIRST(&control->exclusive); op; op = next) {
		next = TAILQ_NEXT(op, queue_link);
		if (op->minor == minor && !op->running && !must_wait(op)) {
			op->running = true;
			run(op);
			/* What it has ended may have changed the list; its end looks again. */
			return;
		}
	}
}

/* Answer, forget, and let the next one in. */
static void
end(struct control_op *op, int err, const char *why)
{
	struct control_server *control = op->control;
	uint32_t minor = op->minor;
	bool was_exclusive = op->exclusive;

	if (was_exclusive)
		tlog(control->log, err ? LOG_WARNING : LOG_INFO, "control: minor %u: %s: %s%s%s",
		     minor, verb_name(op), err ? strerror(-err) : "done", why && *why ? ": " : "",
		     why ? why : "");
	op->ended = true;
	if (op->connection)
		op->protocol->answer(op, err, why);
	control_op_free(op);
	if (was_exclusive)
		run_next(control, minor);
}

static void
operation_ended(void *arg, int err, const char *why)
{
	struct control_op *op = arg;

	if (err == -ECANCELED && op->has_timeout && !loop_timer_is_set(&op->timer) &&
	    op->timeout_ms)
		err = -ETIMEDOUT;
	end(op, err, why);
}

static void
pause_timed_out(void *arg)
{
	struct control_op *op = arg;
	struct vbd *vbd = disk_of(op);

	if (vbd)
		vbd_pause_cancel(vbd, op);
}

/* ---- exclusive requests ------------------------------------------------------------------------
 */

static void
run_open(struct control_op *op, struct vbd *vbd)
{
	if (!vbd) {
		end(op, -EINVAL, "no such disk is attached");
		return;
	}
	op->options.params = op->params;
	op->options.secondary = op->secondary;
	op->options.log_path = op->log_path;
	op->options.key = op->options.key_len ? op->key : NULL;
	if (!op->params)
		end(op, -EINVAL, "nothing to open was named");
	else
		vbd_open(vbd, &op->options, operation_ended, op);
}

static void
run_on_disk(struct control_op *op, struct vbd *vbd)
{
	switch (op->verb) {
	case TAPDISK_FRAME_DETACH:
		end(op, tapdisk_server_detach(op->control->config.server, vbd), NULL);
		break;
	case TAPDISK_FRAME_CLOSE:
		vbd_close(vbd, op->force, operation_ended, op);
		break;
	case TAPDISK_FRAME_PAUSE:
		if (op->has_timeout && op->timeout_ms)
			loop_timer_set(op->control->loop, &op->timer, op->timeout_ms);
		vbd_pause(vbd, operation_ended, op);
		break;
	case TAPDISK_FRAME_RESUME:
		op->options.params = op->params;
		op->options.secondary = op->secondary;
		op->options.log_path = op->log_path;
		vbd_resume(vbd, &op->options, operation_ended, op);
		break;
	case TAPDISK_FRAME_RESIZE:
		end(op, vbd_resize(vbd, op->sectors), NULL);
		break;
	case TAPDISK_FRAME_SET:
		if (op->options.timeout_s)
			vbd_set_timeout(vbd, op->options.timeout_s);
		end(op, op->options.timeout_s ? 0 : -EINVAL,
		    op->options.timeout_s ? NULL : "nothing to set was named");
		break;
	default:
		end(op, -EOPNOTSUPP, "not supported by the drivers of this disk");
		break;
	}
}

static void
run(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	struct vbd *vbd = disk_of(op);

	if (op->verb == TAPDISK_FRAME_ATTACH)
		end(op,
		    op->minor > VBD_MAX_MINOR ? -EINVAL
					      : tapdisk_server_attach(server, (int)op->minor, &vbd),
		    NULL);
	else if (op->verb == TAPDISK_FRAME_OPEN)
		run_open(op, vbd);
	else if (!vbd)
		end(op, -ENODEV, "no such disk is attached");
	else
		run_on_disk(op, vbd);
}

static void
start_exclusive(struct control_op *op)
{
	if (queue_is_full(op) && !op->force) {
		end(op, -EAGAIN, "too many requests are waiting");
		return;
	}
	op->exclusive = true;
	TAILQ_INSERT_TAIL(&op->control->exclusive, op, queue_link);
	tlog(op->control->log, LOG_DEBUG, "control: minor %u: %s, asked by process %d", op->minor,
	     verb_name(op), (int)op->connection->peer);
	if (must_wait(op))
		return;
	op->running = true;
	run(op);
}

/* ---- questions, and requests to the process ----------------------------------------------------
 */

static void
answer_pass_fd(struct control_op *op)
{
	const struct control_config *config = &op->control->config;
	int fd = connection_take_fd(op->connection), err;

	if (fd < 0) {
		end(op, -EINVAL, "exactly one descriptor must be passed");
		return;
	}
	if (!op->name || !op->purpose || !config->pass_fd) {
		close(fd);
		end(op, config->pass_fd ? -EINVAL : -EOPNOTSUPP, NULL);
		return;
	}
	err = config->pass_fd(config->arg, op->purpose, op->name, (int)op->minor, fd);
	end(op, err, NULL);
}

static void
answer_exit(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;

	if (tapdisk_server_count(server)) {
		end(op, -EBUSY, "disks are attached");
		return;
	}
	tapdisk_server_shutdown(server, false);
	end(op, 0, NULL);
}

static void
answer_disk(struct control_op *op)
{
	const struct vbd *vbd = disk_of(op);

	if (!vbd)
		end(op, -ENODEV, "no such disk is attached");
	else if (op->verb == TAPDISK_FRAME_INFO && !vbd_sectors(vbd))
		end(op, -EINVAL, "the disk was never opened");
	else
		end(op, 0, NULL);
}

static void
answer(struct control_op *op)
{
	switch (op->verb) {
	case TAPDISK_FRAME_STATS:
		if (op->minor == TAPDISK_FRAME_NO_MINOR)
			end(op, 0, NULL);
		else
			answer_disk(op);
		break;
	case TAPDISK_FRAME_INFO:
		answer_disk(op);
		break;
	case VERB_LIST_MINORS:
		if (tapdisk_server_count(op->control->config.server) > TAPDISK_MESSAGE_MAX_MINORS)
			end(op, -ERANGE, "more disks than the answer can hold");
		else
			end(op, 0, NULL);
		break;
	case TAPDISK_FRAME_PASS_FD:
		answer_pass_fd(op);
		break;
	case TAPDISK_FRAME_SUBSCRIBE:
		op->connection->subscribed = true;
		op->connection->subject = op->minor;
		end(op, 0, NULL);
		break;
	case TAPDISK_FRAME_EXIT:
		answer_exit(op);
		break;
	case TAPDISK_FRAME_CANCEL:
		end(op, control_op_cancel(op->connection, op->target_id), NULL);
		break;
	case TAPDISK_FRAME_COMMIT_QUERY:
	case TAPDISK_FRAME_COMMIT_CANCEL:
		end(op, disk_of(op) ? -EOPNOTSUPP : -ENODEV, NULL);
		break;
	case TAPDISK_FRAME_RING_CONNECT:
	case TAPDISK_FRAME_RING_DISCONNECT:
		end(op, -ENODEV, "guest rings are not supported on this host");
		break;
	default:
		end(op, 0, NULL);
		break;
	}
}

void
control_op_start(struct control_op *op)
{
	if (is_exclusive(op->verb))
		start_exclusive(op);
	else
		answer(op);
}

/* ---- ending early ------------------------------------------------------------------------------
 */

void
control_op_orphan(struct control_op *op)
{
	struct vbd *vbd = disk_of(op);

	leave_connection(op);
	if (op->ended || op->verb != TAPDISK_FRAME_PAUSE)
		return;
	if (!op->running)
		control_op_free(op);
	else if (vbd)
		vbd_pause_cancel(vbd, op);
}

int
control_op_cancel(struct connection *connection, uint64_t id)
{
	struct control_op *op;
	struct vbd *vbd;

	TAILQ_FOREACH(op, &connection->ops, link)
	if (op->id == id && op->verb == TAPDISK_FRAME_PAUSE)
		break;
	if (!op)
		return -ENOENT;
	vbd = disk_of(op);
	if (!op->running)
		end(op, -ECANCELED, NULL);
	else if (vbd)
		vbd_pause_cancel(vbd, op);
	return 0;
}
