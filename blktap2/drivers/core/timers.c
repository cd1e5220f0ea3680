/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timers of a loop, in a binary heap that knows each timer's place.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/core/loop-state.h"

#define ROOM_AT_FIRST 16

static void
put(struct loop_timers *timers, size_t at, struct loop_timer *timer)
{
	timers->heap[at] = timer;
	timer->slot = (int)at + 1;
}

/* Move timer, whose place is at, to where it belongs. */
static void
settle(struct loop_timers *timers, size_t at, struct loop_timer *timer)
{
	size_t next;

	while (at > 0 && timers->heap[(at - 1) / 2]->due > timer->due) {
		next = (at - 1) / 2;
		put(timers, at, timers->heap[next]);
		at = next;
	}
	for (;;) {
		next = 2 * at + 1;
		if (next >= timers->count)
			break;
		if (next + 1 < timers->count &&
		    timers->heap[next + 1]->due < timers->heap[next]->due)
			next++;
		if (timers->heap[next]->due >= timer->due)
			break;
		put(timers, at, timers->heap[next]);
		at = next;
	}
	put(timers, at, timer);
}

static int
make_room(struct loop_timers *timers)
{
	size_t room = timers->room ? 2 * timers->room : ROOM_AT_FIRST;
	struct loop_timer **heap;

	if (timers->count < timers->room)
		return 0;
	heap = reallocarray(timers->heap, room, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->room = room;
	return 0;
}

/* Never at the time of the turn that sets it: a timer that sets itself waits for the next one. */
static uint64_t
due_in(const struct loop *loop, uint64_t ms)
{
	uint64_t now = loop_clock();
	uint64_t due;

	if (now <= loop->now)
		now = loop->now + 1;
	if (__builtin_mul_overflow(ms, 1000, &due) || __builtin_add_overflow(due, now, &due))
		return UINT64_MAX;
	return due;
}

int
loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t ms)
{
	struct loop_timers *timers = &loop->timers;
	size_t at;
	int err;

	if (timer->slot) {
		at = (size_t)timer->slot - 1;
	} else {
		err = make_room(timers);
		if (err)
			return err;
		at = timers->count++;
	}
	timer->due = due_in(loop, ms);
	settle(timers, at, timer);
	return 0;
}

void
loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timers *timers = &loop->timers;
	struct loop_timer *last;
	size_t at;

	if (!timer->slot)
		return;
	at = (size_t)timer->slot - 1;
	timer->slot = 0;
	last = timers->heap[--timers->count];
	if (last != timer)
		settle(timers, at, last);
}

bool
loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->slot != 0;
}

int64_t
loop_timers_left(const struct loop *loop, int64_t limit)
{
	uint64_t now;
	uint64_t due;

	if (!loop->timers.count || !limit)
		return limit;
	now = loop_clock();
	due = loop->timers.heap[0]->due;
	if (due <= now)
		return 0;
	return limit < 0 || due - now < (uint64_t)limit ? (int64_t)(due - now) : limit;
}

void
loop_timers_run(struct loop *loop)
{
	struct loop_timer *timer;

	while (loop->timers.count) {
		timer = loop->timers.heap[0];
		if (timer->due > loop->now)
			break;
		loop_timer_cancel(loop, timer);
		timer->fn(timer->arg);
	}
}
