/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter that logs changed blocks in a file, over a loop that reorders everything: no change
 * goes down before its bit is in the file, no flush ends before the bits are durable, and a log
 * that fails takes nothing with it.
 *
 * CBT_SEED repeats a run, CBT_STEPS makes it longer.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cbt/lib/cbt.h"
#include "drivers/core/loop.h"
#include "tests/driver-kit/kit.h"

#define SIZE ((uint64_t)KIT_SECTORS << SECTOR_SHIFT)
#define BLOCKS (SIZE >> CBT_BLOCK_SHIFT)
#define BLOCK_SECTORS (1u << (CBT_BLOCK_SHIFT - SECTOR_SHIFT))
#define FLIGHT 32

static struct kit kit;
static char with_log[256];
static uint8_t expected[BLOCKS / 8]; /* bits of what was submitted */

/* What this program does to the file of changed blocks, through the calls below. */
static struct {
	int syncs;
	int writes_since_sync;
	int fail_sync; /* -1 for all of them */
	int fail_write;
} file;

static bool
is_log(int fd)
{
	struct stat opened, named;

	return kit.changes[0] && fstat(fd, &opened) == 0 && stat(kit.changes, &named) == 0 &&
	       opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

static bool
is_to_fail(int *count)
{
	if (*count > 0)
		return --*count == 0;
	return *count < 0;
}

/* In the place of the C library's. */
int
fdatasync(int fd)
{
	if (is_log(fd)) {
		if (is_to_fail(&file.fail_sync)) {
			errno = EIO;
			return -1;
		}
		file.syncs++;
		file.writes_since_sync = 0;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t
pwrite(int fd, const void *buf, size_t count, off_t at)
{
	if (is_log(fd) && at >= CBT_HEADER_BYTES) {
		if (is_to_fail(&file.fail_write)) {
			errno = ENOSPC;
			return -1;
		}
		file.writes_since_sync++;
	}
	return syscall(SYS_pwrite64, fd, buf, count, at);
}

/* ---- the disk -----------------------------------------------------------------------------------
 */

static void
setup(void)
{
	memset(&file, 0, sizeof(file));
	memset(expected, 0, sizeof(expected));
	kit = (struct kit){ .seed = (unsigned)kit_number("CBT_SEED", (unsigned long)time(NULL)) };
	printf("# CBT_SEED=%u\n", kit.seed);
	kit_choose(&kit, "log");
	kit_begin(&kit);
	kit_control(&kit)->max_delay = 3;
	snprintf(with_log, sizeof(with_log), "%s", kit.params);
}

static void
teardown(void)
{
	kit_end(&kit);
	free(kit.types);
}

static void
read_bits(uint8_t *bits, size_t bytes)
{
	int fd = -1;

	ck_assert_int_eq(cbt_open(kit.changes, false, &fd), 0);
	ck_assert_int_eq(cbt_read_bits(fd, 0, bits, bytes), 0);
	close(fd);
}

static bool
is_consistent(void)
{
	struct cbt_header header;
	int fd = -1;

	ck_assert_int_eq(cbt_open(kit.changes, false, &fd), 0);
	ck_assert_int_eq(cbt_read_header(fd, &header), 0);
	close(fd);
	return header.consistent;
}

static void
set_consistent(void)
{
	struct cbt_header header;
	int fd = -1;

	ck_assert_int_eq(cbt_open(kit.changes, true, &fd), 0);
	ck_assert_int_eq(cbt_read_header(fd, &header), 0);
	header.consistent = true;
	ck_assert_int_eq(cbt_write_header(fd, &header), 0);
	close(fd);
}

static void
expect(uint64_t sector, uint64_t sectors)
{
	uint64_t block;

	for (block = sector / BLOCK_SECTORS; block <= (sector + sectors - 1) / BLOCK_SECTORS;
	     block++)
		expected[block / 8] |= (uint8_t)(1u << block % 8);
}

/* ---- what is logged -----------------------------------------------------------------------------
 */

/* The file has every bit that it must have, and none that nobody asked for. */
static void
check_bits(void)
{
	uint8_t bits[sizeof(expected)];

	read_bits(bits, sizeof(bits));
	ck_assert_mem_eq(bits, expected, sizeof(bits));
}

START_TEST(random_changes_agree_with_a_model)
{
	static const int ops[] = { TD_OP_WRITE, TD_OP_DISCARD, TD_OP_WRITE_ZEROES, TD_OP_READ,
				   TD_OP_FLUSH };
	int steps = (int)kit_number("CBT_STEPS", 300), step, i, err;
	struct kit_request *requests[FLIGHT];

	ck_assert_int_eq(kit_open(&kit, 0), 0);
	for (step = 0; step < steps; step++) {
		/* Most of the disk stays clean for a while. */
		uint64_t part = kit.sectors * (uint64_t)(step + 1) / (uint64_t)steps;

		for (i = 0; i < FLIGHT; i++) {
			int op = ops[kit_random(&kit, 5)];
			uint64_t sector = kit_random(&kit, part);
			uint64_t sectors = 1 + kit_random(&kit, step % 7 ? 64 : 400);

			if (sectors > kit.sectors - sector)
				sectors = kit.sectors - sector;
			if (op == TD_OP_FLUSH)
				sector = sectors = 0;
			else if (op != TD_OP_READ)
				expect(sector, sectors);
			requests[i] = kit_submit(&kit, op, sector, sectors, (uint8_t)step);
		}
		for (i = 0; i < FLIGHT; i++) {
			err = kit_wait(&kit, requests[i]);
			ck_assert_int_eq(err, 0);
			kit_request_free(requests[i]);
		}
		check_bits();
		if (step % 50 == 49) {
			ck_assert_int_eq(kit_pause(&kit), 0);
			ck_assert_int_eq(kit_resume(&kit), 0);
		}
	}
	ck_assert_int_eq(kit_close(&kit), 0);
	check_bits();
	ck_assert(!is_consistent());
}
END_TEST

START_TEST(a_bit_is_in_the_file_before_the_change_goes_down)
{
	struct loop *loop = tapdisk_server_loop(kit.server);
	uint8_t bits[sizeof(expected)];
	struct kit_request *request;
	uint64_t block;
	long before;

	ck_assert_int_eq(kit_open(&kit, 0), 0);
	for (block = 0; block < BLOCKS; block++) {
		before = kit_control(&kit)->queued;
		request = kit_submit(&kit, TD_OP_WRITE, block * BLOCK_SECTORS, 8, 1);
		while (kit_control(&kit)->queued == before)
			loop_turn(loop, 0);
		read_bits(bits, sizeof(bits));
		ck_assert(bits[block / 8] >> block % 8 & 1);
		ck_assert_int_eq(kit_wait(&kit, request), 0);
		kit_request_free(request);
	}
}
END_TEST

START_TEST(bits_outlive_a_process_that_is_killed)
{
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 700, 8, 1), 0);
	expect(700, 8);
	/* Neither flush nor close: what another process reads is what would be left. */
	check_bits();
}
END_TEST

START_TEST(a_flush_ends_when_the_bits_are_durable)
{
	struct kit_request *requests[4];
	int round, i, err;

	ck_assert_int_eq(kit_open(&kit, 0), 0);
	for (round = 0; round < 100; round++) {
		uint64_t sector = kit_random(&kit, KIT_SECTORS - 8);

		requests[0] = kit_submit(&kit, TD_OP_WRITE, sector, 8, 1);
		err = kit_wait(&kit, requests[0]);
		ck_assert_int_eq(err, 0);
		for (i = 1; i < 4; i++)
			requests[i] = kit_submit(&kit, TD_OP_FLUSH, 0, 0, 0);
		for (i = 1; i < 4; i++) {
			err = kit_wait(&kit, requests[i]);
			ck_assert_int_eq(err, 0);
			ck_assert_int_eq(file.writes_since_sync, 0);
		}
		for (i = 0; i < 4; i++)
			kit_request_free(requests[i]);
	}
	/* Nothing is new: nothing is synced. */
	file.syncs = 0;
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), 0);
	ck_assert_int_eq(file.syncs, 0);
}
END_TEST

