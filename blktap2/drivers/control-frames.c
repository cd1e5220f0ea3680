/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of the versioned protocol: frames of attributes, several at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/frame.h"
#include "drivers/control-internal.h"

#define TAGS 64 /* the attributes that one word can count */

/* ---- attributes -------------------------------------------------------------------------------
 */

static int
take_flags(struct control_op *op, const struct frame_attr *attr)
{
	int err = frame_get_u32(attr, &op->flags);

	if (!err && op->flags & ~(uint32_t)TAPDISK_MESSAGE_FLAGS)
		return -EINVAL;
	return err;
}

/* The engine has one policy: that of its configuration. */
static int
take_lock_policy(const struct frame_attr *attr)
{
	uint32_t policy;
	int err = frame_get_u32(attr, &policy);

	if (err || policy > 2)
		return -EINVAL;
	return policy ? -EOPNOTSUPP : 0;
}

static int
take_poll(struct control_op *op, const struct frame_attr *attr)
{
	if (attr->length != 8)
		return -EINVAL;
	op->ring.poll_us = get_le32(attr->value);
	op->ring.poll_idle = get_le32(attr->value + 4);
	return 0;
}

static int
take_force(struct control_op *op, const struct frame_attr *attr)
{
	op->force = true;
	return attr->length ? -EINVAL : 0;
}

/* Of those that open a disk. */
static int
take_open_attr(struct control_op *op, const struct frame_attr *attr)
{
	switch (attr->tag) {
	case TAPDISK_ATTR_PARAMS:
		return frame_get_text(attr, &op->params);
	case TAPDISK_ATTR_SECONDARY:
		return frame_get_text(attr, &op->secondary);
	case TAPDISK_ATTR_LOG_PATH:
		return frame_get_text(attr, &op->log_path);
	case TAPDISK_ATTR_IMAGE_FLAGS:
		return take_flags(op, attr);
	case TAPDISK_ATTR_PARENT_MINOR:
		return frame_get_u32(attr, &op->parent_minor);
	case TAPDISK_ATTR_REQ_TIMEOUT:
		return frame_get_u32(attr, &op->timeout_s);
	case TAPDISK_ATTR_KEY:
		return control_op_set_key(op, attr->value, attr->length);
	case TAPDISK_ATTR_LOCK_POLICY:
		return take_lock_policy(attr);
	default:
		return 0;
	}
}

static int
take_ring_attr(struct control_op *op, const struct frame_attr *attr)
{
	switch (attr->tag) {
	case TAPDISK_ATTR_DOMID:
		return frame_get_u32(attr, &op->ring.domid);
	case TAPDISK_ATTR_DEVID:
		return frame_get_u32(attr, &op->ring.devid);
	case TAPDISK_ATTR_PROTO:
		return frame_get_u32(attr, &op->ring.proto);
	case TAPDISK_ATTR_QUEUE:
		return control_ring_take_queue(op, attr);
	case TAPDISK_ATTR_RING_FEATURES:
		return frame_get_u64(attr, &op->ring.features);
	case TAPDISK_ATTR_POLL:
		return take_poll(op, attr);
	case TAPDISK_ATTR_INDIRECT_MAX:
		return frame_get_u32(attr, &op->ring.indirect_max);
	case TAPDISK_ATTR_RING_FLAGS:
		return frame_get_u32(attr, &op->ring.flags);
	default:
		return take_open_attr(op, attr);
	}
}

static int
take_attr(struct control_op *op, const struct frame_attr *attr)
{
	uint64_t ignored;

	switch (attr->tag) {
	case TAPDISK_ATTR_VERSION_MIN:
		return frame_get_u32(attr, &op->version_min);
	case TAPDISK_ATTR_VERSION_MAX:
		return frame_get_u32(attr, &op->version_max);
	case TAPDISK_ATTR_FEATURES: /* none is defined yet: whatever is wished for, none is granted
				     */
		return frame_get_u64(attr, &ignored);
	case TAPDISK_ATTR_REQUEST_ID:
		return frame_get_u64(attr, &op->target_id);
	case TAPDISK_ATTR_NAME:
		return frame_get_text(attr, &op->name);
	case TAPDISK_ATTR_PURPOSE:
		return frame_get_text(attr, &op->purpose);
	case TAPDISK_ATTR_FORCE:
		return take_force(op, attr);
	case TAPDISK_ATTR_TIMEOUT:
		return frame_get_u32(attr, &op->timeout_ms);
	case TAPDISK_ATTR_SECTORS:
		return frame_get_u64(attr, &op->sectors);
	case TAPDISK_ATTR_LOG_LEVEL:
		return frame_get_u32(attr, &op->log_level);
	default:
		return take_ring_attr(op, attr);
	}
}

