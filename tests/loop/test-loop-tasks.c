/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks run once per turn, after everything else; work runs on threads and ends on the loop. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "drivers/io/workers.h"
#include "tests/loop/loop-rig.h"

struct chore {
	struct loop *loop;
	struct loop_task task;
	unsigned calls;
	unsigned place;
	unsigned *counter;
	struct chore *cancels;
	bool again;
};

static void
runs(void *arg)
{
	struct chore *chore = arg;

	chore->calls++;
	chore->place = ++*chore->counter;
	if (chore->cancels)
		loop_defer_cancel(chore->loop, &chore->cancels->task);
	if (chore->again)
		loop_defer(chore->loop, &chore->task);
}

static void
make(struct chore *chore, struct loop *loop, unsigned *counter)
{
	memset(chore, 0, sizeof(*chore));
	chore->loop = loop;
	chore->counter = counter;
	chore->task.fn = runs;
	chore->task.arg = chore;
}

START_TEST(run_once_in_order)
{
	struct loop *loop = rig_loop(_i);
	struct chore first, second;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&first, loop, &counter);
	make(&second, loop, &counter);
	loop_defer(loop, &first.task);
	loop_defer(loop, &second.task);
	loop_defer(loop, &first.task);
	ck_assert_int_eq(loop_turn(loop, -1), 0);
	ck_assert_uint_eq(first.place, 1);
	ck_assert_uint_eq(second.place, 2);
	ck_assert_int_eq(loop_turn(loop, 0), 0);
	ck_assert_uint_eq(counter, 2);
	loop_free(loop);
}
END_TEST

START_TEST(may_be_deferred_again)
{
	struct loop *loop = rig_loop(_i);
	struct chore chore;
	unsigned counter = 0;
	unsigned turn;

	if (!loop)
		return;
	make(&chore, loop, &counter);
	chore.again = true;
	loop_defer(loop, &chore.task);
	for (turn = 1; turn <= 5; turn++) {
		ck_assert_int_eq(loop_turn(loop, -1), 0);
		ck_assert_uint_eq(chore.calls, turn);
	}
	loop_defer_cancel(loop, &chore.task);
	ck_assert_int_eq(loop_turn(loop, 0), 0);
	ck_assert_uint_eq(chore.calls, 5);
	loop_free(loop);
}
END_TEST

START_TEST(may_be_cancelled)
{
	struct loop *loop = rig_loop(_i);
	struct chore chores[4];
	unsigned counter = 0;
	int i;

	if (!loop)
		return;
	for (i = 0; i < 4; i++)
		make(&chores[i], loop, &counter);
	loop_defer_cancel(loop, &chores[0].task);
	for (i = 0; i < 4; i++)
		loop_defer(loop, &chores[i].task);
	chores[0].cancels = &chores[2];
	loop_defer_cancel(loop, &chores[3].task);
	loop_defer(loop, &chores[3].task);
	loop_defer_cancel(loop, &chores[1].task);
	ck_assert_int_eq(loop_turn(loop, -1), 0);
	ck_assert_uint_eq(chores[0].place, 1);
	ck_assert_uint_eq(chores[1].calls, 0);
	ck_assert_uint_eq(chores[2].calls, 0);
	ck_assert_uint_eq(chores[3].place, 2);
	loop_free(loop);
}
END_TEST

/* ---- what a turn does, in order ---- */

struct turn_order {
	struct loop *loop;
	struct chore chore;
	struct tiocb tiocb;
	struct loop_watch *watch;
	int fd;
	char byte;
	unsigned counter;
	unsigned event_place, tiocb_place;
};

static void
moved(void *arg, struct tiocb *tiocb, int err)
{
	struct turn_order *order = arg;

	(void)tiocb;
	ck_assert_int_eq(err, 0);
	order->tiocb_place = ++order->counter;
}

