/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The structures of the format, as bytes.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/header.h"
#include "vhd/lib/journal-entry.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/locator.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static vhd_footer_t
good_footer(void)
{
	vhd_footer_t footer = {
		.cookie = { 'c', 'o', 'n', 'e', 'c', 't', 'i', 'x' },
		.features = 2,
		.format_version = 0x10000,
		.data_offset = 512,
		.timestamp = 0x12345678,
		.creator = { 't', 'a', 'p', 0 },
		.creator_version = 0x10003,
		.original_size = 64 * MIB,
		.current_size = 64 * MIB,
		.geometry = 0x01234567,
		.type = 3,
		.uuid = { { 1, 2, 3, 4 } },
	};

	return footer;
}

/* ---- footer -------------------------------------------------------------------------------------
 */

START_TEST(a_footer_comes_back_as_it_was)
{
	vhd_footer_t footer = good_footer(), back;
	uint8_t raw[512];

	footer.reserved[425] = 7;
	vhd_footer_encode(&footer, raw);
	ck_assert_int_eq(vhd_footer_decode(raw, &back, NULL), 0);
	ck_assert_mem_eq(&footer, &back, sizeof(back));
	ck_assert_uint_eq(get_be64(raw + 16), 512);
	ck_assert_uint_eq(get_be32(raw + 60), 3);
}
END_TEST

START_TEST(any_byte_that_flips_is_seen)
{
	vhd_footer_t footer = good_footer(), back;
	uint8_t raw[512];
	unsigned i;

	vhd_footer_encode(&footer, raw);
	for (i = 0; i < sizeof(raw); i++) {
		raw[i] ^= 0x10;
		ck_assert_int_eq(vhd_footer_decode(raw, &back, NULL), -EINVAL);
		raw[i] ^= 0x10;
	}
}
END_TEST

/* Some writers of version 1.1 set the flag without a new checksum. */
START_TEST(an_old_hidden_flag_need_not_be_in_the_checksum)
{
	vhd_footer_t footer = good_footer(), back;
	uint8_t raw[512];

	footer.creator_version = 0x10001;
	vhd_footer_encode(&footer, raw);
	raw[85] = 1;
	ck_assert_int_eq(vhd_footer_decode(raw, &back, NULL), 0);
	ck_assert_uint_eq(back.hidden, 1);
	footer.creator_version = 0x10003;
	vhd_footer_encode(&footer, raw);
	raw[85] = 1;
	ck_assert_int_eq(vhd_footer_decode(raw, &back, NULL), -EINVAL);
}
END_TEST

static int
check_changed(uint32_t type, uint64_t size, const char *creator, uint32_t version)
{
	vhd_footer_t footer = good_footer();

	footer.type = type;
	footer.current_size = size;
	memcpy(footer.creator, creator, 4);
	footer.creator_version = version;
	return vhd_footer_check(&footer, NULL);
}

START_TEST(a_footer_that_cannot_be_worked_with_is_refused)
{
	uint32_t type;

	ck_assert_int_eq(check_changed(3, MIB, "tap\0", 0x10003), 0);
	for (type = 0; type < 10; type++)
		ck_assert_int_eq(check_changed(type, MIB, "tap\0", 0x10003),
				 type >= 2 && type <= 4 ? 0 : -EINVAL);
	ck_assert_int_eq(check_changed(3, 0, "tap\0", 0x10003), -EINVAL);
	ck_assert_int_eq(check_changed(3, 511, "tap\0", 0x10003), -EINVAL);
	ck_assert_int_eq(check_changed(3, 2040 * GIB, "tap\0", 0x10003), 0);
	ck_assert_int_eq(check_changed(3, 2040 * GIB + 512, "tap\0", 0x10003), -EINVAL);
	ck_assert_int_eq(check_changed(3, UINT64_MAX, "tap\0", 0x10003), -EINVAL);
	ck_assert_int_eq(check_changed(3, MIB, "tap\0", 0x1), -EINVAL);
	ck_assert_int_eq(check_changed(3, MIB, "tap\0", 0x10004), -EINVAL);
	ck_assert_int_eq(check_changed(3, MIB, "who?", 0x90004), 0);
}
END_TEST

