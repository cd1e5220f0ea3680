/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading what an image is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/header.h"
#include "vhd/lib/image.h"
#include "vhd/lib/locator.h"

#define SHORT_FOOTER_BYTES (VHD_FOOTER_BYTES - 1)

/* ---- footers ------------------------------------------------------------------------------------
 */

/* Both places, read; an error of the io ends the search, bytes that are no footer do not. */
struct found {
	vhd_footer_t trailing, copy;
	bool has_trailing, has_copy;
	struct reason why_no_trailing;
};

static int
read_trailing(struct io *io, struct vhd_image *image, struct found *found)
{
	uint8_t raw[VHD_FOOTER_BYTES] = { 0 };
	int err;

	err = io_read_at(io, raw, VHD_FOOTER_BYTES, image->file_bytes - VHD_FOOTER_BYTES);
	if (err)
		return err;
	image->footer_at = image->file_bytes - VHD_FOOTER_BYTES;
	if (!vhd_footer_decode(raw, &found->trailing, &found->why_no_trailing)) {
		found->has_trailing = true;
		return 0;
	}
	if (image->file_bytes % VHD_SECTOR_SIZE != SHORT_FOOTER_BYTES)
		return 0;
	memmove(raw, raw + 1, SHORT_FOOTER_BYTES);
	raw[SHORT_FOOTER_BYTES] = 0;
	if (vhd_footer_decode(raw, &found->trailing, NULL))
		return 0;
	found->has_trailing = true;
	image->footer_is_short = true;
	image->footer_at++;
	return 0;
}

static int
read_copy(struct io *io, struct found *found)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	int err;

	err = io_read_at(io, raw, VHD_FOOTER_BYTES, 0);
	if (!err)
		found->has_copy = !vhd_footer_decode(raw, &found->copy, NULL);
	return err;
}

/* What a fixed disk has at offset 0 is its guest's. */
static int
read_both(struct io *io, unsigned flags, struct vhd_image *image, struct found *found)
{
	int err;

	err = read_trailing(io, image, found);
	if (flags & VHD_IMAGE_FAST)
		err = 0;
	if (err || (found->has_trailing && !vhd_footer_is_dynamic(&found->trailing)))
		return err;
	return read_copy(io, found);
}

static int
choose(struct vhd_image *image, const struct found *found, unsigned flags, struct reason *why)
{
	struct vhd_footers both = {
		.trailing = found->has_trailing ? &found->trailing : NULL,
		.copy = found->has_copy ? &found->copy : NULL,
	};
	const vhd_footer_t *chosen;

	if (flags & (VHD_IMAGE_USE_COPY | VHD_IMAGE_FAST) && both.copy)
		both.trailing = NULL;
	if (vhd_footer_choose(&both, &chosen, &image->footers, NULL))
		return reason(why, -EINVAL, "footer: %s", found->why_no_trailing.text);
	image->footer = *chosen;
	if (vhd_footer_hides_by_copy(chosen) && found->has_copy)
		image->footer.hidden = found->copy.hidden;
	if (!found->has_trailing && !image->is_device)
		image->footer_at = image->file_bytes;
	return 0;
}

static int
check_footers(const struct vhd_image *image, unsigned flags, struct reason *why)
{
	vhd_footer_t footer = image->footer;
	struct reason because;

	if (flags & VHD_IMAGE_OBSOLETE && footer.creator_version == VHD_TAPDISK_VERSION_OLD)
		footer.creator_version = VHD_TAPDISK_VERSION_1_1;
	if (vhd_footer_check(&footer, &because))
		return reason(why, -EINVAL, "footer: %s", because.text);
	if (vhd_footer_is_poisoned(&image->footer) && !(flags & VHD_IMAGE_POISONED))
		return reason(why, -EINVAL,
			      "footer: a resize is under way; its journal must be reverted first");
	if (image->footers == VHD_FOOTERS_CONFLICT && flags & VHD_IMAGE_WRITE)
		return reason(why, -EINVAL, "footers differ: in type or in where the header is");
	return 0;
}

/* ---- the rest -----------------------------------------------------------------------------------
 */

static int
read_fixed(struct vhd_image *image, struct reason *why)
{
	uint64_t room = image->footer_at >> VHD_SECTOR_SHIFT;

	image->sectors = vhd_virtual_sectors(&image->footer, VHD_SIZE_BY_CREATOR);
	if (image->sectors <= room)
		return 0;
	if (!room)
		return reason(why, -EINVAL, "file: holds no data");
	image->sectors = room;
	image->is_cut = true;
	return 0;
}

