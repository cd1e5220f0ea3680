/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket: who may connect, who is told what, and how the process leaves.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/control-internal.h"
#include "drivers/core/server.h"

#define BACKLOG 32
#define GROUPS_MAX 65536 /* of one process: the kernel's bound */

/* ---- leaving ----------------------------------------------------------------------------------
 */

static void on_connection(void *arg, unsigned events);

/* Nobody can connect any more; who has connected already is still served. */
static void
close_door(struct control_server *control)
{
	if (control->fd < 0)
		return;
	on_connection(control, LOOP_READ);
	loop_unwatch(control->watch);
	control->watch = NULL;
	loop_timer_cancel(control->loop, &control->accept_again);
	close(control->fd);
	control->fd = -1;
}

/* Stop the loop, once every request that has come has its answer. */
static void
try_to_leave(struct control_server *control)
{
	struct connection *connection;
	bool owes = false;

	close_door(control);
	TAILQ_FOREACH (connection, &control->connections, link) {
		if (!connection->dead)
			connection_read(connection);
		if (!connection->dead && (connection->out.length || connection->outstanding))
			owes = true;
	}
	if (!owes)
		loop_stop(control->loop);
}

static void
leave_anyway(void *arg)
{
	struct control_server *control = arg;

	tlog(control->log, LOG_WARNING, "control: answers were not taken: leaving without");
	loop_stop(control->loop);
}

static void
leave(struct control_server *control)
{
	if (control->leaving)
		return;
	control->leaving = true;
	/* Before the last answer is sent: whoever has read it finds no trace of this process. */
	unlink(control->path);
	loop_timer_set(control->loop, &control->leave, control->config.limits.leave_ms);
	loop_defer(control->loop, &control->reaper);
}

/* At the end of a turn in which connections have ended, or may be the last. */
static void
reap(void *arg)
{
	struct control_server *control = arg;
	struct connection *connection, *next;

	for (connection = TAILQ_FIRST(&control->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, link);
		if (connection->dead)
			control_connection_free(connection);
	}
	if (control->watch && control->connection_count < CONTROL_CONNECTIONS &&
	    !loop_timer_is_set(&control->accept_again))
		loop_watch_set(control->watch, LOOP_READ);
	if (control->leaving)
		try_to_leave(control);
}

/* ---- accepting --------------------------------------------------------------------------------
 */

static bool
is_in_group(int fd, gid_t group)
{
	AUTO_FREE gid_t *groups = NULL;
	socklen_t length = GROUPS_MAX * sizeof(*groups);
	size_t i;

	groups = malloc(length);
	if (!groups || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length))
		return false;
	for (i = 0; i < length / sizeof(*groups); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool
peer_is_allowed(const struct control_server *control, int fd, struct ucred *peer)
{
	const struct control_config *config = &control->config;
	socklen_t length = sizeof(*peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &length))
		return false;
	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	return config->has_group && (peer->gid == config->group || is_in_group(fd, config->group));
}

static void
welcome(struct control_server *control, int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };

	if (!peer_is_allowed(control, fd, &peer)) {
		tlog_limited(control->log, &control->limit, LOG_WARNING,
			     "control: process %d of user %u may not connect", (int)peer.pid,
			     peer.uid);
		close(fd);
	} else if (control_connection_new(control, fd, peer.pid, peer.uid)) {
		close(fd);
	}
}

static void
on_connection(void *arg, unsigned events)
{
	struct control_server *control = arg;
	int fd;

	(void)events;
	while (control->connection_count < CONTROL_CONNECTIONS) {
		fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			welcome(control, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE) {
			tlog_limited(control->log, &control->limit, LOG_WARNING,
				     "control: no descriptor for a connection");
			loop_watch_set(control->watch, 0);
			loop_timer_set(control->loop, &control->accept_again,
				       control->config.limits.accept_ms);
		}
		return;
	}
	loop_watch_set(control->watch, 0);
}

static void
accept_again(void *arg)
{
	struct control_server *control = arg;

	loop_watch_set(control->watch, LOOP_READ);
}

