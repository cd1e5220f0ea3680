/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: opening an image, and closing it.  The only parts of the driver that block.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/block-vhd.h"

#define SECTOR_BUFFERS 3 /* zeroes, and a footer each for growth and commit */

/* ---- the map ------------------------------------------------------------------------------------
 */

static void
fill_map(struct vd_state *vd, const uint32_t *bat)
{
	uint32_t i;

	/* What is not allocated stays untouched: an empty map takes no memory. */
	for (i = 0; i < vd->image.layout.entries; i++) {
		if (bat[i] == VHD_BLOCK_UNUSED)
			continue;
		vd->map[i].inverted = ~bat[i];
		if (i < vd->needed)
			vd->allocated++;
	}
}

static int
read_map(struct vd_state *vd, struct io *io, struct reason *why)
{
	uint32_t entries = vd->image.layout.entries;
	AUTO_FREE uint32_t *bat = malloc(4ul * entries);
	int err;

	vd->map = calloc(entries, sizeof(vd->map[0]));
	if (!bat || !vd->map)
		return -ENOMEM;
	err = vhd_image_read_bat(io, &vd->image, 0, entries, bat);
	if (err)
		return reason(why, err, "bat: cannot be read: %s", strerror(-err));
	err = vhd_image_check_bat(&vd->image, bat, entries, vd->is_writable, why);
	if (err)
		return err;
	vd->end_of_data = vhd_layout_end_of_data(&vd->image.layout, bat, entries);
	fill_map(vd, bat);
	return vd_batmap_read(vd, io);
}

/* ---- the rest of the metadata -------------------------------------------------------------------
 */

static unsigned
log2_of(uint32_t power_of_two)
{
	return (unsigned)__builtin_ctz(power_of_two);
}

static int
load_dynamic(struct vd_state *vd, struct io *io, struct reason *why)
{
	const struct vhd_image *image = &vd->image;

	vd->has_parent = image->footer.type == VHD_TYPE_DIFFERENCING;
	vd->spb_shift = log2_of(image->layout.spb);
	vd->spb_mask = image->layout.spb - 1;
	vd->bitmap_bytes = (size_t)image->layout.bm_secs << VHD_SECTOR_SHIFT;
	vd->needed = vhd_image_blocks(image);
	vd->data_limit = image->footer_at;
	vd->device_limit = image->is_device ? image->footer_at : UINT64_MAX;
	vd->growth.room_end = image->footer_at;
	vd->copy_is_lost = image->footers != VHD_FOOTERS_GOOD;
	vd->tail_is_lost = image->footers == VHD_FOOTERS_RECOVERED || image->footer_is_short;
	return read_map(vd, io, why);
}

static int
allocate(struct vd_state *vd)
{
	void *sectors;

	vd_queue_init(&vd->growth.waiters);
	vd_queue_init(&vd->batmap.waiters);
	vd_queue_init(&vd->places.waiters);
	vd->once_last = &vd->once_first;
	vd->timer = -1;
	if (posix_memalign(&sectors, 4096, SECTOR_BUFFERS * VHD_SECTOR_SIZE))
		return -ENOMEM;
	memset(sectors, 0, SECTOR_BUFFERS * VHD_SECTOR_SIZE);
	vd->sectors = sectors;
	vd->zeroes = vd->sectors;
	vd->growth.footer_raw = vd->sectors + VHD_SECTOR_SIZE;
	vd->commit.footer_raw = vd->sectors + 2 * VHD_SECTOR_SIZE;
	return vd->is_fixed ? 0 : vd_cache_init(vd);
}

static int
load(struct vd_state *vd, struct io *io, td_flag_t flags, struct reason *why)
{
	int err;

	err = vhd_image_read(io, vd->is_writable ? VHD_IMAGE_WRITE : 0, &vd->image, why);
	if (err)
		return err;
	vd->is_fixed = !vhd_image_is_dynamic(&vd->image);
	if (!vd->is_fixed)
		err = load_dynamic(vd, io, why);
	if (!err)
		err = allocate(vd);
	if (!err)
		err = vd_commit_init(vd);
	if (!err)
		err = vd_crypt_init(vd, flags, why);
	return err;
}

/* ---- open ---------------------------------------------------------------------------------------
 */

static void
fill_info(struct vd_state *vd)
{
	td_disk_info_t *info = &vd->driver->info;

	info->size = vd->image.sectors;
	info->sector_size = DEFAULT_SECTOR_SIZE;
	info->phys_sector_size = 4096;
	info->discard_granularity = 4096;
}

/*
 * The last block of a file that has lost its end is made whole again, before anything could be
 * written over what is missing.
 */
static int
mend_end(struct vd_state *vd)
{
	if (!vd->is_writable || vd->is_fixed || vd->image.is_device ||
	    vd->end_of_data <= vd->image.footer_at)
		return 0;
	vd->at_once = true;
	vd_grow(vd);
	vd_run_at_once(vd);
	vd->at_once = false;
	return vd->growth.err;
}