static int
chosen(vhd_footer_t *trailing, vhd_footer_t *copy, enum vhd_footer_state *state,
       const vhd_footer_t **footer)
{
	struct vhd_footers both = { .trailing = trailing, .copy = copy };

	return vhd_footer_choose(&both, footer, state, NULL);
}

START_TEST(the_trailing_footer_counts_while_it_is_valid)
{
	vhd_footer_t trailing = good_footer(), copy = good_footer();
	const vhd_footer_t *footer;
	enum vhd_footer_state state;

	ck_assert_int_eq(chosen(&trailing, &copy, &state, &footer), 0);
	ck_assert_ptr_eq(footer, &trailing);
	ck_assert_int_eq(state, VHD_FOOTERS_GOOD);
	ck_assert_int_eq(chosen(NULL, &copy, &state, &footer), 0);
	ck_assert_ptr_eq(footer, &copy);
	ck_assert_int_eq(state, VHD_FOOTERS_RECOVERED);
	ck_assert_int_eq(chosen(&trailing, NULL, &state, &footer), 0);
	ck_assert_int_eq(state, VHD_FOOTERS_COPY_LOST);
	copy.hidden = 1;
	ck_assert_int_eq(chosen(&trailing, &copy, &state, &footer), 0);
	ck_assert_ptr_eq(footer, &trailing);
	ck_assert_int_eq(state, VHD_FOOTERS_DIFFER);
	copy.data_offset = 1024;
	ck_assert_int_eq(chosen(&trailing, &copy, &state, &footer), 0);
	ck_assert_int_eq(state, VHD_FOOTERS_CONFLICT);
	copy.type = VHD_TYPE_FIXED;
	ck_assert_int_eq(chosen(NULL, &copy, &state, &footer), -EINVAL);
	ck_assert_int_eq(chosen(NULL, NULL, &state, &footer), -EINVAL);
}
END_TEST

/* ---- header -------------------------------------------------------------------------------------
 */

static vhd_header_t
good_header(void)
{
	vhd_header_t header = {
		.cookie = { 'c', 'x', 's', 'p', 'a', 'r', 's', 'e' },
		.data_offset = VHD_NO_OFFSET,
		.table_offset = 1536,
		.header_version = 0x10000,
		.max_table_entries = 32,
		.block_size = VHD_BLOCK_SIZE,
	};

	return header;
}

START_TEST(a_header_comes_back_and_its_bytes_are_guarded)
{
	vhd_header_t header = good_header(), back;
	uint8_t raw[1024];
	unsigned i;

	header.locator[7].data_offset = 0x123456789Aull;
	vhd_header_encode(&header, raw);
	ck_assert_int_eq(vhd_header_decode(raw, &back, NULL), 0);
	ck_assert_mem_eq(&header, &back, sizeof(back));
	for (i = 0; i < sizeof(raw); i++) {
		raw[i] ^= 1;
		ck_assert_int_eq(vhd_header_decode(raw, &back, NULL), -EINVAL);
		raw[i] ^= 1;
	}
}
END_TEST

static int
header_with(uint64_t table_offset, uint32_t entries, uint32_t block_size, uint64_t file_bytes)
{
	vhd_header_t header = good_header();
	vhd_footer_t footer = good_footer();

	header.table_offset = table_offset;
	header.max_table_entries = entries;
	header.block_size = block_size;
	return vhd_header_check(&header, &footer, file_bytes, NULL);
}

