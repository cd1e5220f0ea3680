/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoll, and a sorted list of timers.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "daemon/loop.h"

#define EVENTS_PER_TURN 64

TAILQ_HEAD(timers, tb_timer);

/*
 * Slots stand between epoll and watches: an event that was fetched for a watch which is cleared in
 * the same turn finds its slot empty.
 */
struct tb_loop {
	int epoll;
	struct timers timers; /* earliest first */
	struct tb_watch **slots;
	uint32_t slot_count;
};

int
tb_loop_new(struct tb_loop **out)
{
	struct tb_loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	TAILQ_INIT(&loop->timers);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		err = -errno;
		free(loop);
		return err;
	}
	*out = loop;
	return 0;
}

void
tb_loop_free(struct tb_loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll);
	free(loop->slots);
	free(loop);
}

uint64_t
tb_loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- descriptors ------------------------------------------------------------------------------
 */

/* A free slot, counted from 1; 0: memory is short. */
static uint32_t
find_slot(struct tb_loop *loop)
{
	struct tb_watch **slots;
	uint32_t i;

	for (i = 0; i < loop->slot_count; i++)
		if (!loop->slots[i])
			return i + 1;
	slots = reallocarray(loop->slots, loop->slot_count + 1, sizeof(struct tb_watch *));
	if (!slots)
		return 0;
	loop->slots = slots;
	slots[loop->slot_count] = NULL;
	return ++loop->slot_count;
}

int
tb_watch_set(struct tb_loop *loop, struct tb_watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	uint32_t slot = watch->slot ? watch->slot : find_slot(loop);

	if (!slot)
		return -ENOMEM;
	event.data.u32 = slot;
	if (epoll_ctl(loop->epoll, watch->slot ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event))
		return -errno;
	watch->fd = fd;
	watch->slot = slot;
	loop->slots[slot - 1] = watch;
	return 0;
}

void
tb_watch_clear(struct tb_loop *loop, struct tb_watch *watch)
{
	if (!watch->slot)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	loop->slots[watch->slot - 1] = NULL;
	watch->slot = 0;
}

static void
run_watches(struct tb_loop *loop, const struct epoll_event *events, int count)
{
	struct tb_watch *watch;
	int i;

	for (i = 0; i < count; i++) {
		watch = loop->slots[events[i].data.u32 - 1];
		if (watch)
			watch->fn(watch->arg, events[i].events);
	}
}

/* ---- timers -----------------------------------------------------------------------------------
 */

void
tb_timer_set(struct tb_loop *loop, struct tb_timer *timer, uint64_t in_ms)
{
	struct tb_timer *before;

	tb_timer_clear(loop, timer);
	timer->at = tb_loop_now() + in_ms;
	TAILQ_FOREACH_REVERSE (before, &loop->timers, timers, link)
		if (before->at <= timer->at) {
			TAILQ_INSERT_AFTER(&loop->timers, before, timer, link);
			return;
		}
	TAILQ_INSERT_HEAD(&loop->timers, timer, link);
}

void
tb_timer_clear(struct tb_loop *loop, struct tb_timer *timer)
{
	if (!timer->at)
		return;
	TAILQ_REMOVE(&loop->timers, timer, link);
	timer->at = 0;
}

/* Those that are due now; timers that they set wait for the next turn. */
static void
run_timers(struct tb_loop *loop)
{
	uint64_t now = tb_loop_now();
	struct tb_timer *timer;

	while ((timer = TAILQ_FIRST(&loop->timers)) && timer->at <= now) {
		tb_timer_clear(loop, timer);
		timer->fn(timer->arg);
	}
}

static int
patience(const struct tb_loop *loop)
{
	const struct tb_timer *first = TAILQ_FIRST(&loop->timers);
	uint64_t now = tb_loop_now();

	if (!first)
		return -1;
	if (first->at <= now)
		return 0;
	return first->at - now < INT_MAX ? (int)(first->at - now) : INT_MAX;
}

int
tb_loop_run(struct tb_loop *loop, bool (*turn)(void *arg), void *arg)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count;

	while (turn(arg)) {
		count = epoll_wait(loop->epoll, events, EVENTS_PER_TURN, patience(loop));
		if (count < 0 && errno != EINTR)
			return -errno;
		run_watches(loop, events, count);
		run_timers(loop);
	}
	return 0;
}