static void
ready(void *arg, unsigned events)
{
	struct turn_order *order = arg;

	(void)events;
	order->event_place = ++order->counter;
	loop_watch_set(order->watch, 0);
	loop_defer(order->loop, &order->chore.task);
	order->tiocb = (struct tiocb){ .cb = moved,
				       .arg = order,
				       .op = TIOCB_READ,
				       .fd = order->fd,
				       .buf = &order->byte,
				       .bytes = 1 };
	loop_queue_tiocb(order->loop, &order->tiocb, 0);
	ck_assert_uint_eq(order->tiocb_place, 0);
}

/* A request that arrives for a file in memory is answered in the turn in which it arrived. */
START_TEST(memory_is_answered_in_the_same_turn)
{
	struct turn_order order = { .loop = rig_loop(_i) };
	int event = eventfd(1, EFD_CLOEXEC);

	if (!order.loop)
		return;
	make(&order.chore, order.loop, &order.counter);
	order.fd = rig_file(0);
	ck_assert_int_eq(write(order.fd, "x", 1), 1);
	ck_assert_int_eq(loop_watch(order.loop, event, LOOP_READ, ready, &order, &order.watch), 0);
	ck_assert_int_eq(loop_turn(order.loop, -1), 0);
	ck_assert_uint_eq(order.event_place, 1);
	ck_assert_uint_eq(order.tiocb_place, 2);
	ck_assert_uint_eq(order.chore.place, 3);
	ck_assert_int_eq(order.byte, 'x');
	loop_unwatch(order.watch);
	loop_free(order.loop);
	close(order.fd);
	close(event);
}
END_TEST

/* ---- work ---- */

#define JOBS 200

struct work {
	struct loop *loop;
	pthread_t owner;
	pthread_barrier_t *barrier;
	unsigned done;
	bool all_done;
	sigset_t mask;
};

static int
blocks(void *arg)
{
	struct work *work = arg;

	if (pthread_equal(pthread_self(), work->owner))
		return -1;
	pthread_sigmask(SIG_SETMASK, NULL, &work->mask);
	if (work->barrier)
		pthread_barrier_wait(work->barrier);
	return 42;
}

static void
worked(void *arg, int result)
{
	struct work *work = arg;

	ck_assert(pthread_equal(pthread_self(), work->owner));
	ck_assert_int_eq(result, 42);
	work->all_done = ++work->done == JOBS;
}

START_TEST(work_ends_on_the_loop)
{
	struct work work = { .loop = rig_loop(_i), .owner = pthread_self() };
	int i;

	if (!work.loop)
		return;
	for (i = 0; i < JOBS; i++)
		ck_assert_int_eq(loop_work(work.loop, blocks, worked, &work), 0);
	ck_assert_uint_eq(work.done, 0);
	rig_until(work.loop, &work.all_done);
	ck_assert(sigismember(&work.mask, SIGTERM));
	ck_assert(!sigismember(&work.mask, SIGSEGV));
	loop_free(work.loop);
}
END_TEST

/* As many as there may be threads wait for each other: each has one of its own. */
START_TEST(work_runs_side_by_side)
{
	struct work work = { .loop = rig_loop(_i), .owner = pthread_self() };
	pthread_barrier_t barrier;
	int i;

	if (!work.loop)
		return;
	pthread_barrier_init(&barrier, NULL, WORKERS_MAX);
	work.barrier = &barrier;
	work.done = JOBS - WORKERS_MAX;
	for (i = 0; i < WORKERS_MAX; i++)
		ck_assert_int_eq(loop_work(work.loop, blocks, worked, &work), 0);
	rig_until(work.loop, &work.all_done);
	loop_free(work.loop);
	pthread_barrier_destroy(&barrier);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		run_once_in_order,     may_be_deferred_again,
		may_be_cancelled,      memory_is_answered_in_the_same_turn,
		work_ends_on_the_loop, work_runs_side_by_side,
	};

	return rig_run("loop-tasks", tests, sizeof(tests) / sizeof(tests[0]));
}
