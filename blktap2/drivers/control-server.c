/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket and its connections: accepting, bounding, reading, writing, ending.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/control-internal.h"
#include "drivers/core/server.h"

#define BACKLOG 32
#define ACCEPT_MASKED 100 /* ms without a descriptor */
#define PASSED_FDS 253    /* of one message: the kernel's bound */

static const struct control_limits default_limits = {
	.first_byte_ms = 10000,
	.progress_ms = 2000,
	.message_ms = 10000,
	.send_ms = 10000,
	.idle_ms = 300000,
};

/* ---- bytes ------------------------------------------------------------------------------------
 */

static int
bytes_reserve(struct bytes *bytes, size_t more)
{
	size_t room = bytes->room ? bytes->room : 1024;
	uint8_t *at;

	if (bytes->from) {
		memmove(bytes->at, bytes->at + bytes->from, bytes->length);
		bytes->from = 0;
	}
	while (room - bytes->length < more)
		room *= 2;
	if (room == bytes->room)
		return 0;
	at = realloc(bytes->at, room);
	if (!at)
		return -ENOMEM;
	bytes->at = at;
	bytes->room = room;
	return 0;
}

static void
bytes_free(struct bytes *bytes)
{
	/* Keys pass through here. */
	if (bytes->at)
		explicit_bzero(bytes->at, bytes->room);
	free(bytes->at);
	*bytes = (struct bytes){ 0 };
}

/* ---- the end of a connection ------------------------------------------------------------------
 */

static void
drop_passed_fd(struct connection *connection)
{
	if (connection->passed_fd >= 0)
		close(connection->passed_fd);
	connection->passed_fd = -1;
	connection->passed_many = false;
}

/* Nothing may free a connection while its own callback runs: a task at the end of the turn does. */
static void
connection_kill(struct connection *connection)
{
	struct control_server *control = connection->control;
	struct control_op *op, *next;

	if (connection->dead)
		return;
	connection->dead = true;
	loop_unwatch(connection->watch);
	connection->watch = NULL;
	loop_timer_cancel(control->loop, &connection->timer);
	for (op = TAILQ_FIRST(&connection->ops); op; op = next) {
		next = TAILQ_NEXT(op, link);
		control_op_orphan(op);
	}
	loop_defer(control->loop, &control->reaper);
}

static void
connection_free(struct connection *connection)
{
	struct control_server *control = connection->control;

	TAILQ_REMOVE(&control->connections, connection, link);
	control->connection_count--;
	drop_passed_fd(connection);
	close(connection->fd);
	bytes_free(&connection->in);
	bytes_free(&connection->out);
	free(connection);
}

static void
maybe_leave(struct control_server *control)
{
	struct connection *connection;

	if (!control->leaving)
		return;
	TAILQ_FOREACH(connection, &control->connections, link)
	if (connection->out.length || connection->outstanding)
		return;
	loop_stop(control->loop);
}

static void
reap(void *arg)
{
	struct control_server *control = arg;
	struct connection *connection, *next;

	for (connection = TAILQ_FIRST(&control->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, link);
		if (connection->dead)
			connection_free(connection);
	}
	if (control->watch && control->connection_count < CONTROL_CONNECTIONS)
		loop_watch_set(control->watch, LOOP_READ);
	maybe_leave(control);
}

/* ---- time -------------------------------------------------------------------------------------
 */

/* How long the peer has from now on, by what is being waited for. */
static void
set_patience(struct connection *connection)
{
	const struct control_limits *limits = &connection->control->config.limits;
	struct loop *loop = connection->control->loop;
	uint64_t spent;
	unsigned ms;

	if (connection->out.length) {
		ms = limits->send_ms;
	} else if (connection->message_begun) {
		spent = (loop_now(loop) - connection->message_begun) / 1000;
		ms = spent < limits->message_ms ? limits->message_ms - (unsigned)spent : 0;
		if (ms > limits->progress_ms)
			ms = limits->progress_ms;
	} else if (connection->outstanding || connection->subscribed) {
		loop_timer_cancel(loop, &connection->timer);
		return;
	} else {
		ms = connection->greeted ? limits->idle_ms : limits->first_byte_ms;
	}
	loop_timer_set(loop, &connection->timer, ms);
}

static void
patience_ended(void *arg)
{
	connection_kill(arg);
}

/* ---- output -----------------------------------------------------------------------------------
 */

static void
set_watch(struct connection *connection)
{
	unsigned events = LOOP_READ;
	bool full = connection->outstanding >= TAPDISK_FRAME_OUTSTANDING;

	/* A peer that asks more than it may is not read, nor one that is told its last words. */
	if (full || connection->closing)
		events = 0;
	if (connection->out.length)
		events |= LOOP_WRITE;
	if (connection->watch)
		loop_watch_set(connection->watch, events);
}

