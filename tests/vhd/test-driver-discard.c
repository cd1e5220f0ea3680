/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is discarded is in the image no more: its bits, and blocks that have none left.  Their room
 * is used again, by the same run and by later ones; and never while anybody still needs it.
 *
 * VHD_DISCARD_SEED repeats a run, VHD_DISCARD_STEPS makes it longer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "common/io.h"
#include "tests/driver-kit/kit.h"
#include "tests/driver-kit/make-vhd.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/image.h"

#define SPB 256u                   /* sectors of a block */
#define BLOCKS (KIT_SECTORS / SPB) /* 64 */
#define ENTRIES 67u
#define FLIGHT 12

static struct kit kit;
static char conf[96];

/* A cache of bitmaps that does not hold those of all blocks. */
static void
configure(void)
{
	FILE *file;

	snprintf(conf, sizeof(conf), "%s/conf", kit.dir);
	file = fopen(conf, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs("vhd-bitmap-cache = 32\n", file), 0);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(setenv("BLKTAP_CONFIG", conf, 1), 0);
}

static void
begin(bool has_parent)
{
	struct make_vhd how = { .type = VHD_TYPE_DYNAMIC,
				.sectors = KIT_SECTORS,
				.block_size = SPB * 512,
				.entries = ENTRIES,
				.batmap = true };

	kit_choose(&kit, "vhd");
	kit.kind = kit_kind("vhd", has_parent ? 3 : 0);
	kit.seed = (unsigned)kit_number("VHD_DISCARD_SEED", (unsigned long)time(NULL));
	printf("# VHD_DISCARD_SEED=%u\n", kit.seed);
	kit_begin(&kit);
	configure();
	if (!has_parent)
		ck_assert_int_eq(make_vhd(kit.image, &how, NULL), 0);
	kit_control(&kit)->max_delay = 4;
	ck_assert_int_eq(kit_open(&kit, 0), 0);
}

static void
end(void)
{
	if (kit.vbd && vbd_is_open(kit.vbd))
		ck_assert_int_eq(kit_close(&kit), 0);
	unlink(conf);
	kit_end(&kit);
	free(kit.types);
}

static void
run(int op, uint64_t sector, uint64_t sectors, uint8_t fill)
{
	ck_assert_int_eq(kit_run(&kit, op, sector, sectors, fill), 0);
	if (op == TD_OP_DISCARD)
		memset(kit.model + sector * 512, 0, sectors * 512);
}

/* ---- the file -----------------------------------------------------------------------------------
 */

static uint32_t bat[ENTRIES];
static uint8_t bitmap[512];

/* Also: it is sound, and nothing is called full that is not. */
static void
look_at_file(void)
{
	struct vhd_image image;
	struct reason why;
	uint8_t *map = NULL;
	struct io *io;
	uint32_t i;

	ck_assert_int_eq(io_file_open(kit.image, 0, &io), 0);
	ck_assert_msg(vhd_image_read(io, 0, &image, &why) == 0, "%s", why.text);
	ck_assert_uint_eq(image.layout.entries, ENTRIES);
	ck_assert_int_eq(vhd_image_read_bat(io, &image, 0, ENTRIES, bat), 0);
	ck_assert_msg(vhd_image_check_bat(&image, bat, ENTRIES, true, &why) == 0, "%s", why.text);
	if (vhd_image_read_batmap(io, &image, &map, NULL) == 0) {
		for (i = 0; i < ENTRIES; i++) {
			if (!vhd_bits_test(map, i))
				continue;
			ck_assert_uint_ne(bat[i], VHD_BLOCK_UNUSED);
			ck_assert_int_eq(vhd_image_read_bitmap(io, &image, bat[i], bitmap), 0);
			ck_assert(vhd_bits_all(bitmap, 0, SPB));
		}
		free(map);
	}
	if (bat[0] != VHD_BLOCK_UNUSED)
		ck_assert_int_eq(vhd_image_read_bitmap(io, &image, bat[0], bitmap), 0);
	io_close(io);
}

static unsigned
used_blocks(void)
{
	unsigned count = 0, i;

	look_at_file();
	for (i = 0; i < ENTRIES; i++)
		count += bat[i] != VHD_BLOCK_UNUSED;
	return count;
}

