/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random requests and random bytes from clients that come and go: nothing may stay of them.
 * TEST_SEED=n repeats a run.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/control/control-fuzz.h"

#define ROUNDS 150
#define INPUT_BYTES 2048

static unsigned
seed(void)
{
	const char *text = getenv("TEST_SEED");
	unsigned value = text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)getpid();

	printf("# TEST_SEED=%u\n", value);
	fflush(stdout);
	return value;
}

static void
play(void (*fuzz)(const uint8_t *data, size_t size))
{
	static uint8_t input[INPUT_BYTES];
	unsigned state = seed();
	size_t i;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		/* Small numbers are the interesting ones. */
		for (i = 0; i < sizeof(input); i++)
			input[i] = (uint8_t)(rand_r(&state) % (rand_r(&state) % 4 ? 40 : 256));
		fuzz(input, (size_t)rand_r(&state) % sizeof(input));
	}
}

START_TEST(the_legacy_protocol_survives)
{
	play(fuzz_legacy);
}
END_TEST

START_TEST(the_versioned_protocol_survives)
{
	play(fuzz_versioned);
}
END_TEST

int
main(void)
{
	Suite *all = suite_create("hostile");
	TCase *tests = tcase_create("hostile");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 600);
	tcase_add_test(tests, the_legacy_protocol_survives);
	tcase_add_test(tests, the_versioned_protocol_survives);
	suite_add_tcase(all, tests);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