static void
flush_output(struct connection *connection)
{
	struct bytes *out = &connection->out;
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
	}
	if (!out->length)
		bytes_free(out);
	if (connection->control->leaving)
		loop_defer(connection->control->loop, &connection->control->reaper);
	if (connection->closing && !out->length) {
		connection_kill(connection);
		return;
	}
	set_watch(connection);
	set_patience(connection);
}

void
connection_send(struct connection *connection, const void *data, size_t length)
{
	struct bytes *out = &connection->out;

	if (connection->dead)
		return;
	if (length > CONTROL_OUTPUT || out->length > CONTROL_OUTPUT - length ||
	    bytes_reserve(out, length)) {
		connection_kill(connection);
		return;
	}
	memcpy(out->at + out->from + out->length, data, length);
	out->length += length;
	flush_output(connection);
}

void
connection_finish(struct connection *connection)
{
	if (connection->dead)
		return;
	connection->closing = true;
	flush_output(connection);
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

/* Bytes read, 0 at the end, or -errno. */
static ssize_t
receive(struct connection *connection, size_t want)
{
	char space[CMSG_SPACE(PASSED_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct bytes *in = &connection->in;
	struct iovec iov = { .iov_len = want };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	ssize_t got;

	if (bytes_reserve(in, want))
		return -ENOMEM;
	iov.iov_base = in->at + in->from + in->length;
	got = recvmsg(connection->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	keep_fds(connection, &message);
	in->length += (size_t)got;
	return got;
}

/* The first bytes tell the protocols apart. */
static bool
choose_protocol(struct connection *connection)
{
	const struct bytes *in = &connection->in;

	if (connection->protocol)
		return true;
	if (in->length < 4)
		return false;
	connection->protocol = memcmp(in->at + in->from, TAPDISK_FRAME_MAGIC, 4) == 0
				       ? &control_frames
				       : &control_legacy;
	return true;
}

/* Serve what is complete.  Returns the bytes that are wanted next, 0 to read no further for now. */
static size_t
serve_input(struct connection *connection)
{
	size_t need = 4;
	int got;

	while (!connection->dead && !connection->closing) {
		if (connection->outstanding >= TAPDISK_FRAME_OUTSTANDING)
			return 0;
		if (!choose_protocol(connection))
			break;
		got = connection->protocol->take(connection, &need);
		if (got < 0) {
			connection_kill(connection);
			return 0;
		}
		if (!got)
			break;
	}
	if (connection->dead || connection->closing)
		return 0;
	return need - connection->in.length;
}

static void
on_readable(struct connection *connection)
{
	size_t want = serve_input(connection);
	ssize_t got = 1;

	while (want && got > 0) {
		got = receive(connection, want);
		if (got > 0)
			want = serve_input(connection);
	}
	if (connection->dead)
		return;
	if (got == 0 || (got < 0 && got != -EAGAIN && got != -EINTR)) {
		connection_kill(connection);
		return;
	}
	if (!connection->in.length)
		connection->message_begun = 0;
	else if (!connection->message_begun)
		connection->message_begun = loop_now(connection->control->loop);
	set_watch(connection);
	set_patience(connection);
}

static void
on_event(void *arg, unsigned events)
{
	struct connection *connection = arg;

	if (events & LOOP_WRITE)
		flush_output(connection);
	if (!connection->dead && events & LOOP_READ)
		on_readable(connection);
}

/* ---- accepting --------------------------------------------------------------------------------
 */

static bool
peer_is_allowed(int fd, pid_t *pid)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return false;
	*pid = peer.pid;
	return peer.uid == 0 || peer.uid == geteuid();
}

static int
connection_new(struct control_server *control, int fd, pid_t peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int err;

	if (!connection)
		return -ENOMEM;
	connection->control = control;
	connection->fd = fd;
	connection->peer = peer;
	connection->passed_fd = -1;
	connection->timer.fn = patience_ended;
	connection->timer.arg = connection;
	TAILQ_INIT(&connection->ops);
	err = loop_watch(control->loop, fd, LOOP_READ, on_event, connection, &connection->watch);
	if (err) {
		free(connection);
		return err;
	}
	TAILQ_INSERT_TAIL(&control->connections, connection, link);
	control->connection_count++;
	set_patience(connection);
	return 0;
}

static void
on_connection(void *arg, unsigned events)
{
	struct control_server *control = arg;
	pid_t peer = 0;
	int fd;

	(void)events;
	while (control->connection_count < CONTROL_CONNECTIONS) {
		fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			tlog_limited(control->log, &control->limit, LOG_WARNING,
				     "control: no descriptor for a connection");
			loop_watch_set(control->watch, 0);
			loop_timer_set(control->loop, &control->accept_again, ACCEPT_MASKED);
			return;
		}
		if (fd < 0)
			return;
		if (!peer_is_allowed(fd, &peer)) {
			tlog_limited(control->log, &control->limit, LOG_WARNING,
				     "control: process %d may not connect", (int)peer);
			close(fd);
		} else if (connection_new(control, fd, peer)) {
			close(fd);
		}
	}
	loop_watch_set(control->watch, 0);
}

static void
accept_again(void *arg)
{
	struct control_server *control = arg;

	loop_watch_set(control->watch, LOOP_READ);
}

/* ---- events and leaving ------------------------------------------------------------------------
 */

static unsigned
event_number(const char *kind)
{
	static const struct {
		const char *kind;
		unsigned number;
	} rows[] = {
		{ "state", TAPDISK_EVENT_STATE },
		{ "request-timeout", TAPDISK_EVENT_REQUEST_TIMEOUT },
		{ "dead", TAPDISK_EVENT_DEAD },
		{ "stalled", TAPDISK_EVENT_STALLED },
		{ "resized", TAPDISK_EVENT_RESIZED },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].kind, kind) == 0)
			return rows[i].number;
	return 0;
}

