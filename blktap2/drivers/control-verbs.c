/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What requests do, whichever protocol asked: one row and one function each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/secret.h"
#include "drivers/control-internal.h"
#include "drivers/core/server.h"

#define ERRNO_MAX 4095

/* ---- one request ------------------------------------------------------------------------------
 */

struct control_op *
control_op_new(struct connection *connection, unsigned verb, unsigned type, uint32_t minor)
{
	struct control_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->control = connection->control;
	op->connection = connection;
	op->protocol = connection->protocol;
	op->row = control_verb(verb);
	op->verb = verb;
	op->type = type;
	op->minor = minor;
	op->peer_pid = connection->peer_pid;
	op->peer_uid = connection->peer_uid;
	op->begun = loop_now(connection->control->loop);
	op->parent_minor = TAPDISK_MESSAGE_NO_PARENT;
	TAILQ_INSERT_TAIL(&connection->ops, op, link);
	connection->outstanding++;
	return op;
}

void
control_op_free(struct control_op *op)
{
	struct connection *connection = op->connection;

	control_queue_remove(op);
	loop_timer_cancel(op->control->loop, &op->timer);
	if (connection) {
		TAILQ_REMOVE(&connection->ops, op, link);
		connection->outstanding--;
		connection->idle_at = loop_now(op->control->loop);
		connection_update(connection);
	}
	secret_free(op->key, TAPDISK_MESSAGE_MAX_KEY);
	free(op->params);
	free(op->secondary);
	free(op->log_path);
	free(op->name);
	free(op->purpose);
	free(op->queues);
	free(op);
}

int
control_op_set_key(struct control_op *op, const uint8_t *key, size_t length)
{
	if (length != 32 && length != 64)
		return -EINVAL;
	op->key = secret_new(TAPDISK_MESSAGE_MAX_KEY);
	if (!op->key)
		return -ENOMEM;
	memcpy(op->key, key, length);
	op->key_len = length;
	return 0;
}

struct vbd *
control_op_disk(const struct control_op *op)
{
	if (op->minor > VBD_MAX_MINOR)
		return NULL;
	return tapdisk_server_find(op->control->config.server, (int)op->minor);
}

static void
log_end(struct control_op *op, int err, const char *why)
{
	struct control_server *control = op->control;
	unsigned long long ms = (loop_now(control->loop) - op->begun) / 1000;

	if (op->row->class == CLASS_QUESTION)
		return;
	if (!err)
		tlog(control->log, LOG_INFO,
		     "control: minor %d: %s: done after %llu ms for process %d", (int)op->minor,
		     op->row->name, ms, (int)op->peer_pid);
	else
		tlog_limited(control->log, &control->failures, LOG_WARNING,
			     "control: minor %d: %s: failed after %llu ms for process %d: %s: %s",
			     (int)op->minor, op->row->name, ms, (int)op->peer_pid, strerror(-err),
			     why ? why : "");
}

void
control_op_end(struct control_op *op, int err, const char *why)
{
	if (err > 0 || err < -ERRNO_MAX)
		err = -EIO;
	log_end(op, err, why);
	op->ended = true;
	if (op->connection)
		op->protocol->answer(op, err, why);
	control_op_free(op);
}

/* The engine has ended an operation: the vbd_done_fn of all of them. */
static void
operation_ended(void *arg, int err, const char *why)
{
	struct control_op *op = arg;

	if (err == -ECANCELED && op->expired)
		control_op_end(op, -ETIMEDOUT, "requests did not end in time");
	else
		control_op_end(op, err, why);
}

/* ---- options ----------------------------------------------------------------------------------
 */

