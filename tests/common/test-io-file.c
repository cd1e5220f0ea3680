/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files behind struct io: byte for byte what a plain file would be, also where the page cache is
 * avoided and sectors have to be read to change a part of them.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"

#define FILE_BYTES (1u << 20)
#define STEPS 400

/* What the file must be. */
static uint8_t model[FILE_BYTES];
static uint64_t length;

static uint8_t buf[FILE_BYTES];
static char path[] = "io-file.XXXXXX";
static struct io *io;

/* In the build folder: its file system is more likely to have direct I/O than that of /tmp. */
static void
start(unsigned flags)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	memset(model, 0, sizeof(model));
	length = 0;
	ck_assert_int_eq(io_file_open(path, IO_WRITE | flags, &io), 0);
}

static void
end(void)
{
	io_close(io);
	unlink(path);
}

static void
expect_file(const char *what)
{
	uint64_t size = 0;
	FILE *file;

	ck_assert_int_eq(io_size(io, &size), 0);
	ck_assert_msg(size == length, "%s: %llu bytes, not %llu", what, (unsigned long long)size,
		      (unsigned long long)length);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fread(buf, 1, sizeof(buf), file), length);
	fclose(file);
	ck_assert_msg(memcmp(buf, model, length) == 0, "%s: another content", what);
}

static void
write_part(uint64_t at, size_t bytes, int fill, const char *what)
{
	memset(model + at, fill, bytes);
	memset(buf, fill, bytes);
	if (at + bytes > length)
		length = at + bytes;
	ck_assert_msg(io_write_at(io, buf, bytes, at) == 0, "%s", what);
}

static const unsigned ways[] = { 0, IO_DIRECT };

/* A part of a sector leaves alone what the file has of it, and what it has not is no longer. */
START_TEST(the_end_of_a_file_may_be_anywhere)
{
	static const struct {
		uint64_t at;
		size_t bytes;
	} rows[] = {
		{ 0, 1000 }, { 600, 10 },    { 990, 600 },  { 1580, 4096 },
		{ 5000, 1 }, { 5676, 1000 }, { 9000, 511 }, { 300000, 300001 },
	};
	char what[64];
	size_t i;

	start(ways[_i]);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(what, sizeof(what), "%zu bytes at %llu", rows[i].bytes,
			 (unsigned long long)rows[i].at);
		write_part(rows[i].at, rows[i].bytes, 1 + (int)i, what);
		expect_file(what);
	}
	ck_assert_int_eq(io_read_at(io, buf, 2, length - 1), -ENODATA);
	ck_assert_int_eq(io_read_at(io, buf, 1, length - 1), 0);
	ck_assert_uint_eq(buf[0], model[length - 1]);
	end();
}
END_TEST

static void
random_step(unsigned seed, int step)
{
	uint64_t at = (uint64_t)rand() % (FILE_BYTES / 2);
	size_t bytes = 1 + (size_t)rand() % (rand() % 4 ? 2000 : FILE_BYTES / 2 - 1);
	char what[64];

	snprintf(what, sizeof(what), "seed %u, step %d", seed, step);
	switch (rand() % 3) {
	case 0:
		write_part(at, bytes, rand() % 255, what);
		break;
	case 1:
		length = at;
		memset(model + at, 0, sizeof(model) - at);
		ck_assert_int_eq(io_truncate(io, at), 0);
		break;
	default:
		ck_assert_int_eq(io_read_at(io, buf, bytes, at),
				 at + bytes > length ? -ENODATA : 0);
		if (at + bytes <= length)
			ck_assert_msg(memcmp(buf, model + at, bytes) == 0, "%s", what);
		break;
	}
	if (step % 20 == 0)
		expect_file(what);
}

START_TEST(random_parts_are_the_same_everywhere)
{
	const char *given = getenv("TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	int step;

	printf("# TEST_SEED=%u\n", seed);
	srand(seed);
	start(ways[_i]);
	for (step = 0; step < STEPS; step++)
		random_step(seed, step);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("io-file");
	TCase *tests = tcase_create("io-file");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, the_end_of_a_file_may_be_anywhere, 0, 2);
	tcase_add_loop_test(tests, random_parts_are_the_same_everywhere, 0, 2);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
