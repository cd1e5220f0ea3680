/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a loop is made of.  Private to loop.c, timers.c, tasks.c and workers.c.
 */
#ifndef CORE_LOOP_STATE_H
#define CORE_LOOP_STATE_H

#include <stddef.h>

#include "drivers/core/loop.h"
#include "drivers/io/io.h"
#include "drivers/io/workers.h"

/* A binary heap: every timer is due no earlier than the one above it. */
struct loop_timers {
	struct loop_timer **heap;
	size_t count;
	size_t room;
};

struct loop_tasks {
	struct loop_task *first;
	struct loop_task **end;
};

struct loop {
	struct ioengine *io;
	uint64_t now; /* monotonic microseconds */
	bool is_stopped;
	bool was_busy;        /* the last turn had something to do */
	unsigned asleep;      /* busy turns before it is waited awake again */
	unsigned asleep_next; /* as many after the next disappointment, at least */
	struct loop_timers timers;
	struct loop_tasks deferred; /* for the next time */
	struct loop_tasks running;  /* of this turn, not called yet */
	struct workers *workers;    /* NULL: never needed yet */
	struct loop_watch *workers_watch;
};

uint64_t loop_clock(void); /* monotonic microseconds, read now */

/* Microseconds until the next timer, at most limit (-1: no limit). */
int64_t loop_timers_left(const struct loop *loop, int64_t limit);
void loop_timers_run(struct loop *loop); /* all that are due at loop->now */

void loop_tasks_init(struct loop_tasks *tasks);
void loop_tasks_run(struct loop *loop);

void loop_workers_free(struct loop *loop);

#endif