/* The flags of messages and those of the engine. */
static td_flag_t
open_flags(uint32_t flags)
{
	static const struct {
		uint32_t message;
		td_flag_t open;
	} rows[] = {
		{ TAPDISK_MESSAGE_FLAG_SHARED, TD_OPEN_SHAREABLE },
		{ TAPDISK_MESSAGE_FLAG_RDONLY, TD_OPEN_RDONLY },
		{ TAPDISK_MESSAGE_FLAG_ADD_CACHE, TD_OPEN_ADD_CACHE },
		{ TAPDISK_MESSAGE_FLAG_VHD_INDEX, TD_OPEN_VHD_INDEX },
		{ TAPDISK_MESSAGE_FLAG_ADD_LOG, TD_OPEN_ADD_LOG },
		{ TAPDISK_MESSAGE_FLAG_ADD_LCACHE, TD_OPEN_LOCAL_CACHE },
		{ TAPDISK_MESSAGE_FLAG_REUSE_PRT, TD_OPEN_REUSE_PARENT },
		{ TAPDISK_MESSAGE_FLAG_SECONDARY, TD_OPEN_SECONDARY },
		{ TAPDISK_MESSAGE_FLAG_STANDBY, TD_OPEN_STANDBY },
		{ TAPDISK_MESSAGE_FLAG_NO_O_DIRECT, TD_OPEN_NO_O_DIRECT },
	};
	td_flag_t open = 0;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (flags & rows[i].message)
			open |= rows[i].open;
	return open;
}

/* What contradicts itself in a request to open or resume; NULL: nothing. */
static const char *
contradiction(const struct control_op *op)
{
	uint32_t flags = op->flags;

	if (flags & TAPDISK_MESSAGE_FLAG_ADD_LOG && !op->log_path)
		return "a log is asked for, but not named";
	if (flags & TAPDISK_MESSAGE_FLAG_SECONDARY && !op->secondary)
		return "a secondary image is asked for, but not named";
	if (flags & TAPDISK_MESSAGE_FLAG_STANDBY && !op->secondary)
		return "a standby is asked for without a secondary image";
	if (flags & TAPDISK_MESSAGE_FLAG_REUSE_PRT && op->parent_minor > VBD_MAX_MINOR)
		return "the disk that serves the parent is not named";
	if (flags & TAPDISK_MESSAGE_FLAG_ENCRYPTED && !op->key)
		return "the image is encrypted, but no key was sent";
	return NULL;
}

/* What the engine is told; its strings are those of op.  0, or -EINVAL and *why. */
static int
disk_options(const struct control_op *op, struct vbd_options *options, const char **why)
{
	bool reuse = op->flags & TAPDISK_MESSAGE_FLAG_REUSE_PRT;

	*why = contradiction(op);
	if (*why)
		return -EINVAL;
	*options = (struct vbd_options){
		.params = op->params,
		.flags = open_flags(op->flags),
		.secondary = op->secondary,
		.log_path = op->log_path,
		.parent_minor = reuse ? (int)op->parent_minor : -1,
		.timeout_s = op->timeout_s,
		.key = op->key,
		.key_len = op->key_len,
	};
	/* Resuming as "null" is how a secondary is removed. */
	if (op->verb == TAPDISK_FRAME_RESUME && op->secondary &&
	    strcmp(op->secondary, "null") == 0) {
		options->secondary = NULL;
		options->flags &= ~(td_flag_t)(TD_OPEN_SECONDARY | TD_OPEN_STANDBY);
	}
	return 0;
}

/* ---- exclusive requests -----------------------------------------------------------------------
 */

/* The disk of op; without one, op has been answered. */
static struct vbd *
need_disk(struct control_op *op)
{
	struct vbd *vbd = control_op_disk(op);

	if (!vbd)
		control_op_end(op, -ENODEV, "no such disk is attached");
	return vbd;
}

static void
run_attach(struct control_op *op)
{
	struct vbd *vbd;
	int err = -EINVAL;

	if (op->minor <= VBD_MAX_MINOR)
		err = tapdisk_server_attach(op->control->config.server, (int)op->minor, &vbd);
	control_op_end(op, err, NULL);
}

static void
run_detach(struct control_op *op)
{
	struct vbd *vbd = need_disk(op);
	int err;

	if (!vbd)
		return;
	err = tapdisk_server_detach(op->control->config.server, vbd);
	control_op_end(op, err, err == -EBUSY ? "an image is open" : NULL);
}

