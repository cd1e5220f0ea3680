/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connection of one tapdisk: greeting, requests in flight, answers, deadlines.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "daemon/legacy.h"
#include "daemon/stream.h"
#include "daemon/tapdisk.h"

#define GREET_MS 2000
#define CONNECT_AGAIN_MS 50       /* a full backlog cannot be waited for */
#define TICK_MS 500               /* how exactly deadlines are kept */
#define INPUT_MAX (256u << 10)    /* bytes of one frame: nobody has more to say to us */
#define READ_PER_TURN (64u << 10) /* bytes, so that one tapdisk cannot hold up the others */

TAILQ_HEAD(calls, tapdisk_call);

struct tapdisk_call {
	struct tapdisk *tapdisk; /* borrowed */
	uint64_t id;
	struct frame_writer writer; /* empty once it has been queued for sending */
	unsigned patience_ms;
	uint64_t deadline; /* loop milliseconds, from the moment it was sent */
	tapdisk_answer_fn *fn;
	void *arg;
	TAILQ_ENTRY(tapdisk_call) link;
};

struct tapdisk {
	struct tapdisks *all; /* borrowed */
	pid_t pid;
	struct legacy *legacy; /* owned; instead of the stream, for one that knows no frames */
	struct stream stream;
	bool connected; /* the stream is */
	bool greeted;
	int broken; /* -errno: to be torn down from the timer */
	uint32_t max_queues;
	uint64_t next_id;
	uint64_t greet_until; /* loop milliseconds */
	unsigned in_flight;
	struct calls waiting, sent;
	LIST_HEAD(, tapdisk_user) users;
	struct tb_watch watch;
	struct tb_timer timer;
	LIST_ENTRY(tapdisk) link;
};

pid_t
tapdisk_pid(const struct tapdisk *tapdisk)
{
	return tapdisk->pid;
}

uint32_t
tapdisk_max_queues(const struct tapdisk *tapdisk)
{
	return tapdisk->max_queues;
}

bool
tapdisk_is_legacy(const struct tapdisk *tapdisk)
{
	return tapdisk->legacy && tapdisk->greeted;
}