START_TEST(the_first_flush_syncs_what_an_earlier_process_left)
{
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), 0);
	ck_assert_int_eq(file.syncs, 1);
}
END_TEST

START_TEST(closing_makes_the_bits_durable)
{
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_int_gt(file.syncs, 0);
	ck_assert_int_eq(file.writes_since_sync, 0);
}
END_TEST

START_TEST(reads_set_no_bit)
{
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_READ, 0, KIT_SECTORS, 0), 0);
	ck_assert_int_eq(kit_close(&kit), 0);
	check_bits();
}
END_TEST

START_TEST(a_read_only_disk_leaves_the_file_alone)
{
	struct stat before, after;

	ck_assert_int_eq(stat(kit.changes, &before), 0);
	ck_assert_int_eq(kit_open(&kit, TD_OPEN_RDONLY), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), -EPERM);
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), 0);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_int_eq(stat(kit.changes, &after), 0);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	ck_assert_int_eq(file.syncs, 0);
}
END_TEST

START_TEST(without_workers_requests_come_again)
{
	int i;

	ck_assert_int_eq(kit_open(&kit, 0), 0);
	for (i = 0; i < 20; i++) {
		kit_control(&kit)->out_of_work = 3;
		ck_assert_int_eq(kit_run(&kit, i % 3 ? TD_OP_WRITE : TD_OP_FLUSH,
					 i % 3 ? (uint64_t)i * BLOCK_SECTORS : 0, i % 3 ? 8 : 0, 1),
				 0);
		if (i % 3)
			expect((uint64_t)i * BLOCK_SECTORS, 8);
		check_bits();
	}
}
END_TEST

