/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Repair, and dropping all data.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "vhd/lib/context.h"
#include "vhd/lib/repair.h"

/* A batmap of zeros says nothing, and is never wrong. */
static int
empty_batmap(vhd_context_t *ctx)
{
	vhd_batmap_t batmap = { .header = ctx->priv->image.batmap };
	AUTO_FREE char *map = NULL;

	if (!ctx->priv->image.has_batmap)
		return 0;
	map = calloc(batmap.header.batmap_size, VHD_SECTOR_SIZE);
	if (!map)
		return -ENOMEM;
	batmap.map = map;
	return vhd_write_batmap(ctx, &batmap);
}

int
vhd_repair(vhd_context_t *ctx)
{
	vhd_footer_t footer = ctx->footer;
	int err = 0;

	if (vhd_type_dynamic(ctx) && vhd_has_batmap(ctx)) {
		err = vhd_need_bat(ctx);
		if (!err)
			err = vhd_need_batmap(ctx);
		if (!err && !ctx->batmap.map)
			err = empty_batmap(ctx);
	}
	if (vhd_uuid_is_nil(&footer.uuid))
		vhd_uuid_generate(&footer.uuid);
	if (!err)
		err = vhd_write_footer(ctx, &footer);
	return err ? err : vhd_sync(ctx);
}

int
vhd_kill_data(vhd_context_t *ctx)
{
	uint32_t i;
	int err;

	if (!vhd_type_dynamic(ctx))
		return -EINVAL;
	err = vhd_need_bat(ctx);
	if (!err)
		err = empty_batmap(ctx);
	if (!err)
		err = vhd_sync(ctx);
	if (err)
		return err;
	for (i = 0; i < ctx->bat.entries; i++)
		ctx->bat.bat[i] = VHD_BLOCK_UNUSED;
	err = vhd_write_bat(ctx, &ctx->bat);
	if (!err)
		err = vhd_sync(ctx);
	/* The footer of a file goes to its new end. */
	ctx->priv->grows = !ctx->priv->image.is_device;
	return err ? err : vhd_write_footer(ctx, &ctx->footer);
}
