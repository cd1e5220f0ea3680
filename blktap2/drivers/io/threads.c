/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine that every kernel has: blocking calls on worker threads, descriptors on epoll.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/io/offload.h"
#include "drivers/io/poll.h"

struct threads {
	struct ioengine io;
	struct poll poll;
	struct offload offload;
};

static struct threads *
threads_of(struct ioengine *io)
{
	return (struct threads *)io;
}

static void
reap(struct ioengine *io)
{
	workers_reap(threads_of(io)->offload.workers);
}

static int
threads_open(struct ioengine **io)
{
	struct threads *threads = calloc(1, sizeof(*threads));
	int err;

	if (!threads)
		return -ENOMEM;
	err = poll_open(&threads->poll);
	if (err)
		goto out_free;
	err = offload_open(&threads->offload, &threads->io);
	if (err)
		goto out_poll;
	err = poll_add_source(&threads->poll, workers_fd(threads->offload.workers), reap);
	if (err)
		goto out_offload;
	*io = &threads->io;
	return 0;

out_offload:
	offload_close(&threads->offload);
out_poll:
	poll_close(&threads->poll);
out_free:
	free(threads);
	return err;
}

static void
threads_close(struct ioengine *io)
{
	struct threads *threads = threads_of(io);

	offload_close(&threads->offload);
	poll_close(&threads->poll);
	free(threads);
}

static int
threads_watch(struct ioengine *io, struct ioengine_watch *watch)
{
	return poll_watch(&threads_of(io)->poll, watch);
}

static void
threads_watch_set(struct ioengine_watch *watch)
{
	poll_watch_set(&threads_of(watch->io)->poll, watch);
}

static void
threads_unwatch(struct ioengine_watch *watch)
{
	poll_unwatch(&threads_of(watch->io)->poll, watch);
	free(watch);
}

static bool
threads_submit(struct ioengine *io, struct tiocb *tiocb)
{
	return offload_submit(&threads_of(io)->offload, tiocb);
}

/* Workers begin at once. */
static void
threads_flush(struct ioengine *io)
{
	(void)io;
}

static int
threads_wait(struct ioengine *io, int64_t timeout_us)
{
	return poll_wait(&threads_of(io)->poll, io, timeout_us);
}

const struct ioengine_backend ioengine_threads = {
	.name = "threads",
	.open = threads_open,
	.close = threads_close,
	.watch = threads_watch,
	.watch_set = threads_watch_set,
	.unwatch = threads_unwatch,
	.submit = threads_submit,
	.flush = threads_flush,
	.wait = threads_wait,
	.knows_no_cache = true,
};
