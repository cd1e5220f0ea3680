/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indexes of chains: what is read through one is what the chain has, and a damaged one is refused.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vhd/libvhd-journal.h>

#include "common/bytes.h"
#include "tests/vhd/memory-io.h"
#include "vhd/lib/context.h"
#include "vhd/lib/index.h"

#define MIB (1ull << 20)
#define SIZE (10 * MIB)
#define DEPTH 30
#define WRITES 12
#define PIECE 700u /* sectors */

static char folder[] = "/tmp/vhd-index.XXXXXX";
static vhdi_context_t vhdi;
static vhdi_bat_t bat;
static vhd_context_t vhd;
static unsigned seed;

static void
setup(void)
{
	const char *given = getenv("INDEX_SEED");

	seed = given ? (unsigned)strtoul(given, NULL, 10) : 20261129;
	printf("# INDEX_SEED=%u\n", seed);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
teardown(void)
{
	char command[64];
	int i;

	vhdi_close(&vhdi);
	vhdi_free_bat(&bat);
	for (i = 0; i < 80; i++) {
		snprintf(command, sizeof(command), "%d", i);
		unlink(command);
		snprintf(command, sizeof(command), "%d.bat", i);
		unlink(command);
	}
	unlink("i.index");
	unlink("i.files");
	unlink("raw");
	unlink("journal");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

static uint32_t
pick(uint32_t limit)
{
	return (uint32_t)rand_r(&seed) % limit;
}

/* ---- images -------------------------------------------------------------------------------------
 */

static void
write_some(const char *name, int byte)
{
	static uint8_t data[PIECE * 512];
	uint64_t sectors;
	int i;

	ck_assert_int_eq(vhd_open(&vhd, name, VHD_OPEN_RDWR), 0);
	sectors = vhd.priv->image.sectors;
	memset(data, byte, sizeof(data));
	for (i = 0; i < WRITES; i++) {
		uint32_t count = 1 + pick(PIECE);

		ck_assert_int_eq(vhd_io_write(&vhd, data, pick((uint32_t)sectors - count), count),
				 0);
	}
	ck_assert_int_eq(vhd_close(&vhd), 0);
}

static void
make_raw(uint64_t bytes)
{
	char data[3000];
	int fd = open("raw", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	memset(data, 'r', sizeof(data));
	ck_assert_int_eq(pwrite(fd, data, sizeof(data), 4000), sizeof(data));
	ck_assert_int_eq(pwrite(fd, data, sizeof(data), 5 * MIB), sizeof(data));
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

/* "raw", "0" on it, "1" on that and so on. */
static void
make_chain(int depth, uint64_t raw_bytes)
{
	char name[16], parent[16] = "raw";
	int i;

	make_raw(raw_bytes);
	for (i = 0; i < depth; i++) {
		snprintf(name, sizeof(name), "%d", i);
		ck_assert_int_eq(vhd_snapshot(name, i ? 0 : SIZE, parent, 0,
					      i ? VHD_FLAG_CREAT_KEEP_EMPTY_PARENT
						: VHD_FLAG_CREAT_PARENT_RAW),
				 0);
		write_some(name, i + 1);
		memcpy(parent, name, sizeof(parent));
	}
}

static void
open_index(const char *image, int flags)
{
	struct reason why;

	ck_assert_msg(!vhdi_open_told(&vhdi, "i", flags, &why), "%s", why.text);
	ck_assert_msg(!image || !vhdi_read_bat(&vhdi, image, &bat), "%s", vhdi_error(&vhdi));
}

static void
add(const char *image)
{
	if (access("i.index", F_OK))
		ck_assert_int_eq(vhdi_create("i"), 0);
	open_index(NULL, VHD_OPEN_RDWR);
	ck_assert_msg(!vhdi_add(&vhdi, image), "%s", vhdi_error(&vhdi));
	ck_assert_int_eq(vhdi_close(&vhdi), 0);
}

static off_t
bytes_of(const char *name)
{
	struct stat found;

	ck_assert_int_eq(stat(name, &found), 0);
	return found.st_size;
}

/* Through the index, and through the chain, in pieces of any size. */
static void
same_disk(const char *image)
{
	static uint8_t one[PIECE * 512], other[PIECE * 512];
	uint64_t sector, sectors;
	uint32_t part;

	open_index(image, VHD_OPEN_RDONLY);
	ck_assert_int_eq(vhd_open(&vhd, image, VHD_OPEN_RDONLY), 0);
	sectors = vhd.priv->image.sectors;
	ck_assert_uint_eq(bat.bytes, sectors * 512);
	for (sector = 0; sector < sectors; sector += part) {
		part = 1 + pick(PIECE);
		if (part > sectors - sector)
			part = (uint32_t)(sectors - sector);
		ck_assert_int_eq(vhd_io_read(&vhd, one, sector, part), 0);
		ck_assert_msg(!vhdi_io_read(&vhdi, &bat, other, sector, part), "%s",
			      vhdi_error(&vhdi));
		ck_assert_msg(!memcmp(one, other, part * 512ul), "%s: from sector %" PRIu64, image,
			      sector);
	}
	ck_assert_int_eq(vhdi_io_read(&vhdi, &bat, one, sectors, 1), -ERANGE);
	ck_assert_int_eq(vhdi_io_read(&vhdi, &bat, one, UINT64_MAX, 1), -ERANGE);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	vhdi_free_bat(&bat);
	ck_assert_int_eq(vhdi_close(&vhdi), 0);
}

/* ---- what an index is for -----------------------------------------------------------------------
 */

START_TEST(a_chain_of_thirty_is_read_as_it_is)
{
	char name[16];
	int i;

	/* The raw parent is shorter than its child, and not whole sectors. */
	make_chain(DEPTH, 6 * MIB + 100);
	add("29");
	same_disk("29");
	/* The index of one image is no other's; those of its parents fit into the same files. */
	open_index(NULL, VHD_OPEN_RDONLY);
	ck_assert_int_eq(vhdi_read_bat(&vhdi, "28", &bat), -ENOENT);
	ck_assert_uint_eq(vhdi.files, DEPTH + 1);
	vhdi_close(&vhdi);
	for (i = 0; i < DEPTH; i += 7) {
		snprintf(name, sizeof(name), "%d", i);
		add(name);
		same_disk(name);
	}
	same_disk("29");
}
END_TEST

START_TEST(fixed_and_cut_images_are_indexed)
{
	ck_assert_int_eq(vhd_create("0", 4 * MIB, VHD_TYPE_FIXED, 0, 0), 0);
	write_some("0", 'f');
	add("0");
	same_disk("0");
	ck_assert_int_eq(vhd_create("1", SIZE, VHD_TYPE_DYNAMIC, 0, 0), 0);
	write_some("1", 'd');
	/* A power cut took the footer, and the end of the last block. */
	ck_assert_int_eq(truncate("1", bytes_of("1") - 512 - (off_t)MIB), 0);
	add("1");
	same_disk("1");
}
END_TEST

START_TEST(blocks_of_a_parent_take_no_room_twice)
{
	uint8_t sector[512] = { 'x' };
	off_t before;

	make_chain(2, 6 * MIB);
	add("0");
	before = bytes_of("i.index");
	ck_assert_int_eq(vhd_snapshot("2", 0, "0", 0, 0), 0);
	add("2");
	ck_assert_int_eq(bytes_of("i.index"), before);
	same_disk("2");
	/* Another block of data is another block of the index, and nothing else. */
	ck_assert_int_eq(vhd_open(&vhd, "2", VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(vhd_io_write(&vhd, sector, 5, 1), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	add("2");
	ck_assert_int_eq(bytes_of("i.index"), before + (off_t)VHDI_BLOCK_BYTES);
	same_disk("2");
	/* And when nothing has changed, nothing is added. */
	add("2");
	ck_assert_int_eq(bytes_of("i.index"), before + (off_t)VHDI_BLOCK_BYTES);
	same_disk("0");
}
END_TEST

START_TEST(what_is_written_later_is_seen_by_the_next_index)
{
	make_chain(3, SIZE);
	add("2");
	write_some("2", 'n');
	write_some("1", 'm');
	add("2");
	same_disk("2");
}
END_TEST

START_TEST(more_files_than_are_kept_open)
{
	char name[16];
	int i;

	ck_assert_int_eq(vhdi_create("i"), 0);
	for (i = 0; i < VHDI_OPEN_FILES + 6; i++) {
		snprintf(name, sizeof(name), "%d", i);
		ck_assert_int_eq(vhd_create(name, 2 * MIB, VHD_TYPE_DYNAMIC, 0, 0), 0);
		write_some(name, i + 1);
		add(name);
	}
	open_index(NULL, VHD_OPEN_RDONLY);
	for (i = 0; i < 2 * (VHDI_OPEN_FILES + 6); i++) {
		vhdi_block_t block;

		snprintf(name, sizeof(name), "%d", i % (VHDI_OPEN_FILES + 6));
		ck_assert_msg(!vhdi_read_bat(&vhdi, name, &bat), "%s", vhdi_error(&vhdi));
		ck_assert_int_eq(vhdi_read_block(&vhdi, bat.table[0], &block), 0);
		vhdi_free_block(&block);
		vhdi_free_bat(&bat);
	}
	vhdi_close(&vhdi);
	same_disk("3");
}
END_TEST

START_TEST(one_adds_at_a_time_and_readers_see_what_is_added)
{
	vhdi_context_t other;

	make_chain(2, SIZE);
	add("0");
	open_index("0", VHD_OPEN_RDONLY);
	ck_assert_int_eq(vhdi_add(&vhdi, "1"), -EROFS);
	ck_assert_int_eq(vhdi_open(&other, "i", VHD_OPEN_RDWR), 0);
	{
		vhdi_context_t third;

		ck_assert_int_eq(vhdi_open(&third, "i", VHD_OPEN_RDWR), -EBUSY);
		ck_assert_ptr_null(third.priv);
	}
	ck_assert_int_eq(vhdi_add(&other, "1"), 0);
	ck_assert_int_eq(vhdi_close(&other), 0);
	vhdi_free_bat(&bat);
	ck_assert_uint_eq(vhdi.files, 2);
	ck_assert_int_eq(vhdi_read_bat(&vhdi, "1", &bat), 0);
	ck_assert_uint_eq(vhdi.files, 3);
}
END_TEST

START_TEST(files_are_found_by_id_and_by_path)
{
	const vhdi_file_t *file, *same;
	char path[64];

	make_chain(1, SIZE);
	add("0");
	open_index("0", VHD_OPEN_RDONLY);
	ck_assert_int_eq(vhdi_get_file(&vhdi, 0, &file), -ENOENT);
	ck_assert_int_eq(vhdi_get_file(&vhdi, 3, &file), -ENOENT);
	ck_assert_int_eq(vhdi_get_file(&vhdi, 2, &file), 0);
	ck_assert(file->is_raw && vhd_uuid_is_nil(&file->uuid));
	snprintf(path, sizeof(path), "%s/0", folder);
	ck_assert_int_eq(vhdi_find_file(&vhdi, path, &same), 0);
	ck_assert(same->id == 1 && bat.file_id == 1 && !same->is_raw);
	ck_assert_mem_eq(&same->uuid, &bat.uuid, sizeof(bat.uuid));
	ck_assert_int_eq(vhdi_find_file(&vhdi, "0", &same), -ENOENT);
}
END_TEST

/* ---- what cannot be indexed ---------------------------------------------------------------------
 */

static int
adding(const char *image)
{
	int err;

	open_index(NULL, VHD_OPEN_RDWR);
	err = vhdi_add(&vhdi, image);
	ck_assert(!err || *vhdi_error(&vhdi));
	ck_assert_uint_eq(vhdi.files, 0);
	vhdi_close(&vhdi);
	ck_assert_int_eq(bytes_of("i.index"), VHDI_HEADER_BYTES);
	ck_assert_int_eq(bytes_of("i.files"), VHDI_HEADER_BYTES);
	return err;
}

START_TEST(what_cannot_be_indexed_leaves_nothing)
{
	struct vhd_keyhash keyhash = { .cookie = 1 };
	vhd_journal_t journal;

	ck_assert_int_eq(vhdi_create("i"), 0);
	ck_assert_int_eq(vhdi_create("i"), -EEXIST);
	ck_assert_int_eq(adding("no"), -ENOENT);
	make_chain(2, SIZE);
	ck_assert_int_eq(adding("raw"), -EINVAL);
	ck_assert_int_eq(vhd_journal_create(&journal, "0", "journal"), 0);
	ck_assert_int_eq(adding("1"), -EBUSY);
	ck_assert_int_eq(vhd_journal_revert(&journal), 0);
	ck_assert_int_eq(vhd_journal_remove(&journal), 0);
	ck_assert_int_eq(rename("0", "0.bat"), 0);
	ck_assert_int_eq(adding("1"), -ENOENT);
	ck_assert_int_eq(vhd_create("2", SIZE, VHD_TYPE_DYNAMIC, 0, 0), 0);
	ck_assert_int_eq(vhd_open(&vhd, "2", VHD_OPEN_RDWR), 0);
	ck_assert_int_eq(vhd_set_keyhash(&vhd, &keyhash), 0);
	ck_assert_int_eq(vhd_close(&vhd), 0);
	ck_assert_int_eq(adding("2"), -EOPNOTSUPP);
	ck_assert_int_eq(access("2.bat", F_OK), -1);
}
END_TEST

START_TEST(a_failure_keeps_the_index_that_there_was)
{
	struct rlimit before, small;
	off_t bytes;

	make_chain(2, SIZE);
	add("1");
	bytes = bytes_of("i.index");
	write_some("1", 'n');
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	/* Room for a part of the blocks that are new. */
	small.rlim_cur = (rlim_t)bytes + VHDI_BLOCK_BYTES + 512;
	open_index(NULL, VHD_OPEN_RDWR);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(vhdi_add(&vhdi, "1"), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	vhdi_close(&vhdi);
	ck_assert_int_eq(bytes_of("i.index"), bytes);
	open_index("1", VHD_OPEN_RDONLY);
	vhdi_close(&vhdi);
	vhdi_free_bat(&bat);
	add("1");
	same_disk("1");
}
END_TEST

/* ---- damage -------------------------------------------------------------------------------------
 */

enum which { INDEX, FILES, BAT };

static const char *const names[] = { "i.index", "i.files", "0.bat" };

static const struct damage {
	const char *what;
	enum which file;
	off_t at;
	uint32_t value; /* 32 bits that are put there */
	bool mended;    /* with the checksum that belongs to it */
	int err;        /* of whoever comes to it */
} damages[] = {
	{ "cookie", INDEX, 0, 0, true, -EIO },
	{ "version", INDEX, 8, 0x20000, true, -EIO },
	{ "block size", INDEX, 12, 1 << 20, true, -EIO },
	{ "checksum", INDEX, 100, 1, false, -EIO },
	{ "file id", INDEX, VHDI_HEADER_BYTES, 3, false, -EIO },
	{ "file id of all ones", INDEX, VHDI_HEADER_BYTES, UINT32_MAX, false, -EIO },
	{ "offset behind the end", INDEX, VHDI_HEADER_BYTES + 4, 0x00400000, false, -EIO },
	{ "offset of all ones", INDEX, VHDI_HEADER_BYTES + 4, UINT32_MAX, false, -EIO },
	{ "offset of nowhere", INDEX, VHDI_HEADER_BYTES + 8, 0, false, -EIO },
	{ "cookie", FILES, 0, 0, true, -EIO },
	{ "version", FILES, 8, 0x20000, true, -EIO },
	{ "checksum", FILES, VHDI_HEADER_BYTES + 30, 0x2f2f2f2f, false, -EIO },
	{ "fewer files", FILES, 12, 1, true, -EIO },
	{ "more files", FILES, 12, 3, true, -EIO },
	{ "too many files", FILES, 12, UINT32_MAX, true, -EIO },
	{ "kind", FILES, VHDI_HEADER_BYTES, 3, true, -EIO },
	{ "raw with an id", FILES, VHDI_HEADER_BYTES, 2, true, -EIO },
	{ "no path", FILES, VHDI_HEADER_BYTES + 4, 0, true, -EIO },
	{ "a long path", FILES, VHDI_HEADER_BYTES + 4, 1024, true, -EIO },
	{ "an endless path", FILES, VHDI_HEADER_BYTES + 4, UINT32_MAX, true, -EIO },
	{ "NUL in a path", FILES, VHDI_HEADER_BYTES + 26, 0, true, -EIO },
	{ "a relative path", FILES, VHDI_HEADER_BYTES + 24, 0x61616161, true, -EIO },
	{ "another id than the image's", FILES, VHDI_HEADER_BYTES + 8, 1, true, -EIO },
	{ "cookie", BAT, 0, 0, true, -EIO },
	{ "version", BAT, 8, 0x20000, true, -EIO },
	{ "block size", BAT, 12, 1 << 20, true, -EIO },
	{ "checksum", BAT, 600, 1, false, -EIO },
	{ "image that there is not", BAT, 20, 3, true, -EIO },
	{ "image that is raw", BAT, 20, 2, true, -EIO },
	{ "no image", BAT, 20, 0, true, -EIO },
	{ "a huge disk", BAT, 24, 0x00100000, true, -EIO },
	{ "a disk of all ones", BAT, 24, UINT32_MAX, true, -EIO },
	{ "a disk of half a sector", BAT, 28, SIZE - 256, true, -EIO },
	{ "no disk", BAT, 28, 0, true, -EIO },
	{ "fewer entries", BAT, 32, 4, true, -EIO },
	{ "more entries", BAT, 32, 6, true, -EIO },
	{ "entries of all ones", BAT, 32, UINT32_MAX, true, -EIO },
	{ "no name", BAT, 36, 0, true, -EIO },
	{ "an endless name", BAT, 36, UINT32_MAX, true, -EIO },
	{ "another name", BAT, 516, 0x61616161, true, -EINVAL },
	{ "another id", BAT, 40, 1, true, -EIO },
	{ "block in the header", BAT, VHDI_BAT_HEADER_BYTES, 0, true, -EIO },
	{ "block between blocks", BAT, VHDI_BAT_HEADER_BYTES, 2, true, -EIO },
	{ "block behind the end", BAT, VHDI_BAT_HEADER_BYTES, 1 + 64 * 64, true, -EIO },
	{ "block far behind the end", BAT, VHDI_BAT_HEADER_BYTES, 0xffffffc1, true, -EIO },
};

static void
do_damage(const struct damage *damage)
{
	static uint8_t raw[1 << 20];
	int fd = open(names[damage->file], O_RDWR | O_CLOEXEC);
	ssize_t bytes = read(fd, raw, sizeof(raw));

	ck_assert_int_gt(bytes, damage->at + 4);
	put_be32(raw + damage->at, damage->value);
	if (damage->mended)
		put_be32(raw + VHDI_SUM_AT,
			 vhdi_sum(raw, damage->file == INDEX ? VHDI_HEADER_BYTES : (size_t)bytes));
	ck_assert_int_eq(pwrite(fd, raw, (size_t)bytes, 0), bytes);
	close(fd);
}

/* Of all that a reader does, what the first failure is. */
static int
read_all(struct reason *why)
{
	static uint8_t data[PIECE * 512];
	uint64_t sector;
	int err = vhdi_open_told(&vhdi, "i", VHD_OPEN_RDONLY, why);

	if (err)
		return err;
	err = vhdi_read_bat(&vhdi, "0", &bat);
	for (sector = 0; !err && sector < SIZE / 512; sector++)
		err = vhdi_io_read(&vhdi, &bat, data, sector, 1);
	*why = vhdi.priv->why;
	vhdi_close(&vhdi);
	vhdi_free_bat(&bat);
	return err;
}

START_TEST(damage_is_refused)
{
	const struct damage *damage = &damages[_i];
	struct reason why = { "" };
	int err;

	make_chain(1, SIZE);
	add("0");
	ck_assert_msg(!read_all(&why), "%s", why.text);
	do_damage(damage);
	err = read_all(&why);
	ck_assert_msg(err == damage->err && *why.text, "%s: %s: %d, %s", names[damage->file],
		      damage->what, err, why.text);
}
END_TEST

START_TEST(a_file_that_is_cut_is_refused)
{
	off_t bytes;
	struct reason why;

	make_chain(1, SIZE);
	add("0");
	bytes = bytes_of(names[_i]);
	ck_assert_int_eq(truncate(names[_i], bytes - 1), 0);
	ck_assert_int_eq(read_all(&why), -EIO);
	ck_assert_int_eq(truncate(names[_i], 511), 0);
	ck_assert_int_eq(read_all(&why), -EIO);
	ck_assert_int_eq(truncate(names[_i], 0), 0);
	ck_assert_int_eq(read_all(&why), -EIO);
	ck_assert_int_eq(unlink(names[_i]), 0);
	ck_assert_int_eq(read_all(&why), -ENOENT);
}
END_TEST

START_TEST(another_image_under_the_name_is_refused)
{
	struct reason why;

	make_chain(2, SIZE);
	add("0");
	ck_assert_int_eq(rename("1", "0"), 0);
	ck_assert_int_eq(read_all(&why), -ESTALE);
	ck_assert_int_eq(unlink("0"), 0);
	ck_assert_int_eq(read_all(&why), -ENOENT);
	ck_assert_int_eq(rename("raw", "0"), 0);
	ck_assert_int_eq(read_all(&why), -EINVAL);
	ck_assert_int_eq(mkfifo("raw", 0600), 0);
	ck_assert_int_eq(rename("raw", "0"), 0);
	ck_assert_int_eq(read_all(&why), -EINVAL);
}
END_TEST

START_TEST(a_raw_file_that_has_shrunk_is_refused)
{
	struct reason why;

	make_chain(1, SIZE);
	add("0");
	ck_assert_int_eq(truncate("raw", (off_t)MIB), 0);
	ck_assert_int_eq(read_all(&why), -EIO);
}
END_TEST

/* ---- failing io ---------------------------------------------------------------------------------
 */

static struct memory_disk disks[5]; /* index, files, bat, image, raw */

static void
load(struct memory_disk *to, const char *name)
{
	size_t bytes = (size_t)bytes_of(name);
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	memory_disk_resize(to, bytes);
	ck_assert_int_eq(read(fd, to->at, bytes), (ssize_t)bytes);
	close(fd);
}

static int
open_in_memory(void *arg, const char *path, unsigned flags, struct io **io)
{
	static const char *const ends[] = { "i.index", "i.files", "0.bat", "/0", "/raw" };
	size_t i, length, bytes = strlen(path);

	(void)arg;
	ck_assert_uint_eq(flags, 0);
	for (i = 0; i < 5; i++) {
		length = strlen(ends[i]);
		if (bytes >= length && strcmp(path + bytes - length, ends[i]) == 0) {
			*io = memory_io(&disks[i]);
			return 0;
		}
	}
	return -ENOENT;
}

static int
read_from_memory(void)
{
	const struct vhdi_source source = { .open = open_in_memory };
	char name[64], sector[512];
	int err;

	snprintf(name, sizeof(name), "%s/i", folder);
	err = vhdi_open_from(&vhdi, name, &source, NULL);
	if (err)
		return err;
	err = vhdi_read_bat(&vhdi, "0", &bat);
	if (!err)
		err = vhdi_io_read(&vhdi, &bat, sector, 9, 1);
	ck_assert(err || sector[0] == 'r');
	vhdi_free_bat(&bat);
	vhdi_close(&vhdi);
	return err;
}

/* Sectors 8 to 13 of the disk are the raw parent's. */
START_TEST(any_call_may_fail)
{
	size_t i;
	unsigned n;

	make_raw(SIZE);
	ck_assert_int_eq(vhd_snapshot("0", SIZE, "raw", 0, VHD_FLAG_CREAT_PARENT_RAW), 0);
	add("0");
	for (i = 0; i < 3; i++)
		load(&disks[i], names[i]);
	load(&disks[3], "0");
	load(&disks[4], "raw");
	ck_assert_int_eq(read_from_memory(), 0);
	for (i = 0; i < 5; i++) {
		for (n = 1; n == 1 || disks[i].calls >= n; n++) {
			disks[i].calls = 0;
			disks[i].fail_at = n;
			ck_assert_int_eq(read_from_memory(), disks[i].calls >= n ? -EIO : 0);
		}
		disks[i].fail_at = 0;
	}
	for (i = 0; i < 5; i++)
		memory_disk_free(&disks[i]);
}
END_TEST

/* ---- bytes --------------------------------------------------------------------------------------
 */

START_TEST(the_bytes_are_those_of_the_manual)
{
	static const uint8_t index[] = "vhdindex\0\1\0\0\0\x20\0\0";
	static const uint8_t files[] = "vhdifile\0\1\0\0\0\0\0\1";
	static const uint8_t one_bat[] = "vhdi-bat\0\1\0\0\0\x20\0\0";
	static vhdi_entry_t table[VHDI_BLOCK_ENTRIES] = { { 1, 0x01020304 } };
	static uint8_t raw[VHDI_BLOCK_BYTES];
	vhdi_file_t file = { .id = 1, .uuid = { { 0xaa } }, .path = (char *)"/x" };
	uint32_t place = 65;
	vhdi_bat_t one = { .file_id = 7, .bytes = MIB, .entries = 1, .table = &place };

	vhdi_header_encode(raw);
	ck_assert_mem_eq(raw, index, 16);
	ck_assert_uint_eq(get_be32(raw + 16), vhdi_sum(raw, 512));
	vhdi_block_encode(table, raw);
	ck_assert_mem_eq(raw, "\0\0\0\1\1\2\3\4\0\0\0\0", 12);
	ck_assert_uint_eq(vhdi_files_bytes(1), 512 + 1536);
	vhdi_files_encode(&file, 1, raw);
	ck_assert_mem_eq(raw, files, 16);
	ck_assert_mem_eq(raw + 512, "\0\0\0\1\0\0\0\2\xaa\0\0\0", 12);
	ck_assert_mem_eq(raw + 512 + 24, "/x\0", 3);
	ck_assert_uint_eq(vhdi_bat_bytes(1), 1536 + 512);
	vhdi_bat_encode(&one, "/name", raw);
	ck_assert_mem_eq(raw, one_bat, 16);
	ck_assert_mem_eq(raw + 20, "\0\0\0\7\0\0\0\0\0\x10\0\0\0\0\0\1\0\0\0\5", 20);
	ck_assert_mem_eq(raw + 512, "/name\0", 6);
	ck_assert_mem_eq(raw + 1536, "\0\0\0\x41\xff\xff", 6);
}
END_TEST

int
main(void)
{
	Suite *all = suite_create("vhd-index");
	TCase *tests = tcase_create("indexes");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_chain_of_thirty_is_read_as_it_is);
	tcase_add_test(tests, fixed_and_cut_images_are_indexed);
	tcase_add_test(tests, blocks_of_a_parent_take_no_room_twice);
	tcase_add_test(tests, what_is_written_later_is_seen_by_the_next_index);
	tcase_add_test(tests, more_files_than_are_kept_open);
	tcase_add_test(tests, one_adds_at_a_time_and_readers_see_what_is_added);
	tcase_add_test(tests, files_are_found_by_id_and_by_path);
	tcase_add_test(tests, what_cannot_be_indexed_leaves_nothing);
	tcase_add_test(tests, a_failure_keeps_the_index_that_there_was);
	tcase_add_loop_test(tests, damage_is_refused, 0,
			    (int)(sizeof(damages) / sizeof(damages[0])));
	tcase_add_loop_test(tests, a_file_that_is_cut_is_refused, 0, 3);
	tcase_add_test(tests, another_image_under_the_name_is_refused);
	tcase_add_test(tests, a_raw_file_that_has_shrunk_is_refused);
	tcase_add_test(tests, any_call_may_fail);
	tcase_add_test(tests, the_bytes_are_those_of_the_manual);
	suite_add_tcase(all, tests);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
