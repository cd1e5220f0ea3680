/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util fill: every block of an image gets its place.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "vhd/lib/bits.h"
#include "vhd/vhd-util.h"

#define FILE_LIMIT (1ull << 41) /* bytes that tools elsewhere can address */

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_FLAG('b', "only BAT and bitmaps, no data"),
	ROW_NUMBER('f', "SECTOR", "with -b: sectors from here on are present", false, UINT64_MAX),
	ROW_NUMBER('t', "SECTOR", "with -b: up to this one", false, UINT64_MAX),
	ROW_FLAG('B', "with -b: although the file gets larger than 2 TiB"),
	ROW_PROGRESS,
	ROW_END,
};

/* What sectors may be marked in each block. */
struct filling {
	vhd_context_t *vhd;
	bool only_metadata;
	uint64_t from, to; /* sectors, [from, to) */
	uint8_t *buffer;   /* a block; only with data */
};

static int
mark_range(const struct filling *filling, uint32_t block)
{
	vhd_context_t *vhd = filling->vhd;
	uint64_t first = (uint64_t)block * vhd->spb, end = first + vhd->spb;
	uint64_t from = filling->from > first ? filling->from : first;
	uint64_t to = filling->to < end ? filling->to : end;

	if (from >= to)
		return 0;
	return vhd_block_mark(vhd, block, (uint32_t)(from - first), (uint32_t)(to - from));
}

static int
fill_block(const struct filling *filling, uint32_t block)
{
	vhd_context_t *vhd = filling->vhd;
	uint64_t sector = (uint64_t)block * vhd->spb, left = vhd->priv->image.sectors - sector;
	uint32_t sectors = left < vhd->spb ? (uint32_t)left : vhd->spb;
	int err = 0;

	if (filling->only_metadata) {
		if (vhd->bat.bat[block] == VHD_BLOCK_UNUSED)
			err = vhd_block_allocate(vhd, block);
		return err ? err : mark_range(filling, block);
	}
	err = vhd_io_read(vhd, filling->buffer, sector, sectors);
	return err ? err : vhd_io_write(vhd, filling->buffer, sector, sectors);
}

static int
fill(const struct filling *filling, struct progress *progress)
{
	uint32_t block, blocks = vhd_image_blocks(&filling->vhd->priv->image);
	uint64_t block_bytes = (uint64_t)filling->vhd->spb << VHD_SECTOR_SHIFT;
	int err = 0;

	for (block = 0; block < blocks && !err; block++) {
		err = progress_step(progress, block * block_bytes, blocks * block_bytes);
		if (!err)
			err = fill_block(filling, block);
	}
	return err;
}

static int
check_room(vhd_context_t *vhd)
{
	const struct vhd_layout *layout = &vhd->priv->image.layout;
	uint64_t blocks = vhd_image_blocks(&vhd->priv->image);

	if (layout->metadata_end + blocks * ((uint64_t)layout->block_secs << VHD_SECTOR_SHIFT) >
	    FILE_LIMIT)
		return -EFBIG;
	return 0;
}

static int
run_on(struct image *image, const struct options *options)
{
	const struct option_value *from = &options->at['f'], *to = &options->at['t'];
	AUTO_FREE uint8_t *buffer = NULL;
	struct filling filling = { .vhd = &image->vhd, .only_metadata = options->at['b'].given };
	struct progress progress;
	int err;

	if (!vhd_type_dynamic(&image->vhd))
		return vhd_util_refused(-EINVAL, "%s is a fixed image: it has no blocks to fill",
					image->name);
	err = vhd_need_bat(&image->vhd);
	if (!err && !options->at['B'].given)
		err = check_room(&image->vhd);
	if (!err && filling.only_metadata && (from->given || to->given)) {
		filling.from = from->number;
		filling.to = to->given && to->number < image->vhd.priv->image.sectors
				     ? to->number + 1
				     : image->vhd.priv->image.sectors;
	}
	if (!err && !filling.only_metadata) {
		buffer = malloc((size_t)image->vhd.spb << VHD_SECTOR_SHIFT);
		err = buffer ? 0 : -ENOMEM;
	}
	if (err)
		return vhd_util_failed("filling", image->name, err);
	filling.buffer = buffer;
	progress_begin(&progress, 0, false, options->at[OPTION_PROGRESS].given);
	err = fill(&filling, &progress);
	progress_end(&progress, !err);
	return vhd_util_failed("filling", image->name, err);
}

static int
run(const struct options *options)
{
	bool extra = options->at['f'].given || options->at['t'].given || options->at['B'].given;
	struct image image;
	int err;

	if (extra && !options->at['b'].given)
		return options_wrong(&cmd_fill);
	err = image_open(&image, options->at['n'].text, VHD_OPEN_RDWR, IMAGE_LOCK_EXCLUSIVE);
	return err ? err : image_close(&image, run_on(&image, options));
}

const struct command cmd_fill = {
	.name = "fill",
	.help = "Give every block of an image its place in the file.",
	.rows = rows,
	.run = run,
};
