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
static const struct row {
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

/* NULL: not a request. */
static const struct row *
row_of(unsigned type)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

static uint32_t
minor_of(const tapdisk_message_t *message)
{
	return message->cookie == TAPDISK_MESSAGE_NO_MINOR ? TAPDISK_FRAME_NO_MINOR
							   : message->cookie;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void
send_message(struct connection *connection, tapdisk_message_t *message, unsigned type,
	     uint32_t minor)
{
	message->type = (uint16_t)type;
	message->cookie = (uint16_t)minor; /* TAPDISK_MESSAGE_NO_MINOR for none */
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
send_list(const struct control_op *op)
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
send_minors(const struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	tapdisk_message_t message = { 0 };
	struct vbd *vbd = NULL;

	while ((vbd = tapdisk_server_next(server, vbd)))
		message.u.minors.list[message.u.minors.count++] = vbd_minor(vbd);
	send_message(op->connection, &message, TAPDISK_MESSAGE_LIST_MINORS_RSP, op->minor);
}

static void
send_stats(const struct control_op *op)
{
	struct json_object *stats = control_stats(op);
	tapdisk_message_t message = { 0 };
	const char *text;
	size_t length;

	text = json_object_to_json_string_ext(stats, CONTROL_JSON);
	length = strlen(text);
	message.u.info.length = length;
	send_message(op->connection, &message, TAPDISK_MESSAGE_STATS_RSP, op->minor);
	connection_send(op->connection, text, length);
	json_object_put(stats);
}

/* The answers that are one message. */
static void
send_success(const struct control_op *op, unsigned type)
{
	const struct vbd *vbd = control_op_disk(op);
	tapdisk_message_t message = { 0 };

	switch (op->verb) {
	case TAPDISK_FRAME_PING:
		message.u.tapdisk_pid = (int32_t)getpid();
		break;
	case TAPDISK_FRAME_OPEN:
	case TAPDISK_FRAME_INFO:
		message.u.image.sectors = vbd_sectors(vbd);
		message.u.image.sector_size = vbd_sector_size(vbd);
		message.u.image.info = vbd_info(vbd)->info;
		break;
	case TAPDISK_FRAME_COMMIT_QUERY:
		message_put_note(message.u.query.status, sizeof(message.u.query.status),
				 "undefined");
		break;
	default:
		break;
	}
	send_message(op->connection, &message, type, op->minor);
}

static void
legacy_answer(struct control_op *op, int err, const char *why)
{
	if (err)
		send_error(op->connection, op->minor, err, why);
	else if (op->verb == TAPDISK_FRAME_LIST)
		send_list(op);
	else if (op->verb == VERB_LIST_MINORS)
		send_minors(op);
	else if (op->verb == TAPDISK_FRAME_STATS)
		send_stats(op);
	else
		send_success(op, row_of(op->type)->answer);
	connection_finish(op->connection);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static bool
has_log(const tapdisk_message_t *message)
{
	return (message->type == TAPDISK_MESSAGE_OPEN || message->type == TAPDISK_MESSAGE_RESUME) &&
	       message->u.params.flags & TAPDISK_MESSAGE_FLAG_ADD_LOG;
}

static bool
has_key(const tapdisk_message_t *message)
{
	return message->type == TAPDISK_MESSAGE_OPEN &&
	       message->u.params.flags & TAPDISK_MESSAGE_FLAG_ENCRYPTED;
}

/* Bytes of the whole request, as far as is known; -EINVAL for a key of impossible length. */
static int
whole_length(const tapdisk_message_t *message, const struct inbox *in, size_t *length)
{
	unsigned key;

	*length = TAPDISK_MESSAGE_SIZE;
	if (has_log(message))
		*length += TAPDISK_MESSAGE_LOG_BYTES;
	if (!has_key(message))
		return 0;
	*length += 1;
	if (in->length < *length)
		return 0;
	key = in->at[*length - 1];
	if (!key || key > TAPDISK_MESSAGE_MAX_KEY)
		return -EINVAL;
	*length += key;
	return 0;
}

/* The text of a field, copied; *out stays NULL when it is empty. */
static int
copy_text(const char *field, size_t size, char **out)
{
	const char *at;

	if (!message_text_ends(field, size))
		return -EINVAL;
	for (at = field; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
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
	op->flags = params->flags;
	op->timeout_s = params->req_timeout;
	op->parent_minor = params->prt_devnum;
	err = copy_text(params->path, sizeof(params->path), &op->params);
	if (!err && params->flags & TAPDISK_MESSAGE_FLAG_SECONDARY)
		err = copy_text(params->secondary, sizeof(params->secondary), &op->secondary);
	return err;
}

static int
decode_trailing(struct control_op *op, const tapdisk_message_t *message, const uint8_t *trailing)
{
	int err;

	if (has_log(message)) {
		err = copy_text((const char *)trailing, TAPDISK_MESSAGE_LOG_BYTES, &op->log_path);
		if (err)
			return err;
		trailing += TAPDISK_MESSAGE_LOG_BYTES;
	}
	return has_key(message) ? control_op_set_key(op, trailing + 1, trailing[0]) : 0;
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
	case TAPDISK_MESSAGE_COMMIT:
		return copy_text(message->u.params.path, sizeof(message->u.params.path),
				 &op->params);
	case TAPDISK_MESSAGE_XENBLKIF_CONNECT:
	case TAPDISK_MESSAGE_XENBLKIF_DISCONNECT:
		return control_ring_decode(op, &message->u.blkif);
	default:
		return 0;
	}
}

static void
start(struct connection *connection, const tapdisk_message_t *message, const uint8_t *trailing)
{
	const struct row *row = row_of(message->type);
	struct control_op *op;
	int err;

	if (!row) {
		send_error(connection, minor_of(message), -EINVAL, "unknown request");
		connection_finish(connection);
		return;
	}
	op = control_op_new(connection, row->verb, message->type, minor_of(message));
	if (!op) {
		connection_finish(connection);
		return;
	}
	err = decode(op, message, trailing);
	if (err)
		control_op_end(op, err, NULL);
	else
		control_queue_start(op);
}

static int
legacy_take(struct connection *connection, size_t *need)
{
	const struct inbox *in = &connection->in;
	tapdisk_message_t message;
	int err;

	*need = TAPDISK_MESSAGE_SIZE;
	/* One request per connection: whatever else comes is not listened to. */
	if (connection->outstanding)
		return in->length ? 1 : 0;
	if (in->length < TAPDISK_MESSAGE_SIZE)
		return 0;
	memcpy(&message, in->at, sizeof(message));
	err = whole_length(&message, in, need);
	if (err) {
		send_error(connection, minor_of(&message), err, "the key has an impossible length");
		connection_finish(connection);
		return 1;
	}
	if (in->length < *need)
		return 0;
	start(connection, &message, in->at + TAPDISK_MESSAGE_SIZE);
	return 1;
}

const struct protocol control_legacy = {
	.take = legacy_take,
	.answer = legacy_answer,
};
