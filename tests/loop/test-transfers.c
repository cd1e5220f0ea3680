/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a transfer against a kernel that answers as the test says: short, interrupted, full,
 * wrong.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/io/backend.h"

#define MAX_CALLS 100
#define UNIT 4096

/* What the engine was given, and what it answers. */
struct call {
	int op;
	long long at;
	size_t bytes;
	int vectors;
	struct tiocb *tiocb;
};

struct fake {
	struct ioengine io;
	struct call calls[MAX_CALLS];
	unsigned count;
	unsigned waiting; /* the first call that has no answer */
	unsigned room;    /* calls that are taken */
};

static struct fake *
fake_of(struct ioengine *io)
{
	return (struct fake *)io;
}

static int
fake_open(struct ioengine **io)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	ck_assert_ptr_nonnull(fake);
	fake->room = MAX_CALLS;
	*io = &fake->io;
	return 0;
}

static void
fake_close(struct ioengine *io)
{
	free(fake_of(io));
}

static bool
fake_submit(struct ioengine *io, struct tiocb *tiocb)
{
	struct fake *fake = fake_of(io);
	struct iovec single;
	const struct iovec *iov;
	struct call call = { .tiocb = tiocb, .op = tiocb->op, .at = transfer_offset(tiocb) };
	int i;

	if (fake->count - fake->waiting >= fake->room)
		return false;
	iov = transfer_vectors(tiocb, &single, &call.vectors);
	for (i = 0; i < call.vectors; i++)
		call.bytes += iov[i].iov_len;
	ck_assert_uint_lt(fake->count, MAX_CALLS);
	fake->calls[fake->count++] = call;
	return true;
}

static void
fake_flush(struct ioengine *io)
{
	(void)io;
}

static int
fake_wait(struct ioengine *io, int64_t timeout_us)
{
	(void)io;
	(void)timeout_us;
	return 0;
}

static const struct ioengine_backend fake_backend = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.submit = fake_submit,
	.flush = fake_flush,
	.wait = fake_wait,
};

/* ---- the setting ---- */

struct op {
	struct tiocb tiocb;
	unsigned calls;
	int err;
	unsigned place;
};

static struct fake *fake;
static struct op ops[MAX_CALLS];
static unsigned ended_count;
static char buf[MAX_CALLS * UNIT];

static void
ended(void *arg, struct tiocb *tiocb, int err)
{
	struct op *op = arg;

	ck_assert_ptr_eq(tiocb, &op->tiocb);
	op->calls++;
	op->err = err;
	op->place = ++ended_count;
}

static void
setup(void)
{
	struct ioengine *io;

	ck_assert_int_eq(ioengine_new_on(&io, &fake_backend), 0);
	fake = fake_of(io);
	memset(ops, 0, sizeof(ops));
	memset(buf, 'b', sizeof(buf));
	ended_count = 0;
}

static void
teardown(void)
{
	ck_assert_uint_eq(ioengine_pending(&fake->io), 0);
	ioengine_free(&fake->io);
}

/* Operation i is on a descriptor that is no file in memory; there need not be one. */
static void
queue(unsigned i, int what, int fd, size_t bytes, long long at, uint64_t eof_zero)
{
	ops[i].tiocb = (struct tiocb){ .cb = ended,
				       .arg = &ops[i],
				       .op = what,
				       .fd = fd,
				       .buf = buf + (size_t)i * UNIT,
				       .bytes = bytes,
				       .offset = at };
	ioengine_queue(&fake->io, &ops[i].tiocb, eof_zero);
}

static void
turn(void)
{
	ck_assert_int_eq(ioengine_wait(&fake->io, 0), 0);
	ioengine_dispatch(&fake->io);
}

/* The kernel has been asked for these bytes, and answers res. */
static void
answer(long long at, size_t bytes, int vectors, long res)
{
	struct call *call = &fake->calls[fake->waiting];

	turn();
	ck_assert_uint_lt(fake->waiting, fake->count);
	ck_assert_int_eq(call->at, at);
	ck_assert_uint_eq(call->bytes, bytes);
	ck_assert_int_eq(call->vectors, vectors);
	fake->waiting++;
	ioengine_settle(&fake->io, call->tiocb, res);
	turn();
}

static void
check_ended(unsigned i, int err)
{
	ck_assert_uint_eq(ops[i].calls, 1);
	ck_assert_int_eq(ops[i].err, err);
}

/* ---- single ones ---- */

START_TEST(short_ones_are_continued)
{
	queue(0, TIOCB_READ, -1, UNIT, 10 * UNIT, 0);
	answer(10 * UNIT, UNIT, 1, 1);
	answer(10 * UNIT + 1, UNIT - 1, 1, 1000);
	answer(10 * UNIT + 1001, UNIT - 1001, 1, UNIT - 1002);
	ck_assert_uint_eq(ops[0].calls, 0);
	answer(11 * UNIT - 1, 1, 1, 1);
	check_ended(0, 0);

	queue(1, TIOCB_WRITE, -1, UNIT, 0, 0);
	answer(0, UNIT, 1, 512);
	answer(512, UNIT - 512, 1, -ENOSPC);
	check_ended(1, -ENOSPC);
}
END_TEST

