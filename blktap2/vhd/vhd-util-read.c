/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util read: metadata and data of an image, as text or as they are.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "vhd/lib/bits.h"
#include "vhd/vhd-util-headers.h"
#include "vhd/vhd-util.h"

#define COPY_SECTORS 2048 /* read and printed at a time */

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_FLAG('p', "headers, as text"),
	ROW_NUMBER('t', "SECTOR", "where a sector of the disk is in the file", false, UINT64_MAX),
	ROW_NUMBER('b', "BLOCK", "entry of the BAT", false, UINT32_MAX),
	ROW_FLAG('B', "one bit per block of the disk: it is allocated"),
	ROW_NUMBER('m', "BLOCK", "bitmap of a block", false, UINT32_MAX),
	ROW_NUMBER('i', "SECTOR", "the bit of a sector in its bitmap", false, UINT64_MAX),
	ROW_NUMBER('e', "SECTOR", "extents of sectors that this image holds", false, UINT64_MAX),
	ROW_FLAG('a', "batmap"),
	ROW_NUMBER('j', "BLOCK", "the bit of a block in the batmap, on stderr", false, UINT32_MAX),
	ROW_NUMBER('d', "BLOCK", "data of a block", false, UINT32_MAX),
	ROW_NUMBER('c', "COUNT", "so many, instead of one", false, UINT64_MAX),
	ROW_NUMBER('r', "SECTOR", "data from a sector on, through the chain", false, UINT64_MAX),
	ROW_NUMBER('R', "BYTE", "data from a byte on, through the chain", false, UINT64_MAX),
	ROW_FLAG('x', "numbers are hexadecimal"),
	ROW_FLAG('C', "read through the page cache"),
	ROW_END,
};

/* What one part prints about: the image, and which of the things that are counted. */
struct reading {
	struct image image;
	vhd_context_t *vhd;
	uint64_t sectors; /* of the disk */
	uint64_t at, count;
	bool hex;
};

/* Text of a number; room for two of them in a line of printf(). */
struct number {
	char text[24];
};

static struct number
number(const struct reading *reading, uint64_t value)
{
	struct number number;

	snprintf(number.text, sizeof(number.text), reading->hex ? "0x%" PRIx64 : "%" PRIu64, value);
	return number;
}

static uint32_t
block_of(const struct reading *reading, uint64_t sector)
{
	return (uint32_t)(sector / reading->vhd->spb);
}

/* The entry of a block; it must be one of the BAT. */
static int
entry_of(struct reading *reading, uint64_t block, uint32_t *entry)
{
	int err = vhd_need_bat(reading->vhd);

	if (err)
		return err;
	if (block >= reading->vhd->bat.entries)
		return -EINVAL;
	*entry = reading->vhd->bat.bat[block];
	return 0;
}

/* ---- parts: each is about reading->at ---------------------------------------------------------
 */

static int
print_place(struct reading *reading)
{
	uint64_t from = reading->at % (reading->vhd->spb ? reading->vhd->spb : 1);
	uint32_t entry = 0, block;
	int err;

	if (reading->at >= reading->sectors || !reading->vhd->spb)
		return -EINVAL;
	block = block_of(reading, reading->at);
	err = entry_of(reading, block, &entry);
	if (err)
		return err;
	printf("logical sector %s: block number: %s, sector offset: %s, file offset: %s\n",
	       number(reading, reading->at).text, number(reading, block).text,
	       number(reading, from).text,
	       entry == VHD_BLOCK_UNUSED
		       ? "not allocated"
		       : number(reading, (from + entry + reading->vhd->bm_secs) << VHD_SECTOR_SHIFT)
				 .text);
	return 0;
}

static int
print_entry(struct reading *reading)
{
	uint32_t entry;
	int err = entry_of(reading, reading->at, &entry);

	if (!err)
		printf("block: %s: offset: %s\n", number(reading, reading->at).text,
		       entry == VHD_BLOCK_UNUSED ? "not allocated" : number(reading, entry).text);
	return err;
}

/* -ENODATA, said: the block is not there. */
static int
not_allocated(const struct reading *reading, int err)
{
	if (err != -ENODATA)
		return err;
	printf("block %s not allocated\n", number(reading, reading->at).text);
	return 0;
}