/* An attribute that this request does not know is ignored, unless that would be wrong. */
static int
take_known_attr(struct control_op *op, const struct frame_attr *attr)
{
	uint64_t bit = attr->tag < TAGS ? 1ull << attr->tag : 0;

	if (attr->tag == TAPDISK_ATTR_PAD)
		return 0;
	if (!(op->row->attrs & bit))
		return attr->critical ? -EOPNOTSUPP : 0;
	if (op->attrs & bit && attr->tag != TAPDISK_ATTR_QUEUE)
		return -EINVAL;
	op->attrs |= bit;
	return take_attr(op, attr);
}

static int
decode(struct control_op *op, const uint8_t *payload, size_t length)
{
	struct frame_reader reader = { .at = payload, .left = length };
	struct frame_attr attr;
	int err;

	while ((err = frame_next(&reader, &attr)) == 1) {
		err = take_known_attr(op, &attr);
		if (err)
			return err;
	}
	return err;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

/* The first frame agrees on a version, which those that follow keep to. */
static int
greet(struct connection *connection, const struct control_op *op, const struct frame *frame)
{
	bool is_hello = op->verb == TAPDISK_FRAME_HELLO;

	if (is_hello == connection->greeted)
		return -EINVAL;
	if (!is_hello)
		return frame->version == TAPDISK_FRAME_VERSION ? 0 : -EPROTONOSUPPORT;
	if (!frame->version || op->version_min > TAPDISK_FRAME_VERSION ||
	    op->version_max < TAPDISK_FRAME_VERSION)
		return -EPROTONOSUPPORT;
	connection->greeted = true;
	return 0;
}

/* A frame that is no request, but whose end is known. */
static int
refuse(struct connection *connection, const struct frame *frame, int err)
{
	struct control_op *op =
		control_op_new(connection, TAPDISK_FRAME_PING, frame->type, frame->minor);

	if (!op)
		return -ENOMEM;
	op->id = frame->request_id;
	control_op_end(op, err, NULL);
	return 0;
}

/* Serve one whole frame.  Malformed ones are answered, and end the connection: 0 or -errno. */
static int
serve(struct connection *connection, const struct frame *frame, const uint8_t *payload)
{
	struct control_op *op;
	int err;

	/* Only the legacy protocol has what comes after CANCEL. */
	if (frame->type > TAPDISK_FRAME_CANCEL || !control_verb(frame->type))
		return refuse(connection, frame, -EOPNOTSUPP);
	op = control_op_new(connection, frame->type, frame->type, frame->minor);
	if (!op)
		return -ENOMEM;
	op->id = frame->request_id;
	err = frame->flags ? -EINVAL : decode(op, payload, frame->length);
	if (!err)
		err = greet(connection, op, frame);
	if (!err) {
		control_queue_start(op);
		return 0;
	}
	control_op_end(op, err, NULL);
	connection_finish(connection);
	return 0;
}

static int
frames_take(struct connection *connection, size_t *need)
{
	const struct inbox *in = &connection->in;
	struct frame frame;
	int err;

	*need = TAPDISK_FRAME_HEADER;
	if (in->length < *need)
		return 0;
	err = frame_decode(in->at, &frame);
	if (err)
		return err;
	if (frame.length > TAPDISK_FRAME_MAX_REQUEST) {
		err = refuse(connection, &frame, -EINVAL);
		connection_finish(connection);
		return err ? err : 1;
	}
	*need = frame.header_len + (size_t)frame.length;
	if (in->length < *need)
		return 0;
	err = serve(connection, &frame, in->at + frame.header_len);
	return err ? err : 1;
}

const struct protocol control_frames = {
	.take = frames_take,
	.answer = control_frames_answer,
};
