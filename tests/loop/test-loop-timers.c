/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers fire in order, once, and may be set and cancelled in any callback. */
#include <stdlib.h>
#include <string.h>

#include "tests/loop/loop-rig.h"

#define MANY 1000

struct alarm {
	struct loop *loop;
	struct loop_timer timer;
	unsigned calls;
	unsigned place; /* in the order of the calls, from 1 */
	unsigned *counter;
	struct alarm *moves;   /* to again_ms, or off with cancels */
	struct alarm *cancels; /* may be itself */
	uint64_t again_ms;
};

static void
rings(void *arg)
{
	struct alarm *alarm = arg;

	ck_assert(!loop_timer_is_set(&alarm->timer));
	ck_assert_uint_le(alarm->timer.due, loop_now(alarm->loop));
	alarm->calls++;
	alarm->place = ++*alarm->counter;
	if (alarm->cancels)
		loop_timer_cancel(alarm->loop, &alarm->cancels->timer);
	if (alarm->moves)
		ck_assert_int_eq(loop_timer_set(alarm->loop, &alarm->moves->timer, alarm->again_ms),
				 0);
}

static void
make(struct alarm *alarm, struct loop *loop, unsigned *counter)
{
	memset(alarm, 0, sizeof(*alarm));
	alarm->loop = loop;
	alarm->counter = counter;
	alarm->timer.fn = rings;
	alarm->timer.arg = alarm;
}

static void
set(struct alarm *alarm, uint64_t ms)
{
	ck_assert_int_eq(loop_timer_set(alarm->loop, &alarm->timer, ms), 0);
	ck_assert(loop_timer_is_set(&alarm->timer));
}

static void
turns_until(struct loop *loop, const unsigned *counter, unsigned count)
{
	while (*counter < count)
		ck_assert_int_eq(loop_turn(loop, -1), 0);
}

/* Who is due earlier rings earlier: by the times themselves, as a pause between two calls is part
 * of them. */
static void
expect_order(const struct alarm *a, const struct alarm *b)
{
	if (a->timer.due != b->timer.due)
		ck_assert((a->timer.due < b->timer.due) == (a->place < b->place));
}

START_TEST(fire_in_order)
{
	struct loop *loop = rig_loop(_i);
	static const uint64_t ms[] = { 30, 10, 20, 0 };
	struct alarm alarms[4];
	unsigned counter = 0;
	int i, j;

	if (!loop)
		return;
	for (i = 0; i < 4; i++) {
		make(&alarms[i], loop, &counter);
		set(&alarms[i], ms[i]);
	}
	turns_until(loop, &counter, 4);
	for (i = 0; i < 4; i++)
		for (j = 0; j < i; j++)
			expect_order(&alarms[i], &alarms[j]);
	loop_free(loop);
}
END_TEST

START_TEST(past_ones_fire_once)
{
	struct loop *loop = rig_loop(_i);
	struct alarm alarm;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&alarm, loop, &counter);
	set(&alarm, 0);
	turns_until(loop, &counter, 1);
	ck_assert_int_eq(loop_turn(loop, 1), 0);
	ck_assert_uint_eq(alarm.calls, 1);
	loop_free(loop);
}
END_TEST

START_TEST(one_that_sets_itself_fires_once_per_turn)
{
	struct loop *loop = rig_loop(_i);
	struct alarm alarm;
	unsigned counter = 0;
	unsigned before;
	int i;

	if (!loop)
		return;
	make(&alarm, loop, &counter);
	alarm.moves = &alarm;
	set(&alarm, 0);
	for (i = 0; i < 50; i++) {
		before = alarm.calls;
		ck_assert_int_eq(loop_turn(loop, -1), 0);
		ck_assert_uint_le(alarm.calls, before + 1);
	}
	ck_assert_uint_gt(alarm.calls, 0);
	loop_timer_cancel(loop, &alarm.timer);
	loop_free(loop);
}
END_TEST

START_TEST(may_be_moved)
{
	struct loop *loop = rig_loop(_i);
	struct alarm late, soon;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&late, loop, &counter);
	make(&soon, loop, &counter);
	set(&late, 1);
	set(&soon, 1000000);
	set(&late, 50);
	set(&soon, 20);
	turns_until(loop, &counter, 2);
	expect_order(&soon, &late);
	ck_assert_uint_eq(soon.calls, 1);
	ck_assert_uint_eq(late.calls, 1);
	loop_free(loop);
}
END_TEST

