/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may hold an image together with whom.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/image-lock.h"

static char path[64];

static void
setup(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/image-lock.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void
teardown(void)
{
	unlink(path);
}

START_TEST(only_some_bear_with_each_other)
{
	static const struct {
		enum image_lock_mode first, second;
		int expected;
	} rows[] = {
		{ IMAGE_LOCK_SHARED, IMAGE_LOCK_SHARED, 0 },
		{ IMAGE_LOCK_SHARED, IMAGE_LOCK_UPDATE, 0 },
		{ IMAGE_LOCK_SHARED, IMAGE_LOCK_EXCLUSIVE, -EBUSY },
		{ IMAGE_LOCK_UPDATE, IMAGE_LOCK_SHARED, 0 },
		{ IMAGE_LOCK_UPDATE, IMAGE_LOCK_UPDATE, -EBUSY },
		{ IMAGE_LOCK_UPDATE, IMAGE_LOCK_EXCLUSIVE, -EBUSY },
		{ IMAGE_LOCK_EXCLUSIVE, IMAGE_LOCK_SHARED, -EBUSY },
		{ IMAGE_LOCK_EXCLUSIVE, IMAGE_LOCK_UPDATE, -EBUSY },
		{ IMAGE_LOCK_EXCLUSIVE, IMAGE_LOCK_EXCLUSIVE, -EBUSY },
	};
	int first, second, again;

	ck_assert_int_eq(image_lock(path, rows[_i].first, &first), 0);
	ck_assert_int_ge(first, 0);
	ck_assert_int_eq(image_lock(path, rows[_i].second, &second), rows[_i].expected);
	ck_assert_int_eq(second >= 0, rows[_i].expected == 0);
	image_unlock(second);
	image_unlock(first);
	ck_assert_int_eq(image_lock(path, IMAGE_LOCK_EXCLUSIVE, &again), 0);
	image_unlock(again);
}
END_TEST

START_TEST(what_is_no_image_file_has_no_lock)
{
	int fd = 0;

	ck_assert_int_eq(image_lock("/tmp/", IMAGE_LOCK_EXCLUSIVE, &fd), 0);
	ck_assert_int_eq(fd, -1);
	unlink(path);
	ck_assert_int_eq(image_lock(path, IMAGE_LOCK_SHARED, &fd), 0);
	ck_assert_int_eq(fd, -1);
	image_unlock(fd);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("image-lock");
	TCase *tcase = tcase_create("modes");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, only_some_bear_with_each_other, 0, 9);
	tcase_add_test(tcase, what_is_no_image_file_has_no_lock);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
