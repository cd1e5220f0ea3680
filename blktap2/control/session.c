/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions: greeting, calls, answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "control/session.h"

void
session_begin(struct session *session, struct frame_writer *writer, unsigned type, int minor)
{
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = (uint16_t)type,
		.request_id = ++session->next_id,
		.minor = minor < 0 ? TAPDISK_FRAME_NO_MINOR : (uint32_t)minor,
	};

	frame_begin(writer, &frame);
}

int
session_send(struct session *session, struct frame_writer *writer, const struct deadline *deadline)
{
	int err = frame_end(writer, TAPDISK_FRAME_MAX_REQUEST);

	if (!err)
		err = ipc_send(session->fd, writer->at, writer->length, deadline);
	frame_writer_free(writer);
	return err;
}

static int
skip(int fd, size_t bytes, const struct deadline *deadline)
{
	char waste[TAPDISK_FRAME_MAX_HEADER];

	return bytes ? ipc_receive(fd, waste, bytes, deadline) : 0;
}

int
session_receive(struct session *session, struct session_reply *reply,
		const struct deadline *deadline)
{
	uint8_t raw[TAPDISK_FRAME_HEADER];
	AUTO_FREE uint8_t *payload = NULL;
	struct frame frame;
	int err;

	err = ipc_receive(session->fd, raw, sizeof(raw), deadline);
	if (err)
		return err;
	if (frame_decode(raw, &frame))
		return -EPROTO;
	if (frame.length > TAPDISK_FRAME_MAX_REPLY)
		return -EMSGSIZE;
	err = skip(session->fd, frame.header_len - sizeof(raw), deadline);
	if (err)
		return err;
	payload = malloc(frame.length + 1);
	if (!payload)
		return -ENOMEM;
	err = ipc_receive(session->fd, payload, frame.length, deadline);
	if (err)
		return err;
	*reply = (struct session_reply){ .frame = frame, .payload = STEAL(payload) };
	return 0;
}

void
session_reply_free(struct session_reply *reply)
{
	free(reply->payload);
	reply->payload = NULL;
}

int
session_error(struct session *session, const struct session_reply *reply)
{
	struct frame_reader reader = { .at = reply->payload, .left = reply->frame.length };
	struct frame_attr attr;
	int err = reply->frame.error && reply->frame.error < 4096 ? -(int)reply->frame.error : -EIO;

	if (!(reply->frame.flags & TAPDISK_FRAME_ERROR))
		return 0;
	while (frame_next(&reader, &attr) == 1)
		if (attr.tag == TAPDISK_ATTR_ERROR_TEXT)
			reason(&session->ctl->why, err, "%.*s", (int)attr.length,
			       (const char *)attr.value);
	return err;
}

int
session_call(struct session *session, struct frame_writer *writer, int default_ms,
	     struct session_reply *out)
{
	struct deadline deadline = deadline_in(session->ctl, default_ms);
	struct session_reply reply = { .payload = NULL };
	int err = session_send(session, writer, &deadline);

	session->ctl->why.text[0] = '\0';
	if (!err)
		err = session_receive(session, &reply, &deadline);
	if (!err)
		err = session_error(session, &reply);
	if (!err && out)
		*out = reply;
	else
		session_reply_free(&reply);
	return err;
}

/* A legacy tapdisk answers with a message of its own: its first byte is no 'B'. */
static int
greet(struct session *session)
{
	struct deadline deadline = deadline_in(session->ctl, IPC_PID_MS);
	struct session_reply reply = { .payload = NULL };
	struct frame_writer writer;
	int err;

	session_begin(session, &writer, TAPDISK_FRAME_HELLO, -1);
	frame_put_hello(&writer, "libblktapctl");
	err = session_send(session, &writer, &deadline);
	if (!err)
		err = session_receive(session, &reply, &deadline);
	if (err == -EPROTO || err == -EIO)
		return -EPROTONOSUPPORT;
	if (!err)
		err = session_error(session, &reply);
	session_reply_free(&reply);
	return err;
}

int
session_open(struct ctl *ctl, int id, struct session *session)
{
	struct deadline deadline = deadline_in(ctl, IPC_CONNECT_MS);
	AUTO_FREE char *path = ctl_path(ctl, "ctl", id);
	int err;

	if (!path)
		return -ENOMEM;
	*session = (struct session){ .ctl = ctl, .fd = -1 };
	err = ipc_connect(path, &deadline, &session->fd);
	if (!err)
		err = greet(session);
	if (err)
		session_close(session);
	return err;
}

void
session_close(struct session *session)
{
	if (session->fd >= 0)
		close(session->fd);
	session->fd = -1;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void
put_options(struct frame_writer *writer, const struct tap_ctl_opts *opts)
{
	uint32_t flags = opts->flags;

	if (opts->secondary) {
		flags |= TAPDISK_MESSAGE_FLAG_SECONDARY;
		frame_put_text(writer, TAPDISK_ATTR_SECONDARY, opts->secondary);
	}
	if (opts->logpath) {
		flags |= TAPDISK_MESSAGE_FLAG_ADD_LOG;
		frame_put_text(writer, TAPDISK_ATTR_LOG_PATH, opts->logpath);
	}
	if (opts->key_size)
		frame_put(writer, TAPDISK_ATTR_KEY, opts->key, opts->key_size);
	if (flags & TAPDISK_MESSAGE_FLAG_REUSE_PRT)
		frame_put_u32(writer, TAPDISK_ATTR_PARENT_MINOR, (uint32_t)opts->prt_minor);
	if (opts->req_timeout_s)
		frame_put_u32(writer, TAPDISK_ATTR_REQ_TIMEOUT, (uint32_t)opts->req_timeout_s);
	frame_put_u32(writer, TAPDISK_ATTR_IMAGE_FLAGS, flags);
}

int
session_open_disk(struct ctl *ctl, int id, int minor, bool resume, const char *params,
		  const struct tap_ctl_opts *opts)
{
	struct frame_writer writer;
	struct session session;
	int err;

	if (params && strlen(params) > TAPDISK_FRAME_MAX_STRING)
		return -ENAMETOOLONG;
	err = session_open(ctl, id, &session);
	if (err)
		return err == -EPROTONOSUPPORT ? -ENAMETOOLONG : err;
	session_begin(&session, &writer, resume ? TAPDISK_FRAME_RESUME : TAPDISK_FRAME_OPEN, minor);
	if (params)
		frame_put_text(&writer, TAPDISK_ATTR_PARAMS, params);
	if (opts)
		put_options(&writer, opts);
	err = session_call(&session, &writer, IPC_OPEN_MS, NULL);
	session_close(&session);
	return err;
}

int
session_simple(struct ctl *ctl, int id, unsigned type, int minor, int default_ms)
{
	struct frame_writer writer;
	struct session session;
	int err = session_open(ctl, id, &session);

	if (err)
		return err;
	session_begin(&session, &writer, type, minor);
	err = session_call(&session, &writer, default_ms, NULL);
	session_close(&session);
	return err;
}