START_TEST(huge_ones_are_cut)
{
	queue(0, TIOCB_READ, -1, (size_t)TRANSFER_MAX + 5, 0, 0);
	answer(0, TRANSFER_MAX, 1, TRANSFER_MAX);
	answer(TRANSFER_MAX, 5, 1, 5);
	check_ended(0, 0);
}
END_TEST

START_TEST(interruptions_are_overcome)
{
	int i;

	queue(0, TIOCB_READ, -1, UNIT, 0, 0);
	answer(0, UNIT, 1, -EINTR);
	answer(0, UNIT, 1, -EAGAIN);
	answer(0, UNIT, 1, 100);
	for (i = 0; i < 10; i++)
		answer(100, UNIT - 100, 1, -EAGAIN);
	answer(100, UNIT - 100, 1, UNIT - 100);
	check_ended(0, 0);

	queue(1, TIOCB_FSYNC, -1, 0, 0, 0);
	answer(0, 0, 0, -EINTR);
	answer(0, 0, 0, 0);
	check_ended(1, 0);
}
END_TEST

START_TEST(but_not_for_ever)
{
	int tries = 0;

	queue(0, TIOCB_WRITE, -1, UNIT, 0, 0);
	while (!ops[0].calls) {
		answer(0, UNIT, 1, -EAGAIN);
		ck_assert_int_lt(tries++, MAX_CALLS / 2);
	}
	check_ended(0, -EAGAIN);
	ck_assert_int_gt(tries, 3);
}
END_TEST

START_TEST(end_of_file)
{
	queue(0, TIOCB_READ, -1, UNIT, 0, UNIT - 1);
	answer(0, UNIT, 1, 0);
	check_ended(0, -EIO);

	queue(1, TIOCB_READ, -1, UNIT, 0, UNIT);
	answer(0, UNIT, 1, 512);
	answer(512, UNIT - 512, 1, 0);
	check_ended(1, 0);
	ck_assert_int_eq(buf[UNIT + 511], 'b');
	ck_assert_int_eq(buf[UNIT + 512], 0);
	ck_assert_int_eq(buf[2 * UNIT - 1], 0);
	ck_assert_int_eq(buf[2 * UNIT], 'b');

	/* O_DIRECT: the file ends within a sector. */
	queue(2, TIOCB_READ, -1, UNIT, 0, UNIT);
	answer(0, UNIT, 1, 700);
	answer(700, UNIT - 700, 1, -EINVAL);
	check_ended(2, 0);
	ck_assert_int_eq(buf[2 * UNIT + 699], 'b');
	ck_assert_int_eq(buf[2 * UNIT + 700], 0);

	queue(3, TIOCB_READ, -1, UNIT, 0, UNIT);
	answer(0, UNIT, 1, 512);
	answer(512, UNIT - 512, 1, -EINVAL);
	check_ended(3, -EINVAL);

	queue(4, TIOCB_WRITE, -1, UNIT, 0, UNIT);
	answer(0, UNIT, 1, 0);
	check_ended(4, -EIO);
}
END_TEST

START_TEST(the_end_near_the_end_of_all_numbers)
{
	queue(0, TIOCB_READ, -1, UNIT, INT64_MAX - UNIT, UINT64_MAX);
	answer(INT64_MAX - UNIT, UNIT, 1, 0);
	check_ended(0, 0);
	queue(1, TIOCB_READ, -1, UNIT, INT64_MAX, UNIT);
	answer(INT64_MAX, UNIT, 1, 0);
	check_ended(1, -EIO);
}
END_TEST

/* ---- neighbours ---- */

static void
queue_row(unsigned from, unsigned count, int what, uint64_t eof_zero)
{
	unsigned i;

	for (i = from; i < from + count; i++)
		queue(i, what, -1, UNIT, (long long)i * UNIT, eof_zero);
}

START_TEST(neighbours_are_joined)
{
	unsigned i;

	queue_row(0, 11, TIOCB_READ, 0);
	answer(0, 11 * UNIT, 11, 11 * UNIT);
	for (i = 0; i < 11; i++) {
		check_ended(i, 0);
		ck_assert_uint_eq(ops[i].place, i + 1);
	}
	ck_assert_uint_eq(fake->count, 1);
}
END_TEST