static uint64_t
file_bytes(void)
{
	struct stat file;

	ck_assert_int_eq(stat(kit.image, &file), 0);
	return (uint64_t)file.st_size;
}

static void
reopen(void)
{
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_int_eq(kit_open(&kit, 0), 0);
}

/* How many sectors of the disk block status calls data. */
static uint64_t
data_sectors(void)
{
	struct vbd_extents extents = { 0 };
	uint64_t sectors = 0;
	size_t i;

	ck_assert_int_eq(kit_status(&kit, &extents), 0);
	for (i = 0; i < extents.count; i++)
		if (extents.at[i].status == TD_BLOCK_STATE_NONE)
			sectors += extents.at[i].sectors;
	free(extents.at);
	return sectors;
}

/* ---- tests --------------------------------------------------------------------------------------
 */

START_TEST(bits_and_blocks_go)
{
	static const int ops[] = { TD_OP_DISCARD, TD_OP_WRITE_ZEROES };

	begin(false);
	run(TD_OP_WRITE, 0, 8ull * SPB, 1);
	run(TD_OP_FLUSH, 0, 0, 0);
	ck_assert_uint_eq(used_blocks(), 8);
	run(ops[_i], 10, 5, 0);
	run(ops[_i], SPB + 1, 3ull * SPB, 0);
	ck_assert_uint_eq(data_sectors(), 5ull * SPB - 5);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	run(TD_OP_FLUSH, 0, 0, 0);
	ck_assert_uint_eq(used_blocks(), 6);
	ck_assert_uint_eq(vhd_bits_count(bitmap, 0, SPB), SPB - 5);
	ck_assert(vhd_bits_none(bitmap, 10, 5));
	/* The rest of what had only a part left. */
	run(ops[_i], SPB, 1, 0);
	run(ops[_i], 4ull * SPB + 1, SPB - 1, 0);
	run(TD_OP_FLUSH, 0, 0, 0);
	ck_assert_uint_eq(used_blocks(), 4);
	reopen();
	ck_assert_uint_eq(data_sectors(), 4ull * SPB - 5);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	end();
}
END_TEST

/* Full blocks are known as such when the image is opened again; a cut must not bring them back. */
START_TEST(the_batmap_does_not_lie)
{
	begin(false);
	run(TD_OP_WRITE, 0, KIT_SECTORS, 1);
	reopen();
	run(TD_OP_DISCARD, 3ull * SPB, 1, 0);
	run(TD_OP_DISCARD, 5ull * SPB, SPB, 0);
	run(TD_OP_FLUSH, 0, 0, 0);
	ck_assert_uint_eq(used_blocks(), BLOCKS - 1);
	reopen();
	ck_assert_uint_eq(used_blocks(), BLOCKS - 1);
	ck_assert_uint_eq(data_sectors(), KIT_SECTORS - SPB - 1);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	end();
}
END_TEST

START_TEST(a_batmap_that_cannot_be_taken_back_fails_the_discard)
{
	begin(false);
	run(TD_OP_WRITE, 0, KIT_SECTORS, 1);
	reopen();
	kit_control(&kit)->fail_at = 1 + _i;
	kit_control(&kit)->fail_with = -EIO;
	ck_assert_int_eq(kit_run(&kit, TD_OP_DISCARD, 0, SPB, 0), -EIO);
	ck_assert_uint_eq(data_sectors(), KIT_SECTORS);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	run(TD_OP_DISCARD, 0, SPB, 0);
	ck_assert_uint_eq(data_sectors(), KIT_SECTORS - SPB);
	end();
}
END_TEST

/* Everything is discarded and written again, many times: the file does not grow with each. */
START_TEST(room_is_used_again)
{
	int i;

	begin(false);
	for (i = 1; i < 24; i++) {
		run(TD_OP_WRITE, 0, KIT_SECTORS, (uint8_t)i);
		run(TD_OP_FLUSH, 0, 0, 0);
		run(TD_OP_DISCARD, 0, KIT_SECTORS, 0);
		if (i % 3 == 0)
			run(TD_OP_FLUSH, 0, 0, 0);
		if (_i && i % 4 == 0)
			reopen();
	}
	run(TD_OP_WRITE, 0, KIT_SECTORS, 77);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	/* One set of places in use, one that waits, and what the file is made longer by ahead. */
	ck_assert_uint_lt(file_bytes(), 4ull * KIT_SECTORS * 512);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_uint_eq(used_blocks(), BLOCKS);
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	/* All of it goes: so does the file. */
	run(TD_OP_DISCARD, 0, KIT_SECTORS, 0);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_uint_eq(used_blocks(), 0);
	ck_assert_uint_lt(file_bytes(), 65536);
	end();
}
END_TEST

