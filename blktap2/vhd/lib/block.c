/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks of a context: bitmaps, data, and allocation.
 *
 * Many allocations share their barriers: entries stay in memory until data and bitmaps are durable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/context.h"

#define ENTRIES_PER_SECTOR (VHD_SECTOR_SIZE / 4)
#define PENDING_MAX 128 /* blocks whose entries are not written yet */

static int
write_at(vhd_context_t *ctx, const void *buf, size_t bytes, uint64_t at)
{
	int err = io_write_at(ctx->priv->io, buf, bytes, at);

	ctx->priv->unsynced = true;
	return err ? vhd_fail(ctx, err, "file: cannot be written: %s", strerror(-err)) : 0;
}

static size_t
bitmap_bytes(const vhd_context_t *ctx)
{
	return (size_t)ctx->bm_secs << VHD_SECTOR_SHIFT;
}

static bool
is_pending(const vhd_context_t *ctx, uint32_t block)
{
	return ctx->priv->pending && vhd_bits_test(ctx->priv->pending, block);
}

/* The entry of a block that is allocated: 0; -ENODATA when it is not. */
static int
entry_of(vhd_context_t *ctx, uint32_t block, uint32_t *entry)
{
	int err;

	if (!vhd_image_is_dynamic(&ctx->priv->image))
		return vhd_fail(ctx, -EINVAL, "a fixed image has no blocks");
	err = vhd_need_bat(ctx);
	if (err)
		return err;
	if (block >= ctx->bat.entries)
		return vhd_fail(ctx, -ERANGE, "block %u: there are %u", block, ctx->bat.entries);
	if (ctx->bat.bat[block] == VHD_BLOCK_UNUSED)
		return -ENODATA;
	/* What the disk does not need was not checked when the image was opened for reading. */
	*entry = ctx->bat.bat[block];
	if (block < vhd_image_blocks(&ctx->priv->image) || is_pending(ctx, block))
		return 0;
	return vhd_told(ctx, vhd_layout_check_entry(&ctx->priv->image.layout, block, *entry, false,
						    &ctx->priv->why));
}

/* ---- bitmaps ------------------------------------------------------------------------------------
 */

int
vhd_block_put_bitmap(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;
	uint32_t block = priv->bitmap_block, entry;
	int err;

	if (!priv->bitmap_dirty)
		return 0;
	err = entry_of(ctx, block, &entry);
	/* An entry that is not written yet waits for all the rest anyway. */
	if (!err && !is_pending(ctx, block) && priv->unsynced)
		err = io_sync(priv->io);
	if (!err)
		err = write_at(ctx, priv->bitmap, bitmap_bytes(ctx), vhd_bitmap_offset(entry));
	if (!err)
		err = vhd_need_batmap(ctx);
	if (err)
		return err;
	priv->bitmap_dirty = false;
	if (ctx->batmap.map && !vhd_batmap_test(ctx, &ctx->batmap, block) &&
	    vhd_bits_all(priv->bitmap, 0, ctx->spb)) {
		vhd_batmap_set(ctx, &ctx->batmap, block);
		priv->batmap_dirty = true;
	}
	return 0;
}

/* The cache is empty, and there is room for a bitmap in it. */
static int
clear_cache(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;
	int err;

	err = vhd_block_put_bitmap(ctx);
	if (err)
		return err;
	priv->bitmap_block = VHD_BLOCK_UNUSED;
	if (!priv->bitmap)
		priv->bitmap = malloc(bitmap_bytes(ctx));
	return priv->bitmap ? 0 : -ENOMEM;
}

int
vhd_block_bitmap(vhd_context_t *ctx, uint32_t block, uint8_t **bitmap)
{
	struct vhd_private *priv = ctx->priv;
	uint32_t entry;
	int err;

	err = entry_of(ctx, block, &entry);
	if (err)
		return err;
	if (priv->bitmap_block != block) {
		err = clear_cache(ctx);
		if (err)
			return err;
		err = vhd_image_read_bitmap(priv->io, &priv->image, entry, priv->bitmap);
		if (err)
			return vhd_fail(ctx, err, "block %u: bitmap cannot be read: %s", block,
					strerror(-err));
		priv->bitmap_block = block;
	}
	*bitmap = priv->bitmap;
	return 0;
}

int
vhd_block_mark(vhd_context_t *ctx, uint32_t block, uint32_t from, uint32_t sectors)
{
	uint8_t *bitmap;
	int err;

	err = vhd_block_bitmap(ctx, block, &bitmap);
	if (err || vhd_bits_all(bitmap, from, sectors))
		return err;
	vhd_bits_set_range(bitmap, from, sectors);
	ctx->priv->bitmap_dirty = true;
	return 0;
}

/* ---- allocation ---------------------------------------------------------------------------------
 */