/* ---- ADD_LOG ------------------------------------------------------------------------------------
 */

static void
done(void *arg, int err, const char *why)
{
	(void)why;
	*(int *)arg = err;
}

/* An operation of the disk, with the log or without. */
static int
operate(void (*operation)(struct vbd *, const struct vbd_options *, vbd_done_fn, void *),
	const char *log_path)
{
	char params[128];
	struct vbd_options options = { .params = params,
				       .flags = log_path ? TD_OPEN_ADD_LOG : 0,
				       .log_path = log_path,
				       .parent_minor = -1 };
	int err = 1;

	snprintf(params, sizeof(params), "aio:%s", kit.image);
	operation(kit.vbd, &options, done, &err);
	while (err == 1)
		loop_turn(tapdisk_server_loop(kit.server), 0);
	return err;
}

START_TEST(a_log_is_added_kept_and_taken_away)
{
	char path[96];

	snprintf(path, sizeof(path), "%s", kit.changes);
	ck_assert_int_eq(operate(vbd_open, path), 0);
	memset(path, 'x', sizeof(path) - 1); /* the disk has its own copy */
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	expect(0, 8);
	check_bits();

	/* A pause that is withdrawn changes nothing. */
	ck_assert_int_eq(kit_pause(&kit), 0);
	ck_assert_int_eq(kit_resume(&kit), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 500, 8, 1), 0);
	expect(500, 8);
	check_bits();

	/* One that ends without a log ends it. */
	ck_assert_int_eq(kit_pause(&kit), 0);
	ck_assert_int_eq(operate(vbd_resume, NULL), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 1000, 8, 1), 0);
	check_bits();

	/* And one with a log that cannot be used leaves the disk paused, and as it was. */
	ck_assert_int_eq(kit_pause(&kit), 0);
	ck_assert_int_eq(operate(vbd_resume, "/nowhere/log"), -ENOENT);
	ck_assert_int_eq(kit_resume(&kit), 0);
	ck_assert_int_eq(kit_pause(&kit), 0);
	ck_assert_int_eq(operate(vbd_resume, kit.changes), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 2000, 8, 1), 0);
	expect(2000, 8);
	check_bits();
}
END_TEST

