/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A user of the installed library: calls everything that its headers promise, in a folder of its
 * own, which is the working directory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vhd/commands.h>
#include <vhd/libvhd-index.h>
#include <vhd/libvhd-journal.h>
#include <vhd/libvhd.h>

#define MIB (1ull << 20)

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "line %d: %s\n", __LINE__, #what);                         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static void
unique_ids(void)
{
	vhd_uuid_t one, other;
	char text[37];

	vhd_uuid_generate(&one);
	CHECK(!vhd_uuid_is_nil(&one));
	vhd_uuid_to_string(&one, text, sizeof(text));
	CHECK(!vhd_uuid_from_string(&other, text));
	CHECK(vhd_uuid_from_string(&other, "no id") == -EINVAL);
	CHECK(!vhd_uuid_compare(&one, &other));
	vhd_uuid_clear(&other);
	CHECK(vhd_uuid_is_nil(&other));
	vhd_uuid_copy(&other, &one);
	CHECK(!vhd_uuid_compare(&one, &other));
}

static void
plain_functions(void)
{
	char text[26], *data;
	size_t bytes;
	int is_fixed;

	libvhd_set_log_level(0);
	CHECK(vhd_chs(2 * MIB) == (60u << 16 | 4 << 8 | 17));
	CHECK(vhd_time(VHD_EPOCH + 5) == 5);
	vhd_time_to_string(0, text);
	CHECK(!strcmp(text, "Sat Jan  1 00:00:00 2000"));
	CHECK(!vhd_validate_platform_code(VHD_PLATFORM_MACX));
	CHECK(vhd_validate_platform_code(0x12345678) == -EINVAL);
	CHECK(!vhd_macx_encode_location("./p", &data, &bytes));
	CHECK(bytes == 10 && !memcmp(data, "file://./p", bytes));
	free(data);
	CHECK(!vhd_w2u_encode_location("./p", &data, &bytes));
	CHECK(bytes == 6 && !memcmp(data, ".\0\\\0p", bytes));
	free(data);
	CHECK(!vhd_test_file_fixed("disk.vhd", &is_fixed) && !is_fixed);
	CHECK(vhd_test_file_fixed("nothing", &is_fixed) == -ENOENT);
}

/* ---- metadata -----------------------------------------------------------------------------------
 */

static void
footers(vhd_context_t *vhd)
{
	vhd_footer_t footer;

	vhd_put_footer(vhd);
	CHECK(!vhd_get_footer(vhd));
	CHECK(!vhd_read_footer_strict(vhd, &footer));
	CHECK(!vhd_read_footer(vhd, &footer, 1));
	CHECK(!vhd_read_footer_at(vhd, &footer, 0));
	CHECK(vhd_read_footer_at(vhd, &footer, 1) == -EINVAL);
	CHECK(!vhd_validate_footer(&footer));
	CHECK(vhd_checksum_footer(&footer) == footer.checksum);
	vhd_footer_out(&footer);
	vhd_footer_in(&footer);
	CHECK(!vhd_write_footer(vhd, &footer));
	CHECK(!vhd_write_footer_at(vhd, &footer, 0));
	footer.cookie[0] = 'C';
	CHECK(vhd_validate_footer(&footer) == -EINVAL);
}

static void
headers(vhd_context_t *vhd)
{
	vhd_header_t header;

	vhd_put_header(vhd);
	CHECK(!vhd_get_header(vhd));
	CHECK(!vhd_read_header(vhd, &header));
	CHECK(!vhd_read_header_at(vhd, &header, 512));
	CHECK(vhd_read_header_at(vhd, &header, 0) == -EINVAL);
	CHECK(!vhd_validate_header(&header));
	CHECK(vhd_checksum_header(&header) == header.checksum);
	vhd_header_out(&header);
	vhd_header_in(&header);
	CHECK(!vhd_write_header_at(vhd, &header, 512));
	CHECK(!vhd_write_header(vhd, &header));
}

