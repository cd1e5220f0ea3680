/* SPDX-License-Identifier: BSD-2-Clause */
/* What is remembered of a descriptor's file, and until when. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drivers/io/files.h"
#include "tests/loop/loop-rig.h"

#define MAX_TURNS 1000

static struct io_files files;
static int fd; /* of a file in memory that has been looked at */

static void
setup(void)
{
	files = (struct io_files){ .tells_direct = true };
	fd = memfd_create("files", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_files_find(&files, fd)->kind, IO_FILE_MEMORY);
}

static void
teardown(void)
{
	close(fd);
}

/* The number becomes one of something that is no file in memory. */
static void
use_number_again(void)
{
	int other = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_ge(other, 0);
	ck_assert_int_eq(dup3(other, fd, O_CLOEXEC), fd);
	close(other);
}

/* To ask the kernel in each turn is dear for a chain, whose images have a descriptor each. */
START_TEST(the_next_turn_does_not_look_again)
{
	use_number_again();
	files.turn++;
	ck_assert_int_eq(io_files_find(&files, fd)->kind, IO_FILE_MEMORY);
}
END_TEST

START_TEST(some_turns_later_it_is_looked_at_again)
{
	unsigned turns = 0;

	use_number_again();
	while (io_files_find(&files, fd)->kind == IO_FILE_MEMORY) {
		files.turn++;
		ck_assert_uint_lt(turns++, MAX_TURNS);
	}
	ck_assert_int_eq(io_files_find(&files, fd)->kind, IO_FILE_BUFFERED);
}
END_TEST

START_TEST(what_is_forgotten_is_looked_at_again)
{
	use_number_again();
	io_files_forget(&files);
	ck_assert_int_eq(io_files_find(&files, fd)->kind, IO_FILE_BUFFERED);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("files");
	TCase *tcase = tcase_create("files");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_next_turn_does_not_look_again);
	tcase_add_test(tcase, some_turns_later_it_is_looked_at_again);
	tcase_add_test(tcase, what_is_forgotten_is_looked_at_again);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