/* ---- events -----------------------------------------------------------------------------------
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
		{ "mirror-failed", TAPDISK_EVENT_MIRROR_FAILED },
		{ "enospc", TAPDISK_EVENT_ENOSPC_SWITCH },
		{ "ring-error", TAPDISK_EVENT_RING_ERROR },
		{ "job-done", TAPDISK_EVENT_JOB_DONE },
		{ "log-failed", TAPDISK_EVENT_LOG_FAILED },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].kind, kind) == 0)
			return rows[i].number;
	return 0;
}

void
control_server_event(struct control_server *control, struct vbd *vbd, const char *kind)
{
	unsigned number = event_number(kind);
	struct connection *connection;

	control_queue_kick(control);
	if (strcmp(kind, "leaving") == 0)
		leave(control);
	if (!vbd || !number)
		return;
	TAILQ_FOREACH (connection, &control->connections, link)
		if (!connection->dead && connection->subscribed &&
		    (connection->subject == TAPDISK_FRAME_NO_MINOR ||
		     connection->subject == (uint32_t)vbd_minor(vbd)))
			control_frames_event(connection, vbd, number);
}

/* ---- the server -------------------------------------------------------------------------------
 */

static void
fill_in_defaults(struct control_limits *limits)
{
	const struct {
		unsigned *limit;
		unsigned otherwise;
	} rows[] = {
		{ &limits->first_byte_ms, 10000 }, { &limits->progress_ms, 2000 },
		{ &limits->message_ms, 10000 },    { &limits->send_ms, 10000 },
		{ &limits->idle_ms, 300000 },      { &limits->accept_ms, 100 },
		{ &limits->leave_ms, 10000 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!*rows[i].limit)
			*rows[i].limit = rows[i].otherwise;
}

/* A socket of a process that had our number is in the way only if nobody answers there. */
static int
remove_stale(const struct sockaddr_un *name)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno == ECONNREFUSED && unlink(name->sun_path))
		return -errno;
	return 0;
}

static int
open_to_group(const char *path, gid_t group)
{
	return lchown(path, (uid_t)-1, group) || chmod(path, 0660) ? -errno : 0;
}

/* The mode of the socket is that of the descriptor at bind: nobody connects in between. */
static int
listen_at(const struct control_config *config, const char *path, int *out)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int err;

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, strlen(path));
	err = remove_stale(&name);
	if (err)
		return err;
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&name, sizeof(name)))
		return -errno;
	if (config->has_group)
		err = open_to_group(path, config->group);
	if (!err && listen(fd, BACKLOG))
		err = -errno;
	if (err)
		unlink(path);
	else
		*out = steal_fd(&fd);
	return err;
}

static struct control_server *
prepare(const struct control_config *config)
{
	struct control_server *control = calloc(1, sizeof(*control));

	if (!control)
		return NULL;
	control->config = *config;
	fill_in_defaults(&control->config.limits);
	control->loop = tapdisk_server_loop(config->server);
	control->log = tapdisk_server_log(config->server);
	control->fd = -1;
	control->reaper = (struct loop_task){ .fn = reap, .arg = control };
	control->leave = (struct loop_timer){ .fn = leave_anyway, .arg = control };
	control->accept_again = (struct loop_timer){ .fn = accept_again, .arg = control };
	TAILQ_INIT(&control->connections);
	control_queue_init(control);
	if (asprintf(&control->path, "%s/ctl%d", tapdisk_server_control_dir(config->server),
		     (int)getpid()) < 0) {
		free(control);
		return NULL;
	}
	return control;
}

int
control_server_new(struct control_server **out, const struct control_config *config,
		   const char **why)
{
	struct control_server *control = prepare(config);
	int err;

	*why = "memory is short";
	if (!control)
		return -ENOMEM;
	*why = "cannot listen on the socket";
	err = listen_at(config, control->path, &control->fd);
	if (!err)
		err = loop_watch(control->loop, control->fd, LOOP_READ, on_connection, control,
				 &control->watch);
	if (err) {
		control_server_free(control);
		return err;
	}
	*out = control;
	return 0;
}

void
control_server_free(struct control_server *control)
{
	struct connection *connection;

	if (!control)
		return;
	while ((connection = TAILQ_FIRST(&control->connections)))
		control_connection_free(connection);
	control_queue_free(control);
	loop_unwatch(control->watch);
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