static int
print_bitmap(struct reading *reading)
{
	AUTO_FREE char *bitmap = NULL;
	uint32_t entry;
	int err = entry_of(reading, reading->at, &entry);

	if (!err)
		err = entry == VHD_BLOCK_UNUSED
			      ? -ENODATA
			      : vhd_read_bitmap(reading->vhd, (uint32_t)reading->at, &bitmap);
	if (err)
		return not_allocated(reading, err);
	return vhd_util_put_bytes(bitmap, (size_t)reading->vhd->bm_secs << VHD_SECTOR_SHIFT);
}

static int
print_data(struct reading *reading)
{
	AUTO_FREE char *data = NULL;
	uint32_t entry;
	int err = entry_of(reading, reading->at, &entry);

	if (!err)
		err = entry == VHD_BLOCK_UNUSED
			      ? -ENODATA
			      : vhd_read_block(reading->vhd, (uint32_t)reading->at, &data);
	if (err)
		return not_allocated(reading, err);
	return vhd_util_put_bytes(data, (size_t)reading->vhd->spb << VHD_SECTOR_SHIFT);
}

static int
print_bit(struct reading *reading)
{
	AUTO_FREE char *bitmap = NULL;
	uint32_t entry, block, from;
	int err;

	if (!reading->vhd->spb || reading->at >= reading->sectors)
		return -EINVAL;
	block = block_of(reading, reading->at);
	from = (uint32_t)(reading->at % reading->vhd->spb);
	err = entry_of(reading, block, &entry);
	if (!err && entry != VHD_BLOCK_UNUSED)
		err = vhd_read_bitmap(reading->vhd, block, &bitmap);
	if (!err)
		printf("block %s: sec: %s: %d\n", number(reading, block).text,
		       number(reading, from).text,
		       bitmap && vhd_bits_test((const uint8_t *)bitmap, from));
	return err;
}

static int
print_batmap_bit(struct reading *reading)
{
	vhd_context_t *vhd = reading->vhd;
	int err = vhd_has_batmap(vhd) ? vhd_need_batmap(vhd) : -EINVAL;

	if (err || reading->at >= vhd->bat.entries)
		return err ? err : -EINVAL;
	fprintf(stderr, "batmap for block %s: %d\n", number(reading, reading->at).text,
		vhd->batmap.map && vhd_batmap_test(vhd, &vhd->batmap, (uint32_t)reading->at));
	return 0;
}

/* A part, so often, with what it is about one further each time. */
static int
repeat(struct reading *reading, const struct options *options, int letter,
       int (*part)(struct reading *reading))
{
	int err = vhd_type_dynamic(reading->vhd) ? vhd_need_bat(reading->vhd) : -EINVAL;
	uint64_t i;

	reading->at = options->at[letter].number;
	for (i = 0; i < reading->count && !err; i++, reading->at++)
		err = vhd_util_interrupted() ? -EINTR : part(reading);
	return err;
}

/* ---- parts: each is about a range -------------------------------------------------------------
 */

static int
print_allocated(struct reading *reading)
{
	AUTO_FREE uint8_t *bits = NULL;
	uint32_t i, blocks;
	int err = vhd_type_dynamic(reading->vhd) ? vhd_need_bat(reading->vhd) : -EINVAL;

	if (err)
		return err;
	blocks = vhd_image_blocks(&reading->vhd->priv->image);
	bits = calloc(1, blocks / 8 + 1);
	if (!bits)
		return -ENOMEM;
	for (i = 0; i < blocks; i++)
		if (reading->vhd->bat.bat[i] != VHD_BLOCK_UNUSED)
			vhd_bits_set(bits, i);
	return vhd_util_put_bytes(bits, (blocks + 7) / 8);
}

static int
print_batmap(struct reading *reading)
{
	vhd_context_t *vhd = reading->vhd;
	vhd_batmap_t batmap = { .map = NULL };
	int err = vhd_has_batmap(vhd) ? vhd_read_batmap(vhd, &batmap) : -EINVAL;

	if (!err)
		err = vhd_util_put_bytes(batmap.map,
					 (size_t)batmap.header.batmap_size << VHD_SECTOR_SHIFT);
	free(batmap.map);
	return err;
}

