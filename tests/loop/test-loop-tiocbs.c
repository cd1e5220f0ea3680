/* SPDX-License-Identifier: BSD-2-Clause */
/* tiocbs move all their bytes or say why not, on every engine and every kind of file. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/loop/loop-rig.h"

#define PAGE 4096u
#define BIG (5u << 20)
#define MANY 10000

struct setting {
	struct loop *loop;
	int fd;
	char *buf; /* of BIG bytes, at a page boundary */
};

/* For each kind of file that this machine has: false at the end. */
static bool
next(struct setting *setting, int engine, int *kind)
{
	if (*kind >= 0) {
		loop_free(setting->loop);
		close(setting->fd);
		free(setting->buf);
	}
	setting->fd = -1;
	while (setting->fd < 0 && ++*kind < RIG_KINDS)
		setting->fd = rig_file(*kind);
	if (setting->fd < 0)
		return false;
	setting->loop = rig_loop(engine);
	if (!setting->loop) {
		close(setting->fd);
		return false;
	}
	ck_assert_int_eq(posix_memalign((void **)&setting->buf, PAGE, BIG), 0);
	memset(setting->buf, 0, BIG);
	return true;
}

#define FOR_EACH_KIND(setting) for (int kind_ = -1; next(&(setting), _i, &kind_);)

START_TEST(what_is_written_is_read)
{
	struct setting s;
	struct rig_io io;
	size_t i;

	FOR_EACH_KIND(s)
	{
		for (i = 0; i < BIG; i++)
			s.buf[i] = (char)(i / 512 + i);
		rig_write(&io, s.loop, s.fd, s.buf, BIG, 8 * PAGE);
		ck_assert_uint_eq(loop_tiocbs_pending(s.loop), 1);
		rig_drain(s.loop);
		ck_assert_uint_eq(io.calls, 1);
		ck_assert_int_eq(io.err, 0);
		rig_fsync(&io, s.loop, s.fd);
		rig_drain(s.loop);
		ck_assert_uint_eq(io.calls, 1);
		ck_assert_int_eq(io.err, 0);
		memset(s.buf, 0xff, BIG);
		rig_read(&io, s.loop, s.fd, s.buf, BIG, 8 * PAGE, 0);
		rig_drain(s.loop);
		ck_assert_uint_eq(io.calls, 1);
		ck_assert_int_eq(io.err, 0);
		for (i = 0; i < BIG && s.buf[i] == (char)(i / 512 + i); i++)
			;
		ck_assert_uint_eq(i, BIG);
	}
}
END_TEST

START_TEST(fallocate_makes_room_and_holes)
{
	struct setting s;
	struct rig_io io;
	struct stat st;

	FOR_EACH_KIND(s)
	{
		memset(s.buf, 'x', 4 * PAGE);
		rig_write(&io, s.loop, s.fd, s.buf, 4 * PAGE, 0);
		rig_drain(s.loop);
		rig_fallocate(&io, s.loop, s.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE,
			      PAGE);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, 0);
		rig_read(&io, s.loop, s.fd, s.buf, 4 * PAGE, 0, 0);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, 0);
		ck_assert_int_eq(s.buf[PAGE - 1], 'x');
		ck_assert_int_eq(s.buf[PAGE], 0);
		ck_assert_int_eq(s.buf[2 * PAGE - 1], 0);
		ck_assert_int_eq(s.buf[2 * PAGE], 'x');
		rig_fallocate(&io, s.loop, s.fd, 0, 0, 64 * PAGE);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, 0);
		ck_assert_int_eq(fstat(s.fd, &st), 0);
		ck_assert_int_eq(st.st_size, 64 * PAGE);
		rig_fallocate(&io, s.loop, s.fd, 0, -1, PAGE);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EINVAL);
	}
}
END_TEST

/* The file ends at 3.5 pages plus 100 bytes, in the middle of a sector. */
START_TEST(end_of_file)
{
	const size_t size = 3 * PAGE + PAGE / 2 + 100;
	struct setting s;
	struct rig_io io;
	size_t i;

	FOR_EACH_KIND(s)
	{
		memset(s.buf, 'x', 4 * PAGE);
		rig_write(&io, s.loop, s.fd, s.buf, 4 * PAGE, 0);
		rig_drain(s.loop);
		ck_assert_int_eq(ftruncate(s.fd, (off_t)size), 0);

		rig_read(&io, s.loop, s.fd, s.buf, 4 * PAGE, 0, 0);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EIO);
		rig_read(&io, s.loop, s.fd, s.buf, 4 * PAGE, 0, 4 * PAGE - 1);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EIO);
		rig_read(&io, s.loop, s.fd, s.buf, PAGE, 100 * PAGE, 4 * PAGE);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EIO);

		memset(s.buf, 'y', 8 * PAGE);
		rig_read(&io, s.loop, s.fd, s.buf, 4 * PAGE, 0, 4 * PAGE);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, 0);
		for (i = 0; i < 4 * PAGE && s.buf[i] == (i < size ? 'x' : 0); i++)
			;
		ck_assert_uint_eq(i, 4 * PAGE);
		ck_assert_int_eq(s.buf[4 * PAGE], 'y');

		rig_read(&io, s.loop, s.fd, s.buf, PAGE, 100 * PAGE, UINT64_MAX);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, 0);
		ck_assert_int_eq(s.buf[0], 0);
		ck_assert_int_eq(s.buf[PAGE - 1], 0);
	}
}
END_TEST

