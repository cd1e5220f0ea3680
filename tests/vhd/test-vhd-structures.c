/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pure functions of the format: geometry, sizes, checksums, names, locators, bits, placement, keys.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/crypt.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/geometry.h"
#include "vhd/lib/header.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/utf16.h"

/* ---- geometry and sizes -------------------------------------------------------------------------
 */

START_TEST(geometries_are_those_of_the_format)
{
	static const struct {
		uint64_t sectors;
		unsigned cylinders, heads, per_track;
	} rows[] = {
		{ 4096, 60, 4, 17 },
		{ 20480, 301, 4, 17 },
		{ 204800, 1003, 12, 17 },
		{ 1048576, 1040, 16, 63 },
		{ 10485760, 10402, 16, 63 },
		{ 266338304, 65278, 16, 255 },
		{ 4278190080, 65535, 16, 255 },
		{ 65535 * 16 * 63 - 1, 65534, 16, 63 },
		{ 65535 * 16 * 63, 16191, 16, 255 },
		{ 1, 0, 4, 17 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_uint_eq(vhd_geometry(rows[i].sectors),
				  rows[i].cylinders << 16 | rows[i].heads << 8 | rows[i].per_track);
	ck_assert_uint_eq(vhd_geometry_sectors(vhd_geometry(4096)), 4080);
	ck_assert_uint_eq(vhd_geometry_sectors(vhd_geometry(10485760)), 10485216);
	ck_assert_uint_eq(vhd_geometry_sectors(VHD_GEOMETRY_MAX), 267382800);
}
END_TEST

START_TEST(the_creator_says_which_size_counts)
{
	static const struct {
		char creator[4];
		uint64_t sectors;
	} rows[] = {
		{ "tap", 10485760 },  { "win ", 10485760 }, { "qem2", 10485760 },
		{ "vpc ", 10485216 }, { "qemu", 10485216 }, { "vs  ", 10485760 },
		{ "wa\0", 10485760 }, { "none", 10485760 },
	};
	vhd_footer_t footer = { .current_size = 10485760ull * 512 + 511 };
	size_t i;

	footer.geometry = vhd_geometry(10485760);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(footer.creator, rows[i].creator, 4);
		ck_assert_uint_eq(vhd_virtual_sectors(&footer, VHD_SIZE_BY_CREATOR),
				  rows[i].sectors);
	}
	memcpy(footer.creator, "qemu", 4);
	ck_assert_uint_eq(vhd_virtual_sectors(&footer, VHD_SIZE_CURRENT), 10485760);
	footer.geometry = VHD_GEOMETRY_MAX;
	ck_assert_uint_eq(vhd_virtual_sectors(&footer, VHD_SIZE_BY_CREATOR), 10485760);
	/* Never more than the footer says. */
	footer.current_size = 512;
	footer.geometry = vhd_geometry(10485760);
	ck_assert_uint_eq(vhd_virtual_sectors(&footer, VHD_SIZE_BY_CREATOR), 1);
}
END_TEST

/* ---- structures ---------------------------------------------------------------------------------
 */

START_TEST(every_byte_of_a_footer_survives)
{
	uint8_t raw[VHD_FOOTER_BYTES], again[VHD_FOOTER_BYTES];
	vhd_footer_t footer;
	unsigned i;

	for (i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i * 7 + i / 256);
	vhd_footer_unpack(raw, &footer);
	vhd_footer_pack(&footer, again);
	ck_assert_mem_eq(raw, again, sizeof(raw));
	ck_assert_uint_eq(footer.features, get_be32(raw + 8));
	ck_assert_uint_eq(footer.current_size, get_be64(raw + 48));
	ck_assert_uint_eq(footer.hidden, raw[85]);
}
END_TEST

START_TEST(every_byte_of_a_header_survives)
{
	uint8_t raw[VHD_HEADER_BYTES], again[VHD_HEADER_BYTES];
	vhd_header_t header;
	unsigned i;

	for (i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i * 7 + i / 256);
	vhd_header_unpack(raw, &header);
	vhd_header_pack(&header, again);
	ck_assert_mem_eq(raw, again, sizeof(raw));
	ck_assert_uint_eq(header.max_table_entries, get_be32(raw + 28));
	ck_assert_uint_eq(header.locator[1].data_offset, get_be64(raw + 576 + 24 + 16));
}
END_TEST

START_TEST(every_byte_of_a_batmap_header_survives)
{
	uint8_t raw[VHD_BATMAP_HEADER_BYTES], again[VHD_BATMAP_HEADER_BYTES];
	vhd_batmap_header_t header;
	unsigned i;

	for (i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i * 7 + i / 256);
	vhd_batmap_header_unpack(raw, &header);
	vhd_batmap_header_pack(&header, again);
	ck_assert_mem_eq(raw, again, sizeof(raw));
	ck_assert_uint_eq(header.keyhash.nonce[0], raw[30]);
	ck_assert_uint_eq(header.keyhash.hash[0], raw[62]);
}
END_TEST

START_TEST(batmaps_have_two_checksums)
{
	vhd_batmap_header_t header = { .version = VHD_BATMAP_VERSION, .batmap_size = 1 };
	uint8_t map[1024] = { 0x80, 0xff, 0x7f };

	ck_assert_uint_eq(vhd_batmap_sum(&header, 1 << 20, map, 512), ~(0x80u + 0xff + 0x7f));
	header.version = VHD_BATMAP_VERSION_SIGNED;
	ck_assert_uint_eq(vhd_batmap_sum(&header, 1 << 20, map, 512), ~(uint32_t)(-128 - 1 + 127));
	/* One more byte belongs to it when another 16 MiB are full. */
	ck_assert_uint_eq(vhd_batmap_summed_bytes(512ull << 24), 512);
	ck_assert_uint_eq(vhd_batmap_summed_bytes((513ull << 24) - 1), 512);
	ck_assert_uint_eq(vhd_batmap_summed_bytes(513ull << 24), 1024);
	ck_assert_uint_eq(vhd_batmap_trusted_bits(&header, 512ull << 24, 4099), 4096);
}
END_TEST

/* ---- names --------------------------------------------------------------------------------------
 */

START_TEST(utf16_is_strict_both_ways)
{
	static const char *names[] = { "a", "k\xc3\xa4se.vhd", "\xe2\x82\xac", "\xf0\x9f\x92\xbe" };
	static const uint8_t high_alone[] = { 0xd8, 0x00 }, low_first[] = { 0xdc, 0, 0xd8, 0 };
	static const uint8_t nul_inside[] = { 0, 0, 0, 'a' };
	static const char *bad[] = { "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80",
				     "\xe2\x82" };
	uint8_t raw[64];
	char *text = NULL;
	size_t bytes, i;
	int big;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (big = 0; big < 2; big++) {
			ck_assert_int_eq(utf8_to_utf16(names[i], big, raw, sizeof(raw), &bytes), 0);
			ck_assert_int_eq(utf16_to_utf8(raw, bytes, big, &text), 0);
			ck_assert_str_eq(text, names[i]);
			free(text);
		}
	ck_assert_int_eq(utf16_to_utf8(high_alone, 2, true, &text), -EINVAL);
	ck_assert_int_eq(utf16_to_utf8(low_first, 4, true, &text), -EINVAL);
	ck_assert_int_eq(utf16_to_utf8(nul_inside, 4, true, &text), -EINVAL);
	ck_assert_int_eq(utf16_to_utf8(nul_inside, 3, true, &text), -EINVAL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(utf8_to_utf16(bad[i], true, raw, sizeof(raw), &bytes), -EINVAL);
	ck_assert_int_eq(utf8_to_utf16("abc", true, raw, 5, &bytes), -ENAMETOOLONG);
}
END_TEST

static void
locator_says(uint32_t code, const void *data, size_t bytes, const char *expected)
{
	char *path = NULL;

	if (!expected) {
		ck_assert_int_eq(vhd_locator_decode(code, data, bytes, &path), -EINVAL);
		return;
	}
	ck_assert_int_eq(vhd_locator_decode(code, data, bytes, &path), 0);
	ck_assert_str_eq(path, expected);
	free(path);
}

START_TEST(locators_name_paths)
{
	locator_says(VHD_PLATFORM_MACX, "file://./a.vhd", 14, "./a.vhd");
	locator_says(VHD_PLATFORM_MACX, "file:///x/a.vhd\0\0", 17, "/x/a.vhd");
	locator_says(VHD_PLATFORM_MACX, "file://localhost/a", 18, "/a");
	locator_says(VHD_PLATFORM_MACX, "file://", 7, NULL);
	locator_says(VHD_PLATFORM_MACX, "http://a", 8, NULL);
	locator_says(VHD_PLATFORM_MACX, "file://a\0b", 10, NULL);
	locator_says(VHD_PLATFORM_W2RU, ".\0\\\0a\0", 6, "./a");
	locator_says(VHD_PLATFORM_W2KU, "C\0:\0\\\0a\0\0\0", 10, "/a");
	locator_says(VHD_PLATFORM_W2KU, "C\0:\0", 4, NULL);
	locator_says(VHD_PLATFORM_W2KU, "", 0, NULL);
	locator_says(VHD_PLATFORM_W2KU, "a\0b", 3, NULL);
	locator_says(VHD_PLATFORM_WI2K, "a\0b\0", 4, NULL);
}
END_TEST

START_TEST(locators_are_written_as_they_are_read)
{
	static const uint32_t codes[] = { VHD_PLATFORM_MACX, VHD_PLATFORM_W2KU, VHD_PLATFORM_W2RU };
	uint8_t data[512], name[512];
	size_t bytes, i;
	char *text;

	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(
			vhd_locator_encode(codes[i], "./k\xc3\xa4se.vhd", data, 512, &bytes), 0);
		locator_says(codes[i], data, bytes, "./k\xc3\xa4se.vhd");
		ck_assert_int_eq(vhd_locator_encode(codes[i], "./abc", data, 9, &bytes),
				 -ENAMETOOLONG);
	}
	ck_assert_int_eq(vhd_locator_encode(VHD_PLATFORM_W2RU, "../a", data, 512, &bytes), 0);
	locator_says(VHD_PLATFORM_W2RU, data, bytes, "./../a");
	ck_assert_int_eq(vhd_parent_name_encode("/x/y.vhd", name), 0);
	ck_assert_mem_eq(name, "\0y\0.\0v\0h\0d\0\0", 12);
	ck_assert_int_eq(vhd_parent_name_decode(name, &text), 0);
	ck_assert_str_eq(text, "y.vhd");
	free(text);
}
END_TEST

START_TEST(relative_paths_lead_from_child_to_parent)
{
	static const char *rows[][3] = {
		{ "/a/b/c", "/a/b/p", "./p" },    { "/a/b/c", "/a/p", "../p" },
		{ "/a/b/c", "/a/x/p", "../x/p" }, { "/c", "/x/p", "./x/p" },
		{ "/ab/c", "/a/p", "../a/p" },
	};
	size_t i;
	char *path;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		path = vhd_relative_path(rows[i][0], rows[i][1]);
		ck_assert_str_eq(path, rows[i][2]);
		free(path);
	}
}
END_TEST

