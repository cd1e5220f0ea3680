/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors on epoll, for the engines whose I/O is waited for through an eventfd.  Private to
 * this directory.
 */
#ifndef IO_POLL_H
#define IO_POLL_H

#include <stdint.h>

#include "drivers/io/backend.h"

/* An eventfd of the engine itself; it is never read: each write to it is an event. */
struct poll_source {
	void (*fn)(struct ioengine *io);
	int fd; /* borrowed */
};

#define POLL_SOURCES 2

struct poll {
	int fd; /* epoll */
	unsigned count;
	struct poll_source sources[POLL_SOURCES];
};

int poll_open(struct poll *poll);
void poll_close(struct poll *poll);

/* Call fn from poll_wait whenever something was written to fd.  0 or -errno. */
int poll_add_source(struct poll *poll, int fd, void (*fn)(struct ioengine *io));

int poll_watch(struct poll *poll, struct ioengine_watch *watch);
void poll_watch_set(struct poll *poll, struct ioengine_watch *watch);
void poll_unwatch(struct poll *poll, struct ioengine_watch *watch);

/* Wait at most timeout_us (-1: no limit); watches become ready, sources are called.  0 or -errno.
 */
int poll_wait(struct poll *poll, struct ioengine *io, int64_t timeout_us);

#endif
