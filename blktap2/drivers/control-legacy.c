/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy protocol: one message of 544 bytes, perhaps with trailing data, and one answer; then
 * the connection ends.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/message.h"
#include "drivers/control-internal.h"
#include "drivers/core/server.h"

/* What each request is, and the number of its answer. */
static const struct {
	unsigned type, verb, answer;
} rows[] = {
	{ TAPDISK_MESSAGE_PID, TAPDISK_FRAME_PING, TAPDISK_MESSAGE_PID_RSP },
	{ TAPDISK_MESSAGE_ATTACH, TAPDISK_FRAME_ATTACH, TAPDISK_MESSAGE_ATTACH_RSP },
	{ TAPDISK_MESSAGE_OPEN, TAPDISK_FRAME_OPEN, TAPDISK_MESSAGE_OPEN_RSP },
	{ TAPDISK_MESSAGE_PAUSE, TAPDISK_FRAME_PAUSE, TAPDISK_MESSAGE_PAUSE_RSP },
	{ TAPDISK_MESSAGE_RESUME, TAPDISK_FRAME_RESUME, TAPDISK_MESSAGE_RESUME_RSP },
	{ TAPDISK_MESSAGE_CLOSE, TAPDISK_FRAME_CLOSE, TAPDISK_MESSAGE_CLOSE_RSP },
	{ TAPDISK_MESSAGE_FORCE_SHUTDOWN, TAPDISK_FRAME_CLOSE, TAPDISK_MESSAGE_CLOSE_RSP },
	{ TAPDISK_MESSAGE_DETACH, TAPDISK_FRAME_DETACH, TAPDISK_MESSAGE_DETACH_RSP },
	{ TAPDISK_MESSAGE_LIST_MINORS, VERB_LIST_MINORS, TAPDISK_MESSAGE_LIST_MINORS_RSP },
	{ TAPDISK_MESSAGE_LIST, TAPDISK_FRAME_LIST, TAPDISK_MESSAGE_LIST_RSP },
	{ TAPDISK_MESSAGE_STATS, TAPDISK_FRAME_STATS, TAPDISK_MESSAGE_STATS_RSP },
	{ TAPDISK_MESSAGE_DISK_INFO, TAPDISK_FRAME_INFO, TAPDISK_MESSAGE_DISK_INFO_RSP },
	{ TAPDISK_MESSAGE_XENBLKIF_CONNECT, TAPDISK_FRAME_RING_CONNECT,
	  TAPDISK_MESSAGE_XENBLKIF_CONNECT_RSP },
	{ TAPDISK_MESSAGE_XENBLKIF_DISCONNECT, TAPDISK_FRAME_RING_DISCONNECT,
	  TAPDISK_MESSAGE_XENBLKIF_DISCONNECT_RSP },
	{ TAPDISK_MESSAGE_COMMIT, TAPDISK_FRAME_COMMIT, TAPDISK_MESSAGE_COMMIT_RSP },
	{ TAPDISK_MESSAGE_QUERY_COMMIT_JOB, TAPDISK_FRAME_COMMIT_QUERY,
	  TAPDISK_MESSAGE_QUERY_COMMIT_JOB_RSP },
	{ TAPDISK_MESSAGE_CANCEL_COMMIT_JOB, TAPDISK_FRAME_COMMIT_CANCEL,
	  TAPDISK_MESSAGE_CANCEL_COMMIT_JOB_RSP },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* The flags of messages and those of the engine. */
static const struct {
	uint32_t message;
	td_flag_t open;
} flag_rows[] = {
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

td_flag_t
control_open_flags(uint32_t flags)
{
	td_flag_t open = 0;
	size_t i;

	for (i = 0; i < sizeof(flag_rows) / sizeof(flag_rows[0]); i++)
		if (flags & flag_rows[i].message)
			open |= flag_rows[i].open;
	return open;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void
send_message(struct connection *connection, tapdisk_message_t *message, unsigned type,
	     uint32_t minor)
{
	message->type = (uint16_t)type;
	message->cookie =
		minor == TAPDISK_FRAME_NO_MINOR ? TAPDISK_MESSAGE_NO_MINOR : (uint16_t)minor;
	connection_send(connection, message, sizeof(*message));
}

static void
send_error(struct connection *connection, uint32_t minor, int err, const char *why)
{
	tapdisk_message_t message = { 0 };

	message.u.response.error = -err;
	message_put_note(message.u.response.message, sizeof(message.u.response.message),
			 why && *why ? why : strerror(-err));
	send_message(connection, &message, TAPDISK_MESSAGE_ERROR, minor);
}

static void
send_list(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	int left = (int)tapdisk_server_count(server);
	struct vbd *vbd = NULL;
	tapdisk_message_t message;

	while ((vbd = tapdisk_server_next(server, vbd))) {
		memset(&message, 0, sizeof(message));
		message.u.list.count = left--;
		message.u.list.minor = vbd_minor(vbd);
		message.u.list.state = (int32_t)vbd_state(vbd);
		if (vbd_params(vbd))
			message_put_note(message.u.list.path, sizeof(message.u.list.path),
					 vbd_params(vbd));
		send_message(op->connection, &message, TAPDISK_MESSAGE_LIST_RSP, op->minor);
	}
	memset(&message, 0, sizeof(message));
	message.u.list.minor = -1;
	send_message(op->connection, &message, TAPDISK_MESSAGE_LIST_RSP, op->minor);
}

static void
send_minors(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	tapdisk_message_t message = { 0 };
	struct vbd *vbd = NULL;

	while ((vbd = tapdisk_server_next(server, vbd)))
		message.u.minors.list[message.u.minors.count++] = vbd_minor(vbd);
	send_message(op->connection, &message, TAPDISK_MESSAGE_LIST_MINORS_RSP, op->minor);
}

struct json_object *
control_stats(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	struct json_object *all;
	struct vbd *vbd = NULL;

	if (op->minor != TAPDISK_FRAME_NO_MINOR)
		return vbd_stats(tapdisk_server_find(server, (int)op->minor));
	all = json_object_new_array();
	while ((vbd = tapdisk_server_next(server, vbd)))
		json_object_array_add(all, vbd_stats(vbd));
	return all;
}

static void
send_stats(struct control_op *op)
{
	struct json_object *stats = control_stats(op);
	tapdisk_message_t message = { 0 };
	const char *text;

	text = json_object_to_json_string_ext(stats, CONTROL_JSON);
	message.u.info.length = strlen(text);
	send_message(op->connection, &message, TAPDISK_MESSAGE_STATS_RSP, op->minor);
	connection_send(op->connection, text, strlen(text));
	json_object_put(stats);
}

static void
send_success(struct control_op *op, unsigned type)
{
	struct vbd *vbd = tapdisk_server_find(op->control->config.server, (int)op->minor);
	tapdisk_message_t message = { 0 };

	if (op->verb == TAPDISK_FRAME_PING) {
		message.u.tapdisk_pid = (int32_t)getpid();
	} else if ((op->verb == TAPDISK_FRAME_OPEN || op->verb == TAPDISK_FRAME_INFO) && vbd) {
		message.u.image.sectors = vbd_sectors(vbd);
		message.u.image.sector_size = vbd_sector_size(vbd);
		message.u.image.info = vbd_info(vbd)->info;
	}
	send_message(op->connection, &message, type, op->minor);
}

static void
legacy_answer(struct control_op *op, int err, const char *why)
{
	struct connection *connection = op->connection;
	unsigned type = 0;
	size_t i;

	for (i = 0; i < ROWS; i++)
		if (rows[i].type == op->type)
			type = rows[i].answer;
	if (err)
		send_error(connection, op->minor, err, why);
	else if (op->verb == TAPDISK_FRAME_LIST)
		send_list(op);
	else if (op->verb == VERB_LIST_MINORS)
		send_minors(op);
	else if (op->verb == TAPDISK_FRAME_STATS)
		send_stats(op);
	else
		send_success(op, type);
	connection_finish(connection);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

/* Bytes of the whole request, as far as is known; -EINVAL for a key of impossible length. */
static int
whole_length(const tapdisk_message_t *message, const struct bytes *in, size_t *length)
{
	bool carries =
		message->type == TAPDISK_MESSAGE_OPEN || message->type == TAPDISK_MESSAGE_RESUME;
	unsigned key;

	*length = TAPDISK_MESSAGE_SIZE;
	if (carries && message->u.params.flags & TAPDISK_MESSAGE_FLAG_ADD_LOG)
		*length += TAPDISK_MESSAGE_LOG_BYTES;
	if (message->type != TAPDISK_MESSAGE_OPEN ||
	    !(message->u.params.flags & TAPDISK_MESSAGE_FLAG_ENCRYPTED))
		return 0;
	*length += 1;
	if (in->length < *length)
		return 0;
	key = in->at[in->from + *length - 1];
	if (!key || key > TAPDISK_MESSAGE_MAX_KEY)
		return -EINVAL;
	*length += key;
	return 0;
}

/* The text of a field of the message, copied; *out NULL when it is empty. */
static int
copy_text(const char *field, size_t size, char **out)
{
	if (!message_text_ends(field, size))
		return -EINVAL;
	if (!*field)
		return 0;
	*out = strdup(field);
	return *out ? 0 : -ENOMEM;
}

static int
decode_params(struct control_op *op, const tapdisk_message_t *message)
{
	const tapdisk_message_params_t *params = &message->u.params;
	int err;

	if (params->flags & ~(uint32_t)TAPDISK_MESSAGE_FLAGS)
		return -EINVAL;
	op->options.flags = control_open_flags(params->flags);
	op->options.timeout_s = params->req_timeout;
	if (params->flags & TAPDISK_MESSAGE_FLAG_REUSE_PRT) {
		if (params->prt_devnum > VBD_MAX_MINOR)
			return -EINVAL;
		op->options.parent_minor = (int)params->prt_devnum;
	}
	err = copy_text(params->path, sizeof(params->path), &op->params);
	if (!err && params->flags & TAPDISK_MESSAGE_FLAG_SECONDARY)
		err = copy_text(params->secondary, sizeof(params->secondary), &op->secondary);
	return err;
}

static int
decode_trailing(struct control_op *op, const tapdisk_message_t *message, const uint8_t *trailing)
{
	uint32_t flags = message->u.params.flags;
	int err;

	if (flags & TAPDISK_MESSAGE_FLAG_ADD_LOG) {
		err = copy_text((const char *)trailing, TAPDISK_MESSAGE_LOG_BYTES, &op->log_path);
		if (err || !op->log_path)
			return err ? err : -EINVAL;
		trailing += TAPDISK_MESSAGE_LOG_BYTES;
	}
	if (message->type == TAPDISK_MESSAGE_OPEN && flags & TAPDISK_MESSAGE_FLAG_ENCRYPTED) {
		if (trailing[0] != 32 && trailing[0] != 64)
			return -EINVAL;
		op->options.key_len = trailing[0];
		memcpy(op->key, trailing + 1, trailing[0]);
	}
	return 0;
}

static int
decode(struct control_op *op, const tapdisk_message_t *message, const uint8_t *trailing)
{
	int err;

	switch (message->type) {
	case TAPDISK_MESSAGE_OPEN:
	case TAPDISK_MESSAGE_RESUME:
		err = decode_params(op, message);
		return err ? err : decode_trailing(op, message, trailing);
	case TAPDISK_MESSAGE_FORCE_SHUTDOWN:
		op->force = true;
		return 0;
	default:
		return 0;
	}
}

static unsigned
verb_of(unsigned type)
{
	size_t i;

	for (i = 0; i < ROWS; i++)
		if (rows[i].type == type)
			return rows[i].verb;
	return 0;
}

static void
start(struct connection *connection, const tapdisk_message_t *message, const uint8_t *trailing)
{
	uint32_t minor = message->cookie == TAPDISK_MESSAGE_NO_MINOR ? TAPDISK_FRAME_NO_MINOR
								     : message->cookie;
	unsigned verb = verb_of(message->type);
	struct control_op *op;
	int err;

	if (!verb) {
		send_error(connection, minor, -EINVAL, "unknown request");
		connection_finish(connection);
		return;
	}
	op = control_op_new(connection, verb, message->type, minor);
	if (!op) {
		connection_finish(connection);
		return;
	}
	err = decode(op, message, trailing);
	if (err) {
		op->ended = true;
		legacy_answer(op, err, NULL);
		control_op_free(op);
		return;
	}
	control_op_start(op);
}

static int
legacy_take(struct connection *connection, size_t *need)
{
	struct bytes *in = &connection->in;
	tapdisk_message_t message;
	int err;

	*need = TAPDISK_MESSAGE_SIZE;
	/* One request per connection: whatever else comes is not listened to. */
	if (connection->outstanding) {
		in->length = 0;
		return 0;
	}
	if (in->length < TAPDISK_MESSAGE_SIZE)
		return 0;
	memcpy(&message, in->at + in->from, sizeof(message));
	err = whole_length(&message, in, need);
	if (err) {
		send_error(connection, message.cookie, err, "the key has an impossible length");
		connection_finish(connection);
		return 0;
	}
	if (in->length < *need)
		return 0;
	start(connection, &message, in->at + in->from + TAPDISK_MESSAGE_SIZE);
	explicit_bzero(in->at + in->from, in->length);
	in->length = 0;
	*need = TAPDISK_MESSAGE_SIZE;
	return 1;
}

const struct protocol control_legacy = {
	.take = legacy_take,
	.answer = legacy_answer,
};
