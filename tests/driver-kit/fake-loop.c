/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake loop: the contract of drivers/core/loop.h, kept by simulation.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/core/loop.h"
#include "tests/driver-kit/fake-loop.h"

#define TURN_USECS 1000
#define MAX_TIMERS 256

/* An operation or a piece of work on its way. */
struct pending {
	struct tiocb *tiocb; /* or */
	int (*fn)(void *arg);
	void (*done)(void *arg, int result);
	void *arg;
	uint64_t eof_zero;
	int inject; /* -errno; 0: really do it */
	int turns;
	struct pending *next;
};

struct loop {
	struct fake_control control;
	uint64_t now;
	struct pending *pending;
	struct loop_timer *timers[MAX_TIMERS];
	struct loop_task *tasks;
	unsigned tiocbs;
};

struct fake_control *
fake_control(struct loop *loop)
{
	return &loop->control;
}

int
loop_new(struct loop **loop, const char *engine)
{
	(void)engine;
	*loop = calloc(1, sizeof(**loop));
	if (!*loop)
		return -ENOMEM;
	(*loop)->now = 1;
	return 0;
}

void
loop_free(struct loop *loop)
{
	free(loop);
}

uint64_t
loop_now(const struct loop *loop)
{
	return loop->now;
}

void
loop_stop(struct loop *loop)
{
	(void)loop;
}

/* ---- descriptors: drivers of this suite have none that become ready -----------------------------
 */

int
loop_watch(struct loop *loop, int fd, unsigned events, loop_watch_fn fn, void *arg,
	   struct loop_watch **watch)
{
	(void)loop;
	(void)fd;
	(void)events;
	(void)fn;
	(void)arg;
	*watch = NULL;
	return 0;
}

void
loop_watch_set(struct loop_watch *watch, unsigned events)
{
	(void)watch;
	(void)events;
}

void
loop_unwatch(struct loop_watch *watch)
{
	(void)watch;
}

/* ---- timers and tasks ---------------------------------------------------------------------------
 */

int
loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t ms)
{
	int i;

	loop_timer_cancel(loop, timer);
	for (i = 0; i < MAX_TIMERS && loop->timers[i]; i++)
		;
	if (i == MAX_TIMERS)
		return -ENOMEM;
	loop->timers[i] = timer;
	timer->slot = i + 1;
	timer->due = loop->now + ms * 1000;
	return 0;
}

void
loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	if (timer->slot)
		loop->timers[timer->slot - 1] = NULL;
	timer->slot = 0;
}

bool
loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->slot != 0;
}

void
loop_defer(struct loop *loop, struct loop_task *task)
{
	struct loop_task **at = &loop->tasks;

	if (task->queued)
		return;
	while (*at)
		at = &(*at)->next;
	*at = task;
	task->next = NULL;
	task->queued = true;
}

void
loop_defer_cancel(struct loop *loop, struct loop_task *task)
{
	struct loop_task **at = &loop->tasks;

	while (*at && *at != task)
		at = &(*at)->next;
	if (*at)
		*at = task->next;
	task->queued = false;
}

/* ---- work and operations ------------------------------------------------------------------------
 */

static struct pending *
add_pending(struct loop *loop)
{
	struct pending *pending = calloc(1, sizeof(*pending)), **at = &loop->pending;
	int place = rand_r(&loop->control.seed) % 4;

	if (!pending)
		abort();
	if (loop->control.max_delay)
		pending->turns = rand_r(&loop->control.seed) % loop->control.max_delay;
	while (*at && place--)
		at = &(*at)->next;
	pending->next = *at;
	*at = pending;
	return pending;
}

int
loop_work(struct loop *loop, int (*fn)(void *arg), void (*done)(void *arg, int result), void *arg)
{
	struct pending *pending;

	if (loop->control.out_of_work > 0) {
		loop->control.out_of_work--;
		return -EAGAIN;
	}
	loop->control.works++;
	pending = add_pending(loop);
	pending->fn = fn;
	pending->done = done;
	pending->arg = arg;
	return 0;
}