int
vhd_blocks_commit(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;
	uint32_t entries = ctx->bat.entries, first, count;
	int err;

	if (!priv->pending_count)
		return priv->grows ? vhd_write_footer(ctx, &ctx->footer) : 0;
	err = vhd_block_put_bitmap(ctx);
	if (!err)
		err = io_sync(priv->io);
	for (first = 0; !err && first < entries; first += count) {
		count = entries - first < ENTRIES_PER_SECTOR ? entries - first : ENTRIES_PER_SECTOR;
		if (!vhd_bits_none(priv->pending, first, count))
			err = vhd_bat_write_sector(ctx, &ctx->bat, first / ENTRIES_PER_SECTOR);
	}
	if (err)
		return err;
	memset(priv->pending, 0, (entries + 7) / 8);
	priv->pending_count = 0;
	return priv->grows ? vhd_write_footer(ctx, &ctx->footer) : 0;
}

/*
 * A file grows over its trailing footer, so that the copy must be good; and whatever a crash has
 * left behind the last block goes away.
 */
static int
begin_growth(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;
	int err = 0;

	if (priv->grows || priv->image.is_device)
		return 0;
	if (priv->image.footers != VHD_FOOTERS_GOOD)
		err = vhd_write_footer(ctx, &ctx->footer);
	if (!err)
		err = io_truncate(priv->io, priv->end_of_data);
	if (err)
		return vhd_fail(ctx, err, "file: cannot grow: %s", strerror(-err));
	priv->grows = true;
	return 0;
}

int
vhd_append(vhd_context_t *ctx, uint64_t bytes, uint64_t *at)
{
	struct vhd_private *priv = ctx->priv;
	int err = vhd_need_bat(ctx);

	if (!err && priv->image.is_device &&
	    !range_fits(priv->end_of_data, bytes, priv->image.footer_at))
		err = -ENOSPC;
	if (!err)
		err = begin_growth(ctx);
	if (!err && !priv->image.is_device)
		err = io_truncate(priv->io, priv->end_of_data + bytes + VHD_FOOTER_BYTES);
	if (err)
		return vhd_fail(ctx, err, "file: cannot grow: %s", strerror(-err));
	*at = priv->end_of_data;
	priv->end_of_data += bytes;
	priv->unsynced = true;
	return 0;
}

/* A device may hold anything there. */
static int
clear_place(vhd_context_t *ctx, uint32_t entry)
{
	const struct vhd_layout *layout = &ctx->priv->image.layout;
	uint64_t at = vhd_bitmap_offset(entry);
	uint64_t bytes = (uint64_t)layout->block_secs << VHD_SECTOR_SHIFT;
	int err;

	if (ctx->priv->image.is_device) {
		/* What a child does not have is read from its parent, never from its own data. */
		if (ctx->footer.type == VHD_TYPE_DIFFERENCING)
			bytes = bitmap_bytes(ctx);
		err = io_zero(ctx->priv->io, at, bytes);
	} else {
		err = io_truncate(ctx->priv->io, at + bytes + VHD_FOOTER_BYTES);
	}
	ctx->priv->unsynced = true;
	return err ? vhd_fail(ctx, err, "file: cannot grow: %s", strerror(-err)) : 0;
}

static int
need_pending(vhd_context_t *ctx)
{
	if (!ctx->priv->pending)
		ctx->priv->pending = calloc((ctx->bat.entries + 7) / 8, 1);
	return ctx->priv->pending ? 0 : -ENOMEM;
}

int
vhd_block_allocate(vhd_context_t *ctx, uint32_t block)
{
	struct vhd_private *priv = ctx->priv;
	uint64_t limit = priv->image.is_device ? priv->image.footer_at : UINT64_MAX;
	uint32_t entry;
	int err = vhd_may_write(ctx);

	if (err)
		return err;
	err = entry_of(ctx, block, &entry);
	if (err != -ENODATA)
		return err ? err : -EEXIST;
	err = priv->pending_count >= PENDING_MAX ? vhd_blocks_commit(ctx) : 0;
	if (!err)
		err = need_pending(ctx);
	if (!err)
		err = begin_growth(ctx);
	if (err)
		return err;
	err = vhd_layout_place(&priv->image.layout, priv->end_of_data, limit, &entry);
	if (err)
		return vhd_fail(ctx, err, "file: no room for another block");
	err = clear_place(ctx, entry);
	if (!err)
		err = clear_cache(ctx);
	if (err)
		return err;
	memset(priv->bitmap, 0, bitmap_bytes(ctx));
	priv->bitmap_block = block;
	ctx->bat.bat[block] = entry;
	vhd_bits_set(priv->pending, block);
	priv->pending_count++;
	priv->end_of_data = ((uint64_t)entry + priv->image.layout.block_secs) << VHD_SECTOR_SHIFT;
	return 0;
}

