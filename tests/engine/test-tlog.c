/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: lines that are lines, a bound on those of one kind, a file that stays only if it is
 * worth it, and a syslog that may come and go.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "drivers/core/tlog.h"

static char dir[32], file[96], socket_path[64];
static char text[65536];

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/tlog.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/tapdisk.%d.log", dir, (int)getpid());
	snprintf(socket_path, sizeof(socket_path), "%s/syslog", dir);
}

static void
teardown(void)
{
	unlink(file);
	unlink(socket_path);
	rmdir(dir);
}

/* What the file holds, and how many lines. */
static int
read_file(const char *path)
{
	FILE *stream = fopen(path, "re");
	size_t length, i;
	int lines = 0;

	ck_assert_ptr_nonnull(stream);
	length = fread(text, 1, sizeof(text) - 1, stream);
	fclose(stream);
	text[length] = '\0';
	for (i = 0; i < length; i++)
		lines += text[i] == '\n';
	return lines;
}

START_TEST(a_line_is_one_line)
{
	struct tlog *log = tlog_new(dir, socket_path, false);
	char *longer = malloc(5000);

	ck_assert_ptr_nonnull(longer);
	memset(longer, 'x', 4999);
	longer[4999] = '\0';
	tlog(log, LOG_INFO, "name: %s", "two\nlines\x1b[31m");
	tlog(log, LOG_INFO, "%s", longer);
	ck_assert_int_eq(read_file(file), 2);
	ck_assert_ptr_nonnull(strstr(text, " name: two?lines?[31m\n"));
	ck_assert_uint_lt(strlen(text), 1400);
	tlog_free(log);
	free(longer);
}
END_TEST

START_TEST(levels_below_are_dropped)
{
	struct tlog *log = tlog_new(dir, socket_path, false);

	tlog(log, LOG_DEBUG, "before");
	tlog_set_level(log, LOG_DEBUG);
	tlog(log, LOG_DEBUG, "after");
	ck_assert_int_eq(read_file(file), 1);
	ck_assert_ptr_nonnull(strstr(text, "after"));
	tlog_free(log);
	tlog(NULL, LOG_ERR, "nobody");
	tlog_reopen(NULL);
}
END_TEST

START_TEST(a_file_stays_only_for_what_went_wrong)
{
	struct tlog *log = tlog_new(dir, socket_path, false);

	tlog(log, LOG_NOTICE, "well");
	tlog_free(log);
	ck_assert_int_ne(access(file, F_OK), 0);

	log = tlog_new(dir, socket_path, false);
	tlog(log, LOG_WARNING, "not so well");
	tlog_free(log);
	ck_assert_int_eq(access(file, F_OK), 0);
}
END_TEST

START_TEST(a_file_that_was_rotated_is_made_anew)
{
	struct tlog *log = tlog_new(dir, socket_path, false);
	char rotated[128];

	snprintf(rotated, sizeof(rotated), "%s.1", file);
	tlog(log, LOG_INFO, "old");
	ck_assert_int_eq(rename(file, rotated), 0);
	tlog(log, LOG_INFO, "still old");
	tlog_reopen(log);
	tlog(log, LOG_INFO, "new");
	ck_assert_int_eq(read_file(rotated), 2);
	ck_assert_int_eq(read_file(file), 1);
	ck_assert_ptr_nonnull(strstr(text, "new"));
	tlog_free(log);
	unlink(rotated);
}
END_TEST

START_TEST(a_kind_of_message_has_a_bound)
{
	struct tlog *log = tlog_new(dir, socket_path, false);
	struct tlog_limit limit = { 0 };
	int i;

	for (i = 0; i < 1000; i++)
		tlog_limited(log, &limit, LOG_INFO, "the same again");
	ck_assert_int_eq(read_file(file), 16);
	ck_assert_uint_eq(limit.dropped, 1000 - 16);

	/* When its time is over, it is told how many there were. */
	limit.since -= 90;
	tlog_limited(log, &limit, LOG_INFO, "the same again");
	ck_assert_int_eq(read_file(file), 18);
	ck_assert_ptr_nonnull(strstr(text, "984 more messages"));
	tlog_free(log);
}
END_TEST

static int
listen_as_syslog(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", socket_path);
	unlink(socket_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static void
expect_line(int fd, const char *line)
{
	ssize_t got = recv(fd, text, sizeof(text) - 1, 0);

	ck_assert_int_gt((int)got, 0);
	text[got] = '\0';
	ck_assert_msg(strstr(text, line) != NULL, "\"%s\" is not in \"%s\"", line, text);
}

START_TEST(syslog_may_begin_later_and_begin_again)
{
	struct tlog *log = tlog_new(NULL, socket_path, false);
	int fd;

	tlog(log, LOG_INFO, "nobody hears this");
	fd = listen_as_syslog();
	tlog(log, LOG_WARNING, "first");
	expect_line(fd, "<28>tapdisk2[");
	ck_assert_ptr_nonnull(strstr(text, "]: first"));

	close(fd);
	tlog(log, LOG_INFO, "nor this");
	fd = listen_as_syslog();
	tlog(log, LOG_INFO, "second");
	expect_line(fd, "]: second");
	close(fd);
	tlog_free(log);
}
END_TEST

/* A reader that hangs holds up nobody. */
START_TEST(a_full_syslog_is_not_waited_for)
{
	struct tlog *log;
	int fd = listen_as_syslog(), i;

	log = tlog_new(NULL, socket_path, false);
	for (i = 0; i < 5000; i++)
		tlog(log, LOG_INFO, "line %d", i);
	expect_line(fd, "line 0");
	close(fd);
	tlog_free(log);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tlog");
	TCase *tests = tcase_create("tlog");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_line_is_one_line);
	tcase_add_test(tests, levels_below_are_dropped);
	tcase_add_test(tests, a_file_stays_only_for_what_went_wrong);
	tcase_add_test(tests, a_file_that_was_rotated_is_made_anew);
	tcase_add_test(tests, a_kind_of_message_has_a_bound);
	tcase_add_test(tests, syslog_may_begin_later_and_begin_again);
	tcase_add_test(tests, a_full_syslog_is_not_waited_for);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
