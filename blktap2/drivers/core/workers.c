/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocking functions of a loop, run on threads.  The threads are not those of the I/O engine: what
 * hangs in an open holds up no transfer.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "drivers/core/loop-state.h"

struct loop_job {
	struct worker_job job; /* first */
	int (*fn)(void *arg);
	void (*done)(void *arg, int result);
	void *arg;
	int result;
};

static void
run(struct worker_job *job)
{
	struct loop_job *work = (struct loop_job *)job;

	work->result = work->fn(work->arg);
}

static void
done(struct worker_job *job)
{
	struct loop_job work = *(struct loop_job *)job;

	free(job);
	work.done(work.arg, work.result);
}

static void
ready(void *arg, unsigned events)
{
	struct loop *loop = arg;
	uint64_t count;

	(void)events;
	if (read(workers_fd(loop->workers), &count, sizeof(count)) == (ssize_t)sizeof(count))
		workers_reap(loop->workers);
}

static int
start(struct loop *loop)
{
	struct workers *workers;
	int err;

	if (loop->workers)
		return 0;
	err = workers_new(&workers, WORKERS_MAX, WORKERS_IDLE_MS);
	if (err)
		return err;
	err = loop_watch(loop, workers_fd(workers), LOOP_READ, ready, loop, &loop->workers_watch);
	if (err) {
		workers_free(workers);
		return err;
	}
	loop->workers = workers;
	return 0;
}

int
loop_work(struct loop *loop, int (*fn)(void *arg), void (*done_fn)(void *arg, int result),
	  void *arg)
{
	struct loop_job *work;
	int err;

	err = start(loop);
	if (err)
		return err;
	work = malloc(sizeof(*work));
	if (!work)
		return -ENOMEM;
	*work = (struct loop_job){
		.job = { .run = run, .done = done }, .fn = fn, .done = done_fn, .arg = arg
	};
	err = workers_add(loop->workers, &work->job);
	if (err)
		free(work);
	return err;
}

void
loop_workers_free(struct loop *loop)
{
	loop_unwatch(loop->workers_watch);
	workers_free(loop->workers);
}