START_TEST(a_log_that_cannot_be_used_is_refused)
{
	char params[256];
	int fds = kit_open_fds();

	ck_assert_int_eq(operate(vbd_open, kit.dir), -EINVAL);
	ck_assert_int_eq(operate(vbd_open, "/dev/null"), -EINVAL);
	ck_assert_int_eq(operate(vbd_open, "/nowhere/log"), -ENOENT);
	/* Too short by a byte; of another size; no header at all. */
	ck_assert_int_eq(truncate(kit.changes, CBT_HEADER_BYTES + BLOCKS / 8 - 1), 0);
	ck_assert_int_eq(operate(vbd_open, kit.changes), -EINVAL);
	ck_assert_int_eq(truncate(kit.changes, CBT_HEADER_BYTES + BLOCKS / 8), 0);
	ck_assert_int_eq(truncate(kit.image, SIZE * 2), 0);
	ck_assert_int_eq(operate(vbd_open, kit.changes), -EINVAL);
	ck_assert_int_eq(truncate(kit.image, SIZE / 2), 0);
	ck_assert_int_eq(operate(vbd_open, kit.changes), -EINVAL);
	ck_assert_int_eq(truncate(kit.image, SIZE), 0);
	ck_assert_int_eq(truncate(kit.changes, 0), 0);
	ck_assert_int_eq(operate(vbd_open, kit.changes), -EINVAL);
	/* A filter with nothing below, and one with a name that is neither. */
	snprintf(params, sizeof(params), "log:cbt=%s", kit.changes);
	ck_assert_int_eq(kit_open_name(&kit, params, 0), -EINVAL);
	snprintf(params, sizeof(params), "log:name|aio:%s", kit.image);
	ck_assert_int_eq(kit_open_name(&kit, params, 0), -EINVAL);
	ck_assert_int_eq(kit_open_fds(), fds);
}
END_TEST

/* ---- failures -----------------------------------------------------------------------------------
 */

/* The disk works as if nothing had happened, and nothing is logged any more. */
static void
check_log_is_off(void)
{
	int i;

	for (i = 0; i < 50; i++)
		ck_assert_int_eq(kit_run(&kit, i % 5 ? TD_OP_WRITE : TD_OP_WRITE_ZEROES,
					 kit_random(&kit, KIT_SECTORS - 300),
					 1 + kit_random(&kit, 300), (uint8_t)i),
				 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), 0);
	ck_assert(kit_matches(&kit));
	ck_assert_int_eq(kit_close(&kit), 0);
}

START_TEST(a_file_that_is_cut_off_costs_the_disk_nothing)
{
	static const off_t lengths[] = { 0, 10, CBT_HEADER_BYTES - 1, CBT_HEADER_BYTES,
					 CBT_HEADER_BYTES + BLOCKS / 8 - 1 };
	off_t length = lengths[_i];
	struct stat after;
	uint8_t raw[4];
	int fd;

	set_consistent();
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	ck_assert_int_eq(truncate(kit.changes, length), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 2), 0);
	check_log_is_off();
	/* It does not look like a log that has all changes: it is too short, and says so if it can.
	 */
	ck_assert_int_eq(stat(kit.changes, &after), 0);
	ck_assert_int_eq(after.st_size, length);
	if (length < CBT_HEADER_BYTES)
		return;
	fd = open(kit.changes, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq((int)pread(fd, raw, sizeof(raw), CBT_CONSISTENT_AT), 4);
	close(fd);
	ck_assert_mem_eq(raw, "\0\0\0\0", 4);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_disowned)
{
	set_consistent();
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 500, 8, 1), 0);
	ck_assert(is_consistent());
	file.fail_write = _i ? -1 : 1;
	check_log_is_off();
	ck_assert(!is_consistent());
}
END_TEST

START_TEST(a_file_that_cannot_be_synced_is_disowned)
{
	set_consistent();
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	file.fail_sync = _i ? -1 : 1;
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), 0);
	check_log_is_off();
	ck_assert(!is_consistent());
}
END_TEST

START_TEST(a_sync_that_fails_at_the_end_disowns_the_file)
{
	set_consistent();
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	file.fail_sync = 1;
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert(!is_consistent());
}
END_TEST

START_TEST(an_error_below_is_the_guests)
{
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	kit_control(&kit)->fail_with = -ENOSPC;
	kit_control(&kit)->fail_at = 1;
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), -ENOSPC);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	kit_control(&kit)->fail_with = -EIO;
	kit_control(&kit)->fail_at = 1;
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), -EIO);
}
END_TEST

