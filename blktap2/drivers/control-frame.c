/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The versioned protocol: frames of attributes, several requests at a time, events.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/bytes.h"
#include "common/frame.h"
#include "drivers/control-internal.h"
#include "drivers/core/server.h"

#define SERVER_NAME "tapdisk2"
#define FEATURES 0ull /* of the FEATURES bits none is defined yet */

/* ---- answers ----------------------------------------------------------------------------------
 */

static void
begin(struct frame_writer *writer, const struct control_op *op, unsigned flags, int err)
{
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = (uint16_t)op->type,
		.flags = (uint16_t)(TAPDISK_FRAME_REPLY | flags),
		.request_id = op->id,
		.minor = op->minor,
		.error = (uint32_t)-err,
	};

	frame_begin(writer, &frame);
}

static void
send_frame(struct connection *connection, struct frame_writer *writer)
{
	if (frame_end(writer, TAPDISK_FRAME_MAX_REPLY) == 0)
		connection_send(connection, writer->at, writer->length);
	else
		connection_finish(connection);
	frame_writer_free(writer);
}

static void
put_chain_item(void *arg, const char *image)
{
	frame_put_text(arg, TAPDISK_ATTR_CHAIN_ITEM, image);
}

static uint64_t
capabilities(const struct vbd *vbd)
{
	uint64_t can = TAPDISK_CAN_FLUSH | TAPDISK_CAN_WRITE_ZEROES | TAPDISK_CAN_BLOCK_STATUS;

	if (vbd_can_discard(vbd))
		can |= TAPDISK_CAN_DISCARD;
	return can;
}

/* Everything about a disk. */
static void
put_disk(struct frame_writer *writer, const struct control_op *op, struct vbd *vbd)
{
	char path[128];

	frame_put_u32(writer, TAPDISK_ATTR_PID, (uint32_t)getpid());
	frame_put_u32(writer, TAPDISK_ATTR_STATE, vbd_state(vbd));
	if (vbd_params(vbd))
		frame_put_text(writer, TAPDISK_ATTR_PARAMS, vbd_params(vbd));
	if (!vbd_sectors(vbd))
		return;
	frame_put_u64(writer, TAPDISK_ATTR_SECTORS, vbd_sectors(vbd));
	frame_put_u32(writer, TAPDISK_ATTR_SECTOR_SIZE, vbd_sector_size(vbd));
	frame_put_u32(writer, TAPDISK_ATTR_PHYS_SECTOR_SIZE, vbd_info(vbd)->phys_sector_size);
	frame_put_u32(writer, TAPDISK_ATTR_INFO, vbd_info(vbd)->info);
	frame_put_u64(writer, TAPDISK_ATTR_CAPABILITIES, capabilities(vbd));
	if (!vbd_is_open(vbd))
		return;
	snprintf(path, sizeof(path), "%s/nbd%d.%d",
		 tapdisk_server_control_dir(op->control->config.server), (int)getpid(),
		 vbd_minor(vbd));
	frame_put_text(writer, TAPDISK_ATTR_NBD_PATH, path);
	vbd_chain(vbd, put_chain_item, writer);
}

static void
answer_list(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	struct vbd *vbd = NULL, *next = tapdisk_server_next(server, NULL);
	struct control_op row = *op;
	struct frame_writer writer;

	if (!next) {
		begin(&writer, op, 0, 0);
		send_frame(op->connection, &writer);
	}
	while ((vbd = next)) {
		next = tapdisk_server_next(server, vbd);
		row.minor = (uint32_t)vbd_minor(vbd);
		begin(&writer, &row, next ? TAPDISK_FRAME_MORE : 0, 0);
		put_disk(&writer, op, vbd);
		send_frame(op->connection, &writer);
	}
}

static void
put_stats(struct frame_writer *writer, struct control_op *op)
{
	struct json_object *stats = control_stats(op);
	const char *text = json_object_to_json_string_ext(stats, CONTROL_JSON);

	frame_put(writer, TAPDISK_ATTR_JSON, text, strlen(text));
	json_object_put(stats);
}

static void
put_hello(struct frame_writer *writer)
{
	static const uint32_t limits[] = { TAPDISK_FRAME_MAX_REQUEST, TAPDISK_FRAME_OUTSTANDING, 0,
					   0 };
	uint8_t raw[sizeof(limits)];
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		put_le32(raw + 4 * i, limits[i]);
	frame_put_u32(writer, TAPDISK_ATTR_VERSION, TAPDISK_FRAME_VERSION);
	frame_put_u32(writer, TAPDISK_ATTR_VERSION_MAX, TAPDISK_FRAME_VERSION);
	frame_put_u64(writer, TAPDISK_ATTR_FEATURES, FEATURES);
	frame_put_u32(writer, TAPDISK_ATTR_PID, (uint32_t)getpid());
	frame_put_text(writer, TAPDISK_ATTR_NAME, SERVER_NAME);
	frame_put(writer, TAPDISK_ATTR_LIMITS, raw, sizeof(raw));
}

