/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images in memory: which footer is trusted, what is refused, and what is left when I/O fails.
 *
 * SEED=n repeats a random run.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "tests/vhd/memory-io.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/context.h"
#include "vhd/lib/create.h"
#include "vhd/lib/header.h"
#include "vhd/lib/journal.h"
#include "vhd/lib/resize.h"

#define MIB (1ull << 20)
#define SIZE (16 * MIB)
#define SECTORS (SIZE / 512)

static struct memory_disk disk;
static vhd_context_t vhd;

static void
make(int type, bool is_device)
{
	struct vhd_plan plan = { .type = type, .bytes = SIZE, .parent = "./parent.vhd" };
	struct io *io;

	disk.is_device = is_device;
	if (is_device)
		memory_disk_resize(&disk, 40 * MIB);
	io = memory_io(&disk);
	ck_assert_int_eq(vhd_plan_write(&plan, io, NULL), 0);
	io_close(io);
}

static int
open_flags(int flags)
{
	return vhd_open_io(&vhd, memory_io(&disk), "memory", flags, NULL);
}

static void
teardown(void)
{
	if (vhd.priv)
		vhd_close(&vhd);
	memory_disk_free(&disk);
}

static void
write_byte(uint64_t sector, int value)
{
	uint8_t data[512];

	memset(data, value, sizeof(data));
	ck_assert_int_eq(vhd_io_write(&vhd, data, sector, 1), 0);
}

static int
byte_at(uint64_t sector)
{
	uint8_t data[512];

	ck_assert_int_eq(vhd_io_read(&vhd, data, sector, 1), 0);
	ck_assert_mem_eq(data, data + 1, 511);
	return data[0];
}

static void
reopen(void)
{
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
}

/* Change a footer or header, with a good checksum. */
static void
edit_footers(void (*edit)(vhd_footer_t *))
{
	vhd_footer_t footer;
	uint8_t *copy = disk.at, *trailing = disk.at + disk.bytes - 512;

	ck_assert_int_eq(vhd_footer_decode(trailing, &footer, NULL), 0);
	edit(&footer);
	vhd_footer_encode(&footer, trailing);
	if (vhd_footer_is_dynamic(&footer))
		memcpy(copy, trailing, 512);
}

/* ---- life ---------------------------------------------------------------------------------------
 */

START_TEST(what_is_written_is_read_again)
{
	make(_i ? VHD_TYPE_FIXED : VHD_TYPE_DYNAMIC, false);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(byte_at(5), 0);
	write_byte(5, 0x55);
	write_byte(SECTORS - 1, 0x77);
	ck_assert_int_eq(byte_at(5), 0x55);
	reopen();
	ck_assert_int_eq(byte_at(5), 0x55);
	ck_assert_int_eq(byte_at(6), 0);
	ck_assert_int_eq(byte_at(SECTORS - 1), 0x77);
	ck_assert_int_eq(vhd_io_write(&vhd, "", SECTORS, 1), -ERANGE);
	ck_assert_int_eq(vhd_io_read(&vhd, (char[512]){ 0 }, UINT64_MAX, 2), -ERANGE);
	ck_assert_uint_eq(disk.bytes % 512, 0);
}
END_TEST

START_TEST(a_full_block_is_in_the_batmap_after_closing)
{
	static const uint8_t block[2 * MIB];

	make(VHD_TYPE_DYNAMIC, false);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(vhd_io_write(&vhd, block, 4096, 4096), 0);
	write_byte(0, 1);
	reopen();
	ck_assert_int_eq(vhd_get_batmap(&vhd), 0);
	ck_assert_int_eq(vhd_batmap_test(&vhd, &vhd.batmap, 1), 1);
	ck_assert_int_eq(vhd_batmap_test(&vhd, &vhd.batmap, 0), 0);
	ck_assert_int_eq(vhd_batmap_test(&vhd, &vhd.batmap, 0xFFFFFFFF), 0);
}
END_TEST