START_TEST(only_neighbours_are_joined)
{
	queue(0, TIOCB_READ, -1, UNIT, 0, 0);
	queue(1, TIOCB_WRITE, -1, UNIT, UNIT, 0);
	queue(2, TIOCB_WRITE, -2, UNIT, 2 * UNIT, 0);
	queue(3, TIOCB_WRITE, -2, UNIT, 4 * UNIT, 0);
	queue(4, TIOCB_WRITE, -2, UNIT, 4 * UNIT, 0);
	queue(5, TIOCB_WRITE, -2, UNIT, 3 * UNIT, 0);
	queue(6, TIOCB_FSYNC, -2, 0, 0, 0);
	queue(7, TIOCB_FSYNC, -2, 0, 0, 0);
	answer(0, UNIT, 1, UNIT);
	answer(UNIT, UNIT, 1, UNIT);
	answer(2 * UNIT, UNIT, 1, UNIT);
	answer(4 * UNIT, UNIT, 1, UNIT);
	answer(4 * UNIT, UNIT, 1, UNIT);
	answer(3 * UNIT, UNIT, 1, UNIT);
	answer(0, 0, 0, 0);
	answer(0, 0, 0, 0);
	ck_assert_uint_eq(ended_count, 8);
}
END_TEST

START_TEST(groups_are_bounded)
{
	const unsigned most =
		GROUP_BYTES / UNIT < GROUP_VECTORS ? GROUP_BYTES / UNIT : GROUP_VECTORS;

	queue_row(0, MAX_CALLS, TIOCB_READ, 0);
	answer(0, most * UNIT, (int)most, most * UNIT);
	ck_assert_uint_eq(ended_count, most);
	answer(most * UNIT, (MAX_CALLS - most) * UNIT, (int)(MAX_CALLS - most),
	       (MAX_CALLS - most) * UNIT);
	ck_assert_uint_eq(ended_count, MAX_CALLS);
}
END_TEST

/* The first two are complete, the third has a part, the fourth has nothing. */
START_TEST(short_group_is_taken_apart)
{
	unsigned i;

	queue_row(0, 4, TIOCB_READ, 3 * UNIT);
	answer(0, 4 * UNIT, 4, 2 * UNIT + 100);
	check_ended(0, 0);
	check_ended(1, 0);
	answer(2 * UNIT + 100, UNIT - 100, 1, 0);
	check_ended(2, 0);
	answer(3 * UNIT, UNIT, 1, 0);
	check_ended(3, -EIO);
	for (i = 100; i < UNIT; i++)
		ck_assert(buf[2 * UNIT + i] == 0);
}
END_TEST

START_TEST(failed_group_is_taken_apart)
{
	queue_row(0, 3, TIOCB_WRITE, 0);
	answer(0, 3 * UNIT, 3, -EIO);
	ck_assert_uint_eq(ended_count, 0);
	answer(0, UNIT, 1, UNIT);
	answer(UNIT, UNIT, 1, -EIO);
	answer(2 * UNIT, UNIT, 1, UNIT);
	check_ended(0, 0);
	check_ended(1, -EIO);
	check_ended(2, 0);
}
END_TEST

START_TEST(groups_run_out)
{
	unsigned i;

	for (i = 0; i < MAX_CALLS; i++)
		queue(i, TIOCB_READ, -1, UNIT, (long long)(i + i / 2) * UNIT, 0);
	turn();
	ck_assert_uint_eq(fake->count, GROUPS_MAX + MAX_CALLS - 2 * GROUPS_MAX);
	while (fake->waiting < fake->count) {
		struct call *call = &fake->calls[fake->waiting++];

		ioengine_settle(&fake->io, call->tiocb, (long)call->bytes);
	}
	turn();
	ck_assert_uint_eq(ended_count, MAX_CALLS);
}
END_TEST

/* ---- an engine that is full ---- */

START_TEST(full_engine_is_asked_again_in_order)
{
	unsigned i;

	fake->room = 2;
	for (i = 0; i < 10; i++)
		queue(i, TIOCB_READ, -1, UNIT, 2 * (long long)i * UNIT, 0);
	for (i = 0; i < 10; i++) {
		answer(2 * (long long)i * UNIT, UNIT, 1, UNIT);
		ck_assert_uint_le(fake->count - fake->waiting, 2);
		ck_assert_uint_eq(ops[i].place, i + 1);
	}
	ck_assert_uint_eq(ended_count, 10);
}
END_TEST

START_TEST(full_engine_refuses_a_group)
{
	fake->room = 0;
	queue_row(0, 5, TIOCB_WRITE, 0);
	turn();
	turn();
	ck_assert_uint_eq(fake->count, 0);
	fake->room = 1;
	fake->io.is_full = false;
	queue_row(5, 2, TIOCB_WRITE, 0);
	answer(0, 7 * UNIT, 7, 7 * UNIT);
	ck_assert_uint_eq(ended_count, 7);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		short_ones_are_continued,
		huge_ones_are_cut,
		interruptions_are_overcome,
		but_not_for_ever,
		end_of_file,
		the_end_near_the_end_of_all_numbers,
		neighbours_are_joined,
		only_neighbours_are_joined,
		groups_are_bounded,
		short_group_is_taken_apart,
		failed_group_is_taken_apart,
		groups_run_out,
		full_engine_is_asked_again_in_order,
		full_engine_refuses_a_group,
	};
	Suite *suite = suite_create("transfers");
	TCase *tcase = tcase_create("transfers");
	SRunner *runner = srunner_create(suite);
	int failed;
	size_t i;

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
