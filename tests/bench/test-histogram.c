/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The latency histogram: its buckets, its quantiles against a sorted list, and merging.
 */
#include <check.h>
#include <stdlib.h>

#include "bench/histogram.h"

#define VALUES 10000

START_TEST(small_values_have_a_bucket_each)
{
	unsigned value;

	for (value = 0; value < 64; value++) {
		ck_assert_uint_eq(histogram_bucket(value), value);
		ck_assert_uint_eq(histogram_bucket_end(value), value);
	}
}
END_TEST

START_TEST(buckets_follow_each_other_without_a_gap)
{
	unsigned bucket;

	for (bucket = 0; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
		uint64_t end = histogram_bucket_end(bucket);

		ck_assert_uint_eq(histogram_bucket(end), bucket);
		ck_assert_uint_eq(histogram_bucket(end + 1), bucket + 1);
	}
	ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
	ck_assert_uint_eq(histogram_bucket_end(HISTOGRAM_BUCKETS - 1), UINT64_MAX);
}
END_TEST

START_TEST(an_empty_one_answers_zero)
{
	static const struct histogram empty;

	ck_assert_uint_eq(histogram_quantile(&empty, 0), 0);
	ck_assert_uint_eq(histogram_quantile(&empty, 500), 0);
	ck_assert_uint_eq(histogram_quantile(&empty, 1000), 0);
}
END_TEST

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

START_TEST(quantiles_are_right_to_one_bucket)
{
	static const unsigned permilles[] = { 0, 1, 10, 250, 500, 900, 990, 999, 1000 };
	static uint64_t values[VALUES];
	static struct histogram h;
	uint64_t state = 12345;
	unsigned i;

	for (i = 0; i < VALUES; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		values[i] = (state >> 33) >> (state >> 59);
		histogram_add(&h, values[i]);
	}
	qsort(values, VALUES, sizeof(values[0]), compare);
	ck_assert_uint_eq(h.total, VALUES);
	ck_assert_uint_eq(h.max, values[VALUES - 1]);
	for (i = 0; i < sizeof(permilles) / sizeof(permilles[0]); i++) {
		unsigned rank = VALUES * permilles[i] / 1000;
		uint64_t exact = values[rank ? rank - 1 : 0];
		uint64_t got = histogram_quantile(&h, permilles[i]);

		ck_assert_uint_eq(histogram_bucket(got), histogram_bucket(exact));
		ck_assert_uint_ge(got, exact);
		ck_assert_uint_le(got - exact, exact / 32 + 1);
	}
	ck_assert_uint_eq(histogram_quantile(&h, 1000), h.max);
}
END_TEST

START_TEST(merging_is_adding_everything)
{
	static struct histogram a, b, both;
	uint64_t value;

	for (value = 1; value < 1000000; value += 77) {
		histogram_add(value % 3 ? &a : &b, value);
		histogram_add(&both, value);
	}
	histogram_merge(&a, &b);
	ck_assert_mem_eq(&a, &both, sizeof(a));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *all = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(all, small_values_have_a_bucket_each);
	tcase_add_test(all, buckets_follow_each_other_without_a_gap);
	tcase_add_test(all, an_empty_one_answers_zero);
	tcase_add_test(all, quantiles_are_right_to_one_bucket);
	tcase_add_test(all, merging_is_adding_everything);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