START_TEST(nothing_is_written_by_a_look)
{
	struct memory_disk before = { .at = NULL };

	make(VHD_TYPE_DYNAMIC, false);
	memory_disk_copy(&before, &disk);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(byte_at(0), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_uint_eq(before.bytes, disk.bytes);
	ck_assert_mem_eq(before.at, disk.at, disk.bytes);
	memory_disk_free(&before);
}
END_TEST

START_TEST(who_opens_for_reading_cannot_write)
{
	make(VHD_TYPE_DYNAMIC, false);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), 0);
	ck_assert_int_eq(vhd_io_write(&vhd, (char[512]){ 1 }, 0, 1), -EROFS);
	ck_assert_int_eq(vhd_set_hidden(&vhd, 1), -EROFS);
}
END_TEST

/* ---- which footer -------------------------------------------------------------------------------
 */

START_TEST(a_lost_trailing_footer_comes_from_its_copy)
{
	make(VHD_TYPE_DYNAMIC, false);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	write_byte(0, 9);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	if (_i == 0)
		memset(disk.at + disk.bytes - 512, 0, 512);
	else if (_i == 1)
		memory_disk_resize(&disk, disk.bytes - 512);
	else
		memory_disk_resize(&disk, disk.bytes + 1024);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR | VHD_OPEN_STRICT), -EINVAL);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), 0);
	ck_assert_int_eq(byte_at(0), 9);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(byte_at(0), 9);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR | VHD_OPEN_STRICT), 0);
	ck_assert_int_eq(byte_at(0), 9);
}
END_TEST

START_TEST(a_short_footer_becomes_a_whole_one)
{
	make(VHD_TYPE_DYNAMIC, false);
	memory_disk_resize(&disk, disk.bytes - 1);
	memset(disk.at, 0, 512);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), 0);
	ck_assert_int_eq(byte_at(0), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_uint_eq(disk.bytes % 512, 0);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR | VHD_OPEN_STRICT), 0);
}
END_TEST

/* Its guest can write whatever it likes there. */
START_TEST(the_start_of_a_fixed_disk_says_nothing)
{
	struct memory_disk dynamic = { .at = NULL };

	make(VHD_TYPE_DYNAMIC, false);
	memory_disk_copy(&dynamic, &disk);
	memory_disk_free(&disk);
	make(VHD_TYPE_FIXED, false);
	memcpy(disk.at, dynamic.at, dynamic.bytes);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), 0);
	ck_assert_uint_eq(vhd.footer.type, VHD_TYPE_FIXED);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	/* Not even when the real footer is lost: then there is no image at all. */
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY | VHD_OPEN_USE_BKP_FOOTER), 0);
	ck_assert_uint_eq(vhd.footer.type, VHD_TYPE_FIXED);
	memory_disk_free(&dynamic);
}
END_TEST

static void
poison(vhd_footer_t *footer)
{
	memcpy(footer->cookie, VHD_POISON_COOKIE, 8);
}

START_TEST(a_poisoned_image_is_only_looked_at)
{
	make(VHD_TYPE_DYNAMIC, false);
	edit_footers(poison);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), -EINVAL);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), -EINVAL);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY | VHD_OPEN_IGNORE_DISABLED), 0);
	ck_assert_int_eq(vhd_disabled(&vhd), 1);
	ck_assert_int_eq(vhd_io_read(&vhd, (char[512]){ 0 }, 0, 1), -EBUSY);
}
END_TEST

/* ---- the BAT, hostile ---------------------------------------------------------------------------
 */

static const uint32_t wild_entries[] = { 0, 1, 2, 3, 100000, 0x7FFFFFFF, 0xFFFFFFFE };

START_TEST(wild_entries_of_the_bat_are_refused)
{
	make(VHD_TYPE_DYNAMIC, false);
	put_be32(disk.at + 1536, wild_entries[_i]);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), 0);
	ck_assert_int_eq(vhd_io_read(&vhd, (char[512]){ 0 }, 0, 1), -EINVAL);
	ck_assert_str_ne(vhd_error(&vhd), "");
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(vhd_io_write(&vhd, (char[512]){ 0 }, 5000, 1), -EINVAL);
}
END_TEST

START_TEST(two_entries_for_one_block_are_refused_for_writing)
{
	make(VHD_TYPE_DYNAMIC, false);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	write_byte(0, 1);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	memcpy(disk.at + 1540, disk.at + 1536, 4);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(vhd_io_write(&vhd, (char[512]){ 0 }, 0, 1), -EINVAL);
}
END_TEST

