/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests: the door, the parts, the first error, retries, time-outs, default behaviour.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/engine/rig.h"

static struct rig rig;
static char *buf;

static void
setup(void)
{
	rig_setup(&rig);
	buf = calloc(PROBE_SECTORS, DEFAULT_SECTOR_SIZE);
	ck_assert_ptr_nonnull(buf);
}

static void
teardown(void)
{
	rig_teardown(&rig);
	free(buf);
}

START_TEST(reads_back_what_was_written)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	memset(buf, 0x5a, 1000 << SECTOR_SHIFT);
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 17, 1000, buf), 0);
	memset(buf, 0, 1000 << SECTOR_SHIFT);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 17, 1000, buf), 0);
	ck_assert_int_eq(buf[0], 0x5a);
	ck_assert_int_eq(buf[(1000 << SECTOR_SHIFT) - 1], 0x5a);
}
END_TEST

START_TEST(parts_obey_the_limit_of_the_driver)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1000, buf), 0);
	ck_assert_int_eq(probe.reads, 4);
	ck_assert_int_eq(probe.largest, TD_MAX_REQUEST_SECS);
	ck_assert_int_eq(rig_close(&rig), 0);

	ck_assert_int_eq(rig_open(&rig, "big:x", 0), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1000, buf), 0);
	ck_assert_int_eq(probe.reads, 5);
}
END_TEST

START_TEST(ranges_are_checked_at_the_door)
{
	static const struct {
		uint64_t sector, sectors;
		int err;
	} rows[] = {
		{ PROBE_SECTORS - 1, 1, 0 },
		{ PROBE_SECTORS, 1, -EINVAL },
		{ PROBE_SECTORS - 1, 2, -EINVAL },
		{ UINT64_MAX, 1, -EINVAL },
		{ 1, UINT64_MAX, -EINVAL },
		{ UINT64_MAX, UINT64_MAX, -EINVAL },
		{ 0, 0, -EINVAL },
		{ 0, PROBE_SECTORS + 1, -EINVAL },
	};
	size_t i;

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(
			ask_run(&rig, TD_OP_BLOCK_STATUS, rows[i].sector, rows[i].sectors, NULL),
			rows[i].err);
	}
	ck_assert_int_eq(ask_run(&rig, 77, 0, 1, buf), -EINVAL);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, PROBE_SECTORS, 1, buf), -EINVAL);
	ck_assert_int_eq(probe.reads, 0);
}
END_TEST

START_TEST(buffers_must_hold_exactly_the_sectors)
{
	struct ask ask = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ask_start(&rig, &ask, TD_OP_READ, 0, 1, NULL);
	ck_assert_int_eq(ask_wait(&rig, &ask), -EINVAL);
	ck_assert_int_eq(probe.reads, 0);
}
END_TEST

START_TEST(requests_are_whole_logical_sectors)
{
	probe.sector_size = 4096;
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 8, 16, buf), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 4, 8, buf), -EINVAL);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 8, 4, buf), -EINVAL);
}
END_TEST

START_TEST(a_read_only_disk_takes_no_write)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", TD_OPEN_RDONLY), 0);
	ck_assert(vbd_read_only(rig.vbd));
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 0, 1, buf), -EPERM);
	ck_assert_int_eq(ask_run(&rig, TD_OP_DISCARD, 0, 1, NULL), -EPERM);
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE_ZEROES, 0, 1, NULL), -EPERM);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
	ck_assert_int_eq(probe.writes, 0);
}
END_TEST

START_TEST(a_disk_without_image_serves_nothing)
{
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), -ENODEV);
}
END_TEST

START_TEST(the_first_error_of_any_part_stays)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.fail_after = 2;
	probe.fail_with = -ENOSPC;
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 0, 1000, buf), -ENOSPC);
	ck_assert_int_eq(probe.writes, 4);
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 0, 1000, buf), 0);
}
END_TEST

