/* SPDX-License-Identifier: BSD-2-Clause */
/* Buffers are aligned, apart from each other, bounded, and given back. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/buffers.h"

#define MIB (1u << 20)

static void
check_buffer(char *buffer, size_t bytes, char fill)
{
	ck_assert_ptr_nonnull(buffer);
	ck_assert_uint_eq((uintptr_t)buffer % 4096, 0);
	memset(buffer, fill, bytes);
}

START_TEST(all_sizes)
{
	static const size_t sizes[] = { 1, 512, 4096, 4097, 65536, MIB + 1, BUFFER_MAX };
	struct buffers *pool = buffers_new(SIZE_MAX);
	char *got[sizeof(sizes) / sizeof(sizes[0])];
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		got[i] = buffers_get(pool, sizes[i]);
		check_buffer(got[i], sizes[i], (char)('a' + i));
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ck_assert_int_eq(got[i][0], (char)('a' + i));
		ck_assert_int_eq(got[i][sizes[i] - 1], (char)('a' + i));
		buffers_put(pool, got[i], sizes[i]);
	}
	ck_assert_ptr_null(buffers_get(pool, 0));
	ck_assert_ptr_null(buffers_get(pool, (size_t)BUFFER_MAX + 1));
	buffers_put(pool, NULL, 1);
	buffers_free(pool);
	buffers_free(NULL);
}
END_TEST

START_TEST(limit)
{
	struct buffers *pool = buffers_new(3 * 4096);
	char *a, *b;

	a = buffers_get(pool, 8192);
	check_buffer(a, 8192, 'a');
	ck_assert_ptr_null(buffers_get(pool, 8192));
	b = buffers_get(pool, 4096);
	check_buffer(b, 4096, 'b');
	ck_assert_ptr_null(buffers_get(pool, 1));
	buffers_put(pool, a, 8192);
	a = buffers_get(pool, 5000);
	check_buffer(a, 5000, 'c');
	buffers_put(pool, a, 5000);
	buffers_put(pool, b, 4096);
	buffers_free(pool);
}
END_TEST

START_TEST(fresh_ones_are_zero)
{
	struct buffers *pool = buffers_new(SIZE_MAX);
	char *a = buffers_get(pool, 4096);
	int i;

	for (i = 0; i < 4096; i++)
		ck_assert_int_eq(a[i], 0);
	memset(a, 'x', 4096);
	buffers_put(pool, a, 4096);
	buffers_trim(pool);
	a = buffers_get(pool, 4096);
	for (i = 0; i < 4096; i++)
		ck_assert_int_eq(a[i], 0);
	buffers_put(pool, a, 4096);
	buffers_free(pool);
}
END_TEST

/* More than is kept for reuse. */
START_TEST(many)
{
	enum { COUNT = 80 };
	struct buffers *pool = buffers_new((size_t)COUNT * MIB);
	char *got[COUNT];
	int round, i;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < COUNT; i++) {
			got[i] = buffers_get(pool, MIB);
			check_buffer(got[i], MIB, (char)i);
		}
		ck_assert_ptr_null(buffers_get(pool, 1));
		for (i = 0; i < COUNT; i++) {
			ck_assert_int_eq(got[i][MIB - 1], i);
			buffers_put(pool, got[i], MIB);
		}
	}
	buffers_free(pool);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("buffers");
	TCase *tcase = tcase_create("buffers");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, all_sizes);
	tcase_add_test(tcase, limit);
	tcase_add_test(tcase, fresh_ones_are_zero);
	tcase_add_test(tcase, many);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