static void
huge(vhd_footer_t *footer)
{
	footer->current_size = 2041 * (MIB << 10);
}

static void
too_large_for_its_bat(vhd_footer_t *footer)
{
	footer->current_size = SIZE + 2 * MIB;
}

START_TEST(sizes_that_cannot_be_are_refused)
{
	make(VHD_TYPE_DYNAMIC, false);
	edit_footers(_i ? huge : too_large_for_its_bat);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), -EINVAL);
}
END_TEST

START_TEST(what_is_no_image_is_refused)
{
	memory_disk_resize(&disk, (size_t)_i);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY), -EINVAL);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDONLY | VHD_OPEN_FAST), -EINVAL);
}
END_TEST

START_TEST(a_damaged_batmap_costs_nothing_but_time)
{
	make(VHD_TYPE_DYNAMIC, false);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	write_byte(3, 3);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	/* All bits, with the checksum of none. */
	memset(disk.at + 2048 + 512, 0xFF, 512);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(byte_at(3), 3);
	ck_assert_int_eq(byte_at(4), 0);
	ck_assert_int_eq(byte_at(4096), 0);
}
END_TEST

/* ---- when I/O fails -----------------------------------------------------------------------------
 */

static void
write_many(bool *failed)
{
	uint8_t data[1024];
	unsigned i;

	for (i = 0; i < 6 && !*failed; i++) {
		memset(data, (int)i + 1, sizeof(data));
		*failed = vhd_io_write(&vhd, data, i * 4000, 2) || (i == 3 && vhd_sync(&vhd));
	}
}