static void
tables(vhd_context_t *vhd)
{
	vhd_batmap_t batmap;
	vhd_bat_t bat;

	CHECK(!vhd_get_bat(vhd));
	CHECK(!vhd_read_bat(vhd, &bat));
	CHECK(bat.entries == vhd->bat.entries && bat.bat[0] == vhd->bat.bat[0]);
	vhd_bat_out(&bat);
	vhd_bat_in(&bat);
	CHECK(!vhd_write_bat(vhd, &bat));
	free(bat.bat);
	vhd_put_bat(vhd);

	CHECK(vhd_has_batmap(vhd) && !vhd_get_batmap(vhd));
	CHECK(!vhd_read_batmap(vhd, &batmap));
	CHECK(!vhd_validate_batmap_header(&batmap) && !vhd_validate_batmap(vhd, &batmap));
	CHECK(vhd_checksum_batmap(vhd, &batmap) == batmap.header.checksum);
	vhd_batmap_set(vhd, &batmap, 1);
	CHECK(vhd_batmap_test(vhd, &batmap, 1));
	vhd_batmap_clear(vhd, &batmap, 1);
	CHECK(!vhd_batmap_test(vhd, &batmap, 1));
	vhd_batmap_header_out(&batmap);
	vhd_batmap_header_in(&batmap);
	CHECK(!vhd_write_batmap(vhd, &batmap));
	free(batmap.map);
	vhd_put_batmap(vhd);
}

static void
blocks(vhd_context_t *vhd)
{
	char *bitmap, *data, sector[512];
	uint32_t at;

	CHECK(!vhd_offset(vhd, 5, &at) && at != VHD_BLOCK_UNUSED);
	CHECK(!vhd_read_bitmap(vhd, 0, &bitmap));
	CHECK(vhd_read_bitmap(vhd, 3, &data) == -ENODATA);
	CHECK(vhd_bitmap_test(vhd, bitmap, 5) && !vhd_bitmap_test(vhd, bitmap, 6));
	vhd_bitmap_set(vhd, bitmap, 6);
	vhd_bitmap_clear(vhd, bitmap, 6);
	CHECK(!vhd_write_bitmap(vhd, 0, bitmap));
	free(bitmap);
	CHECK(!vhd_read_at(vhd, 0, 5, 1, sector) && sector[0] == 'x');
	CHECK(!vhd_read_block(vhd, 0, &data) && data[5 * 512] == 'x');
	CHECK(!vhd_write_block(vhd, 0, data));
	free(data);
}

static void
sizes(vhd_context_t *vhd)
{
	off_t physical, headers_end, data_end, batmap_at;
	uint64_t most;

	CHECK(!vhd_file_size_fixed(vhd));
	CHECK(!vhd_get_phys_size(vhd, &physical));
	CHECK(!vhd_end_of_headers(vhd, &headers_end) && !vhd_end_of_data(vhd, &data_end));
	CHECK(headers_end < data_end && data_end < physical);
	CHECK(!vhd_batmap_header_offset(vhd, &batmap_at) && batmap_at < headers_end);
	CHECK(!vhd_set_phys_size(vhd, physical + 4096));
	CHECK(!vhd_max_virt_size(vhd, &most));
	CHECK(vhd_set_virt_size(vhd, most + 512) == -ENOSPC);
	CHECK(!vhd_set_virt_size(vhd, most));
}

static void
attributes(vhd_context_t *vhd)
{
	struct vhd_keyhash keyhash;
	int value;
	char marker;

	CHECK(!vhd_set_hidden(vhd, 1) && !vhd_hidden(vhd, &value) && value == 1);
	CHECK(!vhd_chain_depth(vhd, &value) && value == 1);
	CHECK(!vhd_set_marker(vhd, 7) && !vhd_marker(vhd, &marker) && marker == 7);
	CHECK(!vhd_get_keyhash(vhd, &keyhash) && !keyhash.cookie);
	keyhash.cookie = 1;
	CHECK(vhd_set_keyhash(vhd, &keyhash) == -EBUSY);
}

