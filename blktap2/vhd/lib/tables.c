/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Footer, header, BAT and batmap of a context: reading, keeping, writing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/context.h"
#include "vhd/lib/header.h"

#define ENTRIES_PER_SECTOR (VHD_SECTOR_SIZE / 4)

static int
write_raw(vhd_context_t *ctx, const void *raw, size_t bytes, uint64_t at)
{
	int err = io_write_at(ctx->priv->io, raw, bytes, at);

	ctx->priv->unsynced = true;
	return err ? vhd_fail(ctx, err, "file: cannot be written: %s", strerror(-err)) : 0;
}

static int
write_raw_durably(vhd_context_t *ctx, const void *raw, size_t bytes, uint64_t at)
{
	int err = write_raw(ctx, raw, bytes, at);

	return err ? err : io_sync(ctx->priv->io);
}

/* ---- footer -------------------------------------------------------------------------------------
 */

int
vhd_read_footer_at(vhd_context_t *ctx, vhd_footer_t *footer, off_t offset)
{
	struct vhd_private *priv = ctx->priv;
	uint8_t raw[VHD_FOOTER_BYTES];
	int err;

	if (offset < 0)
		return -EINVAL;
	err = io_read_at(priv->io, raw, sizeof(raw), (uint64_t)offset);
	if (err)
		return vhd_fail(ctx, err, "footer: cannot be read: %s", strerror(-err));
	return vhd_told(ctx, vhd_footer_decode(raw, footer, &priv->why));
}

int
vhd_read_footer_strict(vhd_context_t *ctx, vhd_footer_t *footer)
{
	const struct vhd_image *image = &ctx->priv->image;

	if (image->footer_is_short) {
		*footer = image->footer;
		return 0;
	}
	return vhd_read_footer_at(ctx, footer, (off_t)(image->file_bytes - VHD_FOOTER_BYTES));
}

int
vhd_read_footer(vhd_context_t *ctx, vhd_footer_t *footer, int use_backup)
{
	int err = -EINVAL;

	if (use_backup && !vhd_image_is_dynamic(&ctx->priv->image))
		return vhd_fail(ctx, -EINVAL, "footer copy: a fixed disk has none");
	if (!use_backup)
		err = vhd_read_footer_strict(ctx, footer);
	if (err == -EINVAL && vhd_image_is_dynamic(&ctx->priv->image))
		err = vhd_read_footer_at(ctx, footer, 0);
	return err;
}

int
vhd_get_footer(vhd_context_t *ctx)
{
	return vhd_read_footer(ctx, &ctx->footer, ctx->oflags & VHD_OPEN_USE_BKP_FOOTER);
}

void
vhd_put_footer(vhd_context_t *ctx)
{
	memset(&ctx->footer, 0, sizeof(ctx->footer));
}

int
vhd_footer_place(vhd_context_t *ctx, uint64_t *at)
{
	struct vhd_private *priv = ctx->priv;
	const struct vhd_image *image = &priv->image;
	int err;

	if (vhd_image_is_dynamic(image) && !image->is_device &&
	    (priv->grows || image->footer_at == image->file_bytes)) {
		err = vhd_need_bat(ctx);
		if (err)
			return err;
		*at = priv->end_of_data;
		return 0;
	}
	*at = image->footer_at;
	return 0;
}

int
vhd_write_footer_at(vhd_context_t *ctx, vhd_footer_t *footer, off_t offset)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	if (offset < 0)
		return -EINVAL;
	vhd_footer_encode(footer, raw);
	return write_raw(ctx, raw, sizeof(raw), (uint64_t)offset);
}

/* What a file holds behind its footer would hide the footer. */
static int
write_trailing(vhd_context_t *ctx, vhd_footer_t *footer)
{
	struct vhd_private *priv = ctx->priv;
	uint64_t at, bytes;
	int err;

	err = vhd_footer_place(ctx, &at);
	if (!err)
		err = vhd_write_footer_at(ctx, footer, (off_t)at);
	if (!err)
		err = io_size(priv->io, &bytes);
	if (!err && !priv->image.is_device && bytes != at + VHD_FOOTER_BYTES)
		err = io_truncate(priv->io, at + VHD_FOOTER_BYTES);
	if (err)
		return err;
	priv->grows = false;
	priv->image.footer_at = at;
	priv->image.layout.blocks_end = at;
	priv->image.footer_is_short = false;
	if (!priv->image.is_device)
		priv->image.file_bytes = at + VHD_FOOTER_BYTES;
	return 0;
}

/* One of the two is valid at every instant: the copy becomes durable before the other is touched.
 */
