/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images that are not to be believed: one damage each, in memory; and every operation that fails
 * once.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vhd/memory-io.h"
#include "vhd/lib/context.h"
#include "vhd/lib/create.h"
#include "vhd/lib/header.h"
#include "vhd/lib/image.h"

#define HEADER_AT 512
#define TABLE_AT 1536
#define BATMAP_AT 2048

static struct memory_disk memory;
static struct io *io; /* on it */
static struct vhd_image image;
static struct reason why;

/* An image of 16 MiB: header, BAT at TABLE_AT, batmap behind it. */
static void
make(int type)
{
	struct vhd_plan plan = { .type = type, .bytes = 16 << 20, .parent = "./parent.vhd" };

	plan.parent_uuid.bytes[0] = 1;
	ck_assert_int_eq(vhd_plan_write(&plan, io, &why), 0);
}

static void
setup(void)
{
	io = memory_io(&memory);
	make(VHD_TYPE_DYNAMIC);
}

static void
teardown(void)
{
	io_close(io);
	memory_disk_free(&memory);
}

static int
read_image(unsigned flags)
{
	why.text[0] = '\0';
	return vhd_image_read(io, flags, &image, &why);
}

static void
refused(unsigned flags, const char *text)
{
	ck_assert_int_eq(read_image(flags), -EINVAL);
	ck_assert_msg(strstr(why.text, text), "\"%s\" does not hold \"%s\"", why.text, text);
}

static uint8_t *
trailing(void)
{
	return memory.at + memory.bytes - 512;
}

/* Change both footers, with their checksums. */
static void
set_footer(const vhd_footer_t *footer)
{
	vhd_footer_t copy = *footer;

	vhd_footer_encode(&copy, trailing());
	if (vhd_footer_is_dynamic(footer))
		memcpy(memory.at, trailing(), 512);
}

static vhd_footer_t
footer_now(void)
{
	vhd_footer_t footer;

	ck_assert_int_eq(vhd_footer_decode(trailing(), &footer, NULL), 0);
	return footer;
}

static vhd_header_t
header_now(void)
{
	vhd_header_t header;

	ck_assert_int_eq(vhd_header_decode(memory.at + HEADER_AT, &header, NULL), 0);
	return header;
}

static void
set_header(vhd_header_t header)
{
	vhd_header_encode(&header, memory.at + HEADER_AT);
}

/* ---- footers ------------------------------------------------------------------------------------
 */

START_TEST(a_new_image_is_sound)
{
	ck_assert_int_eq(read_image(VHD_IMAGE_WRITE), 0);
	ck_assert_int_eq(image.footers, VHD_FOOTERS_GOOD);
	ck_assert_uint_eq(image.sectors, 32768);
	ck_assert_uint_eq(vhd_image_blocks(&image), 8);
	ck_assert(image.has_batmap);
}
END_TEST

START_TEST(each_byte_of_a_footer_counts)
{
	size_t i;

	for (i = 0; i < 512; i++) {
		trailing()[i] ^= 0x40;
		ck_assert_int_eq(read_image(0), 0);
		ck_assert_int_eq(image.footers, VHD_FOOTERS_RECOVERED);
		trailing()[i] ^= 0x40;
		memory.at[i] ^= 0x40;
		ck_assert_int_eq(read_image(0), 0);
		ck_assert_int_eq(image.footers, VHD_FOOTERS_COPY_LOST);
		trailing()[i] ^= 0x40;
		refused(0, "footer: ");
		trailing()[i] ^= 0x40;
		memory.at[i] ^= 0x40;
	}
}
END_TEST

START_TEST(each_byte_of_a_header_counts)
{
	size_t i;

	for (i = 0; i < 1024; i++) {
		memory.at[HEADER_AT + i] ^= 0x40;
		refused(0, "header: ");
		memory.at[HEADER_AT + i] ^= 0x40;
	}
}
END_TEST

START_TEST(a_short_footer_is_read)
{
	memory.bytes--;
	ck_assert_int_eq(read_image(0), 0);
	ck_assert(image.footer_is_short);
	ck_assert_uint_eq(image.footer_at, memory.bytes - 511);
	memory.bytes--;
	refused(0, "file: its size");
}
END_TEST

START_TEST(a_file_that_lost_its_end_is_read)
{
	memory.bytes -= 512;
	ck_assert_int_eq(read_image(0), 0);
	ck_assert_int_eq(image.footers, VHD_FOOTERS_RECOVERED);
	ck_assert_uint_eq(image.footer_at, memory.bytes);
	memory.bytes = 511;
	refused(0, "file: too small");
}
END_TEST

