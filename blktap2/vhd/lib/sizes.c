/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes and places of an image, how they are changed without moving data, and small conversions.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/context.h"
#include "vhd/lib/geometry.h"

/* ---- conversions --------------------------------------------------------------------------------
 */

uint32_t
vhd_chs(uint64_t bytes)
{
	return vhd_geometry(secs_round_up_no_zero(bytes));
}

uint32_t
vhd_time(time_t when)
{
	return when < VHD_EPOCH ? 0 : (uint32_t)(when - VHD_EPOCH);
}

void
vhd_time_to_string(uint32_t timestamp, char *text)
{
	time_t when = (time_t)timestamp + VHD_EPOCH;
	struct tm parts;

	text[0] = '\0';
	if (gmtime_r(&when, &parts))
		asctime_r(&parts, text);
	text[strcspn(text, "\n")] = '\0';
}

int
vhd_test_file_fixed(const char *file, int *is_fixed)
{
	struct stat found;

	if (stat(file, &found))
		return -errno;
	*is_fixed = S_ISBLK(found.st_mode);
	return 0;
}

/* ---- places -------------------------------------------------------------------------------------
 */

int
vhd_file_size_fixed(vhd_context_t *ctx)
{
	return ctx->is_block != 0;
}

int
vhd_end_of_headers(vhd_context_t *ctx, off_t *end)
{
	const struct vhd_image *image = &ctx->priv->image;

	if (!vhd_image_is_dynamic(image))
		return vhd_fail(ctx, -EINVAL, "a fixed image has no headers in front");
	*end = (off_t)image->layout.metadata_end;
	return 0;
}

int
vhd_end_of_data(vhd_context_t *ctx, off_t *end)
{
	const struct vhd_image *image = &ctx->priv->image;
	int err;

	if (!vhd_image_is_dynamic(image)) {
		*end = (off_t)(image->sectors << VHD_SECTOR_SHIFT);
		return 0;
	}
	err = vhd_need_bat(ctx);
	if (!err)
		*end = (off_t)ctx->priv->end_of_data;
	return err;
}

int
vhd_batmap_header_offset(vhd_context_t *ctx, off_t *offset)
{
	const struct vhd_image *image = &ctx->priv->image;

	if (!vhd_image_is_dynamic(image))
		return vhd_fail(ctx, -EINVAL, "a fixed image has no batmap");
	*offset = (off_t)vhd_batmap_header_at(&image->layout);
	return 0;
}

int
vhd_offset(vhd_context_t *ctx, uint64_t sector, uint32_t *offset)
{
	const struct vhd_image *image = &ctx->priv->image;
	uint32_t block;
	int err;

	if (sector >= image->sectors)
		return vhd_fail(ctx, -ERANGE, "behind the end of the disk");
	if (!vhd_image_is_dynamic(image)) {
		*offset = (uint32_t)sector;
		return 0;
	}
	err = vhd_need_bat(ctx);
	if (err)
		return err;
	block = (uint32_t)(sector / ctx->spb);
	if (block >= ctx->bat.entries)
		return vhd_fail(ctx, -ERANGE, "block %u: there are %u", block, ctx->bat.entries);
	*offset = ctx->bat.bat[block];
	if (*offset != VHD_BLOCK_UNUSED)
		*offset += ctx->bm_secs + (uint32_t)(sector % ctx->spb);
	return 0;
}

/* ---- sizes --------------------------------------------------------------------------------------
 */

/* Of a device, only what is used counts: it is larger than the image needs. */
int
vhd_get_phys_size(vhd_context_t *ctx, off_t *size)
{
	uint64_t bytes;
	off_t end;
	int err;

	if (ctx->priv->image.is_device) {
		err = vhd_end_of_data(ctx, &end);
		if (!err)
			*size = end + VHD_SECTOR_SIZE;
		return err;
	}
	err = io_size(ctx->priv->io, &bytes);
	if (!err)
		*size = (off_t)bytes;
	return err;
}