int
vhd_write_footer(vhd_context_t *ctx, vhd_footer_t *footer)
{
	struct vhd_private *priv = ctx->priv;
	uint8_t raw[VHD_FOOTER_BYTES];
	int err;

	if (!(ctx->oflags & VHD_OPEN_RDWR))
		return vhd_fail(ctx, -EROFS, "opened for reading only");
	vhd_footer_encode(footer, raw);
	if (vhd_footer_is_dynamic(footer)) {
		err = write_raw_durably(ctx, raw, sizeof(raw), 0);
		if (err)
			return err;
	}
	err = write_trailing(ctx, footer);
	if (err)
		return err;
	priv->image.footers = VHD_FOOTERS_GOOD;
	priv->image.footer = *footer;
	ctx->footer = *footer;
	return io_sync(priv->io);
}

/* ---- header -------------------------------------------------------------------------------------
 */

static int
is_dynamic_or_fail(vhd_context_t *ctx)
{
	if (vhd_image_is_dynamic(&ctx->priv->image))
		return 0;
	return vhd_fail(ctx, -EINVAL, "a fixed image has neither header nor blocks");
}

int
vhd_read_header_at(vhd_context_t *ctx, vhd_header_t *header, off_t offset)
{
	uint8_t raw[VHD_HEADER_BYTES];
	int err = is_dynamic_or_fail(ctx);

	if (err || offset < 0)
		return err ? err : -EINVAL;
	err = io_read_at(ctx->priv->io, raw, sizeof(raw), (uint64_t)offset);
	if (err)
		return vhd_fail(ctx, err, "header: cannot be read: %s", strerror(-err));
	return vhd_told(ctx, vhd_header_decode(raw, header, &ctx->priv->why));
}

int
vhd_read_header(vhd_context_t *ctx, vhd_header_t *header)
{
	return vhd_read_header_at(ctx, header, (off_t)ctx->priv->image.footer.data_offset);
}

int
vhd_get_header(vhd_context_t *ctx)
{
	return vhd_read_header(ctx, &ctx->header);
}

void
vhd_put_header(vhd_context_t *ctx)
{
	memset(&ctx->header, 0, sizeof(ctx->header));
}

int
vhd_write_header_at(vhd_context_t *ctx, vhd_header_t *header, off_t offset)
{
	uint8_t raw[VHD_HEADER_BYTES];
	int err = is_dynamic_or_fail(ctx);

	if (err || offset < VHD_FOOTER_BYTES)
		return err ? err : -EINVAL;
	vhd_header_encode(header, raw);
	return write_raw(ctx, raw, sizeof(raw), (uint64_t)offset);
}

int
vhd_write_header(vhd_context_t *ctx, vhd_header_t *header)
{
	int err = vhd_write_header_at(ctx, header, (off_t)ctx->priv->image.footer.data_offset);

	if (!err)
		err = io_sync(ctx->priv->io);
	if (err)
		return err;
	ctx->priv->image.header = *header;
	ctx->header = *header;
	return 0;
}

/* ---- BAT ----------------------------------------------------------------------------------------
 */

