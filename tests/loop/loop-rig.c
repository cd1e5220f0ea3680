/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the loop share: see loop-rig.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/loop/loop-rig.h"

#define PATIENCE_MS 20000
#define MAX_TURNS 100000
#define TEST_TIMEOUT_S 120

const char *const rig_engines[RIG_ENGINES] = { "io_uring", "libaio", "threads" };

/* There, no other thread runs while one sleeps in io_uring_enter. */
static bool
is_on_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

struct loop *
rig_loop(int i)
{
	struct loop *loop = NULL;
	int err;

	if (i == 0 && is_on_valgrind())
		return NULL;
	err = loop_new(&loop, rig_engines[i]);
	if (!err)
		ck_assert_str_eq(loop_engine(loop), rig_engines[i]);
	else
		ck_assert_msg(strcmp(rig_engines[i], "threads") != 0, "threads: %s",
			      strerror(-err));
	return loop;
}

void
rig_until(struct loop *loop, const bool *done)
{
	unsigned turns = 0;
	uint64_t before;

	while (!*done) {
		before = loop_now(loop);
		ck_assert_int_eq(loop_turn(loop, PATIENCE_MS), 0);
		ck_assert_msg(*done || loop_now(loop) - before < PATIENCE_MS * 1000ull,
			      "nothing happens");
		ck_assert_uint_lt(turns++, MAX_TURNS);
	}
}

void
rig_drain(struct loop *loop)
{
	unsigned turns = 0;

	while (loop_tiocbs_pending(loop)) {
		ck_assert_int_eq(loop_turn(loop, PATIENCE_MS), 0);
		ck_assert_uint_lt(turns++, MAX_TURNS);
	}
}

static int
unnamed_file(int flags)
{
	char path[] = "loop-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC | flags);

	if (fd >= 0)
		unlink(path);
	return fd;
}

int
rig_file(int kind)
{
	switch (kind) {
	case 0:
		return memfd_create("loop", MFD_CLOEXEC);
	case 1:
		return unnamed_file(0);
	default:
		return unnamed_file(O_DIRECT);
	}
}

unsigned
rig_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

unsigned
rig_seed(void)
{
	const char *given = getenv("SEED");
	struct timespec now;
	unsigned seed;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seed = given ? (unsigned)strtoul(given, NULL, 10)
		     : (unsigned)now.tv_nsec ^ (unsigned)getpid();
	printf("# SEED=%u\n", seed);
	fflush(stdout);
	srandom(seed);
	return seed;
}

/* ---- tiocbs ---- */

static void
ended(void *arg, struct tiocb *tiocb, int err)
{
	struct rig_io *io = arg;

	ck_assert_ptr_eq(tiocb, &io->tiocb);
	io->calls++;
	io->err = err;
}

static void
queue(struct rig_io *io, struct loop *loop, struct tiocb tiocb, uint64_t eof_zero)
{
	tiocb.cb = ended;
	tiocb.arg = io;
	*io = (struct rig_io){ .tiocb = tiocb, .loop = loop };
	loop_queue_tiocb(loop, &io->tiocb, eof_zero);
	ck_assert_uint_eq(io->calls, 0);
}

void
rig_read(struct rig_io *io, struct loop *loop, int fd, void *buf, size_t bytes, long long at,
	 uint64_t eof_zero)
{
	struct tiocb tiocb = {
		.op = TIOCB_READ, .fd = fd, .buf = buf, .bytes = bytes, .offset = at
	};

	queue(io, loop, tiocb, eof_zero);
}

void
rig_write(struct rig_io *io, struct loop *loop, int fd, const void *buf, size_t bytes, long long at)
{
	struct tiocb tiocb = {
		.op = TIOCB_WRITE, .fd = fd, .buf = (char *)buf, .bytes = bytes, .offset = at
	};

	queue(io, loop, tiocb, 0);
}

void
rig_fsync(struct rig_io *io, struct loop *loop, int fd)
{
	struct tiocb tiocb = { .op = TIOCB_FSYNC, .fd = fd };

	queue(io, loop, tiocb, 0);
}

void
rig_fallocate(struct rig_io *io, struct loop *loop, int fd, int mode, long long at, long long bytes)
{
	struct tiocb tiocb = {
		.op = TIOCB_FALLOCATE, .fd = fd, .mode = mode, .offset = at, .bytes = (size_t)bytes
	};

	queue(io, loop, tiocb, 0);
}

int
rig_run(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create("engines");
	SRunner *runner = srunner_create(suite);
	int failed;
	size_t i;

	tcase_set_timeout(tcase, TEST_TIMEOUT_S);
	for (i = 0; i < count; i++)
		tcase_add_loop_test(tcase, tests[i], 0, RIG_ENGINES);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