static unsigned
random_seed(void)
{
	const char *given = getenv("TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);

	printf("# TEST_SEED=%u\n", seed);
	srand(seed);
	return seed;
}

/* However the driver splits, orders and fails: one end, with an error exactly if a part failed. */
START_TEST(random_pieces_end_once)
{
	unsigned seed = random_seed();
	uint64_t sector, sectors;
	bool fails;
	int i, err;

	probe.split = true;
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	for (i = 0; i < 2000; i++) {
		sector = (uint64_t)rand() % PROBE_SECTORS;
		sectors = 1 + (uint64_t)rand() % (PROBE_SECTORS - sector);
		fails = rand() % 3 == 0;
		probe.fail_after = fails ? 1 : 0;
		probe.fail_with = -EIO;
		err = ask_run(&rig, rand() % 2 ? TD_OP_READ : TD_OP_WRITE, sector, sectors, buf);
		ck_assert_msg(err == (fails ? -EIO : 0), "seed %u, step %d: %d", seed, i, err);
	}
}
END_TEST

START_TEST(busy_is_tried_again_and_is_no_error)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.busy = 50;
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1000, buf), 0);
	ck_assert_int_eq(probe.busy, 0);
}
END_TEST

START_TEST(a_passing_trouble_is_tried_again_later)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.transient = 1;
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
	ck_assert_int_eq(probe.reads, 2);
}
END_TEST

START_TEST(a_driver_that_completes_twice_kills_the_disk)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.complete_twice = true;
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
	probe.complete_twice = false;
	ck_assert_uint_eq(vbd_state(rig.vbd), VBD_DEAD);
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 0, 1, buf), -EIO);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
}
END_TEST

START_TEST(fua_is_a_write_and_a_flush)
{
	struct ask ask = { .req.flags = TD_REQ_FUA };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ask_start(&rig, &ask, TD_OP_WRITE, 0, 1, buf);
	ck_assert_int_eq(ask_wait(&rig, &ask), 0);
	ck_assert_int_eq(probe.flushes, 1);

	ask.req.flags = TD_REQ_FUA;
	probe.fail_after = 1;
	probe.fail_with = -EIO;
	ask_start(&rig, &ask, TD_OP_WRITE, 0, 1, buf);
	ck_assert_int_eq(ask_wait(&rig, &ask), -EIO);
	ck_assert_int_eq(probe.flushes, 1);
}
END_TEST

START_TEST(after_a_failed_flush_nothing_is_written)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_FLUSH, 0, 0, NULL), 0);
	probe.flush_err = -EIO;
	ck_assert_int_eq(ask_run(&rig, TD_OP_FLUSH, 0, 0, NULL), -EIO);
	probe.flush_err = 0;
	ck_assert_uint_eq(vbd_state(rig.vbd), VBD_DEAD);
	ck_assert_int_eq(ask_run(&rig, TD_OP_FLUSH, 0, 0, NULL), -EIO);
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 0, 1, buf), -EIO);
}
END_TEST

START_TEST(zeroes_are_written_where_the_driver_cannot)
{
	int i;

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.zeroes_err = -EOPNOTSUPP;
	memset(probe.store, 1, sizeof(probe.store));
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE_ZEROES, 3, 3000, NULL), 0);
	ck_assert_int_eq(probe.store[(3 << SECTOR_SHIFT) - 1], 1);
	for (i = 3 << SECTOR_SHIFT; i < 3003 << SECTOR_SHIFT; i++)
		ck_assert_int_eq(probe.store[i], 0);
	ck_assert_int_eq(probe.store[3003 << SECTOR_SHIFT], 1);
	ck_assert(!vbd_can_fast_zero(rig.vbd));

	/* Once is enough to know. */
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE_ZEROES, 0, 1, NULL), 0);
	ck_assert_int_eq(probe.zeroes, 1);
}
END_TEST

START_TEST(zeroes_that_cannot_be_written_are_an_error)
{
	ck_assert_int_eq(rig_open(&rig, "big:x", 0), 0);
	probe.fail_after = 5;
	probe.fail_with = -ENOSPC;
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE_ZEROES, 0, PROBE_SECTORS, NULL), -ENOSPC);
}
END_TEST

/* Fewer than are written at a time: what was written is not written again. */
START_TEST(zeroes_get_along_with_few_resources)
{
	struct ask ask = { 0 };
	int rounds;

	ck_assert_int_eq(rig_open(&rig, "big:x", 0), 0);
	memset(probe.store, 1, sizeof(probe.store));
	probe.room = 3;
	probe.hold = true;
	ask_start(&rig, &ask, TD_OP_WRITE_ZEROES, 0, PROBE_SECTORS, NULL);
	for (rounds = 0; !ask.ended && rounds < PROBE_SECTORS; rounds++) {
		probe_release(0);
		probe.hold = true;
		rig_turn(&rig);
	}
	ck_assert(ask.ended);
	ck_assert_int_eq(ask_wait(&rig, &ask), 0);
	ck_assert_ptr_null(memchr(probe.store, 1, sizeof(probe.store)));
}
END_TEST