int
vhd_read_bat(vhd_context_t *ctx, vhd_bat_t *bat)
{
	const struct vhd_image *image = &ctx->priv->image;
	AUTO_FREE uint32_t *entries = NULL;
	int err = is_dynamic_or_fail(ctx);

	if (err)
		return err;
	entries = calloc(image->layout.entries + 1ul, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	err = vhd_image_read_bat(ctx->priv->io, image, 0, image->layout.entries, entries);
	if (err)
		return vhd_fail(ctx, err, "bat: cannot be read: %s", strerror(-err));
	bat->spb = image->layout.spb;
	bat->entries = image->layout.entries;
	bat->bat = STEAL(entries);
	return 0;
}

/* Entries that no sector of the disk needs may be wild only while nothing is written. */
int
vhd_get_bat(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;
	bool writes = ctx->oflags & VHD_OPEN_RDWR;
	vhd_bat_t bat;
	int err;

	if (ctx->bat.bat && priv->pending_count)
		return 0;
	err = vhd_read_bat(ctx, &bat);
	if (err)
		return err;
	err = vhd_image_check_bat(&priv->image, bat.bat,
				  writes ? bat.entries : vhd_image_blocks(&priv->image), writes,
				  &priv->why);
	if (err) {
		free(bat.bat);
		return vhd_told(ctx, err);
	}
	free(ctx->bat.bat);
	ctx->bat = bat;
	priv->end_of_data = vhd_layout_end_of_data(&priv->image.layout, bat.bat, bat.entries);
	return 0;
}

int
vhd_need_bat(vhd_context_t *ctx)
{
	return ctx->bat.bat ? 0 : vhd_get_bat(ctx);
}

bool
vhd_bat_is_empty(const vhd_bat_t *bat)
{
	uint32_t block;

	for (block = 0; block < bat->entries; block++)
		if (bat->bat[block] != VHD_BLOCK_UNUSED)
			return false;
	return true;
}

/* Entries that wait to be written are not forgotten. */
void
vhd_put_bat(vhd_context_t *ctx)
{
	if (ctx->priv->pending_count)
		return;
	free(ctx->bat.bat);
	ctx->bat.bat = NULL;
}

int
vhd_bat_write_sector(vhd_context_t *ctx, const vhd_bat_t *bat, uint32_t sector)
{
	uint32_t first = sector * ENTRIES_PER_SECTOR;
	uint8_t raw[VHD_SECTOR_SIZE];

	vhd_bat_pack_sector(bat->bat + first, bat->entries - first, raw);
	return write_raw(ctx, raw, sizeof(raw),
			 ctx->priv->image.layout.table_offset + (uint64_t)sector * sizeof(raw));
}

int
vhd_write_bat(vhd_context_t *ctx, const vhd_bat_t *bat)
{
	uint32_t sector;
	int err = vhd_may_write(ctx);

	if (!err)
		err = is_dynamic_or_fail(ctx);
	if (err)
		return err;
	if (bat->entries != ctx->priv->image.layout.entries || !bat->bat)
		return vhd_fail(ctx, -EINVAL, "bat: has %u entries, not %u",
				ctx->priv->image.layout.entries, bat->entries);
	err = io_sync(ctx->priv->io);
	for (sector = 0; !err && (uint64_t)sector * ENTRIES_PER_SECTOR < bat->entries; sector++)
		err = vhd_bat_write_sector(ctx, bat, sector);
	if (!err && bat->bat == ctx->bat.bat)
		ctx->priv->end_of_data =
			vhd_layout_end_of_data(&ctx->priv->image.layout, bat->bat, bat->entries);
	return err;
}

/* ---- batmap -------------------------------------------------------------------------------------
 */

int
vhd_has_batmap(vhd_context_t *ctx)
{
	return ctx->priv->image.has_batmap;
}

int
vhd_read_batmap(vhd_context_t *ctx, vhd_batmap_t *batmap)
{
	const struct vhd_image *image = &ctx->priv->image;
	uint8_t *map;
	int err;

	err = vhd_image_read_batmap(ctx->priv->io, image, &map, &ctx->priv->why);
	if (err)
		return vhd_told(ctx, err);
	batmap->header = image->batmap;
	batmap->map = (char *)map;
	return 0;
}

int
vhd_get_batmap(vhd_context_t *ctx)
{
	vhd_batmap_t batmap;
	int err;

	if (ctx->priv->batmap_dirty)
		return 0;
	err = vhd_read_batmap(ctx, &batmap);
	if (err)
		return err;
	free(ctx->batmap.map);
	ctx->batmap = batmap;
	return 0;
}

/* A map that cannot be believed starts anew, with nothing in it. */
int
vhd_need_batmap(vhd_context_t *ctx)
{
	const struct vhd_image *image = &ctx->priv->image;
	int err;

	if (ctx->batmap.map || !image->has_batmap)
		return 0;
	err = vhd_get_batmap(ctx);
	if (err != -EINVAL)
		return err;
	ctx->batmap.header = image->batmap;
	ctx->batmap.map = calloc(image->batmap.batmap_size, VHD_SECTOR_SIZE);
	return ctx->batmap.map ? 0 : -ENOMEM;
}

void
vhd_put_batmap(vhd_context_t *ctx)
{
	if (ctx->priv->batmap_dirty)
		return;
	free(ctx->batmap.map);
	ctx->batmap.map = NULL;
}

int
vhd_batmap_write_header(vhd_context_t *ctx, const vhd_batmap_header_t *header)
{
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];
	int err;

	if (!ctx->priv->image.has_batmap)
		return vhd_fail(ctx, -EINVAL, "batmap: there is none that is sound");
	vhd_batmap_header_pack(header, raw);
	err = write_raw_durably(ctx, raw, sizeof(raw),
				vhd_batmap_header_at(&ctx->priv->image.layout));
	if (err)
		return err;
	ctx->priv->image.batmap = *header;
	ctx->batmap.header = *header;
	return 0;
}

/* The map first: while its header has another checksum, nobody believes it. */
int
vhd_write_batmap(vhd_context_t *ctx, vhd_batmap_t *batmap)
{
	const struct vhd_image *image = &ctx->priv->image;
	size_t bytes = (size_t)image->batmap.batmap_size << VHD_SECTOR_SHIFT;
	int err = vhd_may_write(ctx);

	if (err)
		return err;
	if (!image->has_batmap || !batmap->map ||
	    batmap->header.batmap_size != image->batmap.batmap_size)
		return vhd_fail(ctx, -EINVAL, "batmap: not the one of this image");
	batmap->header.version = VHD_BATMAP_VERSION;
	batmap->header.batmap_offset = image->batmap.batmap_offset;
	batmap->header.checksum = vhd_batmap_sum(&batmap->header, image->footer.current_size,
						 (uint8_t *)batmap->map, bytes);
	err = write_raw_durably(ctx, batmap->map, bytes, image->batmap.batmap_offset);
	if (!err)
		err = vhd_batmap_write_header(ctx, &batmap->header);
	if (!err && batmap->map == ctx->batmap.map)
		ctx->priv->batmap_dirty = false;
	return err;
}