START_TEST(rooms_of_locators_are_bounded)
{
	static const struct {
		uint32_t space, length;
		uint64_t offset;
		int err;
	} rows[] = {
		{ 512, 10, 1024, 0 },
		{ 1, 512, 1024, 0 },
		{ 1, 513, 1024, -EINVAL },
		{ 0, 0, 1024, -EINVAL },
		{ 700, 10, 1024, -EINVAL },
		{ 512, 0xffffffff, 1024, -EINVAL },
		{ 512, 10, 0, -EINVAL },
		{ 512, 10, UINT64_MAX - 100, -EINVAL },
		{ 512, 10, (1 << 20) - 511, -EINVAL },
		{ 0xfffffe00, 10, 1024, -EINVAL },
		{ 128 << 10, 65 << 10, 1024, -EINVAL },
	};
	vhd_parent_locator_t locator;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		locator = (vhd_parent_locator_t){ .code = VHD_PLATFORM_MACX,
						  .data_space = rows[i].space,
						  .data_length = rows[i].length,
						  .data_offset = rows[i].offset };
		ck_assert_int_eq(vhd_locator_check(&locator, 0, 1 << 20, NULL), rows[i].err);
	}
}
END_TEST

/* ---- bits ---------------------------------------------------------------------------------------
 */