static void
name_of(const struct tapdisk *tapdisk, struct sockaddr_un *name)
{
	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(name->sun_path, sizeof(name->sun_path), "%s/ctl%d", tapdisk->all->dir,
		 (int)tapdisk->pid);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void
call_free(struct tapdisk_call *call)
{
	frame_writer_free(&call->writer);
	free(call);
}

static void
end_calls(struct calls *calls, int err)
{
	struct tapdisk_call *call;

	while ((call = TAILQ_FIRST(calls))) {
		TAILQ_REMOVE(calls, call, link);
		if (call->fn)
			call->fn(call->arg, err, "no answer", NULL, NULL);
		call_free(call);
	}
}

static void
tapdisk_free(struct tapdisk *tapdisk)
{
	/* Who is told may leave at once, which sets the timer. */
	end_calls(&tapdisk->sent, -EIO);
	end_calls(&tapdisk->waiting, -EIO);
	LIST_REMOVE(tapdisk, link);
	tb_timer_clear(tapdisk->all->loop, &tapdisk->timer);
	tb_watch_clear(tapdisk->all->loop, &tapdisk->watch);
	legacy_free(tapdisk->legacy);
	stream_close(&tapdisk->stream);
	free(tapdisk);
}

/* Tell all users, who may not join or leave meanwhile, and forget the connection. */
static void
lose(struct tapdisk *tapdisk, int err)
{
	struct tapdisk_user *user;

	tb_log(tapdisk->all->log, LOG_DEBUG, "tapdisk %d: connection: %s", (int)tapdisk->pid,
	       strerror(-err));
	end_calls(&tapdisk->sent, err);
	end_calls(&tapdisk->waiting, err);
	while ((user = LIST_FIRST(&tapdisk->users))) {
		LIST_REMOVE(user, link);
		user->tapdisk = NULL;
		user->lost(user->arg, err);
	}
	tapdisk_free(tapdisk);
}

/* Not from here, where the caller still needs the tapdisk: from the timer. */
static void
break_off(struct tapdisk *tapdisk, int err)
{
	if (!tapdisk->broken)
		tapdisk->broken = err;
	tb_watch_clear(tapdisk->all->loop, &tapdisk->watch);
	tb_timer_set(tapdisk->all->loop, &tapdisk->timer, 0);
}

/* ---- sending ----------------------------------------------------------------------------------
 */

static void
rewatch(struct tapdisk *tapdisk)
{
	uint32_t events = EPOLLIN | (stream_has_output(&tapdisk->stream) ? EPOLLOUT : 0);
	int err = tb_watch_set(tapdisk->all->loop, &tapdisk->watch, tapdisk->stream.fd, events);

	if (err)
		break_off(tapdisk, err);
}

static void
flush(struct tapdisk *tapdisk)
{
	int err = stream_flush(&tapdisk->stream);

	if (err)
		break_off(tapdisk, err);
	if (!tapdisk->broken)
		rewatch(tapdisk);
}

/* Nothing ticks while nothing is waited for. */
static void
keep_time(struct tapdisk *tapdisk)
{
	if (!tapdisk->timer.at && (!tapdisk->greeted || !TAILQ_EMPTY(&tapdisk->sent)))
		tb_timer_set(tapdisk->all->loop, &tapdisk->timer,
			     tapdisk->connected ? TICK_MS : CONNECT_AGAIN_MS);
}

static int
send_frame(struct tapdisk *tapdisk, const struct frame_writer *writer)
{
	if (tapdisk->legacy)
		return legacy_send(tapdisk->legacy, writer->at, writer->length);
	return stream_put(&tapdisk->stream, writer->at, writer->length);
}

/* As many waiting calls as the other side takes at a time. */
static void
send_waiting(struct tapdisk *tapdisk)
{
	struct tapdisk_call *call;
	int err = 0;

	if (!tapdisk->greeted || tapdisk->broken)
		return;
	while (!err && tapdisk->in_flight < TAPDISK_FRAME_OUTSTANDING &&
	       (call = TAILQ_FIRST(&tapdisk->waiting))) {
		err = send_frame(tapdisk, &call->writer);
		frame_writer_free(&call->writer);
		call->deadline = tb_loop_now() + call->patience_ms;
		TAILQ_REMOVE(&tapdisk->waiting, call, link);
		TAILQ_INSERT_TAIL(&tapdisk->sent, call, link);
		tapdisk->in_flight++;
	}
	if (err)
		break_off(tapdisk, err);
	else if (!tapdisk->legacy)
		flush(tapdisk);
	keep_time(tapdisk);
}

void
tapdisk_begin(struct tapdisk *tapdisk, struct frame_writer *writer, unsigned type, uint32_t minor)
{
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = (uint16_t)type,
		.request_id = ++tapdisk->next_id,
		.minor = minor,
	};

	frame_begin(writer, &frame);
}

struct tapdisk_call *
tapdisk_send(struct tapdisk *tapdisk, struct frame_writer *writer, unsigned patience_ms,
	     tapdisk_answer_fn *fn, void *arg)
{
	struct tapdisk_call *call = calloc(1, sizeof(*call));

	if (!call || frame_end(writer, TAPDISK_FRAME_MAX_REQUEST)) {
		free(call);
		frame_writer_free(writer);
		return NULL;
	}
	call->tapdisk = tapdisk;
	call->id = get_le64(writer->at + 16);
	call->writer = *writer;
	call->patience_ms = patience_ms;
	call->fn = fn;
	call->arg = arg;
	TAILQ_INSERT_TAIL(&tapdisk->waiting, call, link);
	send_waiting(tapdisk);
	return call;
}