/* The disk has no device, and was closed again: the device's reason is the answer. */
static void
closed_again(void *arg, int err, const char *why)
{
	struct control_op *op = arg;

	(void)err;
	(void)why;
	control_op_end(op, op->device_err, op->device_why);
}

static void
device_added(void *arg, int err, const char *why)
{
	struct control_op *op = arg;
	struct vbd *vbd = control_op_disk(op);

	if (!vbd) {
		control_op_end(op, err ? err : -ENODEV, why);
	} else if (!err) {
		control_op_end(op, 0, NULL);
	} else {
		op->device_err = err;
		op->device_why = why;
		vbd_close(vbd, true, closed_again, op);
	}
}

static void
opened(void *arg, int err, const char *why)
{
	struct control_op *op = arg;
	const struct control_devices *devices = op->control->config.devices;
	struct vbd *vbd = control_op_disk(op);

	if (err || !devices || !vbd)
		operation_ended(op, err, why);
	else
		devices->add(devices->arg, vbd, device_added, op);
}

static void
run_open(struct control_op *op)
{
	struct vbd *vbd = control_op_disk(op);
	struct vbd_options options;
	const char *why;
	int err = disk_options(op, &options, &why);

	if (!vbd)
		control_op_end(op, -EINVAL, "no such disk is attached");
	else if (err)
		control_op_end(op, err, why);
	else if (!op->params)
		control_op_end(op, -EINVAL, "nothing to open was named");
	else
		vbd_open(vbd, &options, opened, op);
}

static void
device_removed(void *arg, int err, const char *why)
{
	struct control_op *op = arg;
	struct vbd *vbd = err ? NULL : need_disk(op);

	if (err)
		control_op_end(op, err, why);
	else if (vbd)
		vbd_close(vbd, op->force, operation_ended, op);
}

static void
run_close(struct control_op *op)
{
	const struct control_devices *devices = op->control->config.devices;
	struct vbd *vbd = need_disk(op);

	if (!vbd)
		return;
	if (devices)
		devices->remove(devices->arg, vbd, op->force, device_removed, op);
	else
		vbd_close(vbd, op->force, operation_ended, op);
}

static void
run_pause(struct control_op *op)
{
	struct vbd *vbd = need_disk(op);

	if (vbd)
		vbd_pause(vbd, operation_ended, op);
}

static void
run_resume(struct control_op *op)
{
	struct vbd *vbd = need_disk(op);
	struct vbd_options options;
	const char *why;
	int err;

	if (!vbd)
		return;
	err = disk_options(op, &options, &why);
	if (err)
		control_op_end(op, err, why);
	else
		vbd_resume(vbd, &options, operation_ended, op);
}

static void
run_resize(struct control_op *op)
{
	struct vbd *vbd = need_disk(op);

	if (vbd)
		control_op_end(op, vbd_resize(vbd, op->sectors), NULL);
}

static void
run_set(struct control_op *op)
{
	static const int levels[] = { LOG_WARNING, LOG_INFO, LOG_DEBUG };
	bool timeout = op->attrs >> TAPDISK_ATTR_REQ_TIMEOUT & 1;
	bool level = op->attrs >> TAPDISK_ATTR_LOG_LEVEL & 1;
	struct vbd *vbd = NULL;

	if (!timeout && !level) {
		control_op_end(op, -EINVAL, "nothing to set was named");
		return;
	}
	if ((timeout && (!op->timeout_s || op->timeout_s > UINT16_MAX)) ||
	    (level && op->log_level >= sizeof(levels) / sizeof(levels[0]))) {
		control_op_end(op, -EINVAL, "the value is out of range");
		return;
	}
	/* The log is that of the process, and can be set without a disk. */
	if (timeout || op->minor != TAPDISK_FRAME_NO_MINOR) {
		vbd = need_disk(op);
		if (!vbd)
			return;
	}
	if (timeout)
		vbd_set_timeout(vbd, op->timeout_s);
	if (level)
		tlog_set_level(op->control->log, levels[op->log_level]);
	control_op_end(op, 0, NULL);
}