static void
answer_error(struct control_op *op, int err, const char *why)
{
	struct frame_writer writer;

	begin(&writer, op, TAPDISK_FRAME_ERROR, err);
	if (err == -EPROTONOSUPPORT) {
		frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MIN, TAPDISK_FRAME_VERSION);
		frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MAX, TAPDISK_FRAME_VERSION);
	}
	frame_put_text(&writer, TAPDISK_ATTR_ERROR_TEXT, why && *why ? why : strerror(-err));
	send_frame(op->connection, &writer);
}

static void
frames_answer(struct control_op *op, int err, const char *why)
{
	struct tapdisk_server *server = op->control->config.server;
	struct frame_writer writer;
	struct vbd *vbd;

	if (err) {
		answer_error(op, err, why);
		return;
	}
	if (op->verb == TAPDISK_FRAME_LIST) {
		answer_list(op);
		return;
	}
	begin(&writer, op, 0, 0);
	switch (op->verb) {
	case TAPDISK_FRAME_HELLO:
		put_hello(&writer);
		break;
	case TAPDISK_FRAME_PING:
		frame_put_u32(&writer, TAPDISK_ATTR_PID, (uint32_t)getpid());
		break;
	case TAPDISK_FRAME_STATS:
		put_stats(&writer, op);
		break;
	case TAPDISK_FRAME_OPEN:
	case TAPDISK_FRAME_INFO:
	case TAPDISK_FRAME_RESUME:
	case TAPDISK_FRAME_RESIZE:
		vbd = tapdisk_server_find(server, (int)op->minor);
		if (vbd)
			put_disk(&writer, op, vbd);
		break;
	default:
		break;
	}
	send_frame(op->connection, &writer);
}

void
control_frame_event(struct connection *connection, struct vbd *vbd, unsigned kind)
{
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = TAPDISK_FRAME_NOTICE,
		.flags = TAPDISK_FRAME_EVENT,
		.minor = (uint32_t)vbd_minor(vbd),
	};
	struct frame_writer writer;

	frame_begin(&writer, &frame);
	frame_put_u32(&writer, TAPDISK_ATTR_EVENT_KIND, kind);
	frame_put_u32(&writer, TAPDISK_ATTR_STATE, vbd_state(vbd));
	send_frame(connection, &writer);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

/* Each tag may come once, but for those that say otherwise. */
static int
note_tag(uint64_t *seen, const struct frame_attr *attr)
{
	uint64_t bit;

	if (attr->tag == TAPDISK_ATTR_PAD || attr->tag >= 64)
		return 0;
	if (attr->tag == TAPDISK_ATTR_QUEUE || attr->tag == TAPDISK_ATTR_CHAIN_ITEM)
		return 0;
	bit = 1ull << attr->tag;
	if (*seen & bit)
		return -EINVAL;
	*seen |= bit;
	return 0;
}

static int
take_key(struct control_op *op, const struct frame_attr *attr)
{
	if (attr->length != 32 && attr->length != 64)
		return -EINVAL;
	memcpy(op->key, attr->value, attr->length);
	op->options.key_len = attr->length;
	return 0;
}

static int
take_flags(struct control_op *op, const struct frame_attr *attr)
{
	uint32_t flags;
	int err = frame_get_u32(attr, &flags);

	if (err || flags & ~(uint32_t)TAPDISK_MESSAGE_FLAGS)
		return -EINVAL;
	op->options.flags |= control_open_flags(flags);
	return 0;
}

static int
take_parent(struct control_op *op, const struct frame_attr *attr)
{
	uint32_t minor;
	int err = frame_get_u32(attr, &minor);

	if (err || minor > VBD_MAX_MINOR)
		return -EINVAL;
	op->options.parent_minor = (int)minor;
	return 0;
}

static int
take_timeout(struct control_op *op, const struct frame_attr *attr)
{
	op->has_timeout = true;
	return frame_get_u32(attr, &op->timeout_ms);
}

static int
take_sectors(struct control_op *op, const struct frame_attr *attr)
{
	op->has_sectors = true;
	return frame_get_u64(attr, &op->sectors);
}

