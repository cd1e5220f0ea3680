/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection: its bytes in and out, and how long the peer may take for them.
 *
 * Input is read exactly as far as the message in hand needs, so that descriptors come with the
 * message they were sent with.  Output is gathered, and sent at the end of the turn.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/secret.h"
#include "drivers/control-internal.h"

#define PASSED_FDS 253     /* of one message: the kernel's bound */
#define READS_PER_TURN 64  /* then the others have their turn */
#define INBOX_BYTES 4096   /* enough for any legacy message */
#define STILL_THERE_MS 500 /* how often a peer that is not read is looked after */

/* ---- boxes ------------------------------------------------------------------------------------
 */

static void
inbox_clear(struct inbox *in)
{
	if (in->room > INBOX_BYTES) {
		secret_free(in->at, in->room);
		*in = (struct inbox){ 0 };
		return;
	}
	if (in->at)
		explicit_bzero(in->at, in->length);
	in->length = 0;
}

static int
inbox_reserve(struct inbox *in, size_t total)
{
	size_t room = total > INBOX_BYTES ? total : INBOX_BYTES;
	uint8_t *at;

	if (in->room >= total)
		return 0;
	at = secret_new(room);
	if (!at)
		return -ENOMEM;
	if (in->length)
		memcpy(at, in->at, in->length);
	secret_free(in->at, in->room);
	in->at = at;
	in->room = room;
	return 0;
}

static int
outbox_reserve(struct outbox *out, size_t more)
{
	size_t room = out->room ? out->room : 1024;
	uint8_t *at;

	if (out->from) {
		memmove(out->at, out->at + out->from, out->length);
		out->from = 0;
	}
	while (room - out->length < more)
		room *= 2;
	if (room == out->room)
		return 0;
	at = realloc(out->at, room);
	if (!at)
		return -ENOMEM;
	out->at = at;
	out->room = room;
	return 0;
}

static void
outbox_free(struct outbox *out)
{
	free(out->at);
	*out = (struct outbox){ 0 };
}

/* ---- time -------------------------------------------------------------------------------------
 */

static bool
is_full(const struct connection *connection)
{
	return connection->outstanding >= TAPDISK_FRAME_OUTSTANDING;
}

/* When the peer's patience with us, or ours with it, ends: loop microseconds, 0: never. */
static uint64_t
deadline(const struct connection *connection)
{
	const struct control_limits *limits = &connection->control->config.limits;
	uint64_t progress, whole;

	if (connection->out.length)
		return connection->sent_at + limits->send_ms * 1000ull;
	if (connection->in.length) {
		progress = connection->received_at + limits->progress_ms * 1000ull;
		whole = connection->begun_at + limits->message_ms * 1000ull;
		return progress < whole ? progress : whole;
	}
	if (is_full(connection))
		return loop_now(connection->control->loop) + STILL_THERE_MS * 1000ull;
	if (connection->outstanding || connection->subscribed)
		return 0;
	return connection->idle_at +
	       (connection->greeted ? limits->idle_ms : limits->first_byte_ms) * 1000ull;
}

/* A timer that is set for earlier is left alone: what happens often must not put it off. */
static void
set_timer(struct connection *connection)
{
	struct loop *loop = connection->control->loop;
	struct loop_timer *timer = &connection->timer;
	uint64_t at = deadline(connection), now = loop_now(loop);

	if (!at)
		loop_timer_cancel(loop, timer);
	if (!at || (loop_timer_is_set(timer) && connection->timer_at <= at))
		return;
	connection->timer_at = at;
	if (loop_timer_set(loop, timer, at > now ? (at - now + 999) / 1000 : 0))
		connection_kill(connection);
}

static bool
has_gone(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLRDHUP };

	return poll(&look, 1, 0) > 0 && look.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL);
}

static void
time_to_look(void *arg)
{
	struct connection *connection = arg;
	uint64_t at = deadline(connection);

	if ((at && at <= loop_now(connection->control->loop)) ||
	    (is_full(connection) && has_gone(connection->fd)))
		connection_kill(connection);
	else
		set_timer(connection);
}

/* ---- life -------------------------------------------------------------------------------------
 */

void
connection_update(struct connection *connection)
{
	unsigned events = 0;

	if (connection->dead)
		return;
	/* A peer that asks more than it may is not read, nor one that is told its last words. */
	if (!is_full(connection) && !connection->closing)
		events |= LOOP_READ;
	if (connection->out.length)
		events |= LOOP_WRITE;
	loop_watch_set(connection->watch, events);
	set_timer(connection);
}

static void
drop_passed_fd(struct connection *connection)
{
	if (connection->passed_fd >= 0)
		close(connection->passed_fd);
	connection->passed_fd = -1;
	connection->passed_many = false;
}

void
connection_kill(struct connection *connection)
{
	struct control_server *control = connection->control;

	if (connection->dead)
		return;
	connection->dead = true;
	loop_unwatch(connection->watch);
	connection->watch = NULL;
	loop_timer_cancel(control->loop, &connection->timer);
	loop_defer_cancel(control->loop, &connection->flush);
	loop_defer(control->loop, &control->reaper);
}

void
control_connection_free(struct connection *connection)
{
	struct control_server *control = connection->control;
	struct control_op *op, *next;

	connection_kill(connection);
	for (op = TAILQ_FIRST(&connection->ops); op; op = next) {
		next = TAILQ_NEXT(op, link);
		control_queue_orphan(op);
	}
	TAILQ_REMOVE(&control->connections, connection, link);
	control->connection_count--;
	drop_passed_fd(connection);
	close(connection->fd);
	secret_free(connection->in.at, connection->in.room);
	outbox_free(&connection->out);
	free(connection);
}