/* Room that an earlier run has left in the middle is found. */
START_TEST(gaps_are_found)
{
	uint64_t before;
	unsigned i;

	begin(false);
	run(TD_OP_WRITE, 0, KIT_SECTORS, 1);
	ck_assert_int_eq(kit_close(&kit), 0);
	before = file_bytes();
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	for (i = 0; i + 1 < BLOCKS; i += 3)
		run(TD_OP_DISCARD, (uint64_t)i * SPB, SPB, 0);
	reopen();
	/* The first one starts the search. */
	for (i = 0; i + 1 < BLOCKS; i += 3)
		run(TD_OP_WRITE, (uint64_t)i * SPB, 8, 2);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_uint_eq(used_blocks(), BLOCKS);
	ck_assert_uint_le(file_bytes(), before + 2ull * (SPB + 8) * 512);
	end();
}
END_TEST

/* Over a parent nothing is given back, or it would be seen again. */
START_TEST(a_parent_stays_hidden)
{
	begin(true);
	run(TD_OP_WRITE, 0, 4ull * SPB, 1);
	run(TD_OP_WRITE_ZEROES, 0, 4ull * SPB, 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_DISCARD, 0, 4ull * SPB, 0), 0);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_uint_ge(data_sectors(), 4ull * SPB);
	end();
}
END_TEST

/*
 * A request is on its way to a block while that is discarded, durably.  Whoever writes to another
 * block next must not get the place.
 */
START_TEST(a_place_waits_for_old_requests)
{
	const int op = _i ? TD_OP_READ : TD_OP_WRITE;
	struct kit_request *slow;
	uint64_t at;

	begin(false);
	kit_control(&kit)->max_delay = 0;
	run(TD_OP_WRITE, 0, SPB, 1);
	run(TD_OP_FLUSH, 0, 0, 0);
	kit_control(&kit)->hold_at = 1;
	kit_control(&kit)->hold_turns = 300;
	slow = kit_submit(&kit, op, 0, SPB, 2);
	run(TD_OP_DISCARD, 0, SPB, 0);
	run(TD_OP_FLUSH, 0, 0, 0);
	run(TD_OP_WRITE, 9ull * SPB, SPB, 3);
	run(TD_OP_FLUSH, 0, 0, 0);
	ck_assert(!slow->ended);
	ck_assert_int_eq(kit_wait(&kit, slow), 0);
	for (at = 0; _i && at < SPB * 512; at++)
		ck_assert(slow->buf[at] == 0 || slow->buf[at] == 1);
	kit_request_free(slow);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	/* Then it is used. */
	run(TD_OP_WRITE, 20ull * SPB, SPB, 4);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_uint_eq(used_blocks(), 2);
	ck_assert_uint_lt(bat[20], bat[9]);
	end();
}
END_TEST

/* ---- everything at once -------------------------------------------------------------------------
 */

/*
 * Requests that cross each other, on few blocks: of each sector it is only known that it shows one
 * of the writes that were under way, or zeroes if something was discarded, or what it had.
 */