START_TEST(footers_that_conflict_are_not_written_to)
{
	vhd_footer_t footer = footer_now();

	footer.hidden = 1;
	vhd_footer_encode(&footer, memory.at);
	ck_assert_int_eq(read_image(VHD_IMAGE_WRITE), 0);
	ck_assert_int_eq(image.footers, VHD_FOOTERS_DIFFER);
	ck_assert_int_eq(image.footer.hidden, 0);
	ck_assert_int_eq(read_image(VHD_IMAGE_USE_COPY), 0);
	ck_assert_int_eq(image.footer.hidden, 1);
	footer.type = VHD_TYPE_DIFFERENCING;
	vhd_footer_encode(&footer, memory.at);
	ck_assert_int_eq(read_image(0), 0);
	refused(VHD_IMAGE_WRITE, "footers differ");
}
END_TEST

START_TEST(a_guest_cannot_make_its_fixed_disk_dynamic)
{
	uint8_t head[2048];
	vhd_footer_t footer;

	memcpy(head, memory.at, sizeof(head));
	memory_disk_free(&memory);
	make(VHD_TYPE_FIXED);
	memcpy(memory.at, head, sizeof(head));
	ck_assert_int_eq(read_image(0), 0);
	ck_assert_uint_eq(image.footer.type, VHD_TYPE_FIXED);
	ck_assert_int_eq(read_image(VHD_IMAGE_USE_COPY | VHD_IMAGE_FAST), 0);
	ck_assert_uint_eq(image.footer.type, VHD_TYPE_FIXED);
	/* And what is at the start alone is no fixed disk. */
	footer = footer_now();
	vhd_footer_encode(&footer, memory.at);
	memset(trailing(), 0, 512);
	refused(0, "footer: ");
}
END_TEST

START_TEST(a_fixed_disk_ends_where_its_file_does)
{
	vhd_footer_t footer;

	memory_disk_free(&memory);
	make(VHD_TYPE_FIXED);
	footer = footer_now();
	footer.current_size = 32 << 20;
	set_footer(&footer);
	ck_assert_int_eq(read_image(0), 0);
	ck_assert(image.is_cut);
	ck_assert_uint_eq(image.sectors, 32768);
	footer.current_size = 8 << 20;
	set_footer(&footer);
	ck_assert_int_eq(read_image(0), 0);
	ck_assert_uint_eq(image.sectors, 16384);
}
END_TEST

START_TEST(footers_are_checked)
{
	static const struct {
		const char *cookie;
		uint32_t type, version;
		uint64_t size;
		const char *text;
	} rows[] = {
		{ VHD_COOKIE, 0, 0x10003, 16 << 20, "disk type 0" },
		{ VHD_COOKIE, 1, 0x10003, 16 << 20, "disk type 1" },
		{ VHD_COOKIE, 5, 0x10003, 16 << 20, "disk type 5" },
		{ VHD_COOKIE, 6, 0x10003, 16 << 20, "disk type 6" },
		{ VHD_COOKIE, 3, 1, 16 << 20, "obsolete" },
		{ VHD_COOKIE, 3, 0x10004, 16 << 20, "too new" },
		{ VHD_COOKIE, 3, 0x10003, 0, "no sectors" },
		{ VHD_COOKIE, 3, 0x10003, 511, "no sectors" },
		{ VHD_COOKIE, 3, 0x10003, 0xFF000001ull * 512, "2040 GiB" },
		{ VHD_COOKIE, 3, 0x10003, UINT64_MAX, "2040 GiB" },
		{ VHD_COOKIE, 3, 0x10003, 16777217 + 511, "needs 9" },
		{ VHD_POISON_COOKIE, 3, 0x10003, 16 << 20, "resize" },
	};
	vhd_footer_t good = footer_now(), footer;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		footer = good;
		memcpy(footer.cookie, rows[i].cookie, 8);
		footer.type = rows[i].type;
		footer.creator_version = rows[i].version;
		footer.current_size = rows[i].size;
		set_footer(&footer);
		memcpy(memory.at, trailing(), 512);
		refused(0, rows[i].text);
	}
	ck_assert_int_eq(read_image(VHD_IMAGE_POISONED), 0);
	good.format_version = 0x20000;
	set_footer(&good);
	refused(0, "version");
}
END_TEST