/* Metadata are read through the page cache, where whoever used the image last has left them. */
static int
open_metadata(struct vd_state *vd, const char *name, td_flag_t flags, struct reason *why)
{
	unsigned how = IO_WRITE | (flags & TD_OPEN_NO_O_DIRECT ? 0 : IO_DIRECT);
	struct io *io;
	int err;

	err = io_file_open(name, 0, &io);
	if (err)
		return err;
	err = load(vd, io, flags, why);
	io_close(io);
	if (!err && vd->is_writable)
		err = io_file_open(name, how, &vd->io);
	return err ? err : mend_end(vd);
}

/* A device with sectors of more than 512 bytes is read and written through the page cache. */
static void
suit_device(struct vd_state *vd)
{
	int bytes, how;

	if (!vd->file.is_device || ioctl(vd->file.fd, BLKSSZGET, &bytes) ||
	    bytes <= DEFAULT_SECTOR_SIZE)
		return;
	how = fcntl(vd->file.fd, F_GETFL);
	if (how >= 0)
		fcntl(vd->file.fd, F_SETFL, how & ~O_DIRECT);
}

int
vd_open_image(struct vd_state *vd, const char *name, td_flag_t flags)
{
	struct reason why = { .text = "" };
	int err;

	vd->is_writable = !(flags & (TD_OPEN_RDONLY | TD_OPEN_QUERY));
	err = raw_open_file(vd->driver, name, flags, true, &vd->file);
	if (err)
		return err;
	suit_device(vd);
	err = open_metadata(vd, name, flags, &why);
	if (err) {
		vd_free(vd);
		return why.text[0] ? td_reason(vd->driver, err, "%s", why.text) : err;
	}
	fill_info(vd);
	return 0;
}

/* ---- close --------------------------------------------------------------------------------------
 */

/* What no flush has brought to the file yet. */
static int
commit_rest(struct vd_state *vd)
{
	if (!vd_commit_is_due(vd))
		return vd->commit.owed;
	vd_commit_start(vd);
	vd_run_at_once(vd);
	return vd->commit.err ? vd->commit.err : vd->commit.owed;
}

/* Blocks at the end of the file may be in the image no more. */
static void
find_end(struct vd_state *vd)
{
	const struct vhd_layout *layout = &vd->image.layout;
	uint64_t end = layout->metadata_end, block_end;
	uint32_t i;

	if (!vd->counters.unmapped || vd->image.is_device)
		return;
	for (i = 0; i < layout->entries; i++) {
		if (!vd->map[i].inverted)
			continue;
		block_end = vhd_data_offset(layout, ~vd->map[i].inverted) +
			    ((uint64_t)layout->spb << VHD_SECTOR_SHIFT);
		if (block_end > end)
			end = block_end;
	}
	if (end < vd->end_of_data) {
		vd->end_of_data = end;
		vd->tail_is_lost = true;
	}
}

/* The file ends behind its last block; both footers are as they should be. */
static int
write_footers(struct vd_state *vd)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	uint64_t at = vd->image.footer_at;
	int err;

	if (!vd->copy_is_lost && !vd->tail_is_lost)
		return 0;
	vhd_footer_encode(&vd->image.footer, raw);
	err = io_write_at(vd->io, raw, sizeof(raw), 0);
	if (err)
		return err;
	if (!vd->image.is_device && vd->tail_is_lost) {
		at = vd->end_of_data;
		err = io_sync(vd->io);
		if (!err)
			err = io_truncate(vd->io, at + VHD_FOOTER_BYTES);
	}
	return err ? err : io_write_at(vd->io, raw, sizeof(raw), at);
}

static int
close_written(struct vd_state *vd)
{
	int err, first;

	vd->at_once = true;
	first = commit_rest(vd);
	if (!first && !vd->is_fixed)
		find_end(vd);
	err = vd->is_fixed ? 0 : write_footers(vd);
	if (!first)
		first = err;
	err = io_sync(vd->io);
	if (!first)
		first = err;
	/* A batmap promises what has to be durable already. */
	if (first || vd->is_fixed)
		return first;
	err = vd_batmap_write(vd);
	return err ? err : io_sync(vd->io);
}

int
vd_close_image(struct vd_state *vd)
{
	return vd->changed ? close_written(vd) : 0;
}

void
vd_free(struct vd_state *vd)
{
	struct vd_pool *pool;
	int i;

	while ((pool = vd->pools)) {
		vd->pools = pool->next;
		for (i = 0; i < TAPDISK_DATA_REQUESTS; i++)
			free(pool->requests[i].bounce);
		free(pool);
	}
	vd_cache_free(vd);
	vd_commit_free(vd);
	vd_places_free(vd);
	vd_crypt_free(vd);
	free(vd->map);
	free(vd->sectors);
	io_close(vd->io);
	close(vd->file.fd);
}