START_TEST(missing_functions_have_defaults)
{
	struct vbd_extents extents = { 0 };
	struct ask ask = { .req.extents = &extents };

	ck_assert_int_eq(rig_open(&rig, "big:x", 0), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_DISCARD, 0, 8, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(ask_run(&rig, TD_OP_FLUSH, 0, 0, NULL), 0);
	ask_start(&rig, &ask, TD_OP_BLOCK_STATUS, 5, 10, NULL);
	ck_assert_int_eq(ask_wait(&rig, &ask), 0);
	ck_assert_uint_eq(extents.count, 1);
	ck_assert_int_eq(extents.at[0].status, TD_BLOCK_STATE_NONE);
	free(extents.at);
}
END_TEST

START_TEST(block_status_comes_in_order)
{
	struct vbd_extents extents = { 0 };
	struct ask ask = { .req.extents = &extents };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ask_start(&rig, &ask, TD_OP_BLOCK_STATUS, 100, 50, NULL);
	ck_assert_int_eq(ask_wait(&rig, &ask), 0);
	ck_assert_uint_eq(extents.count, 2);
	ck_assert_uint_eq(extents.at[0].sector, 100);
	ck_assert_uint_eq(extents.at[0].sectors, 25);
	ck_assert_int_eq(extents.at[0].status, TD_BLOCK_STATE_NONE);
	ck_assert_uint_eq(extents.at[1].sector, 125);
	ck_assert_int_eq(extents.at[1].status, TD_BLOCK_STATE_HOLE);
	free(extents.at);
}
END_TEST

START_TEST(a_late_completion_finds_the_peer_answered)
{
	struct ask ask = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	vbd_set_timeout(rig.vbd, 1);
	probe.hold = true;
	ask_start(&rig, &ask, TD_OP_READ, 0, 1, buf);
	rig_until(&rig, &ask.expired);
	ck_assert(!ask.ended);
	probe_release(0);
	ck_assert_int_eq(ask_wait(&rig, &ask), -ETIMEDOUT);
}
END_TEST

/* The peer was told that it failed, before anybody knows whether it did. */
START_TEST(after_a_late_flush_nothing_is_written)
{
	struct ask ask = { .req.flags = _i ? TD_REQ_FUA : 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	vbd_set_timeout(rig.vbd, 1);
	probe.hold_flushes = true;
	ask_start(&rig, &ask, _i ? TD_OP_WRITE : TD_OP_FLUSH, 0, _i, buf);
	rig_until(&rig, &ask.expired);
	ck_assert_int_eq(probe.flushes, 1);
	ck_assert_uint_eq(vbd_state(rig.vbd), VBD_DEAD);
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 0, 1, buf), -EIO);
	probe_release(0);
	ck_assert_int_eq(ask_wait(&rig, &ask), -ETIMEDOUT);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("requests");
	TCase *tests = tcase_create("requests");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, reads_back_what_was_written);
	tcase_add_test(tests, parts_obey_the_limit_of_the_driver);
	tcase_add_test(tests, ranges_are_checked_at_the_door);
	tcase_add_test(tests, buffers_must_hold_exactly_the_sectors);
	tcase_add_test(tests, requests_are_whole_logical_sectors);
	tcase_add_test(tests, a_read_only_disk_takes_no_write);
	tcase_add_test(tests, a_disk_without_image_serves_nothing);
	tcase_add_test(tests, the_first_error_of_any_part_stays);
	tcase_add_test(tests, random_pieces_end_once);
	tcase_add_test(tests, busy_is_tried_again_and_is_no_error);
	tcase_add_test(tests, a_passing_trouble_is_tried_again_later);
	tcase_add_test(tests, a_driver_that_completes_twice_kills_the_disk);
	tcase_add_test(tests, fua_is_a_write_and_a_flush);
	tcase_add_test(tests, after_a_failed_flush_nothing_is_written);
	tcase_add_test(tests, zeroes_are_written_where_the_driver_cannot);
	tcase_add_test(tests, zeroes_that_cannot_be_written_are_an_error);
	tcase_add_test(tests, zeroes_get_along_with_few_resources);
	tcase_add_test(tests, missing_functions_have_defaults);
	tcase_add_test(tests, block_status_comes_in_order);
	tcase_add_test(tests, a_late_completion_finds_the_peer_answered);
	tcase_add_loop_test(tests, after_a_late_flush_nothing_is_written, 0, 2);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return rig_run(suite());
}
