/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing the disk of an image, through all its parents.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/context.h"

#define CRYPT_SECTORS 128 /* that are encrypted at a time */

/* ---- keys ---------------------------------------------------------------------------------------
 */

static int
need_keyhash(vhd_context_t *ctx, struct vhd_keyhash *keyhash)
{
	int err = vhd_get_keyhash(ctx, keyhash);

	if (err)
		return err;
	ctx->priv->is_encrypted = keyhash->cookie == 1;
	ctx->priv->keyhash_known = true;
	return 0;
}

/* The sectors of this image can be understood. */
static int
check_readable(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;
	struct vhd_keyhash keyhash;
	int err;

	if (vhd_disabled(ctx))
		return vhd_fail(ctx, -EBUSY, "a resize is under way");
	err = priv->keyhash_known ? 0 : need_keyhash(ctx, &keyhash);
	if (!err && priv->is_encrypted && !priv->crypt)
		return vhd_fail(ctx, -EKEYREJECTED, "encrypted, and there is no key");
	return err;
}

/* Each image of a chain decides by its own key hash; those that are not encrypted need no key. */
static int
key_for_image(vhd_context_t *ctx, const uint8_t *key, size_t bytes)
{
	struct vhd_keyhash keyhash;
	int err;

	err = need_keyhash(ctx, &keyhash);
	if (err || !ctx->priv->is_encrypted)
		return err;
	err = vhd_key_check(&keyhash, key, bytes);
	if (err)
		return vhd_fail(ctx, err, "this is not the key");
	vhd_crypt_free(ctx->priv->crypt);
	ctx->priv->crypt = NULL;
	return vhd_crypt_new(key, bytes, &ctx->priv->crypt);
}

int
vhd_context_set_key(vhd_context_t *ctx, const uint8_t *key, size_t bytes)
{
	vhd_context_t *image;
	int err;

	err = key_for_image(ctx, key, bytes);
	if (!err && !ctx->priv->is_encrypted)
		err = vhd_fail(ctx, -EKEYREJECTED, "not encrypted, and there is a key");
	for (image = ctx; !err && image; image = image->priv->lower.vhd) {
		if (image != ctx)
			err = key_for_image(image, key, bytes);
		if (!err)
			err = vhd_need_lower(image);
	}
	return err;
}

/* ---- reading ------------------------------------------------------------------------------------
 */

int
vhd_image_run(vhd_context_t *ctx, uint64_t sector, uint32_t sectors, uint32_t *run, bool *present,
	      uint64_t *file_offset)
{
	uint32_t block, from;
	uint8_t *bitmap;
	int err;

	if (!vhd_image_is_dynamic(&ctx->priv->image)) {
		*run = sectors;
		*present = true;
		*file_offset = sector << VHD_SECTOR_SHIFT;
		return 0;
	}
	err = vhd_need_bat(ctx);
	if (err)
		return err;
	block = (uint32_t)(sector / ctx->spb);
	from = (uint32_t)(sector % ctx->spb);
	if (block >= ctx->bat.entries)
		return vhd_fail(ctx, -ERANGE, "block %u: there are %u", block, ctx->bat.entries);
	if (sectors > ctx->spb - from)
		sectors = ctx->spb - from;
	*run = sectors;
	*present = false;
	if (ctx->bat.bat[block] == VHD_BLOCK_UNUSED)
		return 0;
	*file_offset = vhd_data_offset(&ctx->priv->image.layout, ctx->bat.bat[block]) +
		       ((uint64_t)from << VHD_SECTOR_SHIFT);
	*present = vhd_batmap_test(ctx, &ctx->batmap, block);
	if (*present)
		return 0;
	err = vhd_block_bitmap(ctx, block, &bitmap);
	if (err)
		return err;
	*run = vhd_bits_run(bitmap, from, sectors);
	*present = vhd_bits_test(bitmap, from);
	return 0;
}

