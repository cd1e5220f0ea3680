/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts through a raw image, and through histories that were tampered with: what a flush has
 * confirmed is there, and the test would see it if it were not.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/crash-run.h"

#define SECTORS 4096

static struct crash_run run;
static uint8_t disk[SECTORS * 512];

static const char *
check_raw(struct crash_run *crash, uint64_t moment, bool chosen)
{
	char path[256];
	int fd;

	(void)chosen;
	snprintf(path, sizeof(path), "%s/disk", crash->after);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, disk, sizeof(disk), 0) != (ssize_t)sizeof(disk))
		return "the image is short";
	close(fd);
	return guest_allows(&crash->guest, moment, 0, SECTORS, disk) ? NULL : crash->guest.why;
}

static void
setup(void)
{
	char path[256];
	int fd;

	crash_run_begin(&run, "aio");
	printf("# CRASH_SEED=%u\n", run.seed);
	snprintf(path, sizeof(path), "%s/disk", run.images);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(fd, sizeof(disk)), 0);
	close(fd);
}

static void
teardown(void)
{
	crash_run_end(&run);
}

static void
work(const char *type)
{
	const struct crash_work wanted = { .steps = 60,
					   .largest = 64,
					   .discards = true,
					   .zeroes = true,
					   .pauses = true,
					   .fua = true };
	char params[256];

	snprintf(params, sizeof(params), "%s:%s/disk", type, run.images);
	ck_assert_msg(crash_run_work(&run, params, &wanted), "%s", run.kit.why);
}

START_TEST(flushed_writes_survive)
{
	work(_i ? "sync" : "aio");
	ck_assert_msg(crash_run_cuts(&run, check_raw), "%s", run.kit.why);
}
END_TEST

START_TEST(a_flush_that_does_nothing_is_found)
{
	work("aio");
	/* Only what was there at the start is durable. */
	run.history.sync_count = 1;
	history_close(&run.history);
	ck_assert(!crash_run_cuts(&run, check_raw));
	ck_assert_ptr_nonnull(strstr(run.kit.why, ": sector "));
}
END_TEST

START_TEST(a_write_that_is_lost_is_found)
{
	size_t i;

	work("aio");
	for (i = 10; i < run.history.op_count; i += 10)
		run.history.ops[i].at = 0;
	ck_assert(!crash_run_cuts(&run, check_raw));
	ck_assert_ptr_nonnull(strstr(run.kit.why, ": sector "));
}
END_TEST

START_TEST(content_from_elsewhere_is_found)
{
	uint8_t buf[8 * 512];

	crash_run_holds(&run, 8, 8, 5);
	guest_fill(buf, 8, 8, 5);
	ck_assert(guest_allows(&run.guest, run.history.now, 8, 8, buf));
	ck_assert(!guest_allows(&run.guest, run.history.now, 9, 7, buf));
	guest_fill(buf, 8, 8, 6);
	ck_assert(!guest_allows(&run.guest, run.history.now, 8, 8, buf));
	guest_fill(buf, 8, 8, 0);
	ck_assert(!guest_allows(&run.guest, run.history.now, 8, 8, buf));
	guest_fill(buf, 8, 8, 5);
	buf[5 * 512 + 100] ^= 1;
	ck_assert(!guest_allows(&run.guest, run.history.now, 8, 8, buf));
	/* Where nothing was written there is nothing. */
	guest_fill(buf, 16, 8, 0);
	ck_assert(guest_allows(&run.guest, run.history.now, 16, 8, buf));
}
END_TEST

int
main(void)
{
	Suite *all = suite_create("crash-raw");
	TCase *tests = tcase_create("cuts");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 600);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, flushed_writes_survive, 0, 2);
	tcase_add_test(tests, a_flush_that_does_nothing_is_found);
	tcase_add_test(tests, a_write_that_is_lost_is_found);
	tcase_add_test(tests, content_from_elsewhere_is_found);
	suite_add_tcase(all, tests);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
