/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the kernel refuses an engine, or the build has it not, the next one is taken. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/core/loop.h"

/* From now on the call nr fails with err in this process.  False: there is no seccomp. */
static bool
forbid(long nr, int err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Whether this process gets engine when it asks for the best one, and err when it asks for another.
 */
static bool
is_given(const char *engine, const char *refused, int err)
{
	struct loop *loop = NULL;
	bool is_right;

	if (loop_new(&loop, NULL))
		return false;
	is_right = strcmp(loop_engine(loop), engine) == 0 && !loop_turn(loop, 0);
	loop_free(loop);
	return is_right && (!refused || loop_new(&loop, refused) == err);
}

static int
without_io_uring(void)
{
	const int refusal = HAVE_URING ? -EPERM : -EINVAL;

	if (!forbid(SYS_io_uring_setup, EPERM))
		return 0;
	return is_given("libaio", "io_uring", refusal) || is_given("threads", NULL, 0) ? 0 : 1;
}

static int
without_both(void)
{
	if (!forbid(SYS_io_uring_setup, ENOSYS) || !forbid(SYS_io_setup, EAGAIN))
		return 0;
	return is_given("threads", "libaio", -EAGAIN) ? 0 : 1;
}

static void
check_in_child(int (*fn)(void))
{
	int status = -1;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child)
		_exit(fn());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

START_TEST(libaio_follows_io_uring)
{
	check_in_child(without_io_uring);
}
END_TEST

START_TEST(threads_follow_libaio)
{
	check_in_child(without_both);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("loop-fallback");
	TCase *tcase = tcase_create("engines");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, libaio_follows_io_uring);
	tcase_add_test(tcase, threads_follow_libaio);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
