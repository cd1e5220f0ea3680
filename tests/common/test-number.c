/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers in texts: what is one, and what is left as it was when it is none.
 */
#include <stddef.h>
#include <stdlib.h>

#include <check.h>

#include "common/number.h"

START_TEST(a_whole_text_is_a_number_up_to_its_bound)
{
	static const struct {
		const char *text;
		uint64_t max, number;
	} rows[] = {
		{ "0", 0, 0 },
		{ "100", 100, 100 },
		{ "0100", 100, 100 },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX },
	};
	uint64_t number;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		number = 7;
		ck_assert_msg(number_parse(rows[i].text, rows[i].max, &number), "'%s'",
			      rows[i].text);
		ck_assert_uint_eq(number, rows[i].number);
	}
}
END_TEST

START_TEST(what_is_no_number_changes_nothing)
{
	static const char *const wrong[] = {
		"", "-1", "+1", " 1", "1 ", "x", "1x", "0x10", "101", "18446744073709551616",
	};
	uint64_t number = 7;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(!number_parse(wrong[i], 100, &number), "'%s'", wrong[i]);
		ck_assert_uint_eq(number, 7);
	}
	/* Beyond every bound it is no smaller number. */
	ck_assert(!number_parse("18446744073709551616", UINT64_MAX, &number));
	ck_assert_uint_eq(number, 7);
}
END_TEST

START_TEST(what_comes_after_a_number_is_told)
{
	const char *end = NULL;
	uint64_t number = 7;

	ck_assert(number_take("64G", 100, &end, &number));
	ck_assert_uint_eq(number, 64);
	ck_assert_str_eq(end, "G");
	ck_assert(!number_take("G", 100, &end, &number));
	ck_assert(!number_take("101G", 100, &end, &number));
	ck_assert_uint_eq(number, 64);
	ck_assert_str_eq(end, "G");
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("numbers");
	Suite *suite = suite_create("number");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, a_whole_text_is_a_number_up_to_its_bound);
	tcase_add_test(tcase, what_is_no_number_changes_nothing);
	tcase_add_test(tcase, what_comes_after_a_number_is_told);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