static void
leave_anyway(void *arg)
{
	struct control_server *control = arg;

	loop_stop(control->loop);
}

void
control_server_event(struct control_server *control, struct vbd *vbd, const char *kind)
{
	struct connection *connection, *next;
	unsigned number = event_number(kind);

	if (strcmp(kind, "leaving") == 0) {
		control->leaving = true;
		loop_timer_set(control->loop, &control->leave, CONTROL_LEAVE_MS);
		loop_defer(control->loop, &control->reaper);
		return;
	}
	if (!vbd || !number)
		return;
	for (connection = TAILQ_FIRST(&control->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, link);
		if (!connection->dead && connection->subscribed &&
		    (connection->subject == TAPDISK_FRAME_NO_MINOR ||
		     connection->subject == (uint32_t)vbd_minor(vbd)))
			control_frame_event(connection, vbd, number);
	}
}

/* ---- the server -------------------------------------------------------------------------------
 */

/* A socket of a process that had our number is in the way only if nobody answers there. */
static int
remove_stale(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno == ECONNREFUSED && unlink(name->sun_path))
		err = -errno;
	close(fd);
	return err;
}

static int
listen_at(const char *path, int *out)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, strlen(path));
	err = remove_stale(&name);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The mode of the socket is that of the descriptor at bind: nobody connects in between. */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&name, sizeof(name)) ||
	    listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

int
control_server_new(struct control_server **out, const struct control_config *config,
		   const char **why)
{
	struct control_server *control = calloc(1, sizeof(*control));
	int err;

	*why = "memory is short";
	if (!control)
		return -ENOMEM;
	control->config = *config;
	if (!config->limits.first_byte_ms)
		control->config.limits = default_limits;
	control->loop = tapdisk_server_loop(config->server);
	control->log = tapdisk_server_log(config->server);
	control->fd = -1;
	control->reaper = (struct loop_task){ .fn = reap, .arg = control };
	control->leave = (struct loop_timer){ .fn = leave_anyway, .arg = control };
	control->accept_again = (struct loop_timer){ .fn = accept_again, .arg = control };
	TAILQ_INIT(&control->connections);
	TAILQ_INIT(&control->exclusive);
	err = -ENOMEM;
	if (asprintf(&control->path, "%s/ctl%d", tapdisk_server_control_dir(config->server),
		     (int)getpid()) < 0) {
		control->path = NULL;
		goto fail;
	}
	*why = "cannot listen on the socket";
	err = listen_at(control->path, &control->fd);
	if (!err)
		err = loop_watch(control->loop, control->fd, LOOP_READ, on_connection, control,
				 &control->watch);
	if (err)
		goto fail;
	*out = control;
	return 0;

fail:
	control_server_free(control);
	return err;
}

void
control_server_free(struct control_server *control)
{
	struct connection *connection;

	if (!control)
		return;
	loop_unwatch(control->watch);
	control->watch = NULL;
	while ((connection = TAILQ_FIRST(&control->connections))) {
		connection_kill(connection);
		connection_free(connection);
	}
	loop_defer_cancel(control->loop, &control->reaper);
	loop_timer_cancel(control->loop, &control->leave);
	loop_timer_cancel(control->loop, &control->accept_again);
	if (control->fd >= 0) {
		unlink(control->path);
		close(control->fd);
	}
	free(control->path);
	free(control);
}

const char *
control_server_path(const struct control_server *control)
{
	return control->path;
}