START_TEST(a_header_that_cannot_be_worked_with_is_refused)
{
	uint64_t file = 100 * MIB;

	ck_assert_int_eq(header_with(1536, 32, VHD_BLOCK_SIZE, file), 0);
	ck_assert_int_eq(header_with(1536, 31, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(1537, 32, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(0, 32, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(512, 32, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(1024, 32, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(file, 32, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(0xFFFFFFFFFFFFFE00ull, 32, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(1536, 0x40000001, VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(1536, 0xFFFFFFFF, VHD_BLOCK_SIZE, INT64_MAX), -EINVAL);
	ck_assert_int_eq(header_with(1536, 32, 0, file), -EINVAL);
	ck_assert_int_eq(header_with(1536, 32, 3 * VHD_BLOCK_SIZE, file), -EINVAL);
	ck_assert_int_eq(header_with(1536, 32, 0x80000000, file), -EINVAL);
	ck_assert_int_eq(header_with(1536, 32, 512, file), -EINVAL);
	ck_assert_int_eq(vhd_header_check_offset(512, 4096, NULL), 0);
	ck_assert_int_eq(vhd_header_check_offset(0, 4096, NULL), -EINVAL);
	ck_assert_int_eq(vhd_header_check_offset(513, 4096, NULL), -EINVAL);
	ck_assert_int_eq(vhd_header_check_offset(3584, 4096, NULL), -EINVAL);
	ck_assert_int_eq(vhd_header_check_offset(0xFFFFFFFFFFFFFE00ull, 4096, NULL), -EINVAL);
}
END_TEST

/* ---- blocks -------------------------------------------------------------------------------------
 */

static struct vhd_layout
good_layout(void)
{
	vhd_header_t header = good_header();
	struct vhd_layout layout;

	vhd_layout_init(&layout, 512, &header);
	layout.blocks_end = 100 * MIB;
	return layout;
}

START_TEST(blocks_are_placed_so_that_data_begin_on_pages)
{
	struct vhd_layout layout = good_layout();
	uint32_t entry;

	ck_assert_int_eq(vhd_layout_place(&layout, 2048, UINT64_MAX, &entry), 0);
	ck_assert_uint_eq(entry, 7);
	ck_assert_int_eq(vhd_layout_place(&layout, 7 * 512, UINT64_MAX, &entry), 0);
	ck_assert_uint_eq(entry, 7);
	ck_assert_int_eq(vhd_layout_place(&layout, 7 * 512 + 1, UINT64_MAX, &entry), 0);
	ck_assert_uint_eq(entry, 15);
	ck_assert_int_eq(vhd_layout_place(&layout, 2048, 8 * 512 + 2 * MIB, &entry), 0);
	ck_assert_int_eq(vhd_layout_place(&layout, 2048, 8 * 512 + 2 * MIB - 1, &entry), -ENOSPC);
	ck_assert_int_eq(vhd_layout_place(&layout, 0xFFFFFFFFull * 512, UINT64_MAX, &entry),
			 -ENOSPC);
	ck_assert_int_eq(vhd_layout_place(&layout, UINT64_MAX, UINT64_MAX, &entry), -ENOSPC);
}
END_TEST

START_TEST(entries_must_be_where_blocks_may_be)
{
	struct vhd_layout layout = good_layout();
	uint32_t last = (uint32_t)(layout.blocks_end / 512) - layout.block_secs;

	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, 4, false, NULL), 0);
	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, 3, false, NULL), -EINVAL);
	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, 0, false, NULL), -EINVAL);
	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, 1, false, NULL), -EINVAL);
	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, last, false, NULL), 0);
	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, last + 1, false, NULL), -EINVAL);
	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, last + 1, true, NULL), 0);
	ck_assert_int_eq(vhd_layout_check_entry(&layout, 0, 0xFFFFFFFE, true, NULL), -EINVAL);
}
END_TEST

START_TEST(no_two_blocks_may_share_a_sector)
{
	struct vhd_layout layout = good_layout();
	uint32_t step = layout.block_secs;
	uint32_t bat[4] = { 7 + 2 * step, VHD_BLOCK_UNUSED, 7, 7 + step };

	ck_assert_int_eq(vhd_layout_check_overlap(&layout, bat, 4, NULL), 0);
	ck_assert_uint_eq(vhd_layout_end_of_data(&layout, bat, 4), (7 + 3ull * step) * 512);
	bat[3]--;
	ck_assert_int_eq(vhd_layout_check_overlap(&layout, bat, 4, NULL), -EINVAL);
	bat[3] = 7;
	ck_assert_int_eq(vhd_layout_check_overlap(&layout, bat, 4, NULL), -EINVAL);
}
END_TEST

/* ---- batmap -------------------------------------------------------------------------------------
 */