START_TEST(bits_agree_with_single_bits)
{
	unsigned from, count, i, ones;
	uint8_t map[40];

	for (from = 0; from < 150; from += 7)
		for (count = 0; from + count <= 300; count += 13) {
			memset(map, 0, sizeof(map));
			vhd_bits_set_range(map, from, count);
			for (i = 0, ones = 0; i < 300; i++) {
				ck_assert_int_eq(vhd_bits_test(map, i),
						 i >= from && i < from + count);
				ones += vhd_bits_test(map, i);
			}
			ck_assert_uint_eq(vhd_bits_count(map, 0, 300), ones);
			ck_assert_uint_eq(vhd_bits_run(map, from, 300 - from),
					  count ? count : 300 - from);
			ck_assert(vhd_bits_all(map, from, count));
			ck_assert(vhd_bits_none(map, 0, from));
			vhd_bits_clear_range(map, from, count);
			ck_assert(vhd_bits_none(map, 0, 300));
		}
	vhd_bits_set(map, 9);
	ck_assert_uint_eq(map[1], 0x40);
}
END_TEST

/* ---- places -------------------------------------------------------------------------------------
 */

START_TEST(blocks_are_placed_so_that_data_are_aligned)
{
	vhd_header_t header = { .table_offset = 1536,
				.max_table_entries = 128,
				.block_size = 2 << 20 };
	struct vhd_layout layout;
	uint32_t entry;

	vhd_layout_init(&layout, 512, &header);
	ck_assert_uint_eq(layout.bm_secs, 1);
	ck_assert_uint_eq(layout.table_end, 2048);
	ck_assert_int_eq(vhd_layout_place(&layout, 2048, UINT64_MAX, &entry), 0);
	ck_assert_uint_eq(entry, 7);
	ck_assert_int_eq(vhd_layout_place(&layout, 8 * 512, UINT64_MAX, &entry), 0);
	ck_assert_uint_eq(entry, 15);
	ck_assert_int_eq(vhd_layout_place(&layout, 2048, (8 + 4096) * 512 - 1, &entry), -ENOSPC);
	ck_assert_int_eq(vhd_layout_place(&layout, 2048, (8 + 4096) * 512, &entry), 0);
	ck_assert_int_eq(vhd_layout_place(&layout, 0xffffffffull * 512, UINT64_MAX, &entry),
			 -ENOSPC);
	header.block_size = 512 << 10;
	vhd_layout_init(&layout, 512, &header);
	ck_assert_uint_eq(layout.bm_secs, 1);
	header.block_size = 256 << 20;
	vhd_layout_init(&layout, 512, &header);
	ck_assert_uint_eq(layout.bm_secs, 128);
}
END_TEST