START_TEST(a_checksum_without_the_hidden_flag_passes_for_old_tools_only)
{
	vhd_footer_t footer = footer_now();

	footer.creator_version = VHD_TAPDISK_VERSION_1_1;
	set_footer(&footer);
	trailing()[85] = memory.at[85] = 1;
	ck_assert_int_eq(read_image(0), 0);
	ck_assert_int_eq(image.footer.hidden, 1);
	footer.creator_version = VHD_TAPDISK_VERSION;
	set_footer(&footer);
	trailing()[85] = memory.at[85] = 1;
	refused(0, "checksum");
}
END_TEST

/* Their tools changed the copy alone. */
START_TEST(the_copy_tells_of_old_images_whether_they_are_hidden)
{
	static const struct {
		uint32_t version;
		const char *creator;
		int hidden;
	} rows[] = {
		{ VHD_TAPDISK_VERSION_1_1, "tap", 1 },
		{ VHD_TAPDISK_VERSION, "tap", 0 },
		{ VHD_TAPDISK_VERSION_1_1, "win ", 0 },
	};
	vhd_footer_t footer = footer_now();
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		footer.creator_version = rows[i].version;
		memcpy(footer.creator, rows[i].creator, 4);
		footer.hidden = 0;
		set_footer(&footer);
		footer.hidden = 1;
		vhd_footer_encode(&footer, memory.at);
		ck_assert_int_eq(read_image(0), 0);
		ck_assert_int_eq(image.footer.hidden, rows[i].hidden);
	}
}
END_TEST

/* ---- header -------------------------------------------------------------------------------------
 */

START_TEST(the_header_is_inside_the_file)
{
	static const uint64_t wrong[] = {
		0, 511, 513, 1 << 20, UINT64_MAX, UINT64_MAX - 511, UINT64_MAX - 1023
	};
	vhd_footer_t footer = footer_now();
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		footer.data_offset = wrong[i];
		set_footer(&footer);
		refused(0, "header: ");
	}
}
END_TEST

START_TEST(tables_and_blocks_are_checked)
{
	static const struct {
		uint64_t table_offset;
		uint32_t entries, block_size;
	} rows[] = {
		{ TABLE_AT, 8, 0 },
		{ TABLE_AT, 8, 2048 },
		{ TABLE_AT, 8, 3 << 20 },
		{ TABLE_AT, 8, 512 << 20 },
		{ TABLE_AT, 8, 0x80000000 },
		{ TABLE_AT, 0x40000001, 2 << 20 },
		{ TABLE_AT, 0xffffffff, 2 << 20 },
		{ TABLE_AT, 100000, 2 << 20 },
		{ TABLE_AT, 7, 2 << 20 },
		{ TABLE_AT, 0, 2 << 20 },
		{ 0, 8, 2 << 20 },
		{ 512, 8, 2 << 20 },
		{ 1024, 8, 2 << 20 },
		{ 1537, 8, 2 << 20 },
		{ 1 << 20, 8, 2 << 20 },
		{ UINT64_MAX - 511, 8, 2 << 20 },
	};
	vhd_header_t good = header_now(), header;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		header = good;
		header.table_offset = rows[i].table_offset;
		header.max_table_entries = rows[i].entries;
		header.block_size = rows[i].block_size;
		set_header(header);
		refused(0, "header: ");
	}
	good.header_version = 0x10001;
	set_header(good);
	refused(0, "header: version");
}
END_TEST

START_TEST(the_padding_of_a_table_is_part_of_it)
{
	vhd_footer_t footer = footer_now();
	vhd_header_t header = header_now();

	ck_assert_int_eq(vhd_header_check(&header, &footer, TABLE_AT + 512, &why), 0);
	ck_assert_int_eq(vhd_header_check(&header, &footer, TABLE_AT + 511, &why), -EINVAL);
}
END_TEST

/* ---- BAT ----------------------------------------------------------------------------------------
 */

START_TEST(entries_are_checked)
{
	static const struct {
		uint32_t first, second;
		const char *text;
	} rows[] = {
		{ 0, VHD_BLOCK_UNUSED, "block 0: " },
		{ 1, VHD_BLOCK_UNUSED, "block 0: " },
		{ 3, VHD_BLOCK_UNUSED, "block 0: " },
		{ 5, VHD_BLOCK_UNUSED, "block 0: " },
		{ 0xfffffffe, VHD_BLOCK_UNUSED, "block 0: " },
		{ 7, 0x7fffffff, "block 1: " },
		{ 7 + 4097 + 1, VHD_BLOCK_UNUSED, "block 0: " },
		{ 7, 7, "overlap" },
		{ 7, 8, "overlap" },
	};
	uint32_t bat[8] = { 7 };
	size_t i;

	ck_assert_int_eq(read_image(0), 0);
	image.layout.blocks_end = (7ull + 4097 + 1) * 512;
	image.footers = VHD_FOOTERS_GOOD;
	memset(bat + 1, 0xff, sizeof(bat) - 4);
	ck_assert_int_eq(vhd_image_check_bat(&image, bat, 8, true, &why), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bat[0] = rows[i].first;
		bat[1] = rows[i].second;
		ck_assert_int_eq(vhd_image_check_bat(&image, bat, 8, true, &why), -EINVAL);
		ck_assert_msg(strstr(why.text, rows[i].text), "%zu: %s", i, why.text);
	}
}
END_TEST

