/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that never block longer than their deadline.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/message.h"
#include "common/rundir.h"
#include "control/ipc.h"

int tap_ctl_debug;

int
ctl_init(struct ctl *ctl)
{
	*ctl = (struct ctl){ .cancel_fd = -1, .timeout_ms = -1 };
	return rundir_path(&ctl->dir);
}

void
ctl_free(struct ctl *ctl)
{
	free(ctl->dir);
	ctl->dir = NULL;
}

char *
ctl_path(const struct ctl *ctl, const char *kind, int id)
{
	char *path;

	return asprintf(&path, "%s/%s%d", ctl->dir, kind, id) < 0 ? NULL : path;
}

/* ---- time -------------------------------------------------------------------------------------
 */

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct deadline
deadline_in(const struct ctl *ctl, int default_ms)
{
	int ms = ctl->timeout_ms >= 0 ? ctl->timeout_ms : default_ms;

	return (struct deadline){ .at = ms ? now_ms() + (uint64_t)ms : 0,
				  .cancel_fd = ctl->cancel_fd };
}

int
deadline_left(const struct deadline *deadline)
{
	uint64_t now = now_ms();

	if (!deadline->at)
		return -1;
	return now < deadline->at ? (int)(deadline->at - now) : 0;
}

int
ipc_wait(int fd, short events, const struct deadline *deadline)
{
	struct pollfd fds[2] = { { .fd = fd, .events = events },
				 { .fd = deadline->cancel_fd, .events = POLLIN } };
	int ready;

	do
		ready = poll(fds, 2, deadline_left(deadline));
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	if (fds[1].revents)
		return -ECANCELED;
	return ready ? 0 : -ETIMEDOUT;
}

/* ---- connections ------------------------------------------------------------------------------
 */

int
ipc_connect(const char *path, const struct deadline *deadline, int *out)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	AUTO_CLOSE int fd = -1;
	int err;

	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A full backlog says EAGAIN, and a Unix socket cannot be waited for in that state. */
	while (connect(fd, (struct sockaddr *)&name, sizeof(name))) {
		struct deadline moment = *deadline;

		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (deadline->at && !deadline_left(deadline))
			return -ETIMEDOUT;
		moment.at = now_ms() + 10;
		err = ipc_wait(-1, 0, &moment);
		if (err != -ETIMEDOUT)
			return err;
	}
	*out = steal_fd(&fd);
	return 0;
}

