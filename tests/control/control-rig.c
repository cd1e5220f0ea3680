/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server and the clients of the control protocol's tests.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/minor.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "tests/control/control-rig.h"

#define HELLO_BYTES 544
#define SETTLED 8 /* turns in which nothing came to pass */

/* ---- the server ---------------------------------------------------------------------------------
 */

static void
on_event(void *arg, struct vbd *vbd, const char *kind)
{
	struct control_rig *rig = arg;

	if (rig->control)
		control_server_event(rig->control, vbd, kind);
}

void
control_rig_setup(struct control_rig *rig)
{
	const char *why;

	rig->engine.event = on_event;
	rig->engine.event_arg = rig;
	rig_setup(&rig->engine);
	rig->config.server = rig->engine.server;
	ck_assert_int_eq(control_server_new(&rig->control, &rig->config, &why), 0);
}

void
control_rig_teardown(struct control_rig *rig)
{
	int i;

	probe_release(0);
	while (tapdisk_server_count(rig->engine.server)) {
		tapdisk_server_shutdown(rig->engine.server, true);
		control_rig_wait(rig);
	}
	control_rig_settle(rig);
	control_server_free(rig->control);
	rig->control = NULL;
	for (i = 0; i < rig->minor_count; i++)
		minor_free(rig->engine.dir, rig->minors[i]);
	rig_teardown(&rig->engine);
	/* The next test may be of the same process. */
	*rig = (struct control_rig){ .control = NULL };
}

int
control_rig_minor(struct control_rig *rig)
{
	int minor;

	ck_assert_int_lt(rig->minor_count, 8);
	ck_assert_int_eq(minor_allocate(rig->engine.dir, &minor), 0);
	rig->minors[rig->minor_count++] = minor;
	return minor;
}

int
control_rig_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void
control_rig_wait(struct control_rig *rig)
{
	ck_assert_int_eq(loop_turn(tapdisk_server_loop(rig->engine.server), -1), 0);
}

void
control_rig_turn(struct control_rig *rig)
{
	ck_assert_int_eq(loop_turn(tapdisk_server_loop(rig->engine.server), 0), 0);
}

void
control_rig_settle(struct control_rig *rig)
{
	int i;

	for (i = 0; i < SETTLED; i++)
		control_rig_turn(rig);
}

/* ---- clients ------------------------------------------------------------------------------------
 */

void
client_open(struct client *client, struct control_rig *rig)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	*client = (struct client){ .rig = rig };
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(client->fd, 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", control_server_path(rig->control));
	ck_assert_int_eq(connect(client->fd, (struct sockaddr *)&name, sizeof(name)), 0);
}

void
client_close(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

void
client_send(struct client *client, const void *data, size_t length)
{
	const char *at = data;
	ssize_t sent;

	while (length) {
		sent = send(client->fd, at, length, MSG_NOSIGNAL);
		if (sent < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			control_rig_turn(client->rig);
			continue;
		}
		at += sent;
		length -= (size_t)sent;
	}
}

void
client_send_fds(struct client *client, const void *data, size_t length, const int *fds, int count)
{
	char space[CMSG_SPACE(253 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = (void *)data, .iov_len = length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *control;
	size_t bytes = (size_t)count * sizeof(int);

	if (count) {
		memset(space, 0, sizeof(space));
		message.msg_control = space;
		message.msg_controllen = CMSG_SPACE(bytes);
		control = CMSG_FIRSTHDR(&message);
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(control), fds, bytes);
	}
	ck_assert_int_eq(sendmsg(client->fd, &message, MSG_NOSIGNAL), (ssize_t)length);
}

size_t
client_receive(struct client *client, void *buf, size_t length)
{
	size_t got = 0;
	ssize_t now;

	while (got < length) {
		now = recv(client->fd, (char *)buf + got, length - got, 0);
		if (now < 0 && errno == EAGAIN) {
			control_rig_wait(client->rig);
			continue;
		}
		/* A server that closes with input unread resets. */
		if (now <= 0)
			break;
		got += (size_t)now;
	}
	return got;
}

bool
client_has_input(struct client *client)
{
	struct pollfd look = { .fd = client->fd, .events = POLLIN };

	return poll(&look, 1, 0) > 0;
}

void
client_expect_end(struct client *client)
{
	char waste[4096];

	while (client_receive(client, waste, sizeof(waste)) == sizeof(waste))
		;
	client_close(client);
}

/* ---- legacy -------------------------------------------------------------------------------------
 */

tapdisk_message_t
message_for(unsigned type, int minor)
{
	tapdisk_message_t message;

	memset(&message, 0, sizeof(message));
	message.type = (uint16_t)type;
	message.cookie = minor < 0 ? TAPDISK_MESSAGE_NO_MINOR : (uint16_t)minor;
	return message;
}

void
client_tell(struct client *client, const tapdisk_message_t *message, const void *trailing,
	    size_t length)
{
	client_send(client, message, sizeof(*message));
	if (length)
		client_send(client, trailing, length);
}

void
client_hear(struct client *client, tapdisk_message_t *message)
{
	ck_assert_uint_eq(client_receive(client, message, sizeof(*message)), sizeof(*message));
}

int
client_ask(struct control_rig *rig, tapdisk_message_t *message)
{
	struct client client;

	client_open(&client, rig);
	client_tell(&client, message, NULL, 0);
	client_hear(&client, message);
	client_expect_end(&client);
	if (message->type != TAPDISK_MESSAGE_ERROR)
		return 0;
	ck_assert_int_gt(message->u.response.error, 0);
	ck_assert_int_lt(message->u.response.error, 4096);
	return message->u.response.error;
}

int
client_do(struct control_rig *rig, unsigned type, int minor)
{
	tapdisk_message_t message = message_for(type, minor);

	return client_ask(rig, &message);
}

int
client_open_disk(struct control_rig *rig, int minor, const char *params)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, minor);

	snprintf(message.u.params.path, sizeof(message.u.params.path), "%s", params);
	message.u.params.prt_devnum = TAPDISK_MESSAGE_NO_PARENT;
	return client_ask(rig, &message);
}