static int
read_present(vhd_context_t *ctx, uint8_t *buf, uint64_t sector, uint32_t sectors, uint64_t at)
{
	size_t bytes = (size_t)sectors << VHD_SECTOR_SHIFT;
	int err;

	if (vhd_image_is_dynamic(&ctx->priv->image))
		err = vhd_read_at(ctx, (uint32_t)(sector / ctx->spb), (uint32_t)(sector % ctx->spb),
				  sectors, buf);
	else
		err = io_read_at(ctx->priv->io, buf, bytes, at);
	if (err || !ctx->priv->crypt)
		return err;
	return vhd_crypt_decrypt(ctx->priv->crypt, sector, buf, buf, sectors);
}

static int
read_raw(const struct vhd_lower *lower, uint8_t *buf, uint64_t sector, uint32_t sectors)
{
	uint64_t at = sector << VHD_SECTOR_SHIFT;
	size_t bytes = (size_t)sectors << VHD_SECTOR_SHIFT, there = bytes;

	if (!range_fits(at, bytes, lower->raw_bytes))
		there = at < lower->raw_bytes ? (size_t)(lower->raw_bytes - at) : 0;
	memset(buf + there, 0, bytes - there);
	return there ? io_read_at(lower->raw, buf, there, at) : 0;
}

/* Sectors behind the end of an image read as zeros: a parent may be shorter than its child. */
static int
read_image(vhd_context_t *ctx, uint8_t *buf, uint64_t sector, uint32_t sectors)
{
	uint64_t end = ctx->priv->image.sectors, at;
	const struct vhd_lower *lower = &ctx->priv->lower;
	uint32_t run;
	bool present;
	int err;

	err = check_readable(ctx);
	if (!err)
		err = vhd_need_lower(ctx);
	for (; !err && sectors && sector < end; buf += (size_t)run << VHD_SECTOR_SHIFT) {
		run = end - sector < sectors ? (uint32_t)(end - sector) : sectors;
		err = vhd_image_run(ctx, sector, run, &run, &present, &at);
		if (err)
			return err;
		if (present)
			err = read_present(ctx, buf, sector, run, at);
		else if (lower->vhd)
			err = read_image(lower->vhd, buf, sector, run);
		else if (lower->raw)
			err = read_raw(lower, buf, sector, run);
		else
			memset(buf, 0, (size_t)run << VHD_SECTOR_SHIFT);
		sector += run;
		sectors -= run;
	}
	if (!err)
		memset(buf, 0, (size_t)sectors << VHD_SECTOR_SHIFT);
	return err;
}

/* Holes of a file read as zeros, unless zeros mean something else. */
static int
file_run(struct io *io, uint64_t sector, uint32_t sectors, uint32_t *run, bool *present)
{
	uint64_t bytes;
	int err;

	*run = sectors;
	*present = true;
	err = io_data_run(io, sector << VHD_SECTOR_SHIFT, (uint64_t)sectors << VHD_SECTOR_SHIFT,
			  &bytes, present);
	if (err)
		return err;
	/* A sector that begins as a hole may end as data. */
	if (!*present && bytes < VHD_SECTOR_SIZE)
		*present = true;
	*run = *present ? (uint32_t)secs_round_up_no_zero(bytes)
			: (uint32_t)(bytes >> VHD_SECTOR_SHIFT);
	return 0;
}

static int
raw_run(const struct vhd_lower *lower, uint64_t sector, uint32_t sectors, uint32_t *run,
	bool *present)
{
	uint64_t end = lower->raw_bytes >> VHD_SECTOR_SHIFT;

	/* The last sector may be a part of one. */
	*run = sectors;
	*present = sector == end;
	if (sector >= end) {
		*run = sector == end ? 1 : sectors;
		return 0;
	}
	return file_run(lower->raw, sector,
			end - sector < sectors ? (uint32_t)(end - sector) : sectors, run, present);
}