START_TEST(refusals)
{
	struct setting s;
	struct rig_io io;
	int closed;

	FOR_EACH_KIND(s)
	{
		rig_read(&io, s.loop, s.fd, s.buf, PAGE, -1, UINT64_MAX);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EINVAL);
		rig_read(&io, s.loop, s.fd, s.buf, 0, 0, 0);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, 0);
		ck_assert_uint_eq(io.calls, 1);
		closed = dup(s.fd);
		close(closed);
		rig_read(&io, s.loop, closed, s.buf, PAGE, 0, UINT64_MAX);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EBADF);
		rig_write(&io, s.loop, closed, s.buf, PAGE, 0);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EBADF);
		rig_fsync(&io, s.loop, closed);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EBADF);
		rig_fallocate(&io, s.loop, closed, 0, 0, PAGE);
		rig_drain(s.loop);
		ck_assert_int_eq(io.err, -EBADF);
	}
}
END_TEST

START_TEST(descriptor_for_reading_refuses_writes)
{
	struct loop *loop = rig_loop(_i);
	struct rig_io io;
	char byte;
	int fd;

	if (!loop)
		return;
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	rig_write(&io, loop, fd, "x", 1, 0);
	rig_drain(loop);
	ck_assert_int_eq(io.err, -EBADF);
	rig_read(&io, loop, fd, &byte, 1, 1, 0);
	rig_drain(loop);
	ck_assert_int_eq(io.err, 0);
	ck_assert_int_eq(byte, 'E');
	loop_free(loop);
	close(fd);
}
END_TEST

/* The kernel writes up to the limit, and says why only when it is asked to go on. */
START_TEST(short_write_is_continued)
{
	const struct rlimit limit = { 2 * PAGE, RLIM_INFINITY };
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct setting s;
	struct rig_io io;
	struct stat st;

	signal(SIGXFSZ, SIG_IGN);
	FOR_EACH_KIND(s)
	{
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
		rig_write(&io, s.loop, s.fd, s.buf, 4 * PAGE, 0);
		rig_drain(s.loop);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
		ck_assert_int_eq(io.err, -EFBIG);
		ck_assert_int_eq(fstat(s.fd, &st), 0);
		ck_assert_int_eq(st.st_size, 2 * PAGE);
	}
}
END_TEST

START_TEST(many_in_one_turn)
{
	static struct rig_io ios[MANY];
	struct setting s;
	int i;

	FOR_EACH_KIND(s)
	{
		ck_assert_int_eq(ftruncate(s.fd, 64 * PAGE), 0);
		for (i = 0; i < MANY; i++)
			rig_read(&ios[i], s.loop, s.fd, s.buf + i % 7 * PAGE, PAGE,
				 i * 5 % 64 * (long long)PAGE, 0);
		ck_assert_uint_eq(loop_tiocbs_pending(s.loop), MANY);
		rig_drain(s.loop);
		for (i = 0; i < MANY; i++) {
			ck_assert_uint_eq(ios[i].calls, 1);
			ck_assert_int_eq(ios[i].err, 0);
		}
	}
}
END_TEST

/* Neighbours in every order and length, one of them past the end of the file. */
START_TEST(neighbours_have_their_own_results)
{
	enum { PIECES = 200 };
	static struct rig_io ios[PIECES];
	struct setting s;
	size_t i;

	FOR_EACH_KIND(s)
	{
		for (i = 0; i < PIECES; i++)
			memset(s.buf + i * PAGE, (char)i, PAGE);
		for (i = 0; i < PIECES; i++)
			rig_write(&ios[i], s.loop, s.fd, s.buf + i * PAGE, PAGE,
				  (long long)i * PAGE);
		rig_drain(s.loop);
		memset(s.buf, 0, PIECES * PAGE);
		ck_assert_int_eq(ftruncate(s.fd, 150 * PAGE), 0);
		for (i = 0; i < PIECES; i++)
			rig_read(&ios[i], s.loop, s.fd, s.buf + i * PAGE, PAGE, (long long)i * PAGE,
				 170 * PAGE);
		rig_drain(s.loop);
		for (i = 0; i < PIECES; i++) {
			ck_assert_uint_eq(ios[i].calls, 1);
			ck_assert_int_eq(ios[i].err, i < 170 ? 0 : -EIO);
			ck_assert(s.buf[i * PAGE] == (char)(i < 150 ? i : 0));
			ck_assert(s.buf[(i + 1) * PAGE - 1] == (char)(i < 150 ? i : 0));
		}
	}
}
END_TEST