static int
read_header(struct io *io, struct vhd_image *image, struct reason *why)
{
	uint8_t raw[VHD_HEADER_BYTES];
	int err;

	err = vhd_header_check_offset(image->footer.data_offset, image->file_bytes, why);
	if (err)
		return err;
	err = io_read_at(io, raw, sizeof(raw), image->footer.data_offset);
	if (err)
		return reason(why, err, "header: cannot be read: %s", strerror(-err));
	err = vhd_header_decode(raw, &image->header, why);
	if (err)
		return err;
	return vhd_header_check(&image->header, &image->footer, image->file_bytes, why);
}

/* A batmap that is damaged is as good as none: its place may belong to a block. */
static int
read_batmap_header(struct io *io, struct vhd_image *image, struct reason *why)
{
	uint64_t at = vhd_batmap_header_at(&image->layout);
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];
	int err;

	if (vhd_batmap_presence(&image->footer) == VHD_BATMAP_NONE ||
	    !range_fits(at, sizeof(raw), image->file_bytes))
		return 0;
	err = io_read_at(io, raw, sizeof(raw), at);
	if (err)
		return reason(why, err, "batmap: cannot be read: %s", strerror(-err));
	vhd_batmap_header_unpack(raw, &image->batmap);
	if (vhd_batmap_check_header(&image->batmap, &image->layout, image->file_bytes, NULL))
		return 0;
	image->has_batmap = true;
	vhd_layout_add_table(&image->layout, at, sizeof(raw));
	vhd_layout_add_table(&image->layout, image->batmap.batmap_offset,
			     (uint64_t)image->batmap.batmap_size << VHD_SECTOR_SHIFT);
	return 0;
}

/* One whose room makes no sense is not followed; any other must be sound. */
static int
read_locators(struct vhd_image *image, struct reason *why)
{
	const vhd_parent_locator_t *locator;
	unsigned i;
	int err;

	for (i = 0; i < VHD_LOCATORS; i++) {
		locator = &image->header.locator[i];
		if (locator->code == VHD_PLATFORM_NONE || !vhd_locator_room(locator))
			continue;
		err = vhd_locator_check(locator, i, image->file_bytes, why);
		if (err)
			return err;
		vhd_layout_add_locator(&image->layout, locator->data_offset,
				       vhd_locator_room(locator));
	}
	return 0;
}

static int
read_dynamic(struct io *io, unsigned flags, struct vhd_image *image, struct reason *why)
{
	uint64_t odd = image->file_bytes % VHD_SECTOR_SIZE;
	int err;

	if (!image->is_device && odd && odd != SHORT_FOOTER_BYTES)
		return reason(why, -EINVAL, "file: its size of %llu is no multiple of 512",
			      (unsigned long long)image->file_bytes);
	image->sectors = vhd_virtual_sectors(&image->footer, VHD_SIZE_BY_CREATOR);
	err = read_header(io, image, why);
	if (err)
		return err;
	vhd_layout_init(&image->layout, image->footer.data_offset, &image->header);
	image->layout.blocks_end = image->footer_at;
	if (flags & VHD_IMAGE_FAST)
		return 0;
	err = read_batmap_header(io, image, why);
	if (err || image->footer.type != VHD_TYPE_DIFFERENCING)
		return err;
	return read_locators(image, why);
}

int
vhd_image_read(struct io *io, unsigned flags, struct vhd_image *image, struct reason *why)
{
	struct found found = { .has_copy = false };
	int err;

	memset(image, 0, sizeof(*image));
	image->is_device = io->is_device;
	err = io_size(io, &image->file_bytes);
	if (err)
		return reason(why, err, "file: %s", strerror(-err));
	if (image->file_bytes < VHD_FOOTER_BYTES)
		return reason(why, -EINVAL, "file: too small to be an image");
	err = read_both(io, flags, image, &found);
	if (err)
		return reason(why, err, "file: cannot be read: %s", strerror(-err));
	err = choose(image, &found, flags, why);
	if (!err)
		err = check_footers(image, flags, why);
	if (err)
		return err;
	if (!vhd_image_is_dynamic(image))
		return read_fixed(image, why);
	return read_dynamic(io, flags, image, why);
}

uint32_t
vhd_image_blocks(const struct vhd_image *image)
{
	return (uint32_t)vhd_entries_needed(image->sectors, image->layout.spb);
}

/* ---- tables -------------------------------------------------------------------------------------
 */