static void
an_image(void)
{
	char data[1024];
	vhd_context_t vhd;

	CHECK(vhd_open(&vhd, "nothing", VHD_OPEN_RDONLY) == -ENOENT);
	CHECK(!vhd_create("disk.vhd", 16 * MIB, VHD_TYPE_DYNAMIC, 32, 0));
	CHECK(!vhd_open(&vhd, "disk.vhd", VHD_OPEN_RDWR));
	memset(data, 'x', sizeof(data));
	CHECK(!vhd_io_write(&vhd, data, 5, 1));
	CHECK(!vhd_io_write_bytes(&vhd, data, 100, 3 * MIB + 7));
	CHECK(!vhd_sync(&vhd));
	CHECK(!vhd_io_read(&vhd, data, 4, 2) && !data[511] && data[512] == 'x');
	CHECK(!vhd_io_read_bytes(&vhd, data, 2, 3 * MIB + 6) && !data[0] && data[1] == 'x');
	CHECK(vhd_io_read(&vhd, data, 16 * MIB / 512, 1) == -ERANGE && *vhd_error(&vhd));
	CHECK(!vhd_seek(&vhd, 0, SEEK_SET) && !vhd_read(&vhd, data, 512));
	CHECK(vhd_position(&vhd) == 512 && !memcmp(data, VHD_COOKIE, 8));
	CHECK(!vhd_seek(&vhd, 0, SEEK_SET) && !vhd_write(&vhd, data, 512));
	footers(&vhd);
	headers(&vhd);
	tables(&vhd);
	blocks(&vhd);
	sizes(&vhd);
	attributes(&vhd);
	CHECK(!vhd_close(&vhd));
}

/* ---- parents, journals --------------------------------------------------------------------------
 */

static void
a_child(void)
{
	vhd_parent_locator_t locator;
	vhd_context_t vhd;
	char *name;

	CHECK(!vhd_create("other.vhd", 32 * MIB, VHD_TYPE_FIXED, 0, 0));
	CHECK(!vhd_snapshot("child.vhd", 0, "disk.vhd", 0, 0));
	CHECK(!vhd_open(&vhd, "child.vhd", VHD_OPEN_RDWR));
	CHECK(vhd_parent_locator_count(&vhd) == 3);
	CHECK(!vhd_parent_locator_get(&vhd, &name));
	free(name);
	CHECK(!vhd_parent_locator_unresolved_get(&vhd, &name) && !strcmp(name, "./disk.vhd"));
	free(name);
	CHECK(!vhd_header_decode_parent(&vhd, &vhd.header, &name) && !strcmp(name, "disk.vhd"));
	free(name);
	CHECK(!vhd_find_parent(&vhd, "./disk.vhd", &name));
	free(name);
	locator = vhd.header.locator[0];
	CHECK(!vhd_parent_locator_read(&vhd, &locator, &name) && !strcmp(name, "./disk.vhd"));
	free(name);
	CHECK(!vhd_parent_locator_write_at(&vhd, "./disk.vhd", (off_t)locator.data_offset,
					   locator.code, 512, &locator));
	CHECK(!vhd_write_parent_locators(&vhd, "disk.vhd"));
	CHECK(!vhd_initialize_header_parent_name(&vhd, "disk.vhd"));
	CHECK(vhd_change_parent(&vhd, "child.vhd", 0) == -ELOOP);
	CHECK(!vhd_change_parent(&vhd, "other.vhd", 0));
	CHECK(!vhd_custom_parent_set(&vhd, "disk.vhd"));
	CHECK(!vhd_close(&vhd));
}

static void
a_journal(void)
{
	vhd_journal_t journal;

	CHECK(!vhd_journal_create(&journal, "disk.vhd", "journal"));
	CHECK(!vhd_journal_add_block(&journal, 0, VHD_JOURNAL_METADATA | VHD_JOURNAL_DATA));
	CHECK(!vhd_journal_close(&journal));
	CHECK(!vhd_journal_open(&journal, "disk.vhd", "journal"));
	CHECK(!vhd_journal_revert(&journal));
	CHECK(!vhd_journal_remove(&journal));
	CHECK(!vhd_journal_create(&journal, "disk.vhd", "journal"));
	CHECK(!vhd_journal_commit(&journal));
	CHECK(!vhd_journal_remove(&journal));
	CHECK(access("journal", F_OK) != 0);
}

/* ---- indexes ------------------------------------------------------------------------------------
 */