int
vhd_block_write(vhd_context_t *ctx, uint32_t block, uint32_t from, uint32_t sectors,
		const void *buf)
{
	const struct vhd_layout *layout = &ctx->priv->image.layout;
	uint64_t at;
	uint32_t entry;
	int err = vhd_may_write(ctx);

	if (!err && !range_fits(from, sectors, ctx->spb))
		err = -EINVAL;
	if (err)
		return err;
	err = entry_of(ctx, block, &entry);
	if (err == -ENODATA) {
		err = vhd_block_allocate(ctx, block);
		entry = ctx->bat.bat ? ctx->bat.bat[block] : 0;
	}
	if (err)
		return err;
	at = vhd_data_offset(layout, entry) + ((uint64_t)from << VHD_SECTOR_SHIFT);
	err = write_at(ctx, buf, (size_t)sectors << VHD_SECTOR_SHIFT, at);
	return err ? err : vhd_block_mark(ctx, block, from, sectors);
}

/* ---- blocks of the public interface -------------------------------------------------------------
 */

int
vhd_read_bitmap(vhd_context_t *ctx, uint32_t block, char **bitmap)
{
	uint8_t *cached;
	char *copy;
	int err;

	err = vhd_block_bitmap(ctx, block, &cached);
	if (err)
		return err;
	copy = malloc(bitmap_bytes(ctx));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, cached, bitmap_bytes(ctx));
	*bitmap = copy;
	return 0;
}

/* The end of a block that is cut reads as zeros. */
int
vhd_read_at(vhd_context_t *ctx, uint32_t block, uint32_t from, uint32_t sectors, void *buf)
{
	const struct vhd_layout *layout = &ctx->priv->image.layout;
	uint64_t end = ctx->priv->grows ? ctx->priv->end_of_data : layout->blocks_end;
	size_t bytes = (size_t)sectors << VHD_SECTOR_SHIFT;
	uint64_t at;
	uint32_t entry;
	int err;

	err = entry_of(ctx, block, &entry);
	if (err)
		return err;
	if (!range_fits(from, sectors, ctx->spb))
		return vhd_fail(ctx, -ERANGE, "block %u: has no such sectors", block);
	at = vhd_data_offset(layout, entry) + ((uint64_t)from << VHD_SECTOR_SHIFT);
	if (!range_fits(at, bytes, end)) {
		size_t there = at < end ? (size_t)(end - at) : 0;

		memset((char *)buf + there, 0, bytes - there);
		bytes = there;
	}
	err = bytes ? io_read_at(ctx->priv->io, buf, bytes, at) : 0;
	return err ? vhd_fail(ctx, err, "block %u: cannot be read: %s", block, strerror(-err)) : 0;
}

int
vhd_read_block(vhd_context_t *ctx, uint32_t block, char **data)
{
	AUTO_FREE char *buf = malloc((size_t)ctx->spb << VHD_SECTOR_SHIFT);
	int err;

	if (!buf)
		return -ENOMEM;
	err = vhd_read_at(ctx, block, 0, ctx->spb, buf);
	if (!err)
		*data = STEAL(buf);
	return err;
}

/* A full block that is no longer full: the batmap must not say so any more, before the bitmap
 * changes. */
static int
withdraw_from_batmap(vhd_context_t *ctx, uint32_t block, const char *bitmap)
{
	int err = vhd_need_batmap(ctx);

	if (err || !ctx->batmap.map || !vhd_batmap_test(ctx, &ctx->batmap, block) ||
	    vhd_bits_all((const uint8_t *)bitmap, 0, ctx->spb))
		return err;
	vhd_batmap_clear(ctx, &ctx->batmap, block);
	return vhd_write_batmap(ctx, &ctx->batmap);
}

int
vhd_write_bitmap(vhd_context_t *ctx, uint32_t block, const char *bitmap)
{
	uint8_t *cached;
	int err = vhd_may_write(ctx);

	if (!err)
		err = vhd_block_bitmap(ctx, block, &cached);
	if (!err)
		err = withdraw_from_batmap(ctx, block, bitmap);
	if (err)
		return err;
	memcpy(cached, bitmap, bitmap_bytes(ctx));
	ctx->priv->bitmap_dirty = true;
	return vhd_block_put_bitmap(ctx);
}

int
vhd_write_block(vhd_context_t *ctx, uint32_t block, const char *data)
{
	uint64_t at;
	uint32_t entry;
	int err = vhd_may_write(ctx);

	if (!err)
		err = entry_of(ctx, block, &entry);
	if (err)
		return err;
	at = vhd_data_offset(&ctx->priv->image.layout, entry);
	return write_at(ctx, data, (size_t)ctx->spb << VHD_SECTOR_SHIFT, at);
}
