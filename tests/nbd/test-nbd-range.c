/* SPDX-License-Identifier: BSD-2-Clause */
/* Unaligned modifications never run together with another one that overlaps them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "drivers/frontend/nbd-range.h"

#define RANGES 50
#define SECTORS 16

struct state {
	struct nbd_ranges ranges;
	struct nbd_range range[RANGES];
	enum { IDLE, WAITING, RUNNING } what[RANGES];
	unsigned arrival[RANGES];
	unsigned arrivals;
};

static bool
conflict(const struct nbd_range *a, const struct nbd_range *b)
{
	return (a->unaligned || b->unaligned) && a->start < b->end && b->start < a->end;
}

/* What runs is free of conflicts, and what waits has somebody earlier to wait for. */
static void
check_state(const struct state *state)
{
	int i, j;

	for (i = 0; i < RANGES; i++) {
		bool blocked = false;

		if (state->what[i] == IDLE)
			continue;
		for (j = 0; j < RANGES; j++) {
			if (j == i || state->what[j] == IDLE ||
			    !conflict(&state->range[i], &state->range[j]))
				continue;
			if (state->what[i] == RUNNING)
				ck_assert_int_ne(state->what[j], RUNNING);
			blocked |= state->arrival[j] < state->arrival[i];
		}
		ck_assert_int_eq(state->what[i] == WAITING, blocked);
	}
}

static void
random_step(struct state *state, unsigned *seed)
{
	int i = (int)((unsigned)rand_r(seed) % RANGES);
	struct nbd_range *range = &state->range[i], *next;

	if (state->what[i] == IDLE) {
		range->start = (uint64_t)rand_r(seed) % SECTORS * 512;
		range->end = range->start + ((uint64_t)rand_r(seed) % 4 + 1) * 512;
		range->unaligned = rand_r(seed) % 4 == 0;
		state->arrival[i] = state->arrivals++;
		state->what[i] = nbd_ranges_enter(&state->ranges, range) ? RUNNING : WAITING;
	} else if (state->what[i] == RUNNING) {
		bool ready = nbd_ranges_leave(&state->ranges, range);

		state->what[i] = IDLE;
		next = nbd_ranges_next(&state->ranges);
		ck_assert_int_eq(ready, next != NULL);
		for (; next; next = nbd_ranges_next(&state->ranges)) {
			ck_assert_int_eq(state->what[next - state->range], WAITING);
			state->what[next - state->range] = RUNNING;
		}
	}
	check_state(state);
}

START_TEST(random_ranges)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 0) : (unsigned)_i + 1;
	struct state *state = calloc(1, sizeof(*state));
	int i;

	printf("# SEED=%u\n", seed);
	ck_assert_ptr_nonnull(state);
	nbd_ranges_init(&state->ranges);
	for (i = 0; i < 5000; i++)
		random_step(state, &seed);
	free(state);
}
END_TEST

START_TEST(aligned_ones_do_not_wait)
{
	struct nbd_ranges ranges;
	struct nbd_range a = { .start = 0, .end = 4096 }, b = { .start = 512, .end = 1024 };

	nbd_ranges_init(&ranges);
	ck_assert(nbd_ranges_enter(&ranges, &a));
	ck_assert(nbd_ranges_enter(&ranges, &b));
	ck_assert(!nbd_ranges_leave(&ranges, &a));
	ck_assert(!nbd_ranges_leave(&ranges, &b));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("nbd-range");
	TCase *tcase = tcase_create("ranges");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, random_ranges, 0, 4);
	tcase_add_test(tcase, aligned_ones_do_not_wait);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