int
vhd_image_read_bat(struct io *io, const struct vhd_image *image, uint32_t first, uint32_t count,
		   uint32_t *entries)
{
	uint32_t i;
	int err;

	if (!range_fits(first, count, image->layout.entries))
		return -EINVAL;
	err = io_read_at(io, entries, 4ull * count, image->layout.table_offset + 4ull * first);
	if (err)
		return err;
	for (i = 0; i < count; i++)
		entries[i] = get_be32(&entries[i]);
	return 0;
}

void
vhd_bat_pack_sector(const uint32_t *entries, uint32_t count, uint8_t raw[VHD_SECTOR_SIZE])
{
	uint32_t i;

	memset(raw, 0xff, VHD_SECTOR_SIZE);
	for (i = 0; i < count && i < VHD_SECTOR_SIZE / 4; i++)
		put_be32(raw + 4ul * i, entries[i]);
}

static int
check_locator_clear(const struct vhd_image *image, unsigned index, const uint32_t *bat,
		    uint32_t count, struct reason *why)
{
	const vhd_parent_locator_t *locator = &image->header.locator[index];
	uint64_t bytes = (uint64_t)image->layout.block_secs << VHD_SECTOR_SHIFT;
	uint64_t end = locator->data_offset + vhd_locator_room(locator);
	uint64_t at;
	uint32_t i;

	for (i = 0; i < count; i++) {
		at = vhd_bitmap_offset(bat[i]);
		if (bat[i] != VHD_BLOCK_UNUSED && at < end && locator->data_offset < at + bytes)
			return reason(why, -EINVAL, "locator %u: overlaps block %u", index, i);
	}
	return 0;
}

/* Only locators behind the tables, where blocks are, can be hit by one. */
static int
check_locators_clear(const struct vhd_image *image, const uint32_t *bat, uint32_t count,
		     struct reason *why)
{
	const vhd_parent_locator_t *locator;
	unsigned i;
	int err;

	if (image->footer.type != VHD_TYPE_DIFFERENCING)
		return 0;
	for (i = 0; i < VHD_LOCATORS; i++) {
		locator = &image->header.locator[i];
		if (locator->code == VHD_PLATFORM_NONE || !vhd_locator_room(locator))
			continue;
		if (locator->data_offset < image->layout.table_end &&
		    locator->data_offset + vhd_locator_room(locator) > image->layout.table_offset)
			return reason(why, -EINVAL, "locator %u: overlaps the BAT", i);
		err = check_locator_clear(image, i, bat, count, why);
		if (err)
			return err;
	}
	return 0;
}

int
vhd_image_check_bat(const struct vhd_image *image, const uint32_t *bat, uint32_t count,
		    bool no_overlap, struct reason *why)
{
	bool may_be_cut = image->footers == VHD_FOOTERS_RECOVERED && !image->is_device;
	int err;

	err = vhd_layout_check_entries(&image->layout, bat, count, may_be_cut, why);
	if (err || !no_overlap)
		return err;
	err = vhd_layout_check_overlap(&image->layout, bat, count, why);
	return err ? err : check_locators_clear(image, bat, count, why);
}

int
vhd_image_read_bitmap(struct io *io, const struct vhd_image *image, uint32_t entry, uint8_t *buf)
{
	return io_read_at(io, buf, (size_t)image->layout.bm_secs << VHD_SECTOR_SHIFT,
			  vhd_bitmap_offset(entry));
}

int
vhd_image_read_batmap(struct io *io, const struct vhd_image *image, uint8_t **map,
		      struct reason *why)
{
	uint64_t size = image->footer.current_size;
	uint32_t bits = image->layout.entries;
	AUTO_FREE uint8_t *found = NULL;
	size_t bytes = (size_t)image->batmap.batmap_size << VHD_SECTOR_SHIFT;
	uint32_t sum, trusted;
	int err;

	if (!image->has_batmap)
		return reason(why, -ENOENT, "batmap: there is none that is sound");
	found = malloc(bytes);
	if (!found)
		return -ENOMEM;
	err = io_read_at(io, found, bytes, image->batmap.batmap_offset);
	if (err)
		return reason(why, err, "batmap: cannot be read: %s", strerror(-err));
	sum = vhd_batmap_sum(&image->batmap, size, found, bytes);
	if (sum != image->batmap.checksum)
		return reason(why, -EINVAL, "batmap: bad checksum: 0x%x, and should be 0x%x",
			      image->batmap.checksum, sum);
	trusted = vhd_batmap_trusted_bits(&image->batmap, size, bits);
	memset(found + (trusted + 7) / 8, 0, bytes - (trusted + 7) / 8);
	*map = STEAL(found);
	return 0;
}