static void
run_unsupported(struct control_op *op)
{
	if (need_disk(op))
		control_op_end(op, -EOPNOTSUPP, "not supported by the drivers of this disk");
}

/* ---- questions --------------------------------------------------------------------------------
 */

/* The answer says it all. */
static void
run_answer(struct control_op *op)
{
	control_op_end(op, 0, NULL);
}

static void
run_stats(struct control_op *op)
{
	if (op->minor == TAPDISK_FRAME_NO_MINOR || need_disk(op))
		control_op_end(op, 0, NULL);
}

static void
run_info(struct control_op *op)
{
	const struct vbd *vbd = need_disk(op);

	if (!vbd)
		return;
	if (vbd_sectors(vbd))
		control_op_end(op, 0, NULL);
	else
		control_op_end(op, -EINVAL, "the disk was never opened");
}

static void
run_list_minors(struct control_op *op)
{
	if (tapdisk_server_count(op->control->config.server) > TAPDISK_MESSAGE_MAX_MINORS)
		control_op_end(op, -ERANGE, "more disks than the answer can hold");
	else
		control_op_end(op, 0, NULL);
}

/* No driver of this build has jobs: none was ever started. */
static void
run_query_job(struct control_op *op)
{
	if (need_disk(op))
		control_op_end(op, 0, NULL);
}

static void
run_cancel_job(struct control_op *op)
{
	if (need_disk(op))
		control_op_end(op, -EINVAL, "no job was started");
}

static void
run_subscribe(struct control_op *op)
{
	op->connection->subscribed = true;
	op->connection->subject = op->minor;
	control_op_end(op, 0, NULL);
}

static void
run_cancel(struct control_op *op)
{
	if (op->attrs >> TAPDISK_ATTR_REQUEST_ID & 1)
		control_op_end(op, control_queue_cancel(op->connection, op->target_id), NULL);
	else
		control_op_end(op, -EINVAL, "no request was named");
}

static void
run_exit(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;

	if (tapdisk_server_count(server)) {
		control_op_end(op, -EBUSY, "disks are attached");
		return;
	}
	tapdisk_server_shutdown(server, false);
	control_op_end(op, 0, NULL);
}

static bool
is_purpose(const char *text)
{
	static const char *const purposes[] = { "nbd-client", "nbd-server-old", "nbd-server-new",
						"image" };
	size_t i;

	for (i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++)
		if (strcmp(text, purposes[i]) == 0)
			return true;
	return false;
}

static void
run_pass_fd(struct control_op *op)
{
	const struct control_config *config = &op->control->config;
	int fd;

	if (!op->name || !op->purpose || !is_purpose(op->purpose)) {
		control_op_end(op, -EINVAL, "name and purpose must be given");
		return;
	}
	if (!config->pass_fd) {
		control_op_end(op, -EOPNOTSUPP, "nobody here takes descriptors");
		return;
	}
	fd = connection_take_fd(op->connection);
	if (fd < 0)
		control_op_end(op, fd, "exactly one descriptor must be passed");
	else
		control_op_end(
			op, config->pass_fd(config->arg, op->purpose, op->name, (int)op->minor, fd),
			NULL);
}

struct json_object *
control_stats(const struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	struct json_object *all;
	struct vbd *vbd = NULL;

	if (op->minor != TAPDISK_FRAME_NO_MINOR)
		return vbd_stats(control_op_disk(op));
	all = json_object_new_array();
	while ((vbd = tapdisk_server_next(server, vbd)))
		json_object_array_add(all, vbd_stats(vbd));
	return all;
}

/* ---- the table --------------------------------------------------------------------------------
 */

#define A(tag) (1ull << TAPDISK_ATTR_##tag)
#define OPEN_ATTRS (A(PARAMS) | A(IMAGE_FLAGS) | A(LOG_PATH) | A(SECONDARY))
#define RING_ATTRS (A(DOMID) | A(DEVID))

