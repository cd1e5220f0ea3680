/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single bits of batmaps and bitmaps; whatever is out of range is 0, and stays as it is.
 */
#include "vhd/lib/bits.h"
#include "vhd/lib/context.h"

/* A bit for a block that has no place speaks of nothing: it does not count. */
static bool
batmap_covers(const vhd_context_t *ctx, const vhd_batmap_t *batmap, uint32_t block)
{
	return batmap->map && block < ctx->bat.entries &&
	       block / 8 < (uint64_t)batmap->header.batmap_size << VHD_SECTOR_SHIFT;
}

int
vhd_batmap_test(vhd_context_t *ctx, const vhd_batmap_t *batmap, uint32_t block)
{
	return batmap_covers(ctx, batmap, block) &&
	       vhd_bits_test((const uint8_t *)batmap->map, block);
}

void
vhd_batmap_set(vhd_context_t *ctx, vhd_batmap_t *batmap, uint32_t block)
{
	if (batmap_covers(ctx, batmap, block))
		vhd_bits_set((uint8_t *)batmap->map, block);
}

void
vhd_batmap_clear(vhd_context_t *ctx, vhd_batmap_t *batmap, uint32_t block)
{
	if (batmap_covers(ctx, batmap, block))
		vhd_bits_clear((uint8_t *)batmap->map, block);
}

int
vhd_bitmap_test(vhd_context_t *ctx, const char *bitmap, uint32_t sector)
{
	return sector < ctx->spb && vhd_bits_test((const uint8_t *)bitmap, sector);
}

void
vhd_bitmap_set(vhd_context_t *ctx, char *bitmap, uint32_t sector)
{
	if (sector < ctx->spb)
		vhd_bits_set((uint8_t *)bitmap, sector);
}

void
vhd_bitmap_clear(vhd_context_t *ctx, char *bitmap, uint32_t sector)
{
	if (sector < ctx->spb)
		vhd_bits_clear((uint8_t *)bitmap, sector);
}