START_TEST(may_be_cancelled)
{
	struct loop *loop = rig_loop(_i);
	struct alarm gone, stays;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&gone, loop, &counter);
	make(&stays, loop, &counter);
	loop_timer_cancel(loop, &gone.timer);
	set(&gone, 1);
	set(&stays, 2);
	loop_timer_cancel(loop, &gone.timer);
	ck_assert(!loop_timer_is_set(&gone.timer));
	loop_timer_cancel(loop, &gone.timer);
	turns_until(loop, &counter, 1);
	ck_assert_uint_eq(gone.calls, 0);
	ck_assert_uint_eq(stays.calls, 1);
	loop_free(loop);
}
END_TEST

/* Both are due in the same turn. */
START_TEST(one_may_cancel_the_next)
{
	struct loop *loop = rig_loop(_i);
	struct alarm first, second;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&first, loop, &counter);
	make(&second, loop, &counter);
	first.cancels = &second;
	set(&first, 0);
	set(&second, 1);
	while (loop_now(loop) < second.timer.due && !counter)
		ck_assert_int_eq(loop_turn(loop, 0), 0);
	ck_assert_int_eq(loop_turn(loop, 2), 0);
	ck_assert_uint_eq(first.calls, 1);
	ck_assert_uint_eq(second.calls, 0);
	loop_free(loop);
}
END_TEST

START_TEST(one_may_move_another)
{
	struct loop *loop = rig_loop(_i);
	struct alarm first, second;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&first, loop, &counter);
	make(&second, loop, &counter);
	first.moves = &second;
	first.again_ms = 1;
	set(&first, 1);
	set(&second, 1000000);
	turns_until(loop, &counter, 2);
	ck_assert_uint_eq(second.place, 2);
	loop_free(loop);
}
END_TEST

START_TEST(far_ones_do_not_overflow)
{
	struct loop *loop = rig_loop(_i);
	struct alarm never, soon;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&never, loop, &counter);
	make(&soon, loop, &counter);
	set(&never, UINT64_MAX);
	ck_assert_int_eq(loop_turn(loop, 1), 0);
	set(&soon, 1);
	turns_until(loop, &counter, 1);
	ck_assert_uint_eq(never.calls, 0);
	ck_assert_uint_eq(soon.calls, 1);
	loop_timer_cancel(loop, &never.timer);
	loop_free(loop);
}
END_TEST

START_TEST(turn_waits_no_longer_than_told)
{
	struct loop *loop = rig_loop(_i);
	struct alarm alarm;
	unsigned counter = 0;

	if (!loop)
		return;
	make(&alarm, loop, &counter);
	set(&alarm, 1000000);
	ck_assert_int_eq(loop_turn(loop, 0), 0);
	ck_assert_int_eq(loop_turn(loop, 5), 0);
	ck_assert_uint_eq(alarm.calls, 0);
	loop_timer_cancel(loop, &alarm.timer);
	loop_free(loop);
}
END_TEST

/* Set, moved and cancelled at random; what is left fires in the order of the due times. */
START_TEST(many)
{
	struct loop *loop = rig_loop(_i);
	static struct alarm alarms[MANY];
	unsigned counter = 0;
	unsigned expected = 0;
	unsigned i, j;

	if (!loop)
		return;
	rig_seed();
	for (i = 0; i < MANY; i++)
		make(&alarms[i], loop, &counter);
	for (i = 0; i < 10 * MANY; i++) {
		j = (unsigned)random() % MANY;
		if (random() % 3)
			set(&alarms[j], (uint64_t)random() % 40);
		else
			loop_timer_cancel(loop, &alarms[j].timer);
	}
	for (i = 0; i < MANY; i++)
		expected += loop_timer_is_set(&alarms[i].timer);
	turns_until(loop, &counter, expected);
	for (i = 0; i < MANY; i++) {
		ck_assert(!loop_timer_is_set(&alarms[i].timer));
		for (j = 0; j < MANY && alarms[i].calls; j++) {
			if (alarms[j].calls && alarms[i].timer.due < alarms[j].timer.due &&
			    alarms[i].place > alarms[j].place)
				ck_abort_msg("%u after %u", i, j);
		}
	}
	ck_assert_uint_eq(counter, expected);
	loop_free(loop);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		fire_in_order,
		past_ones_fire_once,
		one_that_sets_itself_fires_once_per_turn,
		may_be_moved,
		may_be_cancelled,
		one_may_cancel_the_next,
		one_may_move_another,
		far_ones_do_not_overflow,
		turn_waits_no_longer_than_told,
		many,
	};

	return rig_run("loop-timers", tests, sizeof(tests) / sizeof(tests[0]));
}