/* ---- frames -------------------------------------------------------------------------------------
 */

void
client_begin(struct client *client, struct frame_writer *writer, unsigned type, int minor)
{
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = (uint16_t)type,
		.request_id = ++client->last_id,
		.minor = minor < 0 ? TAPDISK_FRAME_NO_MINOR : (uint32_t)minor,
	};

	frame_begin(writer, &frame);
}

uint64_t
client_finish(struct client *client, struct frame_writer *writer)
{
	ck_assert_int_eq(frame_end(writer, TAPDISK_FRAME_MAX_REQUEST), 0);
	client_send(client, writer->at, writer->length);
	frame_writer_free(writer);
	return client->last_id;
}

uint64_t
client_request(struct client *client, unsigned type, int minor)
{
	struct frame_writer writer;

	client_begin(client, &writer, type, minor);
	return client_finish(client, &writer);
}

void
client_greet(struct client *client, struct control_rig *rig)
{
	struct frame_writer writer;

	client_open(client, rig);
	client_begin(client, &writer, TAPDISK_FRAME_HELLO, -1);
	frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MIN, 1);
	frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MAX, 1);
	frame_put_text(&writer, TAPDISK_ATTR_NAME, "test");
	frame_pad_to(&writer, HELLO_BYTES);
	ck_assert_uint_eq(writer.length, HELLO_BYTES);
	ck_assert_int_eq(client_expect(client, client_finish(client, &writer)), 0);
}

bool
client_reply(struct client *client, struct reply *reply)
{
	uint8_t raw[TAPDISK_FRAME_HEADER];
	size_t got = client_receive(client, raw, sizeof(raw));

	if (!got)
		return false;
	ck_assert_uint_eq(got, sizeof(raw));
	ck_assert_int_eq(frame_decode(raw, &reply->frame), 0);
	ck_assert_uint_le(reply->frame.length, sizeof(reply->payload));
	ck_assert_uint_eq(client_receive(client, reply->payload, reply->frame.length),
			  reply->frame.length);
	return true;
}

int
client_expect(struct client *client, uint64_t id)
{
	struct reply reply;

	ck_assert(client_reply(client, &reply));
	ck_assert_uint_eq(reply.frame.request_id, id);
	ck_assert(reply.frame.flags & TAPDISK_FRAME_REPLY);
	ck_assert_int_eq(!!(reply.frame.flags & TAPDISK_FRAME_ERROR), !!reply.frame.error);
	ck_assert_uint_lt(reply.frame.error, 4096);
	return (int)reply.frame.error;
}

static bool
find_attr(const struct reply *reply, unsigned tag, struct frame_attr *attr)
{
	struct frame_reader reader = { .at = reply->payload, .left = reply->frame.length };

	while (frame_next(&reader, attr) == 1)
		if (attr->tag == tag)
			return true;
	return false;
}

struct frame_attr
reply_attr(const struct reply *reply, unsigned tag)
{
	struct frame_attr attr;

	ck_assert(find_attr(reply, tag, &attr));
	return attr;
}

bool
reply_has(const struct reply *reply, unsigned tag)
{
	struct frame_attr attr;

	return find_attr(reply, tag, &attr);
}

uint32_t
reply_u32(const struct reply *reply, unsigned tag)
{
	struct frame_attr attr = reply_attr(reply, tag);
	uint32_t value;

	ck_assert_int_eq(frame_get_u32(&attr, &value), 0);
	return value;
}