static void
cross(bool errors)
{
	struct kit_request *flight[FLIGHT];
	static uint8_t allowed[KIT_SECTORS][256 / 8];
	uint64_t sector[FLIGHT], sectors[FLIGHT], s;
	uint8_t fill[FLIGHT];
	int op[FLIGHT], i, err;

	memset(allowed, 0, sizeof(allowed));
	for (i = 0; i < FLIGHT; i++) {
		static const int ops[] = { TD_OP_WRITE, TD_OP_WRITE, TD_OP_DISCARD,
					   TD_OP_WRITE_ZEROES, TD_OP_READ };
		uint64_t block = kit_random(&kit, 6) * 11 % BLOCKS;

		op[i] = ops[kit_random(&kit, 5)];
		sector[i] = block * SPB + (kit_random(&kit, 2) ? 0 : kit_random(&kit, SPB));
		sectors[i] =
			kit_random(&kit, 2) ? SPB - sector[i] % SPB : 1 + kit_random(&kit, 600);
		if (sectors[i] > KIT_SECTORS - sector[i])
			sectors[i] = KIT_SECTORS - sector[i];
		fill[i] = (uint8_t)(1 + kit_random(&kit, 255));
		if (op[i] == TD_OP_DISCARD || op[i] == TD_OP_WRITE_ZEROES)
			fill[i] = 0;
	}
	if (errors) {
		kit_control(&kit)->fail_at = 1 + (long)kit_random(&kit, 40);
		kit_control(&kit)->fail_with = -EAGAIN;
	}
	for (i = 0; i < FLIGHT; i++)
		flight[i] = kit_submit(&kit, op[i], sector[i], sectors[i], fill[i]);
	for (i = 0; i < FLIGHT; i++) {
		err = kit_wait(&kit, flight[i]);
		ck_assert_msg(!err, "request %d: %s", i, strerror(-err));
		for (s = sector[i]; s < sector[i] + sectors[i] && op[i] != TD_OP_READ; s++)
			allowed[s][fill[i] / 8] |= (uint8_t)(1 << fill[i] % 8);
		kit_request_free(flight[i]);
	}
	kit_control(&kit)->fail_at = 0;
	flight[0] = kit_submit(&kit, TD_OP_READ, 0, KIT_SECTORS, 0);
	ck_assert_int_eq(kit_wait(&kit, flight[0]), 0);
	for (s = 0; s < KIT_SECTORS; s++) {
		const uint8_t *now = flight[0]->buf + s * 512, *was = kit.model + s * 512;
		int writes = 0;

		ck_assert_msg(memcmp(now, now + 1, 511) == 0, "sector %u is torn", (unsigned)s);
		for (i = 0; i < FLIGHT; i++)
			writes += op[i] != TD_OP_READ && op[i] != TD_OP_DISCARD && s >= sector[i] &&
				  s - sector[i] < sectors[i];
		ck_assert_msg(allowed[s][*now / 8] & 1 << *now % 8 || (!writes && *now == *was),
			      "sector %u shows %u, and had %u", (unsigned)s, *now, *was);
	}
	memcpy(kit.model, flight[0]->buf, (size_t)KIT_SECTORS * 512);
	kit_request_free(flight[0]);
}

/* 0: all goes well; 1: operations fail now and then, and are tried again. */
START_TEST(requests_may_cross)
{
	unsigned long steps = kit_number("VHD_DISCARD_STEPS", 40), step;

	begin(false);
	/* Long enough for a place to be given away while something is still under way to it. */
	kit_control(&kit)->max_delay = 30;
	for (step = 0; step < steps; step++) {
		cross(_i);
		if (kit_random(&kit, 3) == 0)
			run(TD_OP_FLUSH, 0, 0, 0);
		if (kit_random(&kit, 20) == 0)
			reopen();
		if (kit_random(&kit, 10) == 0)
			look_at_file();
		/* What crosses a discard may be anywhere in between, but it stays there. */
		ck_assert_msg(kit_matches(&kit), "step %lu: %s", step, kit.why);
	}
	reopen();
	ck_assert_msg(kit_matches(&kit), "opened again: %s", kit.why);
	look_at_file();
	end();
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("discard");
	Suite *suite = suite_create("vhd discard");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, bits_and_blocks_go, 0, 2);
	tcase_add_test(tcase, the_batmap_does_not_lie);
	tcase_add_loop_test(tcase, a_batmap_that_cannot_be_taken_back_fails_the_discard, 0, 3);
	tcase_add_loop_test(tcase, room_is_used_again, 0, 2);
	tcase_add_test(tcase, gaps_are_found);
	tcase_add_test(tcase, a_parent_stays_hidden);
	tcase_add_loop_test(tcase, a_place_waits_for_old_requests, 0, 2);
	tcase_add_loop_test(tcase, requests_may_cross, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
