/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The geometry, by the algorithm of the format; the size, by what producers of images really do.
 */
#include <stdbool.h>
#include <string.h>

#include "vhd/lib/geometry.h"

#define MAX_GEOMETRY_SECTORS (65535ull * 16 * 255)

static uint32_t
pack(uint64_t cylinders_times_heads, uint64_t heads, uint64_t per_track)
{
	uint64_t cylinders = cylinders_times_heads / heads;

	return (uint32_t)(cylinders << 16 | heads << 8 | per_track);
}

uint32_t
vhd_geometry(uint64_t sectors)
{
	uint64_t tracks, heads; /* tracks: cylinders times heads */

	if (sectors > MAX_GEOMETRY_SECTORS)
		sectors = MAX_GEOMETRY_SECTORS;
	if (sectors >= 65535ull * 16 * 63)
		return pack(sectors / 255, 16, 255);
	tracks = sectors / 17;
	heads = (tracks + 1023) / 1024;
	if (heads < 4)
		heads = 4;
	if (tracks < heads * 1024 && heads <= 16)
		return pack(tracks, heads, 17);
	tracks = sectors / 31;
	if (tracks < 16 * 1024)
		return pack(tracks, 16, 31);
	return pack(sectors / 63, 16, 63);
}

uint64_t
vhd_geometry_sectors(uint32_t geometry)
{
	return (uint64_t)(geometry >> 16) * (geometry >> 8 & 0xff) * (geometry & 0xff);
}

/* Virtual PC showed its guests cylinders times heads times sectors, and QEMU does by default. */
static bool
creator_counts_cylinders(const char creator[4])
{
	return memcmp(creator, "vpc ", 4) == 0 || memcmp(creator, "qemu", 4) == 0;
}

uint64_t
vhd_virtual_sectors(const vhd_footer_t *footer, enum vhd_size_rule rule)
{
	uint64_t current = footer->current_size >> VHD_SECTOR_SHIFT;
	uint64_t by_geometry = vhd_geometry_sectors(footer->geometry);

	if (rule == VHD_SIZE_BY_CREATOR) {
		rule = VHD_SIZE_CURRENT;
		if (by_geometry != MAX_GEOMETRY_SECTORS &&
		    creator_counts_cylinders(footer->creator))
			rule = VHD_SIZE_GEOMETRY;
	}
	if (rule == VHD_SIZE_GEOMETRY && by_geometry < current)
		return by_geometry;
	return current;
}