/* 4097 blocks of 2 MiB need 513 bytes of map, but the checksum is of 512. */
START_TEST(bits_behind_the_checksum_do_not_count)
{
	vhd_batmap_header_t header = { .batmap_size = 2, .version = VHD_BATMAP_VERSION };

	ck_assert_uint_eq(vhd_batmap_summed_bytes(4097 * 2 * MIB), 512);
	ck_assert_uint_eq(vhd_batmap_trusted_bits(&header, 4097 * 2 * MIB, 4097), 4096);
	ck_assert_uint_eq(vhd_batmap_trusted_bits(&header, 4104 * 2 * MIB, 4104), 4104);
	ck_assert_uint_eq(vhd_batmap_sectors(4096), 1);
	ck_assert_uint_eq(vhd_batmap_sectors(4097), 2);
}
END_TEST

START_TEST(a_batmap_outside_the_file_is_refused)
{
	struct vhd_layout layout = good_layout();
	vhd_batmap_header_t header = {
		.cookie = { 't', 'd', 'b', 'a', 't', 'm', 'a', 'p' },
		.batmap_offset = layout.table_end + 512,
		.batmap_size = 1,
		.version = VHD_BATMAP_VERSION,
	};

	ck_assert_int_eq(vhd_batmap_check_header(&header, &layout, MIB, NULL), 0);
	ck_assert_int_eq(vhd_batmap_check_header(&header, &layout, layout.table_end + 512, NULL),
			 -EINVAL);
	header.version++;
	ck_assert_int_eq(vhd_batmap_check_header(&header, &layout, MIB, NULL), -EINVAL);
	header.version--;
	header.batmap_size = 0;
	ck_assert_int_eq(vhd_batmap_check_header(&header, &layout, MIB, NULL), -EINVAL);
	header.batmap_size = 0xFFFFFFFF;
	ck_assert_int_eq(vhd_batmap_check_header(&header, &layout, INT64_MAX, NULL), -EINVAL);
	header.batmap_size = 1;
	header.batmap_offset = 0xFFFFFFFFFFFFFE00ull;
	ck_assert_int_eq(vhd_batmap_check_header(&header, &layout, MIB, NULL), -EINVAL);
	header.batmap_offset = 512;
	ck_assert_int_eq(vhd_batmap_check_header(&header, &layout, MIB, NULL), -EINVAL);
}
END_TEST

/* ---- locators -----------------------------------------------------------------------------------
 */

START_TEST(the_name_in_a_header_is_big_endian)
{
	uint8_t raw[512];
	char *name;

	ck_assert_int_eq(vhd_parent_name_encode("/d/ab.vhd", raw), 0);
	ck_assert_mem_eq(raw, "\0a\0b\0.\0v\0h\0d\0\0", 14);
	ck_assert_int_eq(vhd_parent_name_decode(raw, &name), 0);
	ck_assert_str_eq(name, "ab.vhd");
	free(name);
	memset(raw, 0, sizeof(raw));
	ck_assert_int_eq(vhd_parent_name_decode(raw, &name), -EINVAL);
}
END_TEST

START_TEST(room_of_locators_is_in_sectors_or_bytes)
{
	vhd_parent_locator_t locator = {
		.code = VHD_PLATFORM_MACX, .data_space = 1, .data_length = 512, .data_offset = 2048
	};

	ck_assert_uint_eq(vhd_locator_room(&locator), 512);
	ck_assert_int_eq(vhd_locator_check(&locator, 0, 4096, NULL), 0);
	locator.data_space = 1024;
	ck_assert_uint_eq(vhd_locator_room(&locator), 1024);
	locator.data_space = 513;
	ck_assert_uint_eq(vhd_locator_room(&locator), 0);
	ck_assert_int_eq(vhd_locator_check(&locator, 0, 4096, NULL), -EINVAL);
	locator.data_space = 512;
	locator.data_length = 513;
	ck_assert_int_eq(vhd_locator_check(&locator, 0, 4096, NULL), -EINVAL);
	locator.data_length = 0xFFFFFFFF;
	ck_assert_int_eq(vhd_locator_check(&locator, 0, 4096, NULL), -EINVAL);
	locator.data_length = 12;
	locator.data_offset = 0xFFFFFFFFFFFFFFFFull;
	ck_assert_int_eq(vhd_locator_check(&locator, 0, 4096, NULL), -EINVAL);
	locator.data_offset = 3585;
	ck_assert_int_eq(vhd_locator_check(&locator, 0, 4096, NULL), -EINVAL);
}
END_TEST