/* ---- batmap -------------------------------------------------------------------------------------
 */

START_TEST(a_batmap_that_is_damaged_is_ignored)
{
	uint8_t *map, *raw = memory.at + BATMAP_AT;
	static const struct {
		size_t at;
		uint8_t value;
	} rows[] = { { 0, 'x' }, { 8, 0x80 }, { 15, 1 }, { 16, 0xff }, { 19, 0 }, { 23, 3 } };
	uint8_t saved;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		saved = raw[rows[i].at];
		raw[rows[i].at] = rows[i].value;
		ck_assert_int_eq(read_image(VHD_IMAGE_WRITE), 0);
		ck_assert(!image.has_batmap);
		ck_assert_int_eq(vhd_image_read_batmap(io, &image, &map, NULL), -ENOENT);
		raw[rows[i].at] = saved;
	}
	raw[512] = 0x80;
	ck_assert_int_eq(read_image(0), 0);
	ck_assert_int_eq(vhd_image_read_batmap(io, &image, &map, NULL), -EINVAL);
	/* The checksum of signed bytes. */
	raw[23] = 1;
	memcpy(raw + 24, "\x00\x00\x00\x7f", 4);
	ck_assert_int_eq(read_image(0), 0);
	ck_assert_int_eq(vhd_image_read_batmap(io, &image, &map, NULL), 0);
	ck_assert_uint_eq(map[0], 0x80);
	free(map);
}
END_TEST

/* ---- locators -----------------------------------------------------------------------------------
 */

START_TEST(locators_outside_the_file_are_refused)
{
	vhd_header_t good, header;

	memory_disk_free(&memory);
	make(VHD_TYPE_DIFFERENCING);
	good = header_now();
	ck_assert_int_eq(read_image(VHD_IMAGE_WRITE), 0);
	header = good;
	header.locator[0].data_length = 0xffffffff;
	set_header(header);
	refused(0, "locator 0: ");
	header = good;
	header.locator[1].data_offset = UINT64_MAX - 10;
	set_header(header);
	refused(0, "locator 1: ");
	header = good;
	header.locator[2].data_space = 0xfffffe00;
	set_header(header);
	refused(0, "locator 2: ");
	/* One with a senseless room is passed over; one over the BAT is not written to. */
	header = good;
	header.locator[0].data_space = 777;
	set_header(header);
	ck_assert_int_eq(read_image(0), 0);
	header = good;
	header.locator[0].data_offset = TABLE_AT;
	set_header(header);
	ck_assert_int_eq(read_image(0), 0);
	ck_assert_int_eq(vhd_image_check_bat(&image, NULL, 0, true, &why), -EINVAL);
}
END_TEST

/* ---- a large one --------------------------------------------------------------------------------
 */

START_TEST(an_image_of_2040_gib_is_opened_from_a_few_sectors)
{
	struct vhd_plan plan = { .type = VHD_TYPE_DYNAMIC, .bytes = VHD_MAX_SECTORS * 512 };
	uint32_t entry = 0;

	memory_disk_free(&memory);
	ck_assert_int_eq(vhd_plan_write(&plan, io, &why), 0);
	memory.calls = 0;
	ck_assert_int_eq(read_image(VHD_IMAGE_WRITE), 0);
	ck_assert_uint_eq(image.layout.entries, 1044480);
	ck_assert_uint_le(memory.calls, 6);
	ck_assert_int_eq(vhd_image_read_bat(io, &image, 1044479, 1, &entry), 0);
	ck_assert_uint_eq(entry, VHD_BLOCK_UNUSED);
	ck_assert_int_eq(vhd_image_read_bat(io, &image, 1044480, 1, &entry), -EINVAL);
	plan.bytes += 512;
	ck_assert_int_eq(vhd_plan_check(&plan, &why), -EINVAL);
}
END_TEST