/* ---- output -----------------------------------------------------------------------------------
 */

static void
flush(void *arg)
{
	struct connection *connection = arg;
	struct control_server *control = connection->control;
	struct outbox *out = &connection->out;
	ssize_t sent;

	while (out->length) {
		sent = send(connection->fd, out->at + out->from, out->length,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent < 0) {
			connection_kill(connection);
			return;
		}
		out->from += (size_t)sent;
		out->length -= (size_t)sent;
		connection->sent_at = connection->idle_at = loop_now(control->loop);
	}
	if (out->length) {
		connection_update(connection);
		return;
	}
	outbox_free(out);
	if (connection->closing)
		connection_kill(connection);
	else
		connection_update(connection);
	if (control->leaving)
		loop_defer(control->loop, &control->reaper);
}

void
connection_send(struct connection *connection, const void *data, size_t length)
{
	struct outbox *out = &connection->out;

	if (connection->dead)
		return;
	if (length > CONTROL_OUTPUT || out->length > CONTROL_OUTPUT - length ||
	    outbox_reserve(out, length)) {
		connection_kill(connection);
		return;
	}
	if (!out->length)
		connection->sent_at = loop_now(connection->control->loop);
	memcpy(out->at + out->from + out->length, data, length);
	out->length += length;
	loop_defer(connection->control->loop, &connection->flush);
}

void
connection_finish(struct connection *connection)
{
	if (connection->dead)
		return;
	connection->closing = true;
	loop_defer(connection->control->loop, &connection->flush);
}

/* ---- input ------------------------------------------------------------------------------------
 */

int
connection_take_fd(struct connection *connection)
{
	int fd = connection->passed_fd;

	if (fd < 0 || connection->passed_many) {
		drop_passed_fd(connection);
		return -EINVAL;
	}
	connection->passed_fd = -1;
	return fd;
}

/* Keep the first descriptor; others only say that there were too many. */
static void
keep_fds(struct connection *connection, struct msghdr *message)
{
	struct cmsghdr *control;
	size_t count, i;
	int fd;

	if (message->msg_flags & MSG_CTRUNC)
		connection->passed_many = true;
	for (control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
			continue;
		count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
			if (connection->passed_fd < 0) {
				connection->passed_fd = fd;
			} else {
				close(fd);
				connection->passed_many = true;
			}
		}
	}
}

/* Read until the inbox holds total bytes: bytes read, 0 at the end, or -errno. */
static ssize_t
receive(struct connection *connection, size_t total)
{
	char space[CMSG_SPACE(PASSED_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct inbox *in = &connection->in;
	struct iovec iov;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	uint64_t now = loop_now(connection->control->loop);
	ssize_t got;

	if (inbox_reserve(in, total))
		return -ENOMEM;
	iov = (struct iovec){ .iov_base = in->at + in->length, .iov_len = total - in->length };
	got = recvmsg(connection->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	keep_fds(connection, &message);
	if (got && !in->length)
		connection->begun_at = now;
	connection->received_at = now;
	in->length += (size_t)got;
	return got;
}

/* The first bytes tell the protocols apart. */
static bool
choose_protocol(struct connection *connection)
{
	const struct inbox *in = &connection->in;

	if (connection->protocol)
		return true;
	if (in->length < 4)
		return false;
	connection->protocol =
		memcmp(in->at, TAPDISK_FRAME_MAGIC, 4) == 0 ? &control_frames : &control_legacy;
	return true;
}

/* Serve what is whole.  Returns how long the message is to be, 0 to read no further for now. */
static size_t
serve(struct connection *connection)
{
	size_t need = 4;
	int took = 1;

	while (took == 1) {
		if (connection->dead || connection->closing || is_full(connection))
			return 0;
		if (!choose_protocol(connection))
			return need;
		took = connection->protocol->take(connection, &need);
		if (took == 1) {
			inbox_clear(&connection->in);
			drop_passed_fd(connection);
			connection->idle_at = loop_now(connection->control->loop);
		}
	}
	if (took < 0) {
		connection_kill(connection);
		return 0;
	}
	return need;
}

void
connection_read(struct connection *connection)
{
	size_t need = serve(connection);
	int budget = READS_PER_TURN;
	ssize_t got = 1;

	while (need && got > 0 && budget--) {
		got = receive(connection, need);
		if (got > 0)
			need = serve(connection);
	}
	if (got == 0 || (got < 0 && got != -EAGAIN && got != -EINTR))
		connection_kill(connection);
	connection_update(connection);
}

static void
on_event(void *arg, unsigned events)
{
	struct connection *connection = arg;

	if (events & LOOP_WRITE)
		flush(connection);
	if (!connection->dead && events & LOOP_READ)
		connection_read(connection);
}

/* ---- birth ------------------------------------------------------------------------------------
 */

int
control_connection_new(struct control_server *control, int fd, pid_t pid, uid_t uid)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int err;

	if (!connection)
		return -ENOMEM;
	connection->control = control;
	connection->fd = fd;
	connection->peer_pid = pid;
	connection->peer_uid = uid;
	connection->passed_fd = -1;
	connection->flush = (struct loop_task){ .fn = flush, .arg = connection };
	connection->timer = (struct loop_timer){ .fn = time_to_look, .arg = connection };
	connection->idle_at = loop_now(control->loop);
	TAILQ_INIT(&connection->ops);
	err = loop_watch(control->loop, fd, LOOP_READ, on_event, connection, &connection->watch);
	if (err) {
		free(connection);
		return err;
	}
	TAILQ_INSERT_TAIL(&control->connections, connection, link);
	control->connection_count++;
	set_timer(connection);
	return 0;
}
