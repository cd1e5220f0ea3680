/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the engines and their common part agree on.  Private to this directory and its tests.
 */
#ifndef IO_BACKEND_H
#define IO_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "drivers/io/files.h"
#include "drivers/io/io.h"
#include "drivers/io/transfer.h"

struct ioengine_backend;

/* A watched descriptor. */
struct ioengine_watch {
	struct ioengine *io;
	int fd;
	unsigned wanted; /* IO_* to be called for */
	unsigned ready;  /* IO_* seen and not yet called for; on io->ready while not 0 */
	ioengine_ready_fn fn;
	void *arg;
	TAILQ_ENTRY(ioengine_watch) ready_link;

	int own_fd; /* of engines on epoll: a duplicate of fd, or -1 */

	/* Of engines whose polls are requests of their own. */
	unsigned armed;     /* IO_* of the poll in the kernel; 0: none there */
	bool is_dead;       /* unwatched; freed when its poll has come back */
	bool is_cancelling; /* its poll was asked to come back */
	bool is_dirty;      /* on the list of those whose poll needs a change */
	TAILQ_ENTRY(ioengine_watch) dirty_link;
};

TAILQ_HEAD(ioengine_watch_list, ioengine_watch);

/* The common part; first in each engine's own struct. */
struct ioengine {
	const struct ioengine_backend *backend;
	struct tiocb_list queued; /* not given to the engine yet */
	struct tiocb_list done;   /* complete: result holds 0 or -errno */
	unsigned pending;
	bool is_full; /* the engine takes no more until something completes */
	struct ioengine_watch_list ready;
	struct io_files files;
	struct transfer_groups groups;
};

struct ioengine_backend {
	const char *name;

	/* 0, or -errno when the kernel refuses: the next engine is tried. */
	int (*open)(struct ioengine **io);
	void (*close)(struct ioengine *io);

	/* Begin to watch; wanted has changed; stop, and free the watch now or when it is safe. */
	int (*watch)(struct ioengine *io, struct ioengine_watch *watch);
	void (*watch_set)(struct ioengine_watch *watch);
	void (*unwatch)(struct ioengine_watch *watch);

	/*
	 * Take a tiocb and later give it to ioengine_settle, once, from flush or wait; or refuse:
	 * false, something must complete first.
	 */
	bool (*submit)(struct ioengine *io, struct tiocb *tiocb);

	/* Everything was submitted for now. */
	void (*flush)(struct ioengine *io);

	/* Wait at most timeout_us (-1: no limit), then ioengine_settle and ioengine_watch_ready
	 * what came. */
	int (*wait)(struct ioengine *io, int64_t timeout_us);

	/* It would queue what is in the page cache like anything else: that is tried first. */
	bool knows_no_cache;
};

extern const struct ioengine_backend ioengine_uring;
extern const struct ioengine_backend ioengine_libaio;
extern const struct ioengine_backend ioengine_threads;

/* Start a given engine; ioengine_new for tests. */
int ioengine_new_on(struct ioengine **io, const struct ioengine_backend *backend);

/* Note that watch is ready in ways (IO_*); called for what of it is wanted. */
void ioengine_watch_ready(struct ioengine_watch *watch, unsigned ways);

#endif