void
loop_queue_tiocb(struct loop *loop, struct tiocb *tiocb, uint64_t eof_zero)
{
	struct fake_control *control = &loop->control;
	struct pending *pending = add_pending(loop);

	control->queued++;
	loop->tiocbs++;
	pending->tiocb = tiocb;
	pending->eof_zero = eof_zero;
	if (control->fail_at > 0 && --control->fail_at == 0)
		pending->inject = control->fail_with;
	if (control->hold_at > 0 && --control->hold_at == 0)
		pending->turns = control->hold_turns;
	if (control->on_queued)
		control->on_queued(control->arg, tiocb);
}

void
loop_forget_files(struct loop *loop)
{
	loop->control.forgotten++;
}

unsigned
loop_tiocbs_pending(const struct loop *loop)
{
	return loop->tiocbs;
}

/* A read, all of it; what lies beyond the end is zero up to eof_zero. */
static int
read_all(const struct tiocb *tiocb, uint64_t eof_zero)
{
	ssize_t got = pread(tiocb->fd, tiocb->buf, tiocb->bytes, (off_t)tiocb->offset);

	if (got < 0)
		return -errno;
	if ((size_t)got == tiocb->bytes)
		return 0;
	if ((uint64_t)tiocb->offset + tiocb->bytes > eof_zero)
		return -EIO;
	memset(tiocb->buf + got, 0, tiocb->bytes - (size_t)got);
	return 0;
}

static int
perform(struct loop *loop, const struct pending *pending)
{
	const struct tiocb *tiocb = pending->tiocb;
	ssize_t put;

	if (pending->inject)
		return pending->inject;
	switch (tiocb->op) {
	case TIOCB_READ:
		return read_all(tiocb, pending->eof_zero);
	case TIOCB_WRITE:
		put = pwrite(tiocb->fd, tiocb->buf, tiocb->bytes, (off_t)tiocb->offset);
		loop->control.unsynced++;
		return put < 0 ? -errno : (size_t)put == tiocb->bytes ? 0 : -EIO;
	case TIOCB_FSYNC:
		loop->control.unsynced = 0;
		return fdatasync(tiocb->fd) ? -errno : 0;
	default:
		loop->control.unsynced++;
		return fallocate(tiocb->fd, tiocb->mode, (off_t)tiocb->offset, (off_t)tiocb->bytes)
			       ? -errno
			       : 0;
	}
}

static void
complete(struct loop *loop, struct pending *pending)
{
	struct fake_control *control = &loop->control;
	struct tiocb *tiocb = pending->tiocb;
	int err;

	if (tiocb) {
		loop->tiocbs--;
		control->performing = true;
		err = perform(loop, pending);
		control->performing = false;
		if (control->on_performed)
			control->on_performed(control->arg, tiocb, err);
		tiocb->cb(tiocb->arg, tiocb, err);
	} else {
		pending->done(pending->arg, pending->fn(pending->arg));
	}
	free(pending);
}

static void
run_pending(struct loop *loop)
{
	struct pending *list = loop->pending, *next, **at;

	loop->pending = NULL;
	for (; list; list = next) {
		next = list->next;
		if (list->turns-- > 0) {
			for (at = &loop->pending; *at; at = &(*at)->next)
				;
			list->next = NULL;
			*at = list;
		} else {
			complete(loop, list);
		}
	}
}

int
loop_turn(struct loop *loop, int timeout_ms)
{
	struct loop_timer *timer;
	struct loop_task *task;
	int i;

	(void)timeout_ms;
	loop->now += TURN_USECS;
	for (i = 0; i < MAX_TIMERS; i++) {
		timer = loop->timers[i];
		if (!timer || timer->due > loop->now)
			continue;
		loop_timer_cancel(loop, timer);
		timer->fn(timer->arg);
	}
	run_pending(loop);
	while ((task = loop->tasks)) {
		loop->tasks = task->next;
		task->queued = false;
		task->fn(task->arg);
	}
	return 0;
}
