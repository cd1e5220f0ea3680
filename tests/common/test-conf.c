/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings of the host: what counts as a setting, and which one counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>

#include "common/conf.h"

static char path[] = "/tmp/test-conf.XXXXXX";

static void
configure(const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(setenv("BLKTAP_CONFIG", path, 1), 0);
}

START_TEST(the_first_line_that_says_anything_counts)
{
	char *value = NULL;

	configure("# key = a\nkey =\nkeys = b\n key\t= c d \t# here\nkey = e\n");
	ck_assert_int_eq(conf_value("key", &value), 0);
	ck_assert_str_eq(value, "c d");
	free(value);
	ck_assert_int_eq(conf_value("ke", &value), -ENOENT);
	configure("");
	ck_assert_int_eq(conf_value("key", &value), -ENOENT);
	ck_assert_int_eq(setenv("BLKTAP_CONFIG", "/nowhere/at/all", 1), 0);
	ck_assert_int_eq(conf_value("key", &value), -ENOENT);
}
END_TEST

START_TEST(numbers_are_decimal_and_bounded)
{
	static const char *const wrong[] = {
		"-1", "x", "1x", "0x10", "101", "99999999999999999999"
	};
	uint32_t number = 7;
	char line[64];
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(line, sizeof(line), "n = %s\n", wrong[i]);
		configure(line);
		ck_assert_int_eq(conf_number("n", 100, &number), -EINVAL);
		ck_assert_uint_eq(number, 7);
	}
	ck_assert_int_eq(conf_number("m", 100, &number), -ENOENT);
	configure("n = 100");
	ck_assert_int_eq(conf_number("n", 100, &number), 0);
	ck_assert_uint_eq(number, 100);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("settings");
	Suite *suite = suite_create("conf");
	int fd = mkstemp(path), failed;
	SRunner *runner;

	if (fd < 0)
		return 99;
	close(fd);
	tcase_add_test(tcase, the_first_line_that_says_anything_counts);
	tcase_add_test(tcase, numbers_are_decimal_and_bounded);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	unlink(path);
	return failed != 0;
}
