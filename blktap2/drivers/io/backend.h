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

struct ioengine_backend;

/* tiocbs linked by their next, first in first out. */
struct tiocb_list {
	struct tiocb *first;
	struct tiocb **end;
};

static inline void
tiocb_list_init(struct tiocb_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static inline void
tiocb_list_add(struct tiocb_list *list, struct tiocb *tiocb)
{
	tiocb->next = NULL;
	*list->end = tiocb;
	list->end = &tiocb->next;
}

static inline struct tiocb *
tiocb_list_take(struct tiocb_list *list)
{
	struct tiocb *tiocb = list->first;

	if (tiocb) {
		list->first = tiocb->next;
		if (!list->first)
			list->end = &list->first;
		tiocb->next = NULL;
	}
	return tiocb;
}

/* Put batch, which is not empty, before what list holds; batch is void afterwards. */
static inline void
tiocb_list_prepend(struct tiocb_list *list, struct tiocb_list *batch)
{
	*batch->end = list->first;
	if (!list->first)
		list->end = batch->end;
	list->first = batch->first;
}

static inline void
tiocb_list_push(struct tiocb_list *list, struct tiocb *tiocb)
{
	struct tiocb_list one = { tiocb, &tiocb->next };

	tiocb_list_prepend(list, &one);
}

/* A watched descriptor. */
struct ioengine_watch {
	struct ioengine *io;
	int fd;
	unsigned wanted; /* IO_* to be called for */
	unsigned ready;  /* IO_* seen and not yet called for; on io->ready while not 0 */
	ioengine_ready_fn fn;
	void *arg;
	TAILQ_ENTRY(ioengine_watch) ready_link;

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

	/* What wait would block for: buffered files are tried here before they are submitted. */
	bool tries_buffered;
};

extern const struct ioengine_backend ioengine_uring;
extern const struct ioengine_backend ioengine_libaio;
extern const struct ioengine_backend ioengine_threads;

/* Start a given engine; ioengine_new for tests. */
int ioengine_new_on(struct ioengine **io, const struct ioengine_backend *backend);

/*
 * The kernel answered res, bytes or -errno, for what was left of tiocb: it is complete, or the rest
 * is queued again.
 */
void ioengine_settle(struct ioengine *io, struct tiocb *tiocb, long res);

/* Note that watch is ready in ways (IO_*); called for what of it is wanted. */
void ioengine_watch_ready(struct ioengine_watch *watch, unsigned ways);

/* Bytes of the next transfer of tiocb; it begins at buf + done, offset + done. */
size_t ioengine_left(const struct tiocb *tiocb);

/* Do what is left of tiocb here and now, in this thread: bytes, 0 or -errno. */
long ioengine_execute(const struct tiocb *tiocb);

#endif