START_TEST(overlaps_are_found_in_a_full_table)
{
	vhd_header_t header = { .table_offset = 1536,
				.max_table_entries = 1044480,
				.block_size = 2 << 20 };
	uint32_t *bat = calloc(1044480, sizeof(*bat)), i;
	struct vhd_layout layout;
	struct reason why;

	vhd_layout_init(&layout, 512, &header);
	layout.blocks_end = UINT64_MAX;
	for (i = 0; i < 1044480; i++)
		bat[1044479 - i] = 8200 + 4104 * i;
	bat[5] = VHD_BLOCK_UNUSED;
	ck_assert_int_eq(vhd_layout_check_entries(&layout, bat, 1044480, false, &why), 0);
	ck_assert_int_eq(vhd_layout_check_overlap(&layout, bat, 1044480, &why), 0);
	bat[7] = bat[900000] + 4096;
	ck_assert_int_eq(vhd_layout_check_overlap(&layout, bat, 1044480, &why), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why.text, "blocks 900000 and 7 overlap"));
	bat[7] = bat[900000];
	ck_assert_int_eq(vhd_layout_check_overlap(&layout, bat, 1044480, &why), -EINVAL);
	free(bat);
}
END_TEST

/* ---- keys ---------------------------------------------------------------------------------------
 */