/* clang-format off */
static const struct control_verb verbs[VERB_COUNT] = {
	[TAPDISK_FRAME_HELLO] = { "hello", CLASS_QUESTION,
		A(VERSION_MIN) | A(VERSION_MAX) | A(FEATURES) | A(NAME), run_answer },
	[TAPDISK_FRAME_PING] = { "ping", CLASS_QUESTION, 0, run_answer },
	[TAPDISK_FRAME_ATTACH] = { "attach", CLASS_EXCLUSIVE, 0, run_attach },
	[TAPDISK_FRAME_DETACH] = { "detach", CLASS_EXCLUSIVE, 0, run_detach },
	[TAPDISK_FRAME_OPEN] = { "open", CLASS_EXCLUSIVE,
		OPEN_ATTRS | A(PARENT_MINOR) | A(REQ_TIMEOUT) | A(KEY) | A(LOCK_POLICY), run_open },
	[TAPDISK_FRAME_CLOSE] = { "close", CLASS_EXCLUSIVE, A(FORCE), run_close },
	[TAPDISK_FRAME_PAUSE] = { "pause", CLASS_EXCLUSIVE, A(TIMEOUT), run_pause },
	[TAPDISK_FRAME_RESUME] = { "unpause", CLASS_EXCLUSIVE, OPEN_ATTRS, run_resume },
	[TAPDISK_FRAME_LIST] = { "list", CLASS_QUESTION, 0, run_answer },
	[TAPDISK_FRAME_STATS] = { "stats", CLASS_QUESTION, 0, run_stats },
	[TAPDISK_FRAME_INFO] = { "info", CLASS_QUESTION, 0, run_info },
	[TAPDISK_FRAME_RING_CONNECT] = { "connect ring", CLASS_RING,
		RING_ATTRS | A(PROTO) | A(QUEUE) | A(RING_FEATURES) | A(POLL) | A(INDIRECT_MAX) |
		A(RING_FLAGS), control_ring_connect },
	[TAPDISK_FRAME_RING_DISCONNECT] = { "disconnect ring", CLASS_RING,
		RING_ATTRS | A(FORCE), control_ring_disconnect },
	[TAPDISK_FRAME_RING_LIST] = { "list rings", CLASS_QUESTION, 0, control_ring_list },
	[TAPDISK_FRAME_COMMIT] = { "commit", CLASS_EXCLUSIVE, A(PARAMS), run_unsupported },
	[TAPDISK_FRAME_COMMIT_QUERY] = { "query commit", CLASS_QUESTION, 0, run_query_job },
	[TAPDISK_FRAME_COMMIT_CANCEL] = { "cancel commit", CLASS_QUESTION, 0, run_cancel_job },
	[TAPDISK_FRAME_RESIZE] = { "resize", CLASS_EXCLUSIVE, A(SECTORS), run_resize },
	[TAPDISK_FRAME_MIRROR] = { "mirror", CLASS_EXCLUSIVE,
		A(SECONDARY) | A(IMAGE_FLAGS), run_unsupported },
	[TAPDISK_FRAME_SET] = { "set", CLASS_EXCLUSIVE,
		A(REQ_TIMEOUT) | A(LOG_LEVEL), run_set },
	[TAPDISK_FRAME_PASS_FD] = { "pass a descriptor", CLASS_QUESTION,
		A(NAME) | A(PURPOSE), run_pass_fd },
	[TAPDISK_FRAME_SUBSCRIBE] = { "subscribe", CLASS_QUESTION, 0, run_subscribe },
	[TAPDISK_FRAME_EXIT] = { "exit", CLASS_QUESTION, 0, run_exit },
	[TAPDISK_FRAME_CANCEL] = { "cancel", CLASS_QUESTION, A(REQUEST_ID), run_cancel },
	[VERB_LIST_MINORS] = { "list minors", CLASS_QUESTION, 0, run_list_minors },
};
/* clang-format on */

const struct control_verb *
control_verb(unsigned verb)
{
	return verb < VERB_COUNT && verbs[verb].name ? &verbs[verb] : NULL;
}
