/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Merging block by block, run by run.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "vhd/lib/coalesce.h"
#include "vhd/lib/context.h"

struct merge {
	vhd_context_t *child;
	const struct vhd_merge_target *target;
	uint8_t *buffer; /* a block of data */
	uint64_t sectors;
	struct reason *why;
};

/* The same key, or both none: sectors are moved as they are. */
static int
check_keys(struct merge *merge)
{
	struct vhd_keyhash from, to = { .cookie = 0 };
	int err = vhd_get_keyhash(merge->child, &from);

	if (!err && merge->target->vhd)
		err = vhd_get_keyhash(merge->target->vhd, &to);
	if (err)
		return err;
	if ((from.cookie == 1) != (to.cookie == 1) ||
	    (from.cookie == 1 && memcmp(&from, &to, sizeof(from)) != 0))
		return reason(merge->why, -EINVAL, "image and parent have different keys");
	return 0;
}

/* A raw parent that is a file grows with what is written; everything else must be large enough. */
static int
check_sizes(struct merge *merge)
{
	const vhd_context_t *parent = merge->target->vhd;

	if (parent && parent->priv->image.sectors < merge->child->priv->image.sectors)
		return reason(merge->why, -EINVAL,
			      "parent is smaller: %" PRIu64 " sectors, not %" PRIu64,
			      parent->priv->image.sectors, merge->child->priv->image.sectors);
	return 0;
}

/* Sectors of a parent need not come to lie in one of its blocks. */
static int
write_image(vhd_context_t *vhd, uint64_t sector, uint32_t sectors, const uint8_t *from)
{
	uint32_t part;
	int err = 0;

	for (; !err && sectors; sectors -= part, sector += part) {
		uint32_t at = (uint32_t)(sector % vhd->spb);

		part = sectors < vhd->spb - at ? sectors : vhd->spb - at;
		err = vhd_block_write(vhd, (uint32_t)(sector / vhd->spb), at, part, from);
		from += (size_t)part << VHD_SECTOR_SHIFT;
	}
	return err;
}

/* Zeros for a parent that reads as zeros there need no room. */
static bool
can_skip(const struct merge *merge, uint64_t sector, uint32_t sectors)
{
	vhd_context_t *vhd = merge->target->vhd;
	size_t bytes = (size_t)sectors << VHD_SECTOR_SHIFT;
	uint64_t at;
	uint32_t run;
	bool present = true;

	if (!vhd || !(vhd->oflags & VHD_OPEN_IO_WRITE_SPARSE) ||
	    vhd->footer.type != VHD_TYPE_DYNAMIC || merge->buffer[0] ||
	    memcmp(merge->buffer, merge->buffer + 1, bytes - 1) != 0)
		return false;
	return vhd_image_run(vhd, sector, sectors, &run, &present, &at) == 0 && !present &&
	       run == sectors;
}

static int
write_run(struct merge *merge, uint64_t sector, uint32_t sectors)
{
	vhd_context_t *vhd = merge->target->vhd;
	uint64_t at = sector << VHD_SECTOR_SHIFT;
	size_t bytes = (size_t)sectors << VHD_SECTOR_SHIFT;

	if (can_skip(merge, sector, sectors))
		return 0;
	if (!vhd)
		return io_write_at(merge->target->raw, merge->buffer, bytes, at);
	if (!vhd_type_dynamic(vhd)) {
		vhd->priv->unsynced = true;
		return io_write_at(vhd->priv->io, merge->buffer, bytes, at);
	}
	return write_image(vhd, sector, sectors, merge->buffer);
}

static int
merge_block(struct merge *merge, uint32_t block)
{
	vhd_context_t *child = merge->child;
	uint64_t sector = (uint64_t)block * child->spb;
	uint64_t end = sector + child->spb, disk_end = child->priv->image.sectors, offset;
	bool present = false;
	uint32_t run;
	int err = 0;

	if (end > disk_end)
		end = disk_end;
	for (; !err && sector < end; sector += run) {
		err = vhd_image_run(child, sector, (uint32_t)(end - sector), &run, &present,
				    &offset);
		if (err || !present)
			continue;
		err = vhd_read_at(child, block, (uint32_t)(sector % child->spb), run,
				  merge->buffer);
		if (!err)
			err = write_run(merge, sector, run);
		if (!err)
			merge->sectors += run;
	}
	return err;
}

static int
merge_blocks(struct merge *merge, const struct vhd_merge_watch *watch)
{
	uint32_t block, blocks = vhd_image_blocks(&merge->child->priv->image);
	uint64_t block_bytes = (uint64_t)merge->child->spb << VHD_SECTOR_SHIFT;
	int err = 0;

	for (block = 0; block < blocks && !err; block++) {
		err = watch->step(watch->arg, block * block_bytes, blocks * block_bytes);
		if (!err && merge->child->bat.bat[block] != VHD_BLOCK_UNUSED)
			err = merge_block(merge, block);
	}
	return err;
}

int
vhd_merge(vhd_context_t *child, const struct vhd_merge_target *target,
	  const struct vhd_merge_watch *watch, uint64_t *sectors, struct reason *why)
{
	struct merge merge = { .child = child, .target = target, .why = why };
	AUTO_FREE uint8_t *buffer = NULL;
	int err;

	*sectors = 0;
	if (child->footer.type != VHD_TYPE_DIFFERENCING)
		return reason(why, -EINVAL, "no differencing image");
	err = vhd_need_bat(child);
	if (!err)
		err = vhd_need_batmap(child);
	if (!err && target->vhd && vhd_type_dynamic(target->vhd))
		err = vhd_need_bat(target->vhd);
	if (!err)
		err = check_keys(&merge);
	if (!err)
		err = check_sizes(&merge);
	if (err)
		return err;
	buffer = malloc((size_t)child->spb << VHD_SECTOR_SHIFT);
	if (!buffer)
		return -ENOMEM;
	merge.buffer = buffer;
	err = merge_blocks(&merge, watch);
	/* What has been done need not be done again: also after a failure. */
	*sectors = merge.sectors;
	if (target->raw)
		return err ? err : io_sync(target->raw);
	return err ? (vhd_sync(target->vhd), err) : vhd_sync(target->vhd);
}