static void
an_index(void)
{
	const vhdi_file_t *file, *same;
	vhdi_context_t index;
	vhdi_block_t block;
	vhdi_bat_t bat;
	char data[1024];

	CHECK(!vhdi_create("index") && vhdi_create("index") == -EEXIST);
	CHECK(vhdi_open(&index, "nothing", VHD_OPEN_RDONLY) == -ENOENT);
	CHECK(!vhdi_open(&index, "index", VHD_OPEN_RDWR));
	CHECK(vhdi_add(&index, "nothing") == -ENOENT && *vhdi_error(&index));
	CHECK(!vhdi_add(&index, "disk.vhd") && index.files == 1);
	CHECK(!vhdi_get_file(&index, 1, &file) && !vhdi_find_file(&index, file->path, &same));
	CHECK(file == same && !file->is_raw && vhdi_get_file(&index, 2, &file) == -ENOENT);
	CHECK(!vhdi_read_bat(&index, "disk.vhd", &bat) && bat.table[0] != VHDI_UNUSED);
	CHECK(!vhdi_read_block(&index, bat.table[0], &block));
	CHECK(block.table[5].file_id == 1 && block.table[6].file_id == VHDI_NOWHERE);
	vhdi_free_block(&block);
	CHECK(!vhdi_io_read(&index, &bat, data, 4, 2) && !data[511] && data[512] == 'x');
	vhdi_free_bat(&bat);
	CHECK(!vhdi_close(&index));
}

/* ---- commands -----------------------------------------------------------------------------------
 */

#define WORDS 8

static void
commands(void)
{
	static const struct {
		int (*run)(int argc, char **argv);
		const char *words[WORDS];
		int result;
	} all[] = {
		{ vhd_util_create, { "create", "-n", "made.vhd", "-s", "4", "-S", "8" }, 0 },
		{ vhd_util_create, { "create", "-n", "made.vhd" }, -EINVAL },
		{ vhd_util_key, { "key", "-p", "-n", "made.vhd" }, 0 },
		{ vhd_util_fill, { "fill", "-n", "made.vhd" }, 0 },
		{ vhd_util_snapshot, { "snapshot", "-n", "leaf.vhd", "-p", "made.vhd" }, 0 },
		{ vhd_util_query, { "query", "-n", "leaf.vhd", "-v" }, 0 },
		{ vhd_util_query, { "query", "-n", "nothing", "-v" }, -ENOENT },
		{ vhd_util_read, { "read", "-n", "leaf.vhd", "-p" }, 0 },
		{ vhd_util_set, { "set", "-n", "made.vhd", "-f", "hidden", "-v", "1" }, 0 },
		{ vhd_util_repair, { "repair", "-n", "leaf.vhd" }, 0 },
		{ vhd_util_resize, { "resize", "-n", "leaf.vhd", "-s", "4", "-f" }, 0 },
		{ vhd_util_coalesce, { "coalesce", "-n", "leaf.vhd" }, 0 },
		{ vhd_util_modify, { "modify", "-n", "leaf.vhd", "-p", "made.vhd" }, 0 },
		{ vhd_util_scan, { "scan", "leaf.vhd" }, 0 },
		{ vhd_util_check, { "check", "-n", "leaf.vhd", "-p" }, 0 },
		{ vhd_util_revert, { "revert", "-n", "leaf.vhd", "-j", "nothing" }, -ENOENT },
		{ vhd_util_copy, { "copy", "-n", "leaf.vhd", "-N", "copy.vhd" }, 0 },
	};
	char *argv[WORDS + 1];
	size_t i;
	int argc;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		memset(argv, 0, sizeof(argv));
		for (argc = 0; argc < WORDS && all[i].words[argc]; argc++)
			argv[argc] = (char *)all[i].words[argc];
		if (all[i].run(argc, argv) != all[i].result) {
			fprintf(stderr, "%s (row %zu)\n", argv[0], i);
			exit(1);
		}
	}
}

int
main(void)
{
	unique_ids();
	an_image();
	plain_functions();
	a_child();
	a_journal();
	an_index();
	commands();
	return 0;
}
