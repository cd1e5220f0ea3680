/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control directory and the numbers in it.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "common/rundir.h"

#define CALLERS 32

static char dir[64];

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/minor.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void
teardown(void)
{
	char path[128];
	int n;

	for (n = 0; n < CALLERS + 8; n++)
		minor_free(dir, n);
	snprintf(path, sizeof(path), "%s/tapdisk", dir);
	rmdir(path);
	rmdir(dir);
}

START_TEST(the_lowest_free_number_comes_first)
{
	int minor = -1;

	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert_int_eq(minor, 0);
	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert_int_eq(minor, 1);
	ck_assert_int_eq(minor_free(dir, 0), 0);
	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert_int_eq(minor, 0);
	ck_assert_int_eq(minor_allocate_this(dir, 1), -EEXIST);
	ck_assert_int_eq(minor_allocate_this(dir, MINOR_MAX + 1), -EINVAL);
	ck_assert_int_eq(minor_allocate_this(dir, -1), -EINVAL);
}
END_TEST

START_TEST(a_number_in_use_is_not_given_back)
{
	int minor, fd, other;

	ck_assert_int_eq(minor_lock(dir, 0, &fd), -ENOENT);
	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert_int_eq(minor_lock(dir, minor, &fd), 0);
	ck_assert_int_eq(minor_lock(dir, minor, &other), -EBUSY);
	ck_assert_int_eq(minor_free(dir, minor), -EAGAIN);
	close(fd);
	ck_assert_int_eq(minor_free(dir, minor), 0);
	ck_assert_int_eq(minor_free(dir, minor), -ENOENT);
	ck_assert_int_eq(minor_lock(dir, minor, &fd), -ENOENT);
}
END_TEST

/* What a child reports is its number, or 255. */
static int
allocate_in_child(void)
{
	int minor = 255;

	return minor_allocate(dir, &minor) ? 255 : minor;
}

START_TEST(no_number_is_given_twice)
{
	bool seen[256] = { false };
	pid_t child[CALLERS];
	int n, status;

	for (n = 0; n < CALLERS; n++) {
		child[n] = fork();
		if (!child[n])
			_exit(allocate_in_child());
	}
	for (n = 0; n < CALLERS; n++) {
		ck_assert_int_eq(waitpid(child[n], &status, 0), child[n]);
		ck_assert(WIFEXITED(status));
		ck_assert_int_lt(WEXITSTATUS(status), CALLERS);
		ck_assert(!seen[WEXITSTATUS(status)]);
		seen[WEXITSTATUS(status)] = true;
	}
}
END_TEST

/* Where name leads, or "". */
static const char *
target_of(const char *name)
{
	static char target[128];
	ssize_t length = readlink(name, target, sizeof(target) - 1);

	target[length > 0 ? length : 0] = '\0';
	return target;
}

START_TEST(a_device_has_another_name_for_as_long_as_its_number)
{
	char name[96], file[96];
	int minor, fd;

	snprintf(name, sizeof(name), "%s/a name", dir);
	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert(!minor_wants_device(dir, minor));
	ck_assert_int_eq(minor_want_device(dir, minor, NULL), 0);
	ck_assert(minor_wants_device(dir, minor));
	ck_assert_int_eq(minor_free(dir, minor), 0);

	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert_int_eq(minor_want_device(dir, minor, name), 0);
	ck_assert(minor_wants_device(dir, minor));
	ck_assert_str_eq(target_of(name), MINOR_DEVICE_DIR "/tapdev0");
	ck_assert_int_eq(minor_lock(dir, minor, &fd), 0);
	ck_assert_int_eq(minor_free(dir, minor), -EAGAIN);
	ck_assert_str_ne(target_of(name), "");
	close(fd);
	/* What a name of an earlier life has left is its own. */
	ck_assert_int_eq(minor_want_device(dir, minor, name), 0);
	ck_assert_int_eq(minor_free(dir, minor), 0);
	ck_assert_str_eq(target_of(name), "");

	/* Whoever has put something else there since keeps it. */
	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert_int_eq(minor_want_device(dir, minor, name), 0);
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(symlink("/dev/null", name), 0);
	ck_assert_int_eq(minor_free(dir, minor), 0);
	ck_assert_str_eq(target_of(name), "/dev/null");
	ck_assert_int_eq(unlink(name), 0);
	snprintf(file, sizeof(file), "%s/tapdisk", dir);
	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	ck_assert_int_eq(minor_want_device(dir, minor, file), -EEXIST);
	ck_assert(!minor_wants_device(dir, minor));
}
END_TEST

START_TEST(names_of_devices_are_names)
{
	static const char *const wrong[] = { "", "a/b", "../x", "a\nb", "/tmp/a\nb" };
	char longest[MINOR_NAME_MAX + 2];
	size_t i;
	int minor;

	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(minor_allocate(dir, &minor), 0);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_int_eq(minor_want_device(dir, minor, wrong[i]), -EINVAL);
	ck_assert_int_eq(minor_want_device(dir, minor, longest), -EINVAL);
	ck_assert(!minor_wants_device(dir, minor));
}
END_TEST

START_TEST(the_directory_is_private_or_refused)
{
	char path[128];
	struct stat found;

	snprintf(path, sizeof(path), "%s/tapdisk", dir);
	ck_assert_int_eq(rundir_create(dir), 0);
	ck_assert_int_eq(stat(path, &found), 0);
	ck_assert_int_eq(found.st_mode & 0777, 0700);
	ck_assert_int_eq(chmod(dir, 0770), 0);
	ck_assert_int_eq(rundir_create(dir), -EPERM);
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ck_assert_int_eq(chmod(path, 0702), 0);
	ck_assert_int_eq(rundir_create(dir), -EPERM);
}
END_TEST

START_TEST(the_environment_names_another_directory)
{
	AUTO_FREE char *path = NULL;
	char deep[RUNDIR_MAX + 2];

	ck_assert_int_eq(setenv("BLKTAP_CONTROL_DIR", "/some/where", 1), 0);
	ck_assert_int_eq(rundir_path(&path), 0);
	ck_assert_str_eq(path, "/some/where");
	free(STEAL(path));
	ck_assert_int_eq(setenv("BLKTAP_CONTROL_DIR", "relative", 1), 0);
	ck_assert_int_eq(rundir_path(&path), -EINVAL);
	memset(deep, '/', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	ck_assert_int_eq(setenv("BLKTAP_CONTROL_DIR", deep, 1), 0);
	ck_assert_int_eq(rundir_path(&path), -ENAMETOOLONG);
	ck_assert_ptr_null(path);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("minor");
	TCase *tests = tcase_create("minor");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, the_lowest_free_number_comes_first);
	tcase_add_test(tests, a_number_in_use_is_not_given_back);
	tcase_add_test(tests, no_number_is_given_twice);
	tcase_add_test(tests, a_device_has_another_name_for_as_long_as_its_number);
	tcase_add_test(tests, names_of_devices_are_names);
	tcase_add_test(tests, the_directory_is_private_or_refused);
	tcase_add_test(tests, the_environment_names_another_directory);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