int
vhd_chain_run(vhd_context_t *ctx, uint64_t sector, uint32_t sectors, uint32_t *run, bool *present)
{
	uint64_t end = ctx->priv->image.sectors, at;
	const struct vhd_lower *lower = &ctx->priv->lower;
	int err;

	err = check_readable(ctx);
	if (!err)
		err = vhd_need_lower(ctx);
	*run = sectors;
	*present = false;
	if (err || sector >= end)
		return err;
	if (end - sector < sectors)
		sectors = (uint32_t)(end - sector);
	if (!vhd_image_is_dynamic(&ctx->priv->image) && !ctx->priv->crypt)
		return file_run(ctx->priv->io, sector, sectors, run, present);
	err = vhd_image_run(ctx, sector, sectors, run, present, &at);
	if (err || *present)
		return err;
	if (lower->vhd)
		return vhd_chain_run(lower->vhd, sector, *run, run, present);
	return lower->raw ? raw_run(lower, sector, *run, run, present) : 0;
}

static int
check_range(vhd_context_t *ctx, uint64_t at, uint64_t count, uint64_t limit)
{
	ctx->priv->why.text[0] = '\0';
	if (range_fits(at, count, limit))
		return 0;
	return vhd_fail(ctx, -ERANGE, "behind the end of the disk");
}

int
vhd_io_read(vhd_context_t *ctx, void *buf, uint64_t sector, uint32_t sectors)
{
	int err = check_range(ctx, sector, sectors, ctx->priv->image.sectors);

	if (!err)
		err = vhd_need_batmap(ctx);
	return err ? err : read_image(ctx, buf, sector, sectors);
}

/* ---- writing ------------------------------------------------------------------------------------
 */

static int
write_plain(vhd_context_t *ctx, const uint8_t *buf, uint64_t sector, uint32_t sectors)
{
	int err;

	if (vhd_image_is_dynamic(&ctx->priv->image))
		return vhd_block_write(ctx, (uint32_t)(sector / ctx->spb),
				       (uint32_t)(sector % ctx->spb), sectors, buf);
	ctx->priv->unsynced = true;
	err = io_write_at(ctx->priv->io, buf, (size_t)sectors << VHD_SECTOR_SHIFT,
			  sector << VHD_SECTOR_SHIFT);
	return err ? vhd_fail(ctx, err, "file: cannot be written: %s", strerror(-err)) : 0;
}

static int
write_encrypted(vhd_context_t *ctx, const uint8_t *buf, uint64_t sector, uint32_t sectors)
{
	AUTO_FREE uint8_t *bounce = malloc(CRYPT_SECTORS << VHD_SECTOR_SHIFT);
	uint32_t part;
	int err = 0;

	if (!bounce)
		return -ENOMEM;
	for (; !err && sectors; sectors -= part, sector += part) {
		part = sectors < CRYPT_SECTORS ? sectors : CRYPT_SECTORS;
		err = vhd_crypt_encrypt(ctx->priv->crypt, sector, buf, bounce, part);
		if (!err)
			err = write_plain(ctx, bounce, sector, part);
		buf += (size_t)part << VHD_SECTOR_SHIFT;
	}
	return err;
}

static bool
is_zero(const uint8_t *buf, size_t bytes)
{
	return !bytes || (!buf[0] && memcmp(buf, buf + 1, bytes - 1) == 0);
}

/* Zeros where no block is, and no parent either, are there already. */
static bool
can_skip(vhd_context_t *ctx, const uint8_t *buf, uint64_t sector, uint32_t sectors)
{
	uint64_t at;
	uint32_t run;
	bool present = true;

	if (!(ctx->oflags & VHD_OPEN_IO_WRITE_SPARSE) || ctx->footer.type != VHD_TYPE_DYNAMIC ||
	    !is_zero(buf, (size_t)sectors << VHD_SECTOR_SHIFT))
		return false;
	return !vhd_image_run(ctx, sector, sectors, &run, &present, &at) && !present &&
	       run == sectors;
}

