/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors on epoll: see poll.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "drivers/io/poll.h"

#define EVENTS_PER_WAIT 64

int
poll_open(struct poll *poll)
{
	poll->count = 0;
	poll->fd = epoll_create1(EPOLL_CLOEXEC);
	return poll->fd < 0 ? -errno : 0;
}

void
poll_close(struct poll *poll)
{
	close(poll->fd);
}

/*
 * data.u64 is the number of a source, or the address of a watch.  Edge-triggered: the counter need
 * not be read to be told of the next write.
 */
int
poll_add_source(struct poll *poll, int fd, void (*fn)(struct ioengine *io))
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = poll->count };

	if (poll->count == POLL_SOURCES)
		return -ENOSPC;
	if (epoll_ctl(poll->fd, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	poll->sources[poll->count++] = (struct poll_source){ fn, fd };
	return 0;
}

/*
 * epoll reports hang-ups even to those who want nothing; edge-triggered it does so once, and a
 * change of the wish reports them again.
 */
static struct epoll_event
event_of(struct ioengine_watch *watch)
{
	struct epoll_event event = { .data.u64 = (uintptr_t)watch };

	if (!watch->wanted)
		event.events = EPOLLET;
	if (watch->wanted & IO_READ)
		event.events |= EPOLLIN;
	if (watch->wanted & IO_WRITE)
		event.events |= EPOLLOUT;
	return event;
}

/* epoll knows a descriptor once: another watch of the same one gets a number of its own. */
int
poll_watch(struct poll *poll, struct ioengine_watch *watch)
{
	struct epoll_event event = event_of(watch);
	int err;

	watch->own_fd = -1;
	if (!epoll_ctl(poll->fd, EPOLL_CTL_ADD, watch->fd, &event))
		return 0;
	if (errno != EEXIST)
		return -errno;
	watch->own_fd = fcntl(watch->fd, F_DUPFD_CLOEXEC, 0);
	if (watch->own_fd < 0)
		return -errno;
	if (!epoll_ctl(poll->fd, EPOLL_CTL_ADD, watch->own_fd, &event))
		return 0;
	err = -errno;
	close(watch->own_fd);
	return err;
}

static int
fd_of(const struct ioengine_watch *watch)
{
	return watch->own_fd < 0 ? watch->fd : watch->own_fd;
}

void
poll_watch_set(struct poll *poll, struct ioengine_watch *watch)
{
	struct epoll_event event = event_of(watch);

	(void)epoll_ctl(poll->fd, EPOLL_CTL_MOD, fd_of(watch), &event);
}

void
poll_unwatch(struct poll *poll, struct ioengine_watch *watch)
{
	(void)epoll_ctl(poll->fd, EPOLL_CTL_DEL, fd_of(watch), NULL);
	if (watch->own_fd >= 0)
		close(watch->own_fd);
}

static int
milliseconds(int64_t us)
{
	if (us < 0)
		return -1;
	us = (us + 999) / 1000;
	return us < INT_MAX ? (int)us : INT_MAX;
}

static void
watch_event(struct ioengine_watch *watch, uint32_t events)
{
	unsigned ways = 0;

	if (events & EPOLLIN)
		ways |= IO_READ;
	if (events & EPOLLOUT)
		ways |= IO_WRITE;
	if (events & (EPOLLERR | EPOLLHUP))
		ways |= IO_READ | IO_WRITE;
	ioengine_watch_ready(watch, ways);
}

int
poll_wait(struct poll *poll, struct ioengine *io, int64_t timeout_us)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	uint64_t data;
	int n, i;

	n = epoll_wait(poll->fd, events, EVENTS_PER_WAIT, milliseconds(timeout_us));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++) {
		data = events[i].data.u64;
		if (data < poll->count)
			poll->sources[data].fn(io);
		else
			watch_event((struct ioengine_watch *)(uintptr_t)data, events[i].events);
	}
	return 0;
}