int
ipc_send(int fd, const void *data, size_t length, const struct deadline *deadline)
{
	const char *at = data;
	ssize_t sent;
	int err;

	while (length) {
		sent = send(fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0) {
			at += sent;
			length -= (size_t)sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return errno == EPIPE ? -EIO : -errno;
		err = ipc_wait(fd, POLLOUT, deadline);
		if (err)
			return err;
	}
	return 0;
}

int
ipc_receive(int fd, void *data, size_t length, const struct deadline *deadline)
{
	char *at = data;
	ssize_t got;
	int err;

	while (length) {
		got = recv(fd, at, length, MSG_DONTWAIT);
		if (got > 0) {
			at += got;
			length -= (size_t)got;
			continue;
		}
		if (got == 0)
			return -EIO;
		if (errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EIO : -errno;
		err = ipc_wait(fd, POLLIN, deadline);
		if (err)
			return err;
	}
	return 0;
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static void
trace(const char *way, const tapdisk_message_t *message)
{
	if (tap_ctl_debug)
		fprintf(stderr, "%s '%s' message (uuid = %u)\n", way, message_name(message->type),
			message->cookie);
}

tapdisk_message_t
ipc_message(unsigned type, int minor)
{
	tapdisk_message_t message = { 0 };

	message.type = (uint16_t)type;
	message.cookie = minor < 0 ? TAPDISK_MESSAGE_NO_MINOR : (uint16_t)minor;
	return message;
}

static int
exchange(int fd, tapdisk_message_t *message, const void *trailing, size_t trailing_length,
	 const struct deadline *deadline)
{
	int err;

	trace("sending", message);
	err = ipc_send(fd, message, sizeof(*message), deadline);
	if (!err && trailing_length)
		err = ipc_send(fd, trailing, trailing_length, deadline);
	if (!err)
		err = ipc_receive(fd, message, sizeof(*message), deadline);
	if (!err)
		trace("received", message);
	return err;
}

/* An error as the tapdisk sent it: always negative here, whatever it sent. */
static int
error_of(struct ctl *ctl, tapdisk_message_t *message)
{
	int64_t error = message->u.response.error;

	message->u.response.message[sizeof(message->u.response.message) - 1] = '\0';
	if (error < 0)
		error = -error;
	if (!error || error > 4095)
		error = EIO;
	return reason(&ctl->why, (int)-error, "%s", message->u.response.message);
}

int
ipc_ask(struct ctl *ctl, int id, tapdisk_message_t *message, const void *trailing,
	size_t trailing_length, int default_ms, int *out)
{
	struct deadline deadline = deadline_in(ctl, default_ms);
	AUTO_FREE char *path = ctl_path(ctl, "ctl", id);
	AUTO_CLOSE int fd = -1;
	unsigned asked = message->type;
	int err;

	ctl->why.text[0] = '\0';
	if (!path)
		return -ENOMEM;
	err = ipc_connect(path, &deadline, &fd);
	if (!err)
		err = exchange(fd, message, trailing, trailing_length, &deadline);
	if (err)
		return err == -EIO && kill(id, 0) && errno == ESRCH ? -ESRCH : err;
	if (message->type == TAPDISK_MESSAGE_ERROR)
		return error_of(ctl, message);
	/* Answers are numbered after their questions, but that a forced close is a close. */
	if (message->type != asked + 1 && !(asked == TAPDISK_MESSAGE_FORCE_SHUTDOWN &&
					    message->type == TAPDISK_MESSAGE_CLOSE_RSP))
		return -EPROTO;
	if (out)
		*out = steal_fd(&fd);
	return 0;
}

/* ---- the public transport ----------------------------------------------------------------------
 */

const char *
tap_ctl_control_dir(void)
{
	static char dir[RUNDIR_MAX + 1];
	AUTO_FREE char *path = NULL;

	/* Written with the same bytes by whoever calls. */
	if (rundir_path(&path))
		return NULL;
	memcpy(dir, path, strlen(path) + 1);
	return dir;
}

char *
tap_ctl_socket_name(int id)
{
	struct ctl ctl;
	char *path = NULL;

	if (ctl_init(&ctl) == 0)
		path = ctl_path(&ctl, "ctl", id);
	ctl_free(&ctl);
	return path;
}

static struct deadline
seconds(int timeout_s)
{
	const struct ctl any = { .cancel_fd = -1, .timeout_ms = -1 };

	return deadline_in(&any, timeout_s > 0 ? timeout_s * 1000 : 0);
}

int
tap_ctl_connect(const char *path, int *sfd)
{
	struct deadline deadline = seconds(IPC_CONNECT_MS / 1000);

	return ipc_connect(path, &deadline, sfd);
}

int
tap_ctl_connect_id(int id, int *sfd)
{
	AUTO_FREE char *path = tap_ctl_socket_name(id);

	return path ? tap_ctl_connect(path, sfd) : -ENOMEM;
}

int
tap_ctl_read_message(int fd, tapdisk_message_t *message, int timeout_s)
{
	struct deadline deadline = seconds(timeout_s);
	int err = ipc_receive(fd, message, sizeof(*message), &deadline);

	if (!err)
		trace("received", message);
	return err;
}

int
tap_ctl_write_message(int fd, tapdisk_message_t *message, int timeout_s)
{
	struct deadline deadline = seconds(timeout_s);

	trace("sending", message);
	return ipc_send(fd, message, sizeof(*message), &deadline);
}

int
tap_ctl_send_and_receive(int fd, tapdisk_message_t *message, int timeout_s)
{
	int err = tap_ctl_write_message(fd, message, timeout_s);

	return err ? err : tap_ctl_read_message(fd, message, timeout_s);
}

int
tap_ctl_connect_send_and_receive(int id, tapdisk_message_t *message, int timeout_s)
{
	AUTO_CLOSE int fd = -1;
	int err = tap_ctl_connect_id(id, &fd);

	return err ? err : tap_ctl_send_and_receive(fd, message, timeout_s);
}
