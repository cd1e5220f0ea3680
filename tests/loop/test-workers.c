/* SPDX-License-Identifier: BSD-2-Clause */
/* Workers are started for work, leave when idle, and are started again. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "drivers/io/workers.h"

#define PATIENCE_MS 20000
#define MANY 5000

struct job {
	struct worker_job job; /* first */
	unsigned runs;
	unsigned ends;
	unsigned *ended;
};

static void
run(struct worker_job *job)
{
	((struct job *)job)->runs++;
}

static void
done(struct worker_job *job)
{
	((struct job *)job)->ends++;
	++*((struct job *)job)->ended;
}

static void
add(struct workers *workers, struct job *job, unsigned *ended)
{
	job->job.run = run;
	job->job.done = done;
	job->ended = ended;
	ck_assert_int_eq(workers_add(workers, &job->job), 0);
}

static void
wait_for_news(struct workers *workers)
{
	struct pollfd poll_fd = { .fd = workers_fd(workers), .events = POLLIN };
	unsigned long long count;

	ck_assert_int_eq(poll(&poll_fd, 1, PATIENCE_MS), 1);
	ck_assert_int_eq(read(workers_fd(workers), &count, sizeof(count)), sizeof(count));
	workers_reap(workers);
}

START_TEST(leave_and_come_back)
{
	struct workers *workers;
	struct job job = { 0 };
	unsigned ended = 0;
	unsigned round;

	ck_assert_int_eq(workers_new(&workers, 4, 1), 0);
	ck_assert_uint_eq(workers_running(workers), 0);
	for (round = 1; round <= 20; round++) {
		add(workers, &job, &ended);
		while (ended < round)
			wait_for_news(workers);
		if (round % 2)
			continue;
		while (workers_running(workers))
			wait_for_news(workers);
	}
	ck_assert_uint_eq(job.runs, 20);
	workers_free(workers);
	workers_free(NULL);
}
END_TEST

START_TEST(never_more_than_told)
{
	static struct job jobs[MANY];
	struct workers *workers;
	unsigned ended = 0;
	int i;

	ck_assert_int_eq(workers_new(&workers, 3, 10000), 0);
	for (i = 0; i < MANY; i++) {
		add(workers, &jobs[i], &ended);
		if (workers_running(workers) > 3)
			ck_abort_msg("%u threads", workers_running(workers));
	}
	while (ended < MANY)
		wait_for_news(workers);
	for (i = 0; i < MANY; i++) {
		if (jobs[i].runs != 1 || jobs[i].ends != 1)
			ck_abort_msg("job %d ran %u times", i, jobs[i].runs);
	}
	workers_free(workers);
}
END_TEST

START_TEST(may_be_freed_while_idle)
{
	struct workers *workers;
	struct job job = { 0 };
	unsigned ended;
	int round;

	for (round = 0; round < 50; round++) {
		ended = 0;
		ck_assert_int_eq(workers_new(&workers, 2, round % 2 ? 1 : 10000), 0);
		add(workers, &job, &ended);
		while (!ended)
			wait_for_news(workers);
		workers_free(workers);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("workers");
	TCase *tcase = tcase_create("workers");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, leave_and_come_back);
	tcase_add_test(tcase, never_more_than_told);
	tcase_add_test(tcase, may_be_freed_while_idle);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