static int
take_attr(struct control_op *op, const struct frame_attr *attr)
{
	switch (attr->tag) {
	case TAPDISK_ATTR_PAD:
	case TAPDISK_ATTR_LOCK_POLICY:
		return 0;
	case TAPDISK_ATTR_VERSION_MIN:
		return frame_get_u32(attr, &op->version_min);
	case TAPDISK_ATTR_VERSION_MAX:
		return frame_get_u32(attr, &op->version_max);
	case TAPDISK_ATTR_FEATURES:
		return frame_get_u64(attr, &op->features);
	case TAPDISK_ATTR_REQUEST_ID:
		return frame_get_u64(attr, &op->target_id);
	case TAPDISK_ATTR_NAME:
		return frame_get_text(attr, &op->name);
	case TAPDISK_ATTR_PARAMS:
		return frame_get_text(attr, &op->params);
	case TAPDISK_ATTR_SECONDARY:
		return frame_get_text(attr, &op->secondary);
	case TAPDISK_ATTR_LOG_PATH:
		return frame_get_text(attr, &op->log_path);
	case TAPDISK_ATTR_PURPOSE:
		return frame_get_text(attr, &op->purpose);
	case TAPDISK_ATTR_IMAGE_FLAGS:
		return take_flags(op, attr);
	case TAPDISK_ATTR_PARENT_MINOR:
		return take_parent(op, attr);
	case TAPDISK_ATTR_REQ_TIMEOUT:
		return frame_get_u32(attr, &op->options.timeout_s);
	case TAPDISK_ATTR_KEY:
		return take_key(op, attr);
	case TAPDISK_ATTR_FORCE:
		op->force = true;
		return attr->length ? -EINVAL : 0;
	case TAPDISK_ATTR_TIMEOUT:
		return take_timeout(op, attr);
	case TAPDISK_ATTR_SECTORS:
		return take_sectors(op, attr);
	default:
		return attr->critical ? -EOPNOTSUPP : 0;
	}
}

static int
decode(struct control_op *op, const uint8_t *payload, size_t length)
{
	struct frame_reader reader = { .at = payload, .left = length };
	struct frame_attr attr;
	uint64_t seen = 0;
	int err;

	while ((err = frame_next(&reader, &attr)) == 1) {
		err = note_tag(&seen, &attr);
		if (!err)
			err = take_attr(op, &attr);
		if (err)
			return err;
	}
	return err;
}

/* The first frame agrees on a version: 0, -EPROTO when it is no HELLO, -EPROTONOSUPPORT. */
static int
greet(struct connection *connection, const struct control_op *op)
{
	if (connection->greeted)
		return op->verb == TAPDISK_FRAME_HELLO ? -EINVAL : 0;
	if (op->verb != TAPDISK_FRAME_HELLO)
		return -EPROTO;
	if (op->version_min > TAPDISK_FRAME_VERSION || op->version_max < TAPDISK_FRAME_VERSION)
		return -EPROTONOSUPPORT;
	connection->greeted = true;
	return 0;
}

static bool
is_request(unsigned type)
{
	return type >= TAPDISK_FRAME_HELLO && type <= TAPDISK_FRAME_CANCEL &&
	       type != TAPDISK_FRAME_NOTICE;
}

static void
refuse(struct control_op *op, int err)
{
	op->ended = true;
	frames_answer(op, err, NULL);
	control_op_free(op);
}

/* Serve one whole frame.  Malformed ones are answered, and end the connection: 0 or -errno. */
static int
serve(struct connection *connection, const struct frame *frame, const uint8_t *payload)
{
	struct control_op *op = control_op_new(connection, frame->type, frame->type, frame->minor);
	int err;

	if (!op)
		return -ENOMEM;
	op->id = frame->request_id;
	if (!is_request(frame->type)) {
		refuse(op, -EOPNOTSUPP);
		return 0;
	}
	err = decode(op, payload, frame->length);
	if (!err)
		err = greet(connection, op);
	if (!err) {
		control_op_start(op);
		return 0;
	}
	refuse(op, err);
	/* What is merely not supported leaves the stream in step. */
	if (err != -EOPNOTSUPP)
		connection_finish(connection);
	return 0;
}

static int
frames_take(struct connection *connection, size_t *need)
{
	struct bytes *in = &connection->in;
	struct frame frame;
	int err;

	*need = TAPDISK_FRAME_HEADER;
	if (in->length < *need)
		return 0;
	err = frame_decode(in->at + in->from, &frame);
	if (err)
		return err;
	if (frame.length > TAPDISK_FRAME_MAX_REQUEST)
		return -EMSGSIZE;
	*need = frame.header_len + (size_t)frame.length;
	if (in->length < *need)
		return 0;
	err = serve(connection, &frame, in->at + in->from + frame.header_len);
	explicit_bzero(in->at + in->from, *need);
	in->from += *need;
	in->length -= *need;
	connection->message_begun = 0;
	*need = TAPDISK_FRAME_HEADER;
	return err ? err : 1;
}

const struct protocol control_frames = {
	.take = frames_take,
	.answer = frames_answer,
};
