/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: descriptors, timers, tasks, workers and tiocbs of one thread.
 *
 * A turn is: wait, run what became ready, run completed tiocbs, run deferred tasks, submit every
 * tiocb that was queued.  Nothing that is called from the loop may block or run the loop again.
 * All functions belong to the loop's thread, but for those that say otherwise.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <tapdisk.h>

struct loop;
struct loop_watch;

#define LOOP_READ 0x1
#define LOOP_WRITE 0x2

/*
 * Make a loop on the I/O engine called engine ("io_uring", "libaio", "threads"), or on the best one
 * that the kernel has for NULL.  A loop on io_uring belongs to the thread that made it.
 * Returns 0 or -errno; -EINVAL for an unknown name.
 */
int loop_new(struct loop **loop, const char *engine);
void loop_free(struct loop *loop); /* nothing may be pending; NULL is fine */

const char *loop_engine(const struct loop *loop); /* borrowed */

/* Turn until loop_stop.  Returns 0, or -errno when the kernel refuses to wait. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One turn, waiting at most timeout_ms (-1: until something happens).  For tests and loop_run. */
int loop_turn(struct loop *loop, int timeout_ms);

/* Monotonic microseconds, read once per turn. */
uint64_t loop_now(const struct loop *loop);

/* ---- descriptors ---- */

typedef void (*loop_watch_fn)(void *arg, unsigned events); /* LOOP_* that are ready, never 0 */

/*
 * Call fn, level-triggered, whenever fd is ready in a way of events (0: not until loop_watch_set).
 * Hang-up and error count as whatever is watched.  Borrowed: loop_unwatch before fd is closed.
 * Returns 0 or -errno, -EPERM for a file, which is always ready.
 */
int loop_watch(struct loop *loop, int fd, unsigned events, loop_watch_fn fn, void *arg,
	       struct loop_watch **watch);
void loop_watch_set(struct loop_watch *watch, unsigned events);

/* In any callback; fn is not called again.  NULL is fine. */
void loop_unwatch(struct loop_watch *watch);

/* ---- timers ---- */

/* Embedded in its owner; zeroed, then fn and arg set.  The rest is the loop's. */
struct loop_timer {
	void (*fn)(void *arg);
	void *arg;
	uint64_t due; /* monotonic microseconds */
	int slot;     /* 1 + place in the heap; 0: not set */
};

/* Call once, ms from now; a set timer is moved.  Returns 0 or -ENOMEM. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t ms);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* ---- tasks ---- */

/* Embedded in its owner; zeroed, then fn and arg set. */
struct loop_task {
	void (*fn)(void *arg);
	void *arg;
	struct loop_task *next;
	bool queued;
};

/*
 * Call once, in this turn, after all events and completions and before the batch is submitted:
 * where answers are gathered into one write.  Deferring twice is deferring once.
 */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_defer_cancel(struct loop *loop, struct loop_task *task);

/* ---- workers ---- */

/*
 * Run fn(arg) on a worker thread, then done(arg, its result) on the loop.  Workers are started on
 * demand and leave when idle.  Returns 0 or -ENOMEM, -EAGAIN, with nothing started.
 */
int loop_work(struct loop *loop, int (*fn)(void *arg), void (*done)(void *arg, int result),
	      void *arg);

/* ---- tiocbs ---- */

/*
 * Queue an operation for this turn's batch.  tiocb->cb is called from the loop with 0 or -errno
 * after transferring everything: short transfers are continued.  A read that meets the end of the
 * file fails with -EIO unless it ends at or below eof_zero: then its rest is zeroed.
 */
void loop_queue_tiocb(struct loop *loop, struct tiocb *tiocb, uint64_t eof_zero);

/*
 * Descriptors that tiocbs name have been closed and opened.  The kinds of their files are
 * remembered, and a wrong one would make the loop wait: call it when drivers have been opened.
 */
void loop_forget_files(struct loop *loop);

/* tiocbs queued and not yet completed. */
unsigned loop_tiocbs_pending(const struct loop *loop);

#endif