void
tapdisk_forget(struct tapdisk_call *call)
{
	if (call)
		call->fn = NULL;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static void
subscribe(struct tapdisk *tapdisk)
{
	struct frame_writer writer;

	tapdisk_begin(tapdisk, &writer, TAPDISK_FRAME_SUBSCRIBE, TAPDISK_FRAME_NO_MINOR);
	tapdisk_send(tapdisk, &writer, GREET_MS, NULL, NULL);
}

/* The answer to HELLO: the process must be the one that the name of its socket says. */
static int
take_greeting(struct tapdisk *tapdisk, const struct frame *frame, const uint8_t *payload)
{
	struct frame_reader reader = { .at = payload, .left = frame->length };
	struct frame_attr attr;
	uint32_t pid = 0;

	if (frame->flags & TAPDISK_FRAME_ERROR)
		return -EPROTO;
	while (frame_next(&reader, &attr) == 1) {
		if (attr.tag == TAPDISK_ATTR_PID && frame_get_u32(&attr, &pid))
			return -EPROTO;
		if (attr.tag == TAPDISK_ATTR_LIMITS && attr.length >= 16 &&
		    get_le32(attr.value + 8))
			tapdisk->max_queues = get_le32(attr.value + 12);
	}
	if (pid != (uint32_t)tapdisk->pid)
		return -ENOENT;
	tapdisk->greeted = true;
	subscribe(tapdisk);
	return 0;
}

static void
take_event(struct tapdisk *tapdisk, const struct frame *frame, const uint8_t *payload)
{
	struct frame_reader reader = { .at = payload, .left = frame->length };
	struct tapdisk_user *user;
	struct frame_attr attr;
	uint32_t kind = 0;

	while (frame_next(&reader, &attr) == 1)
		if (attr.tag == TAPDISK_ATTR_EVENT_KIND)
			frame_get_u32(&attr, &kind);
	LIST_FOREACH (user, &tapdisk->users, link)
		user->event(user->arg, frame->minor, kind);
}

static void
take_answer(struct tapdisk *tapdisk, const struct frame *frame, const uint8_t *payload)
{
	struct frame_reader reader = { .at = payload, .left = frame->length };
	bool is_last = !(frame->flags & TAPDISK_FRAME_MORE);
	AUTO_FREE char *why = NULL;
	struct tapdisk_call *call;
	struct frame_attr attr;
	int err = 0;

	TAILQ_FOREACH (call, &tapdisk->sent, link)
		if (call->id == frame->request_id)
			break;
	if (!call)
		return; /* too late */
	if (frame->flags & TAPDISK_FRAME_ERROR) {
		err = frame->error && frame->error < 4096 ? -(int)frame->error : -EIO;
		while (!why && frame_next(&reader, &attr) == 1)
			if (attr.tag == TAPDISK_ATTR_ERROR_TEXT && frame_get_text(&attr, &why))
				break;
	}
	if (is_last) {
		TAILQ_REMOVE(&tapdisk->sent, call, link);
		tapdisk->in_flight--;
	}
	if (call->fn)
		call->fn(call->arg, err, why ? why : strerror(-err), frame, payload);
	if (is_last)
		call_free(call);
}

static void
take_frame(struct tapdisk *tapdisk, const struct frame *frame, const uint8_t *payload)
{
	if (frame->flags & TAPDISK_FRAME_EVENT)
		take_event(tapdisk, frame, payload);
	else
		take_answer(tapdisk, frame, payload);
}

/* ---- tapdisks that know no frames ---------------------------------------------------------------
 */

static void
legacy_answered(void *arg, const struct frame *frame, const uint8_t *payload)
{
	struct tapdisk *tapdisk = arg;
	int err = 0;

	if (tapdisk->greeted)
		take_frame(tapdisk, frame, payload);
	else
		err = take_greeting(tapdisk, frame, payload);
	if (err)
		break_off(tapdisk, err);
	else
		send_waiting(tapdisk);
}

static void
legacy_lost(void *arg, int err)
{
	break_off(arg, err);
}

/*
 * It has said that the greeting is no message that it knows.  An end or silence instead would prove
 * nothing: it might know frames, and have no time.
 */
static int
become_legacy(struct tapdisk *tapdisk)
{
	const struct legacy_user user = { .answer = legacy_answered,
					  .lost = legacy_lost,
					  .arg = tapdisk };
	struct frame_writer writer;
	struct sockaddr_un name;
	int err;

	tb_log(tapdisk->all->log, LOG_INFO, "tapdisk %d knows the legacy protocol only",
	       (int)tapdisk->pid);
	tb_watch_clear(tapdisk->all->loop, &tapdisk->watch);
	stream_close(&tapdisk->stream);
	name_of(tapdisk, &name);
	err = legacy_new(&tapdisk->legacy, tapdisk->all->loop, name.sun_path, tapdisk->pid, &user);
	if (err)
		return err;
	tapdisk->greet_until = tb_loop_now() + GREET_MS;
	tapdisk_begin(tapdisk, &writer, TAPDISK_FRAME_PING, TAPDISK_FRAME_NO_MINOR);
	err = frame_end(&writer, TAPDISK_FRAME_MAX_REQUEST);
	if (!err)
		err = legacy_send(tapdisk->legacy, writer.at, writer.length);
	frame_writer_free(&writer);
	return err;
}

/* A message in answer to the greeting: native byte order, and a type instead of the magic. */
static bool
is_legacy_error(const struct tapdisk *tapdisk)
{
	const struct stream *stream = &tapdisk->stream;
	uint16_t type;

	if (tapdisk->greeted || stream->in_length < TAPDISK_FRAME_HEADER)
		return false;
	memcpy(&type, stream->in, sizeof(type));
	return type == TAPDISK_MESSAGE_ERROR;
}

/* ---- receiving --------------------------------------------------------------------------------
 */

/* Take the frames that are whole: 0 or -errno. */
static int
take_frames(struct tapdisk *tapdisk)
{
	struct stream *stream = &tapdisk->stream;
	size_t from = 0, left, whole;
	struct frame frame;
	int err = 0;

	while (!err && (left = stream->in_length - from) >= TAPDISK_FRAME_HEADER) {
		const uint8_t *at = stream->in + from;

		if (frame_decode(at, &frame) || frame.length > INPUT_MAX)
			return -EPROTO;
		whole = frame.header_len + (size_t)frame.length;
		if (left < whole)
			break;
		if (!tapdisk->greeted)
			err = take_greeting(tapdisk, &frame, at + frame.header_len);
		else
			take_frame(tapdisk, &frame, at + frame.header_len);
		from += whole;
	}
	stream_take(stream, from);
	return err;
}

static int
receive(struct tapdisk *tapdisk)
{
	size_t budget = READ_PER_TURN, got;
	int err;

	while (budget) {
		err = stream_receive(&tapdisk->stream, 2 * INPUT_MAX, &got);
		if (err || !got)
			return err;
		budget -= got < budget ? got : budget;
		if (is_legacy_error(tapdisk))
			return become_legacy(tapdisk);
		err = take_frames(tapdisk);
		if (err)
			return err;
	}
	return 0;
}

/* ---- events -----------------------------------------------------------------------------------
 */

static void
ready(void *arg, uint32_t events)
{
	struct tapdisk *tapdisk = arg;
	int err = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		err = receive(tapdisk);
	if (err) {
		lose(tapdisk, err);
		return;
	}
	send_waiting(tapdisk);
	if (!tapdisk->greeted && !tapdisk->legacy)
		flush(tapdisk);
}

static int
greet(struct tapdisk *tapdisk)
{
	struct frame_writer writer;
	int err;

	tapdisk_begin(tapdisk, &writer, TAPDISK_FRAME_HELLO, TAPDISK_FRAME_NO_MINOR);
	frame_put_hello(&writer, "tapback");
	err = frame_end(&writer, TAPDISK_FRAME_MAX_REQUEST);
	if (!err)
		err = stream_put(&tapdisk->stream, writer.at, writer.length);
	frame_writer_free(&writer);
	return err;
}

/* 0, -EAGAIN the other side has no time now, or -errno. */
static int
try_to_connect(struct tapdisk *tapdisk)
{
	struct sockaddr_un name;
	struct ucred peer;
	socklen_t length = sizeof(peer);

	name_of(tapdisk, &name);
	if (connect(tapdisk->stream.fd, (struct sockaddr *)&name, sizeof(name)))
		return -errno;
	/* Whoever listens at the name that another one left is not the one that we want. */
	if (getsockopt(tapdisk->stream.fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return -errno;
	if (peer.pid != tapdisk->pid)
		return -ENOENT;
	tapdisk->connected = true;
	return greet(tapdisk);
}

static void
expire_calls(struct tapdisk *tapdisk, uint64_t now)
{
	struct tapdisk_call *call, *next;

	for (call = TAILQ_FIRST(&tapdisk->sent); call; call = next) {
		next = TAILQ_NEXT(call, link);
		if (now < call->deadline)
			continue;
		/* The answer may still come, and is then one to a request that nobody knows. */
		TAILQ_REMOVE(&tapdisk->sent, call, link);
		tapdisk->in_flight--;
		if (call->fn)
			call->fn(call->arg, -ETIMEDOUT, "no answer in time", NULL, NULL);
		call_free(call);
	}
}

static void
tick(void *arg)
{
	struct tapdisk *tapdisk = arg;
	uint64_t now = tb_loop_now();
	int err = tapdisk->broken;

	if (!err && !tapdisk->connected) {
		err = try_to_connect(tapdisk);
		if (!err)
			flush(tapdisk);
	}
	if ((err == 0 || err == -EAGAIN) && !tapdisk->greeted && now >= tapdisk->greet_until)
		err = -ETIMEDOUT;
	if (err && err != -EAGAIN) {
		lose(tapdisk, err);
		return;
	}
	expire_calls(tapdisk, now);
	send_waiting(tapdisk);
	keep_time(tapdisk);
}

/* ---- users ------------------------------------------------------------------------------------
 */

static struct tapdisk *
tapdisk_new(struct tapdisks *all, pid_t pid)
{
	struct tapdisk *tapdisk = calloc(1, sizeof(*tapdisk));

	if (!tapdisk)
		return NULL;
	tapdisk->stream.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (tapdisk->stream.fd < 0) {
		free(tapdisk);
		return NULL;
	}
	tapdisk->all = all;
	tapdisk->pid = pid;
	tapdisk->greet_until = tb_loop_now() + GREET_MS;
	tapdisk->watch = (struct tb_watch){ .fn = ready, .arg = tapdisk };
	tapdisk->timer = (struct tb_timer){ .fn = tick, .arg = tapdisk };
	TAILQ_INIT(&tapdisk->waiting);
	TAILQ_INIT(&tapdisk->sent);
	LIST_INIT(&tapdisk->users);
	LIST_INSERT_HEAD(&all->list, tapdisk, link);
	tb_timer_set(all->loop, &tapdisk->timer, 0);
	return tapdisk;
}

int
tapdisk_join(struct tapdisks *all, pid_t pid, struct tapdisk_user *user)
{
	struct tapdisk *tapdisk;

	LIST_FOREACH (tapdisk, &all->list, link)
		if (tapdisk->pid == pid && !tapdisk->broken)
			break;
	if (!tapdisk)
		tapdisk = tapdisk_new(all, pid);
	if (!tapdisk)
		return -ENOMEM;
	user->tapdisk = tapdisk;
	LIST_INSERT_HEAD(&tapdisk->users, user, link);
	return 0;
}

void
tapdisk_leave(struct tapdisk_user *user)
{
	struct tapdisk *tapdisk = user->tapdisk;

	if (!tapdisk)
		return;
	LIST_REMOVE(user, link);
	user->tapdisk = NULL;
	/* Later, when nobody can be in the middle of using it. */
	if (LIST_EMPTY(&tapdisk->users))
		break_off(tapdisk, -ECANCELED);
}

void
tapdisks_free(struct tapdisks *all)
{
	while (!LIST_EMPTY(&all->list))
		tapdisk_free(LIST_FIRST(&all->list));
}
