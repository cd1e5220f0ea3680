/* SPDX-License-Identifier: BSD-2-Clause */
/* Unix stream sockets that listen: bound with the right mode, removed when they go. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/loop.h"
#include "drivers/frontend/listener.h"

#define SHORTAGE_MS 1000 /* pause when there are no descriptors left */

struct listener {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer pause;
	int fd;
	bool masked;
	struct sockaddr_un address;
	dev_t device; /* of the socket's inode, to tell whether the path is still ours */
	ino_t inode;
	listener_fn fn;
	void *arg;
};

static void
watch(struct listener *listener)
{
	bool on = !listener->masked && !loop_timer_is_set(&listener->pause);

	loop_watch_set(listener->watch, on ? LOOP_READ : 0);
}

static void
pause_over(void *arg)
{
	watch(arg);
}

void
listener_mask(struct listener *listener, bool masked)
{
	listener->masked = masked;
	watch(listener);
}

/* One peer per turn: the rest of the queue keeps the event, and others get their turn. */
static void
on_event(void *arg, unsigned events)
{
	struct listener *listener = arg;
	int fd;

	(void)events;
	fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		listener->fn(listener->arg, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Out of descriptors or memory: the peer stays in the queue, and so does the event.
		 */
		(void)loop_timer_set(listener->loop, &listener->pause, SHORTAGE_MS);
		watch(listener);
	}
}

/* Whether nobody listens behind the socket at address any more. */
static bool
is_stale(const struct sockaddr_un *address)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	return connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
}

static int
bind_path(int fd, const struct sockaddr_un *address)
{
	struct stat st;

	/* The socket file gets the mode of the descriptor: no moment with another one. */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) || !is_stale(address))
		return -EADDRINUSE;
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return -errno;
	return bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
}

static int
start(struct listener *listener, int backlog)
{
	struct stat st;
	int err;

	err = bind_path(listener->fd, &listener->address);
	if (err)
		return err;
	if (lstat(listener->address.sun_path, &st) < 0)
		return -errno;
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	if (listen(listener->fd, backlog) < 0)
		return -errno;
	return loop_watch(listener->loop, listener->fd, LOOP_READ, on_event, listener,
			  &listener->watch);
}

int
listener_new(struct listener **out, struct loop *loop, const char *path, int backlog,
	     listener_fn fn, void *arg)
{
	struct listener *listener;
	int err;

	if (strlen(path) >= sizeof(listener->address.sun_path))
		return -ENAMETOOLONG;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->loop = loop;
	listener->fn = fn;
	listener->arg = arg;
	listener->pause.fn = pause_over;
	listener->pause.arg = listener;
	listener->address.sun_family = AF_UNIX;
	memcpy(listener->address.sun_path, path, strlen(path) + 1);
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = listener->fd < 0 ? -errno : start(listener, backlog);
	if (err) {
		listener_free(listener);
		return err;
	}
	*out = listener;
	return 0;
}

void
listener_free(struct listener *listener)
{
	struct stat st;

	if (!listener)
		return;
	loop_timer_cancel(listener->loop, &listener->pause);
	loop_unwatch(listener->watch);
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->inode && lstat(listener->address.sun_path, &st) == 0 &&
	    st.st_dev == listener->device && st.st_ino == listener->inode)
		unlink(listener->address.sun_path);
	free(listener);
}