/* ---- callbacks ---- */

struct chain {
	struct loop *loop;
	int fd;
	char *buf;
	unsigned left;
	bool done;
};

static void
again(void *arg, struct tiocb *tiocb, int err)
{
	struct chain *chain = arg;

	ck_assert_int_eq(err, 0);
	if (chain->left--) {
		*tiocb = (struct tiocb){ .cb = again,
					 .arg = chain,
					 .op = TIOCB_READ,
					 .fd = chain->fd,
					 .buf = chain->buf,
					 .bytes = PAGE };
		loop_queue_tiocb(chain->loop, tiocb, UINT64_MAX);
		return;
	}
	free(tiocb);
	chain->done = true;
}

/* The callback owns the tiocb again: it may queue it anew, or free it. */
START_TEST(tiocb_may_be_used_again)
{
	struct setting s;
	struct chain chain;
	struct tiocb *tiocb;

	FOR_EACH_KIND(s)
	{
		chain = (struct chain){ s.loop, s.fd, s.buf, 500, false };
		tiocb = calloc(1, sizeof(*tiocb));
		ck_assert_ptr_nonnull(tiocb);
		again(&chain, tiocb, 0);
		rig_until(s.loop, &chain.done);
		ck_assert_uint_eq(loop_tiocbs_pending(s.loop), 0);
	}
}
END_TEST

static void
count(void *arg, unsigned events)
{
	unsigned *calls = arg;

	(void)events;
	++*calls;
}

/* However much I/O there is to do, the descriptors have their turn. */
START_TEST(descriptors_are_not_starved)
{
	static struct rig_io ios[MANY];
	struct loop_watch *watch;
	struct setting s;
	unsigned calls, turns;
	int event;
	int i;

	FOR_EACH_KIND(s)
	{
		event = eventfd(1, EFD_CLOEXEC);
		calls = 0;
		turns = 0;
		ck_assert_int_eq(loop_watch(s.loop, event, LOOP_READ, count, &calls, &watch), 0);
		for (i = 0; i < MANY; i++)
			rig_read(&ios[i], s.loop, s.fd, s.buf, PAGE, (MANY - i) * (long long)PAGE,
				 UINT64_MAX);
		while (loop_tiocbs_pending(s.loop)) {
			ck_assert_int_eq(loop_turn(s.loop, -1), 0);
			turns++;
		}
		ck_assert_uint_ge(turns, 5);
		ck_assert_uint_ge(calls, turns - 1);
		loop_unwatch(watch);
		close(event);
	}
}
END_TEST

/* A number that meant a file in memory now means one on a disk, and back. */
START_TEST(number_may_be_used_again)
{
	struct loop *loop = rig_loop(_i);
	struct rig_io io;
	char *buf;
	int fd, other;
	int round;

	if (!loop)
		return;
	ck_assert_int_eq(posix_memalign((void **)&buf, PAGE, PAGE), 0);
	fd = rig_file(0);
	for (round = 0; round < 20; round++) {
		memset(buf, round, PAGE);
		rig_write(&io, loop, fd, buf, PAGE, 0);
		rig_drain(loop);
		ck_assert_int_eq(io.err, 0);
		memset(buf, 0xff, PAGE);
		rig_read(&io, loop, fd, buf, PAGE, 0, 0);
		rig_drain(loop);
		ck_assert_int_eq(io.err, 0);
		ck_assert_int_eq(buf[PAGE - 1], round);
		other = rig_file((round + 1) % RIG_KINDS);
		if (other < 0)
			continue;
		ck_assert_int_eq(dup2(other, fd), fd);
		close(other);
	}
	loop_free(loop);
	close(fd);
	free(buf);
}
END_TEST

START_TEST(nothing_is_left_behind)
{
	struct setting s;
	struct rig_io io;
	unsigned before = rig_count_fds();
	int round;

	for (round = 0; round < 5; round++) {
		FOR_EACH_KIND(s)
		{
			rig_write(&io, s.loop, s.fd, s.buf, PAGE, 0);
			rig_fsync(&io, s.loop, s.fd);
			rig_drain(s.loop);
		}
	}
	ck_assert_uint_eq(rig_count_fds(), before);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		what_is_written_is_read,
		fallocate_makes_room_and_holes,
		end_of_file,
		refusals,
		descriptor_for_reading_refuses_writes,
		short_write_is_continued,
		many_in_one_turn,
		neighbours_have_their_own_results,
		tiocb_may_be_used_again,
		descriptors_are_not_starved,
		number_may_be_used_again,
		nothing_is_left_behind,
	};

	return rig_run("loop-tiocbs", tests, sizeof(tests) / sizeof(tests[0]));
}