static int
print_extents(struct reading *reading, uint64_t at)
{
	uint64_t end, start = 0, file_offset;
	bool open = false, present = false;
	uint32_t run = 0;

	if (__builtin_add_overflow(at, reading->count, &end) || end > reading->sectors)
		return -EINVAL;
	for (; at < end; at += run) {
		uint32_t most = end - at < INT32_MAX ? (uint32_t)(end - at) : INT32_MAX;
		int err = vhd_util_interrupted() ? -EINTR
						 : vhd_image_run(reading->vhd, at, most, &run,
								 &present, &file_offset);

		if (err)
			return err;
		if (present && !open)
			start = at;
		else if (!present && open)
			printf("%s %s\n", number(reading, start).text,
			       number(reading, at - start).text);
		open = present;
	}
	if (open)
		printf("%s %s\n", number(reading, start).text, number(reading, at - start).text);
	return 0;
}

static int
print_disk(struct reading *reading, uint64_t at, uint64_t bytes)
{
	size_t room = (size_t)COPY_SECTORS << VHD_SECTOR_SHIFT;
	AUTO_FREE char *buffer = malloc(room);
	uint64_t end;
	int err = buffer ? 0 : -ENOMEM;

	if (__builtin_add_overflow(at, bytes, &end) || end > reading->sectors << VHD_SECTOR_SHIFT)
		return -EINVAL;
	while (at < end && !err) {
		size_t part = end - at < room ? (size_t)(end - at) : room;

		err = vhd_util_interrupted() ? -EINTR
					     : vhd_io_read_bytes(reading->vhd, buffer, part, at);
		if (!err)
			err = vhd_util_put_bytes(buffer, part);
		at += part;
	}
	return err;
}

static int
print_sectors(struct reading *reading, uint64_t sector)
{
	if (sector >= reading->sectors || reading->count > reading->sectors - sector)
		return -EINVAL;
	return print_disk(reading, sector << VHD_SECTOR_SHIFT, reading->count << VHD_SECTOR_SHIFT);
}

/* ---- all --------------------------------------------------------------------------------------
 */

static int
dump(const char *name)
{
	struct vhd_view view;
	int err = vhd_view_open(&view, name);

	if (err)
		return err;
	vhd_util_print_headers(&view, false);
	vhd_view_close(&view);
	return 0;
}

static int
read_parts(struct reading *reading, const struct options *options)
{
	static const struct {
		char letter;
		int (*part)(struct reading *reading);
	} parts[] = {
		{ 't', print_place }, { 'b', print_entry },      { 'm', print_bitmap },
		{ 'i', print_bit },   { 'j', print_batmap_bit }, { 'd', print_data },
	};
	size_t i;
	int err = 0;

	if (options->at['p'].given)
		err = dump(reading->image.name);
	if (!err && options->at['B'].given)
		err = print_allocated(reading);
	if (!err && options->at['a'].given)
		err = print_batmap(reading);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && !err; i++)
		if (options->at[(int)parts[i].letter].given)
			err = repeat(reading, options, parts[i].letter, parts[i].part);
	if (!err && options->at['e'].given)
		err = print_extents(reading, options->at['e'].number);
	if (!err && options->at['r'].given)
		err = print_sectors(reading, options->at['r'].number);
	if (!err && options->at['R'].given)
		err = print_disk(reading, options->at['R'].number, reading->count);
	return err;
}

/* Asking for what the image does not have is no damage. */
static bool
is_damage(int err)
{
	return err == -EIO || err == -ENODATA || err == -EBADMSG;
}

static int
run(const struct options *options)
{
	int flags = VHD_OPEN_RDONLY | VHD_OPEN_IGNORE_DISABLED |
		    (options->at['C'].given ? VHD_OPEN_CACHED : 0);
	struct reading reading = {
		.count = options->at['c'].given ? options->at['c'].number : 1,
		.hex = options->at['x'].given,
	};
	const char *name = options->at['n'].text;
	int err = image_peek(&reading.image, name, flags);

	if (err)
		return err;
	reading.vhd = &reading.image.vhd;
	reading.sectors = reading.vhd->priv->image.sectors;
	if (vhd_type_dynamic(reading.vhd) && vhd_need_bat(reading.vhd)) {
		err = vhd_util_refused(-EINVAL, "%s is damaged: %s", name, vhd_error(reading.vhd));
		dump(name);
		return image_close(&reading.image, err);
	}
	err = read_parts(&reading, options);
	if (is_damage(err)) {
		vhd_util_refused(err, "%s appears to be damaged, error %d", name, err);
		dump(name);
	} else {
		vhd_util_failed("reading", name, err);
	}
	return image_close(&reading.image, err);
}

const struct command cmd_read = {
	.name = "read",
	.help = "Show metadata and data of an image.",
	.rows = rows,
	.run = run,
};