int
vhd_io_write(vhd_context_t *ctx, const void *buf, uint64_t sector, uint32_t sectors)
{
	const uint8_t *from = buf;
	uint32_t part;
	int err = vhd_may_write(ctx);

	if (!err)
		err = check_range(ctx, sector, sectors, ctx->priv->image.sectors);
	if (!err)
		err = check_readable(ctx);
	for (; !err && sectors; sectors -= part, sector += part) {
		part = sectors;
		if (ctx->spb && part > ctx->spb - sector % ctx->spb)
			part = ctx->spb - (uint32_t)(sector % ctx->spb);
		if (can_skip(ctx, from, sector, part))
			err = 0;
		else if (ctx->priv->crypt)
			err = write_encrypted(ctx, from, sector, part);
		else
			err = write_plain(ctx, from, sector, part);
		from += (size_t)part << VHD_SECTOR_SHIFT;
	}
	return err;
}

/* ---- bytes --------------------------------------------------------------------------------------
 */

#define PIECE_SECTORS 2048u /* that are moved at a time */

/* How many whole sectors can be moved at once; 0: only a part of one. */
static uint32_t
whole_sectors(uint64_t offset, size_t bytes)
{
	if (offset % VHD_SECTOR_SIZE || bytes < VHD_SECTOR_SIZE)
		return 0;
	bytes >>= VHD_SECTOR_SHIFT;
	return bytes < PIECE_SECTORS ? (uint32_t)bytes : PIECE_SECTORS;
}

static size_t
part_of_sector(uint64_t offset, size_t bytes)
{
	size_t left = VHD_SECTOR_SIZE - offset % VHD_SECTOR_SIZE;

	return bytes < left ? bytes : left;
}

int
vhd_io_read_bytes(vhd_context_t *ctx, void *buf, size_t bytes, uint64_t offset)
{
	uint8_t sector[VHD_SECTOR_SIZE];
	uint8_t *to = buf;
	uint32_t sectors;
	size_t part;
	int err;

	err = check_range(ctx, offset, bytes, ctx->priv->image.sectors << VHD_SECTOR_SHIFT);
	for (; !err && bytes; to += part, offset += part, bytes -= part) {
		sectors = whole_sectors(offset, bytes);
		part = (size_t)sectors << VHD_SECTOR_SHIFT;
		if (sectors) {
			err = vhd_io_read(ctx, to, offset >> VHD_SECTOR_SHIFT, sectors);
			continue;
		}
		part = part_of_sector(offset, bytes);
		err = vhd_io_read(ctx, sector, offset >> VHD_SECTOR_SHIFT, 1);
		if (!err)
			memcpy(to, sector + offset % VHD_SECTOR_SIZE, part);
	}
	return err;
}

int
vhd_io_write_bytes(vhd_context_t *ctx, const void *buf, size_t bytes, uint64_t offset)
{
	uint8_t sector[VHD_SECTOR_SIZE];
	const uint8_t *from = buf;
	uint32_t sectors;
	size_t part;
	int err;

	err = check_range(ctx, offset, bytes, ctx->priv->image.sectors << VHD_SECTOR_SHIFT);
	for (; !err && bytes; from += part, offset += part, bytes -= part) {
		sectors = whole_sectors(offset, bytes);
		part = (size_t)sectors << VHD_SECTOR_SHIFT;
		if (sectors) {
			err = vhd_io_write(ctx, from, offset >> VHD_SECTOR_SHIFT, sectors);
			continue;
		}
		part = part_of_sector(offset, bytes);
		err = vhd_io_read(ctx, sector, offset >> VHD_SECTOR_SHIFT, 1);
		if (err)
			break;
		memcpy(sector + offset % VHD_SECTOR_SIZE, from, part);
		err = vhd_io_write(ctx, sector, offset >> VHD_SECTOR_SHIFT, 1);
	}
	return err;
}
