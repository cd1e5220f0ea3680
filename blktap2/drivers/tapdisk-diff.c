/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tapdisk-diff: does a disk read the same as a VHD image wherever that image
 * has blocks?
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <tapdisk.h>

#include "common/io.h"
#include "drivers/chain-reader.h"
#include "vhd/lib/image.h"

#define BAT_CHUNK 4096u /* entries read at a time */

static int
usage(int status)
{
	printf("usage: tapdisk-diff -n vhd:/path -m type:/path [-h]\n"
	       "  -n  a VHD image: its blocks are compared\n"
	       "  -m  what they are compared with\n");
	return status;
}

static int
bad_argument(const char *what)
{
	fprintf(stderr, "tapdisk-diff: %s\n", what);
	return usage(EINVAL);
}

static int
open_reader(const char *name, struct chain_reader **reader)
{
	struct reason why = { "" };
	int err = chain_reader_open(name, reader, &why);

	if (err)
		fprintf(stderr, "tapdisk-diff: %s\n", why.text);
	return err;
}

static int
read_failed(const char *name, const struct chain_piece *piece, int err)
{
	fprintf(stderr, "tapdisk-diff: %s: reading at sector 0x%" PRIx64 ": %s\n", name,
		piece->sector, strerror(-err));
	return err;
}

/* The first sector in which two pieces of the same sectors differ; there is
 * one. */
static uint64_t
first_difference(const struct chain_piece *a, const struct chain_piece *b)
{
	uint32_t i;

	for (i = 0; i < a->sectors; i++)
		if (memcmp(a->data + (i << SECTOR_SHIFT), b->data + (i << SECTOR_SHIFT),
			   DEFAULT_SECTOR_SIZE) != 0)
			break;
	return a->sector + i;
}

/* The two disks, and the names that they were given by. */
struct pair {
	struct chain_reader *a, *b;
	const char *a_name, *b_name;
};

static int
compare_range(const struct pair *pair, uint64_t first, uint64_t end)
{
	struct chain_piece a = { 0 }, b = { 0 };
	int more;

	chain_reader_seek(pair->a, first, end);
	chain_reader_seek(pair->b, first, end);
	while ((more = chain_reader_next(pair->a, &a)) == 1) {
		more = chain_reader_next(pair->b, &b);
		if (more < 0)
			return read_failed(pair->b_name, &b, more);
		if ((a.is_zero && b.is_zero) ||
		    memcmp(a.data, b.data, (size_t)a.sectors << SECTOR_SHIFT) == 0)
			continue;
		fprintf(stderr, "mismatch at sector 0x%" PRIx64 "\n", first_difference(&a, &b));
		return -EINVAL;
	}
	return more < 0 ? read_failed(pair->a_name, &a, more) : 0;
}

/* Compare the blocks [block, block + count), which the disk may not have all of. */
static int
compare_run(const struct pair *pair, const struct vhd_image *image, uint32_t block, uint32_t count)
{
	const uint64_t sectors = chain_reader_sectors(pair->a);
	uint64_t first = (uint64_t)block * image->layout.spb;
	uint64_t end = first + (uint64_t)count * image->layout.spb;

	if (end > sectors)
		end = sectors;
	return first < end ? compare_range(pair, first, end) : 0;
}

/* Of count entries from block on: runs of blocks that the image has. */
static int
compare_entries(const struct pair *pair, const struct vhd_image *image, uint32_t block,
		const uint32_t *entries, uint32_t count)
{
	uint32_t first, next;
	int err = 0;

	for (first = 0; !err && first < count; first = next) {
		next = first + 1;
		if (entries[first] == VHD_BLOCK_UNUSED)
			continue;
		while (next < count && entries[next] != VHD_BLOCK_UNUSED)
			next++;
		err = compare_run(pair, image, block + first, next - first);
	}
	return err;
}

static int
compare_blocks(const struct pair *pair, struct io *io, const struct vhd_image *image)
{
	const uint32_t blocks = vhd_image_blocks(image);
	uint32_t entries[BAT_CHUNK], block, count;
	int err = 0;

	for (block = 0; !err && block < blocks; block += count) {
		count = blocks - block < BAT_CHUNK ? blocks - block : BAT_CHUNK;
		err = vhd_image_read_bat(io, image, block, count, entries);
		if (err)
			fprintf(stderr, "tapdisk-diff: %s: its table of blocks: %s\n", pair->a_name,
				strerror(-err));
		else
			err = compare_entries(pair, image, block, entries, count);
	}
	return err;
}

/* A fixed image has everything. */
static int
compare(const struct pair *pair, const char *path)
{
	struct reason why = { "" };
	struct vhd_image image;
	struct io *io;
	int err = io_file_open(path, 0, &io);

	if (err) {
		fprintf(stderr, "tapdisk-diff: %s: %s\n", path, strerror(-err));
		return err;
	}
	err = vhd_image_read(io, 0, &image, &why);
	if (err)
		fprintf(stderr, "tapdisk-diff: %s: %s\n", path, why.text);
	else if (vhd_image_is_dynamic(&image))
		err = compare_blocks(pair, io, &image);
	else
		err = compare_range(pair, 0, chain_reader_sectors(pair->a));
	io_close(io);
	return err;
}

static int
check_sizes(const struct pair *pair)
{
	const uint64_t a = chain_reader_sectors(pair->a), b = chain_reader_sectors(pair->b);

	if (a == b)
		return 0;
	fprintf(stderr,
		"tapdisk-diff: the sizes differ: %s: %" PRIu64 " sectors, %s: %" PRIu64
		" sectors\n",
		pair->a_name, a, pair->b_name, b);
	return -EINVAL;
}

static int
diff(const char *a_name, const char *b_name)
{
	struct pair pair = { .a_name = a_name, .b_name = b_name };
	int err = open_reader(a_name, &pair.a);

	if (!err)
		err = open_reader(b_name, &pair.b);
	if (!err)
		err = check_sizes(&pair);
	if (!err)
		err = compare(&pair, strchr(a_name, ':') + 1);
	chain_reader_close(pair.a);
	chain_reader_close(pair.b);
	return err;
}

int
main(int argc, char **argv)
{
	const char *a = NULL, *b = NULL;
	int option;

	opterr = 0;
	while ((option = getopt(argc, argv, "n:m:h")) != -1) {
		if (option == 'h')
			return usage(0);
		if (option == 'n')
			a = optarg;
		else if (option == 'm')
			b = optarg;
		else
			return bad_argument("unknown option, or one without its argument");
	}
	if (!a || !b || optind != argc)
		return bad_argument("two disks are needed, with -n and -m");
	if (strncmp(a, "vhd:", 4) != 0)
		return bad_argument("the first disk must be a VHD image");
	return -diff(a, b);
}