/* What was there before is there afterwards, and what is there is either old or new. */
static void
check_many(void)
{
	unsigned i;

	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(byte_at(30000), 0xEE);
	for (i = 0; i < 6; i++)
		ck_assert(byte_at(i * 4000) == (int)i + 1 || byte_at(i * 4000) == 0);
	ck_assert_int_eq(vhd_get_bat(&vhd), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
}

START_TEST(any_call_may_fail_while_blocks_are_allocated)
{
	struct memory_disk before = { .at = NULL };
	bool failed = true;
	unsigned n;

	make(VHD_TYPE_DYNAMIC, _i & 1);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	write_byte(30000, 0xEE);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	memory_disk_copy(&before, &disk);
	for (n = 1; failed; n++) {
		memory_disk_copy(&disk, &before);
		disk.calls = 0;
		disk.fail_at = n;
		disk.stays_down = _i & 2;
		failed = open_flags(VHD_OPEN_RDWR) != 0;
		if (!failed)
			write_many(&failed);
		if (vhd.priv)
			failed |= vhd_close(&vhd) != 0;
		failed |= disk.calls >= n;
		disk.fail_at = 0;
		check_many();
	}
	ck_assert_uint_gt(n, 20);
	memory_disk_free(&before);
}
END_TEST

START_TEST(any_call_may_fail_while_an_image_is_made)
{
	struct vhd_plan plan = { .type = VHD_TYPE_DYNAMIC, .bytes = SIZE };
	unsigned n;
	int err = -EIO;

	for (n = 1; err; n++) {
		struct io *io;

		memory_disk_free(&disk);
		disk.fail_at = n;
		io = memory_io(&disk);
		err = vhd_plan_write(&plan, io, NULL);
		io_close(io);
		ck_assert(err == 0 || err == -EIO);
		disk.fail_at = 0;
		if (err && !open_flags(VHD_OPEN_RDONLY)) {
			/* Then all of it was there already. */
			ck_assert_int_eq(byte_at(0), 0);
			vhd_close(&vhd);
		}
	}
	ck_assert_uint_gt(n, 6);
}
END_TEST

/* ---- sizes --------------------------------------------------------------------------------------
 */

START_TEST(a_prepared_image_grows_at_once)
{
	struct vhd_plan plan = { .type = VHD_TYPE_DYNAMIC, .bytes = SIZE, .max_bytes = 2 * SIZE };
	struct io *io = memory_io(&disk);
	uint64_t most;

	ck_assert_int_eq(vhd_plan_write(&plan, io, NULL), 0);
	io_close(io);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	write_byte(SECTORS - 1, 4);
	ck_assert_int_eq(vhd_max_virt_size(&vhd, &most), 0);
	ck_assert_uint_eq(most, 2 * SIZE);
	ck_assert_int_eq(vhd_set_virt_size(&vhd, most + 512), -ENOSPC);
	ck_assert_int_eq(vhd_set_virt_size(&vhd, most), 0);
	write_byte(2 * SECTORS - 1, 5);
	reopen();
	ck_assert_int_eq(byte_at(SECTORS - 1), 4);
	ck_assert_int_eq(byte_at(2 * SECTORS - 1), 5);
	ck_assert_uint_eq(vhd.footer.geometry, vhd_chs(2 * SIZE));
}
END_TEST

/* A journal that is cut off anywhere, and an image that is: going back, or forward, but whole. */
static int
resize_cut_at(struct memory_disk *journal_disk, unsigned n, uint64_t bytes)
{
	struct vhd_resize what = { .bytes = bytes };
	vhd_journal_t journal;
	int err;

	err = open_flags(VHD_OPEN_RDWR);
	if (err)
		return err;
	disk.calls = journal_disk->calls = 0;
	disk.stays_down = journal_disk->stays_down = true;
	*(n & 1 ? &disk.fail_at : &journal_disk->fail_at) = n / 2 + 1;
	err = vhd_journal_create_io(&journal, &vhd, memory_io(journal_disk), "journal", NULL);
	memset(&vhd, 0, sizeof(vhd));
	if (!err) {
		err = vhd_resize_journaled(&journal, &what);
		/* A process that died writes nothing more. */
		journal.vhd.oflags = VHD_OPEN_RDONLY;
		vhd_journal_close(&journal);
	}
	disk.fail_at = journal_disk->fail_at = 0;
	return err;
}

static void
take_back(struct memory_disk *journal_disk)
{
	vhd_journal_t journal;

	if (vhd_journal_open_io(&journal, memory_io(&disk), "memory", memory_io(journal_disk),
				"journal", NULL))
		return;
	if (journal_disk->bytes > 512)
		ck_assert_int_eq(vhd_journal_revert(&journal), 0);
	vhd_journal_close(&journal);
}

static void
check_resized(uint64_t before, uint64_t after, bool done)
{
	uint64_t size;

	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	size = vhd.footer.current_size;
	ck_assert(size == before || size == after);
	ck_assert(!done || size == after);
	ck_assert_int_eq(byte_at(0), 0x10);
	ck_assert_int_eq(byte_at(5000), 0x11);
	ck_assert_int_eq(byte_at(9000), 0);
	ck_assert_int_eq(byte_at(20000), 0x12);
	if (size > before)
		ck_assert_int_eq(byte_at(size / 512 - 1), 0);
	ck_assert_int_eq(vhd_get_batmap(&vhd), vhd_type_dynamic(&vhd) ? 0 : -ENOENT);
	ck_assert_int_eq(vhd_close(&vhd), 0);
}

/* 20 GiB need a BAT of 40 KiB, over the first block. */
static const struct {
	int type;
	bool is_device;
	uint64_t bytes;
} resizes[] = {
	{ VHD_TYPE_DYNAMIC, false, 20ull << 30 },  { VHD_TYPE_DYNAMIC, false, SIZE + 4 * MIB },
	{ VHD_TYPE_DYNAMIC, true, 20ull << 30 },   { VHD_TYPE_FIXED, false, SIZE + 2 * MIB },
	{ VHD_TYPE_FIXED, false, SIZE - 2 * MIB },
};

START_TEST(a_resize_may_be_cut_anywhere)
{
	struct memory_disk before = { .at = NULL }, journal = { .at = NULL };
	uint64_t bytes = resizes[_i].bytes;
	unsigned n, in_a_row = 0;
	int err;

	make(resizes[_i].type, resizes[_i].is_device);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	write_byte(0, 0x10);
	write_byte(5000, 0x11);
	write_byte(20000, 0x12);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	memory_disk_copy(&before, &disk);
	for (n = 0; in_a_row < 2; n++) {
		memory_disk_copy(&disk, &before);
		err = resize_cut_at(&journal, n, bytes);
		in_a_row = err ? 0 : in_a_row + 1;
		if (err)
			take_back(&journal);
		check_resized(SIZE, bytes, !err);
		memory_disk_free(&journal);
	}
	ck_assert_uint_gt(n, 12);
	memory_disk_free(&before);
}
END_TEST

START_TEST(a_dynamic_image_does_not_shrink)
{
	struct memory_disk journal = { .at = NULL };

	make(VHD_TYPE_DYNAMIC, false);
	ck_assert_int_eq(resize_cut_at(&journal, 1000000, SIZE - 2 * MIB), -ENOSYS);
	take_back(&journal);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	memory_disk_free(&journal);
}
END_TEST

/* ---- at random ----------------------------------------------------------------------------------
 */

static unsigned
seed_of_run(void)
{
	const char *text = getenv("SEED");
	unsigned seed = text ? (unsigned)strtoul(text, NULL, 10)
			     : (unsigned)time(NULL) ^ (unsigned)getpid();

	printf("# SEED=%u\n", seed);
	return seed;
}

START_TEST(random_writes_agree_with_a_model)
{
	uint8_t *model = calloc(1, SIZE), *data = malloc(8192 * 512);
	unsigned i, steps = 400;

	srandom(seed_of_run());
	make(VHD_TYPE_DYNAMIC, _i);
	ck_assert_int_eq(open_flags(VHD_OPEN_RDWR), 0);
	for (i = 0; i < steps; i++) {
		uint32_t sector = (uint32_t)random() % SECTORS, most = SECTORS - sector;
		uint32_t count = 1 + (uint32_t)random() % (random() % 8 ? 16 : 8191);

		count = count < most ? count : most;
		memset(data, (int)random(), (size_t)count * 512);
		if (random() % 3) {
			ck_assert_int_eq(vhd_io_write(&vhd, data, sector, count), 0);
			memcpy(model + sector * 512ull, data, count * 512ull);
		} else {
			ck_assert_int_eq(vhd_io_read(&vhd, data, sector, count), 0);
			ck_assert_mem_eq(data, model + sector * 512ull, count * 512ull);
		}
		if (random() % 40 == 0)
			reopen();
		else if (random() % 20 == 0)
			ck_assert_int_eq(vhd_sync(&vhd), 0);
	}
	for (i = 0; i < SECTORS; i += 4096) {
		ck_assert_int_eq(vhd_io_read(&vhd, data, i, 4096), 0);
		ck_assert_mem_eq(data, model + i * 512ull, 4096 * 512);
	}
	free(model);
	free(data);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vhd-image");
	TCase *tests = tcase_create("image");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, what_is_written_is_read_again, 0, 2);
	tcase_add_test(tests, a_full_block_is_in_the_batmap_after_closing);
	tcase_add_test(tests, nothing_is_written_by_a_look);
	tcase_add_test(tests, who_opens_for_reading_cannot_write);
	tcase_add_loop_test(tests, a_lost_trailing_footer_comes_from_its_copy, 0, 3);
	tcase_add_test(tests, a_short_footer_becomes_a_whole_one);
	tcase_add_test(tests, the_start_of_a_fixed_disk_says_nothing);
	tcase_add_test(tests, a_poisoned_image_is_only_looked_at);
	tcase_add_loop_test(tests, wild_entries_of_the_bat_are_refused, 0,
			    sizeof(wild_entries) / sizeof(wild_entries[0]));
	tcase_add_test(tests, two_entries_for_one_block_are_refused_for_writing);
	tcase_add_loop_test(tests, sizes_that_cannot_be_are_refused, 0, 2);
	tcase_add_loop_test(tests, what_is_no_image_is_refused, 0, 2);
	tcase_add_loop_test(tests, what_is_no_image_is_refused, 511, 513);
	tcase_add_loop_test(tests, what_is_no_image_is_refused, 4096, 4097);
	tcase_add_test(tests, a_damaged_batmap_costs_nothing_but_time);
	tcase_add_loop_test(tests, any_call_may_fail_while_blocks_are_allocated, 0, 4);
	tcase_add_test(tests, any_call_may_fail_while_an_image_is_made);
	tcase_add_test(tests, a_prepared_image_grows_at_once);
	tcase_add_loop_test(tests, a_resize_may_be_cut_anywhere, 0,
			    sizeof(resizes) / sizeof(resizes[0]));
	tcase_add_test(tests, a_dynamic_image_does_not_shrink);
	tcase_add_loop_test(tests, random_writes_agree_with_a_model, 0, 2);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
