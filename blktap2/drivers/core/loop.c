/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: one turn, and what is handed through to the I/O engine.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "drivers/core/loop-state.h"

#define SLEEP_MAX_US (600 * 1000000ll)
#define AWAKE_US 10   /* what falling asleep and being woken costs, and less than that */
#define ASLEEP_MAX 15 /* busy turns without waiting awake */

uint64_t
loop_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int
loop_new(struct loop **out, const char *engine)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	err = ioengine_new(&loop->io, engine);
	if (err) {
		free(loop);
		return err;
	}
	loop_tasks_init(&loop->deferred);
	loop_tasks_init(&loop->running);
	loop->now = loop_clock();
	*out = loop;
	return 0;
}

void
loop_free(struct loop *loop)
{
	if (!loop)
		return;
	loop_workers_free(loop);
	ioengine_free(loop->io);
	free(loop->timers.heap);
	free(loop);
}

const char *
loop_engine(const struct loop *loop)
{
	return ioengine_name(loop->io);
}

uint64_t
loop_now(const struct loop *loop)
{
	return loop->now;
}

/*
 * A client that answers at once would make both sides pay for a sleep and a wake-up with each
 * request: after a busy turn a short while is waited awake.  Where nothing comes in that while, as
 * from a slow disk or client, it is not tried again for a number of turns that doubles each time.
 */
static int
wait_awake(struct loop *loop)
{
	uint64_t until = loop_clock() + AWAKE_US;
	int err;

	do
		err = ioengine_wait(loop->io, 0);
	while (!err && !ioengine_has_events(loop->io) && loop_clock() < until);

	if (ioengine_has_events(loop->io))
		loop->asleep_next = 0;
	else
		loop->asleep_next =
			loop->asleep_next < ASLEEP_MAX / 2 ? 2 * loop->asleep_next + 1 : ASLEEP_MAX;
	loop->asleep = loop->asleep_next;
	return err;
}

static int
wait_for_events(struct loop *loop, int64_t timeout_us)
{
	int err = 0;

	if (loop->was_busy && timeout_us > AWAKE_US) {
		if (loop->asleep)
			loop->asleep--;
		else
			err = wait_awake(loop);
	}
	if (!err && !ioengine_has_events(loop->io))
		err = ioengine_wait(loop->io, timeout_us);
	loop->was_busy = ioengine_has_events(loop->io);
	return err;
}

int
loop_turn(struct loop *loop, int timeout_ms)
{
	int64_t timeout_us = timeout_ms < 0 ? SLEEP_MAX_US : timeout_ms * 1000ll;
	int err;

	if (loop->deferred.first)
		timeout_us = 0;
	err = wait_for_events(loop, loop_timers_left(loop, timeout_us));
	loop->now = loop_clock();
	if (err)
		return err;
	ioengine_dispatch(loop->io);
	loop_timers_run(loop);
	/* Before the tasks, so that what is done on the spot is answered in this turn. */
	ioengine_submit(loop->io);
	loop_tasks_run(loop);
	return 0;
}

int
loop_run(struct loop *loop)
{
	int err = 0;

	loop->is_stopped = false;
	while (!loop->is_stopped && !err)
		err = loop_turn(loop, -1);
	return err;
}

void
loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
}

/* ---- handed through ---- */

_Static_assert(LOOP_READ == IO_READ && LOOP_WRITE == IO_WRITE, "events are handed through");

/* A loop_watch is the engine's watch by another name: the type is never completed. */
int
loop_watch(struct loop *loop, int fd, unsigned events, loop_watch_fn fn, void *arg,
	   struct loop_watch **watch)
{
	struct ioengine_watch *made;
	int err;

	err = ioengine_watch(loop->io, fd, events, fn, arg, &made);
	if (!err)
		*watch = (struct loop_watch *)made;
	return err;
}

void
loop_watch_set(struct loop_watch *watch, unsigned events)
{
	ioengine_watch_set((struct ioengine_watch *)watch, events);
}

void
loop_unwatch(struct loop_watch *watch)
{
	ioengine_unwatch((struct ioengine_watch *)watch);
}

void
loop_queue_tiocb(struct loop *loop, struct tiocb *tiocb, uint64_t eof_zero)
{
	ioengine_queue(loop->io, tiocb, eof_zero);
}

void
loop_forget_files(struct loop *loop)
{
	ioengine_forget_files(loop->io);
}

unsigned
loop_tiocbs_pending(const struct loop *loop)
{
	return ioengine_pending(loop->io);
}