static int
check_phys_size(vhd_context_t *ctx, off_t size)
{
	uint64_t bytes;
	off_t end;
	int err;

	err = vhd_end_of_data(ctx, &end);
	if (!err)
		err = io_size(ctx->priv->io, &bytes);
	if (err)
		return err;
	if (size % VHD_SECTOR_SIZE || size < end + VHD_SECTOR_SIZE)
		return vhd_fail(ctx, -EINVAL, "data and footer need %lld bytes",
				(long long)end + VHD_SECTOR_SIZE);
	if (ctx->priv->image.is_device && (uint64_t)size > bytes)
		return vhd_fail(ctx, -EINVAL, "the device has only %llu bytes",
				(unsigned long long)bytes);
	return 0;
}

int
vhd_set_phys_size(vhd_context_t *ctx, off_t size)
{
	struct vhd_private *priv = ctx->priv;
	vhd_footer_t footer = ctx->footer;
	int err = vhd_may_write(ctx);

	if (!err)
		err = vhd_sync(ctx);
	if (!err)
		err = check_phys_size(ctx, size);
	if (!err && !vhd_image_is_dynamic(&priv->image))
		err = vhd_fail(ctx, -EINVAL, "a fixed image is as large as its disk");
	if (!err)
		err = vhd_write_footer_at(ctx, &footer, 0);
	if (!err)
		err = io_sync(priv->io);
	if (!err && !priv->image.is_device)
		err = io_truncate(priv->io, (uint64_t)size);
	if (err)
		return err;
	priv->image.footer_at = (uint64_t)size - VHD_SECTOR_SIZE;
	priv->image.layout.blocks_end = priv->image.footer_at;
	if (!priv->image.is_device)
		priv->image.file_bytes = (uint64_t)size;
	err = vhd_write_footer_at(ctx, &footer, (off_t)priv->image.footer_at);
	return err ? err : io_sync(priv->io);
}

int
vhd_max_virt_size(vhd_context_t *ctx, uint64_t *size)
{
	const struct vhd_image *image = &ctx->priv->image;
	uint64_t sectors = image->sectors;

	if (vhd_image_is_dynamic(image))
		sectors = (uint64_t)image->layout.entries * image->layout.spb;
	if (sectors > VHD_MAX_SECTORS)
		sectors = VHD_MAX_SECTORS;
	*size = sectors << VHD_SECTOR_SHIFT;
	return 0;
}

/* What becomes part of the disk must not have blocks: they would be somebody else's. */
static int
check_unused(vhd_context_t *ctx, uint64_t sectors)
{
	uint32_t block, needed;
	int err;

	err = vhd_need_bat(ctx);
	if (err)
		return err;
	needed = (uint32_t)vhd_entries_needed(sectors, ctx->spb);
	for (block = vhd_image_blocks(&ctx->priv->image); block < needed; block++)
		if (ctx->bat.bat[block] != VHD_BLOCK_UNUSED)
			return vhd_fail(ctx, -EINVAL, "block %u: allocated, behind the disk",
					block);
	return 0;
}

int
vhd_set_virt_size(vhd_context_t *ctx, uint64_t size)
{
	struct vhd_private *priv = ctx->priv;
	vhd_footer_t footer = ctx->footer;
	uint64_t most;
	int err = vhd_may_write(ctx);

	if (err)
		return err;
	vhd_max_virt_size(ctx, &most);
	if (!size || size % VHD_SECTOR_SIZE)
		return vhd_fail(ctx, -EINVAL, "size is no multiple of 512");
	if (size > most)
		return vhd_fail(ctx, -ENOSPC, "the image can have at most %llu bytes",
				(unsigned long long)most);
	if (vhd_image_is_dynamic(&priv->image)) {
		err = check_unused(ctx, size >> VHD_SECTOR_SHIFT);
		if (!err)
			err = vhd_need_batmap(ctx);
	}
	if (err)
		return err;
	footer.current_size = size;
	footer.geometry = vhd_chs(size);
	err = vhd_write_footer(ctx, &footer);
	if (err)
		return err;
	priv->image.sectors = size >> VHD_SECTOR_SHIFT;
	/* The size says which bytes of the batmap its checksum is of. */
	return ctx->batmap.map ? vhd_write_batmap(ctx, &ctx->batmap) : 0;
}
