/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far a command is: to whom that is shown, when, and in which form.
 *
 * The clock of the process stands still, but for what a test puts it forward.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "vhd/vhd-util.h"

#define MIB (1ull << 20)

static time_t seconds = 1000; /* what the clock shows */
static int kept[3];           /* the streams of the test */
static int terminal;          /* the other end of it */
static char said[4096];

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	*now = (struct timespec){ .tv_sec = seconds };
	return 0;
}

static void
redirect(int to)
{
	fflush(NULL);
	kept[STDOUT_FILENO] = dup(STDOUT_FILENO);
	kept[STDERR_FILENO] = dup(STDERR_FILENO);
	dup2(to, STDOUT_FILENO);
	dup2(to, STDERR_FILENO);
	close(to);
}

static void
restore(void)
{
	fflush(NULL);
	dup2(kept[STDOUT_FILENO], STDOUT_FILENO);
	dup2(kept[STDERR_FILENO], STDERR_FILENO);
	close(kept[STDOUT_FILENO]);
	close(kept[STDERR_FILENO]);
}

static void
to_a_terminal(void)
{
	struct termios raw;
	int slave;

	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(grantpt(terminal) || unlockpt(terminal), 0);
	slave = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(slave, 0);
	ck_assert_int_eq(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &raw), 0);
	redirect(slave);
}

/* What the terminal has got; a full stop is the last of it. */
static const char *
terminal_said(void)
{
	size_t length = 0;
	ssize_t got;

	fputc('.', stderr);
	restore();
	do {
		got = read(terminal, said + length, sizeof(said) - 1 - length);
		ck_assert_int_gt(got, 0);
		length += (size_t)got;
	} while (said[length - 1] != '.');
	said[length - 1] = '\0';
	close(terminal);
	return said;
}

static FILE *
to_a_file(void)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	redirect(dup(fileno(file)));
	return file;
}

static const char *
file_said(FILE *file)
{
	size_t length;

	restore();
	rewind(file);
	length = fread(said, 1, sizeof(said) - 1, file);
	said[length] = '\0';
	fclose(file);
	return said;
}

START_TEST(a_terminal_hears_of_it_after_a_second)
{
	struct progress progress;
	const char *text;

	to_a_terminal();
	progress_begin(&progress, 0, false, false);
	ck_assert_int_eq(progress_step(&progress, 10 * MIB, 100 * MIB), 0);
	ck_assert(!progress.shown);
	seconds += 10;
	ck_assert_int_eq(progress_step(&progress, 50 * MIB, 100 * MIB), 0);
	progress_end(&progress, true);
	text = terminal_said();
	ck_assert_ptr_nonnull(strstr(text, "\r 50.00%  5.0 MiB/s  0:00:10 left"));
	ck_assert_ptr_nonnull(strstr(text, "\r100.00%  10.0 MiB/s  0:00:00 left"));
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

START_TEST(what_takes_less_shows_nothing)
{
	struct progress progress;

	to_a_terminal();
	progress_begin(&progress, 100, false, false);
	progress_set(&progress, 50);
	progress_end(&progress, true);
	ck_assert_str_eq(terminal_said(), "");
}
END_TEST

START_TEST(who_is_no_terminal_is_told_when_asked_only)
{
	struct progress progress;
	FILE *file = to_a_file();

	progress_begin(&progress, 100, false, false);
	seconds += 10;
	progress_set(&progress, 50);
	progress_end(&progress, true);
	ck_assert_str_eq(file_said(file), "");

	file = to_a_file();
	progress_begin(&progress, 100, false, true);
	progress_set(&progress, 50);
	progress_end(&progress, false);
	ck_assert_int_eq(strncmp(file_said(file), "\r 50.00%  ", 10), 0);
}
END_TEST

/* Storage managers read this form: spec vhd-util.md, section 2. */
START_TEST(programs_read_the_percentage_alone)
{
	struct progress progress;
	FILE *file = to_a_file();

	progress_begin(&progress, 300, true, false);
	progress_set(&progress, 100);
	progress_set(&progress, 101); /* too soon after the last */
	seconds += 1;
	progress_set(&progress, 200);
	progress_end(&progress, true);
	ck_assert_str_eq(file_said(file), "\r 33.33%\r 66.67%\r100.00%\n");

	file = to_a_file();
	progress_begin(&progress, 300, true, false);
	progress_set(&progress, 100);
	progress_end(&progress, false);
	ck_assert_str_eq(file_said(file), "\r 33.33%\n");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("progress");
	TCase *tcase = tcase_create("progress");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, a_terminal_hears_of_it_after_a_second);
	tcase_add_test(tcase, what_takes_less_shows_nothing);
	tcase_add_test(tcase, who_is_no_terminal_is_told_when_asked_only);
	tcase_add_test(tcase, programs_read_the_percentage_alone);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