#if HAVE_CRYPTO
/* IEEE 1619, vector 4 of XTS-AES-128: data unit 0, 512 bytes of 00 01 02 ...; its first bytes. */
static const uint8_t ieee_key[32] = {
	0x27, 0x18, 0x28, 0x18, 0x28, 0x45, 0x90, 0x45, 0x23, 0x53, 0x60,
	0x28, 0x74, 0x71, 0x35, 0x26, 0x31, 0x41, 0x59, 0x26, 0x53, 0x58,
	0x97, 0x93, 0x23, 0x84, 0x62, 0x64, 0x33, 0x83, 0x27, 0x95,
};

START_TEST(sectors_are_encrypted_as_the_standard_says)
{
	static const uint8_t first[8] = { 0x27, 0xa7, 0x47, 0x9b, 0xef, 0xa1, 0xd4, 0x76 };
	uint8_t plain[512], wrapped[512], cipher[512];
	struct vhd_crypt *crypt, *clone;
	unsigned i;

	for (i = 0; i < 512; i++)
		plain[i] = (uint8_t)i;
	ck_assert_int_eq(vhd_crypt_new(ieee_key, 32, &crypt), 0);
	ck_assert_int_eq(vhd_crypt_clone(crypt, &clone), 0);
	ck_assert_int_eq(vhd_crypt_encrypt(crypt, 0, plain, cipher, 1), 0);
	ck_assert_mem_eq(cipher, first, sizeof(first));
	/* The tweak has 32 bits. */
	ck_assert_int_eq(vhd_crypt_encrypt(clone, 1ull << 32, plain, wrapped, 1), 0);
	ck_assert_mem_eq(cipher, wrapped, 512);
	ck_assert_int_eq(vhd_crypt_encrypt(crypt, 1, plain, wrapped, 1), 0);
	ck_assert_mem_ne(cipher, wrapped, 512);
	ck_assert_int_eq(vhd_crypt_decrypt(crypt, 0, cipher, cipher, 1), 0);
	ck_assert_mem_eq(cipher, plain, 512);
	ck_assert_int_eq(vhd_crypt_new(ieee_key, 31, &clone), -EINVAL);
	ck_assert_int_eq(vhd_crypt_new(plain + 256 - 256, 0, &clone), -EINVAL);
	vhd_crypt_free(crypt);
	vhd_crypt_free(clone);
}
END_TEST

START_TEST(a_key_proves_itself)
{
	struct vhd_keyhash keyhash = { .cookie = 1 };
	uint8_t other[32] = { 1 };

	ck_assert_int_eq(vhd_key_nonce(keyhash.nonce), 0);
	ck_assert_int_eq(vhd_key_hash(keyhash.nonce, ieee_key, 32, keyhash.hash), 0);
	ck_assert_int_eq(vhd_key_check(&keyhash, ieee_key, 32), 0);
	ck_assert_int_eq(vhd_key_check(&keyhash, other, 32), -EKEYREJECTED);
	keyhash.cookie = 0;
	ck_assert_int_eq(vhd_key_check(&keyhash, ieee_key, 32), -EINVAL);
}
END_TEST
#endif

int
main(void)
{
	Suite *suite = suite_create("vhd structures");
	TCase *tests = tcase_create("vhd structures");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, geometries_are_those_of_the_format);
	tcase_add_test(tests, the_creator_says_which_size_counts);
	tcase_add_test(tests, every_byte_of_a_footer_survives);
	tcase_add_test(tests, every_byte_of_a_header_survives);
	tcase_add_test(tests, every_byte_of_a_batmap_header_survives);
	tcase_add_test(tests, batmaps_have_two_checksums);
	tcase_add_test(tests, utf16_is_strict_both_ways);
	tcase_add_test(tests, locators_name_paths);
	tcase_add_test(tests, locators_are_written_as_they_are_read);
	tcase_add_test(tests, relative_paths_lead_from_child_to_parent);
	tcase_add_test(tests, rooms_of_locators_are_bounded);
	tcase_add_test(tests, bits_agree_with_single_bits);
	tcase_add_test(tests, blocks_are_placed_so_that_data_are_aligned);
	tcase_add_test(tests, overlaps_are_found_in_a_full_table);
#if HAVE_CRYPTO
	tcase_add_test(tests, sectors_are_encrypted_as_the_standard_says);
	tcase_add_test(tests, a_key_proves_itself);
#endif
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
