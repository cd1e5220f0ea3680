/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From today's images to those of version 0.1.
 */
#include <stdlib.h>

#include "tests/vhd/old-image.h"
#include "vhd/lib/context.h"

static uint8_t
turned(uint8_t byte)
{
	byte = (uint8_t)((byte & 0xf0) >> 4 | (byte & 0x0f) << 4);
	byte = (uint8_t)((byte & 0xcc) >> 2 | (byte & 0x33) << 2);
	return (uint8_t)((byte & 0xaa) >> 1 | (byte & 0x55) << 1);
}

static int
turn_bitmap(vhd_context_t *vhd, uint32_t block)
{
	size_t bytes = (size_t)vhd->bm_secs << VHD_SECTOR_SHIFT, i;
	char *bitmap;
	int err = vhd_read_bitmap(vhd, block, &bitmap);

	if (err)
		return err;
	for (i = 0; i < bytes; i++)
		bitmap[i] = (char)turned((uint8_t)bitmap[i]);
	err = io_write_at(vhd->priv->io, bitmap, bytes, vhd_bitmap_offset(vhd->bat.bat[block]));
	free(bitmap);
	return err;
}

static int
turn_image(vhd_context_t *vhd)
{
	static const uint8_t zeros[VHD_SECTOR_SIZE];
	vhd_footer_t footer = vhd->footer;
	uint32_t block;
	off_t batmap;
	int err;

	err = vhd_batmap_header_offset(vhd, &batmap);
	if (!err)
		err = io_write_at(vhd->priv->io, zeros, sizeof(zeros), (uint64_t)batmap);
	if (!err)
		err = vhd_get_bat(vhd);
	for (block = 0; !err && block < vhd->bat.entries; block++)
		if (vhd->bat.bat[block] != VHD_BLOCK_UNUSED)
			err = turn_bitmap(vhd, block);
	footer.creator_version = VHD_TAPDISK_VERSION_OLD;
	return err ? err : vhd_write_footer(vhd, &footer);
}

int
make_old(const char *path)
{
	vhd_context_t vhd;
	int err, closed;

	err = vhd_open(&vhd, path, VHD_OPEN_RDWR);
	if (err)
		return err;
	err = turn_image(&vhd);
	closed = vhd_close(&vhd);
	return err ? err : closed;
}