/* ---- growing ------------------------------------------------------------------------------------
 */

/* What "cbt-util set -s" does, without the new bits. */
static void
grow_file(uint64_t size)
{
	struct cbt_header header;
	int fd = -1;

	ck_assert_int_eq(cbt_open(kit.changes, true, &fd), 0);
	ck_assert_int_eq(cbt_read_header(fd, &header), 0);
	header.size = size;
	ck_assert_int_eq(ftruncate(fd, CBT_HEADER_BYTES + (off_t)cbt_bitmap_bytes(size)), 0);
	ck_assert_int_eq(cbt_write_header(fd, &header), 0);
	close(fd);
}

START_TEST(what_a_disk_grows_by_counts_as_changed)
{
	const uint64_t grown = SIZE * 500; /* more than one page of bits */
	static uint8_t bits[SIZE * 500 / 65536 / 8];
	static uint8_t all[sizeof(bits)];

	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 130, 8, 1), 0);
	grow_file(grown);
	ck_assert_int_eq(truncate(kit.image, (off_t)grown), 0);
	ck_assert_int_eq(vbd_resize(kit.vbd, 0), 0);
	ck_assert_uint_eq(vbd_sectors(kit.vbd), grown >> SECTOR_SHIFT);
	ck_assert_int_eq(kit_probe_far(&kit, (grown >> SECTOR_SHIFT) - 8), 0);
	ck_assert_int_eq(kit_close(&kit), 0);
	memset(all, 0xff, sizeof(all));
	memset(all, 0, BLOCKS / 8);
	all[0] = 2;
	read_bits(bits, sizeof(bits));
	ck_assert_mem_eq(bits, all, sizeof(bits));
}
END_TEST

START_TEST(a_file_that_does_not_grow_is_disowned)
{
	set_consistent();
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(truncate(kit.image, (off_t)SIZE * 2), 0);
	ck_assert_int_eq(vbd_resize(kit.vbd, 0), 0);
	ck_assert_int_eq(kit_probe_far(&kit, KIT_SECTORS + 8), 0);
	check_log_is_off();
	ck_assert(!is_consistent());
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("block-log");
	TCase *logged = tcase_create("logged"), *failing = tcase_create("failing");

	tcase_set_timeout(logged, 600);
	tcase_add_checked_fixture(logged, setup, teardown);
	tcase_add_test(logged, random_changes_agree_with_a_model);
	tcase_add_test(logged, a_bit_is_in_the_file_before_the_change_goes_down);
	tcase_add_test(logged, bits_outlive_a_process_that_is_killed);
	tcase_add_test(logged, a_flush_ends_when_the_bits_are_durable);
	tcase_add_test(logged, the_first_flush_syncs_what_an_earlier_process_left);
	tcase_add_test(logged, closing_makes_the_bits_durable);
	tcase_add_test(logged, reads_set_no_bit);
	tcase_add_test(logged, a_read_only_disk_leaves_the_file_alone);
	tcase_add_test(logged, without_workers_requests_come_again);
	tcase_add_test(logged, a_log_is_added_kept_and_taken_away);
	tcase_add_test(logged, a_log_that_cannot_be_used_is_refused);
	tcase_add_test(logged, what_a_disk_grows_by_counts_as_changed);
	suite_add_tcase(all, logged);
	tcase_add_checked_fixture(failing, setup, teardown);
	tcase_add_loop_test(failing, a_file_that_is_cut_off_costs_the_disk_nothing, 0, 5);
	tcase_add_loop_test(failing, a_file_that_cannot_be_written_is_disowned, 0, 2);
	tcase_add_loop_test(failing, a_file_that_cannot_be_synced_is_disowned, 0, 2);
	tcase_add_test(failing, a_sync_that_fails_at_the_end_disowns_the_file);
	tcase_add_test(failing, an_error_below_is_the_guests);
	tcase_add_test(failing, a_file_that_does_not_grow_is_disowned);
	suite_add_tcase(all, failing);
	return all;
}

int
main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
