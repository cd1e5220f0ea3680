/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Troubles that no request is there to be told of at the time, or that come from where none was
 * expected.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include <tapdisk.h>

#include "drivers/core/loop.h"
#include "tests/driver-kit/kit.h"

static struct kit kit;

static void
begin(void)
{
	kit_choose(&kit, "vhd");
	kit.seed = 1;
	kit_begin(&kit);
	ck_assert_int_eq(kit_open(&kit, 0), 0);
}

static void
end(void)
{
	kit_end(&kit);
	free(kit.types);
}

/* Until the driver has begun something on its own. */
static void
wait_for_operation(void)
{
	long queued = kit_control(&kit)->queued;

	while (kit_control(&kit)->queued == queued)
		loop_turn(tapdisk_server_loop(kit.server), 0);
}

/* What a sync without a flush has lost, the next flush must not call durable. */
START_TEST(a_sync_that_failed_is_told_to_the_next_flush)
{
	begin();
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 64, 1), 0);
	kit_control(&kit)->fail_at = 1;
	kit_control(&kit)->fail_with = -EIO;
	wait_for_operation();
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), -EIO);
	kit_close(&kit);
	end();
}
END_TEST

START_TEST(a_sync_that_failed_is_told_at_close)
{
	begin();
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 64, 1), 0);
	kit_control(&kit)->fail_at = 1;
	kit_control(&kit)->fail_with = -EIO;
	wait_for_operation();
	ck_assert_int_eq(kit_close(&kit), -EIO);
	end();
}
END_TEST

static char order[16]; /* of operations, a letter each */

static void
note(void *arg, const struct tiocb *tiocb)
{
	size_t length = strlen(order);

	(void)arg;
	if (length + 1 < sizeof(order))
		order[length] = tiocb->op == TIOCB_FSYNC ? 's' : 'w';
}

/* A commit got as far as the BAT: the next one must not write a bitmap before the data are there.
 */
START_TEST(a_commit_that_failed_has_named_its_blocks)
{
	struct kit_request *flush;

	begin();
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	kit_control(&kit)->on_queued = note;
	/* Data, BAT, and what fails. */
	kit_control(&kit)->fail_at = 3;
	kit_control(&kit)->fail_with = -EAGAIN;
	flush = kit_submit(&kit, TD_OP_FLUSH, 0, 0, 0);
	while (kit_control(&kit)->fail_at)
		loop_turn(tapdisk_server_loop(kit.server), 0);
	ck_assert_str_eq(order, "sws");
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 16, 8, 2), 0);
	ck_assert(!flush->ended);
	memset(order, 0, sizeof(order));
	ck_assert_int_eq(kit_wait(&kit, flush), 0);
	kit_request_free(flush);
	ck_assert_msg(strncmp(order, "sww", 3) == 0, "%s", order);
	ck_assert_int_eq(kit_close(&kit), 0);
	end();
}
END_TEST

/* Room in the file is made by a worker: while there is none, writes are tried again. */
START_TEST(writes_wait_for_a_worker)
{
	begin();
	kit_control(&kit)->out_of_work = 3;
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 64, 1), 0);
	ck_assert_int_eq(kit_control(&kit)->out_of_work, 0);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);
	end();
}
END_TEST

/* Without one to look for gaps, blocks go to the end. */
START_TEST(gaps_can_wait_for_a_worker)
{
	long works;

	begin();
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, KIT_SECTORS, 1), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_DISCARD, 0, KIT_SECTORS / 2, 0), 0);
	memset(kit.model, 0, KIT_SECTORS / 2 * 512);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	kit_control(&kit)->out_of_work = 1;
	works = kit_control(&kit)->works;
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 64, 2), 0);
	ck_assert_int_eq(kit_control(&kit)->out_of_work, 0);
	ck_assert_int_gt(kit_control(&kit)->works, works);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, KIT_SECTORS / 2, 3), 0);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);
	end();
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("errors");
	Suite *suite = suite_create("vhd errors");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, a_sync_that_failed_is_told_to_the_next_flush);
	tcase_add_test(tcase, a_sync_that_failed_is_told_at_close);
	tcase_add_test(tcase, a_commit_that_failed_has_named_its_blocks);
	tcase_add_test(tcase, writes_wait_for_a_worker);
	tcase_add_test(tcase, gaps_can_wait_for_a_worker);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