/* ---- what fails once ----------------------------------------------------------------------------
 */

START_TEST(creation_survives_each_failure)
{
	struct vhd_plan plan = { .type = VHD_TYPE_DIFFERENCING,
				 .bytes = 16 << 20,
				 .parent = "./p" };
	unsigned n;
	int err = -EIO;

	for (n = 1; err; n++) {
		memory_disk_free(&memory);
		memory.fail_at = n;
		err = vhd_plan_write(&plan, io, &why);
		ck_assert(!err || err == -EIO);
		ck_assert_uint_lt(n, 1000);
	}
	memory.fail_at = 0;
	ck_assert_int_eq(read_image(VHD_IMAGE_WRITE), 0);
}
END_TEST

START_TEST(reading_survives_each_failure)
{
	unsigned n;
	int err = -EIO;

	for (n = 1; err; n++) {
		memory.calls = 0;
		memory.fail_at = n;
		err = read_image(0);
		ck_assert(!err || err == -EIO);
	}
	ck_assert_uint_gt(n, 4);
}
END_TEST

/* Write two blocks and close: 0, or the first failure. */
static int
write_blocks(void)
{
	static uint8_t data[4096];
	vhd_context_t ctx;
	int err, closed;

	memset(data, 0xa5, sizeof(data));
	err = vhd_open_io(&ctx, memory_io(&memory), "memory", VHD_OPEN_RDWR, &why);
	if (err)
		return err;
	err = vhd_io_write(&ctx, data, 4090, 8);
	if (!err)
		err = vhd_sync(&ctx);
	if (!err)
		err = vhd_io_write(&ctx, data, 20000, 8);
	closed = vhd_close(&ctx);
	return err ? err : closed;
}

/* Whatever failed, what is there is an image, and its tables are sound. */
static void
still_an_image(void)
{
	uint32_t bat[8];

	memory.fail_at = 0;
	ck_assert_int_eq(read_image(VHD_IMAGE_WRITE), 0);
	ck_assert_int_eq(vhd_image_read_bat(io, &image, 0, 8, bat), 0);
	ck_assert_int_eq(vhd_image_check_bat(&image, bat, 8, true, &why), 0);
}

START_TEST(writing_survives_each_failure)
{
	unsigned n;
	int err = -EIO, writes_only;

	for (writes_only = 0; writes_only < 2; writes_only++) {
		for (n = 1, err = -EIO; err; n++) {
			memory_disk_free(&memory);
			make(VHD_TYPE_DYNAMIC);
			memory.calls = 0;
			memory.fail_at = n;
			memory.writes_only = writes_only;
			err = write_blocks();
			ck_assert(!err || err == -EIO);
			still_an_image();
			memory.writes_only = 0;
			ck_assert_int_eq(write_blocks(), 0);
			still_an_image();
			ck_assert_uint_lt(n, 1000);
		}
		ck_assert_uint_gt(n, 10);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("vhd validation");
	TCase *tests = tcase_create("vhd validation");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_new_image_is_sound);
	tcase_add_test(tests, each_byte_of_a_footer_counts);
	tcase_add_test(tests, each_byte_of_a_header_counts);
	tcase_add_test(tests, a_short_footer_is_read);
	tcase_add_test(tests, a_file_that_lost_its_end_is_read);
	tcase_add_test(tests, footers_that_conflict_are_not_written_to);
	tcase_add_test(tests, a_guest_cannot_make_its_fixed_disk_dynamic);
	tcase_add_test(tests, a_fixed_disk_ends_where_its_file_does);
	tcase_add_test(tests, footers_are_checked);
	tcase_add_test(tests, a_checksum_without_the_hidden_flag_passes_for_old_tools_only);
	tcase_add_test(tests, the_copy_tells_of_old_images_whether_they_are_hidden);
	tcase_add_test(tests, the_header_is_inside_the_file);
	tcase_add_test(tests, tables_and_blocks_are_checked);
	tcase_add_test(tests, the_padding_of_a_table_is_part_of_it);
	tcase_add_test(tests, entries_are_checked);
	tcase_add_test(tests, a_batmap_that_is_damaged_is_ignored);
	tcase_add_test(tests, locators_outside_the_file_are_refused);
	tcase_add_test(tests, an_image_of_2040_gib_is_opened_from_a_few_sectors);
	tcase_add_test(tests, creation_survives_each_failure);
	tcase_add_test(tests, reading_survives_each_failure);
	tcase_add_test(tests, writing_survives_each_failure);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