/* ---- journal ------------------------------------------------------------------------------------
 */

START_TEST(entries_of_a_journal_are_guarded)
{
	struct vhd_journal_entry entry = { .type = VHD_ENTRY_BAT, .size = 512, .offset = 1536 },
				 back;
	uint8_t data[512] = { 1, 2, 3 }, raw[VHD_JOURNAL_ENTRY_BYTES];

	vhd_journal_entry_encode(&entry, data, raw);
	ck_assert_uint_eq(get_be64(raw), 0xAAAA12344321AAAAull);
	ck_assert_int_eq(vhd_journal_entry_decode(raw, 2048, &back, NULL), 0);
	ck_assert_int_eq(vhd_journal_entry_check(raw, &back, data, NULL), 0);
	ck_assert_int_eq(vhd_journal_entry_decode(raw, 2047, &back, NULL), -EINVAL);
	data[511]++;
	ck_assert_int_eq(vhd_journal_entry_check(raw, &back, data, NULL), -EINVAL);
	data[511]--;
	/* Four bytes without a meaning are in the checksum, too. */
	raw[31] = 9;
	ck_assert_int_eq(vhd_journal_entry_check(raw, &back, data, NULL), -EINVAL);
	put_be32(raw + 12, 0);
	ck_assert_int_eq(vhd_journal_entry_decode(raw, 2048, &back, NULL), -EINVAL);
	put_be32(raw + 12, 0xFFFFFE00);
	ck_assert_int_eq(vhd_journal_entry_decode(raw, UINT64_MAX, &back, NULL), -EINVAL);
}
END_TEST

START_TEST(the_end_of_a_journal_is_in_the_order_of_the_host)
{
	struct vhd_journal_header header = { .footer_offset = 1024,
					     .metadata_entries = 3,
					     .metadata_offset = 512,
					     .end = 4242 },
				  back;
	uint8_t raw[VHD_JOURNAL_HEADER_BYTES];
	uint64_t end;

	vhd_journal_header_encode(&header, raw);
	memcpy(&end, raw + 56, sizeof(end));
	ck_assert_uint_eq(end, 4242);
	ck_assert_uint_eq(get_be64(raw + 24), 1024);
	ck_assert_int_eq(vhd_journal_header_decode(raw, &back, NULL), 0);
	ck_assert_mem_eq(&header, &back, sizeof(back));
	put_be32(raw + 32, 0xFFFFFFFF);
	ck_assert_int_eq(vhd_journal_header_decode(raw, &back, NULL), -EINVAL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vhd-codec");
	TCase *tests = tcase_create("codec");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, a_footer_comes_back_as_it_was);
	tcase_add_test(tests, any_byte_that_flips_is_seen);
	tcase_add_test(tests, an_old_hidden_flag_need_not_be_in_the_checksum);
	tcase_add_test(tests, a_footer_that_cannot_be_worked_with_is_refused);
	tcase_add_test(tests, the_trailing_footer_counts_while_it_is_valid);
	tcase_add_test(tests, a_header_comes_back_and_its_bytes_are_guarded);
	tcase_add_test(tests, a_header_that_cannot_be_worked_with_is_refused);
	tcase_add_test(tests, blocks_are_placed_so_that_data_begin_on_pages);
	tcase_add_test(tests, entries_must_be_where_blocks_may_be);
	tcase_add_test(tests, no_two_blocks_may_share_a_sector);
	tcase_add_test(tests, bits_behind_the_checksum_do_not_count);
	tcase_add_test(tests, a_batmap_outside_the_file_is_refused);
	tcase_add_test(tests, the_name_in_a_header_is_big_endian);
	tcase_add_test(tests, room_of_locators_is_in_sectors_or_bytes);
	tcase_add_test(tests, entries_of_a_journal_are_guarded);
	tcase_add_test(tests, the_end_of_a_journal_is_in_the_order_of_the_host);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
