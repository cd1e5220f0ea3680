/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving an image another size.
 *
 * A larger BAT needs the room behind it: blocks that lie there move to the end of the file, then
 * batmap and locators move behind the new end of the BAT.  All that is overwritten is in the
 * journal before, and the footer that makes the image whole again is the last thing that is
 * written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/header.h"
#include "vhd/lib/journal.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/resize.h"

/* A dynamic image on its way; offsets and sizes in bytes. */
struct growth {
	vhd_journal_t *journal;
	vhd_context_t *vhd;
	const struct vhd_resize *what;
	vhd_header_t header;      /* as it will be */
	struct vhd_layout layout; /* of that header; metadata_end is where blocks may begin */
	uint32_t *bat;            /* owned; as it will be */
	uint64_t batmap_bytes;
	uint64_t end_of_data;
	uint64_t limit; /* blocks of a device end before */
};

static int
write_at(vhd_context_t *vhd, const void *buf, size_t bytes, uint64_t at)
{
	int err = io_write_at(vhd->priv->io, buf, bytes, at);

	vhd->priv->unsynced = true;
	return err ? vhd_fail(vhd, err, "file: cannot be written: %s", strerror(-err)) : 0;
}

static int
read_at(vhd_context_t *vhd, void *buf, size_t bytes, uint64_t at)
{
	int err = io_read_at(vhd->priv->io, buf, bytes, at);

	return err ? vhd_fail(vhd, err, "file: cannot be read: %s", strerror(-err)) : 0;
}

static void
adopt_size(vhd_context_t *vhd, uint64_t bytes)
{
	vhd->footer.current_size = bytes;
	vhd->footer.geometry = vhd_chs(bytes);
	vhd->priv->image.sectors = bytes >> VHD_SECTOR_SHIFT;
}

/* ---- what moves where ---------------------------------------------------------------------------
 */

/* Locators between the tables follow them; others stay. */
static bool
locator_moves(const struct growth *growth, const vhd_parent_locator_t *locator)
{
	uint64_t room = vhd_locator_room(locator);

	return locator->code != VHD_PLATFORM_NONE && room &&
	       locator->data_offset < growth->layout.metadata_end &&
	       locator->data_offset + room > growth->layout.table_offset;
}

/* The new end of the metadata depends on which locators move, and the other way round. */
static void
place_tables(struct growth *growth)
{
	const struct vhd_image *image = &growth->vhd->priv->image;
	uint64_t end = growth->layout.table_end;
	bool moved[VHD_LOCATORS] = { false }, more = true;
	unsigned i;

	if (image->has_batmap) {
		growth->batmap_bytes = (uint64_t)vhd_batmap_sectors(growth->layout.entries)
				       << VHD_SECTOR_SHIFT;
		end += VHD_BATMAP_HEADER_BYTES + growth->batmap_bytes;
	}
	growth->layout.metadata_end = end;
	while (more) {
		more = false;
		for (i = 0; i < VHD_LOCATORS; i++) {
			if (moved[i] || !locator_moves(growth, &image->header.locator[i]))
				continue;
			growth->header.locator[i].data_offset = growth->layout.metadata_end;
			growth->layout.metadata_end += vhd_locator_room(&image->header.locator[i]);
			moved[i] = true;
			more = true;
		}
	}
}

static int
plan(struct growth *growth)
{
	vhd_context_t *vhd = growth->vhd;
	uint64_t needed;
	uint32_t entries = vhd->bat.entries, i;

	needed = vhd_entries_needed(growth->what->bytes >> VHD_SECTOR_SHIFT, vhd->spb);
	growth->header = vhd->priv->image.header;
	if (needed > entries)
		growth->header.max_table_entries = (uint32_t)needed;
	vhd_layout_init(&growth->layout, vhd->footer.data_offset, &growth->header);
	growth->layout.metadata_end = vhd->priv->image.layout.metadata_end;
	growth->end_of_data = vhd->priv->end_of_data;
	growth->limit = vhd->is_block ? vhd->priv->image.footer_at : UINT64_MAX;
	if (needed > entries)
		place_tables(growth);
	if (growth->end_of_data < growth->layout.metadata_end)
		growth->end_of_data = growth->layout.metadata_end;
	growth->bat = calloc(growth->layout.entries, sizeof(*growth->bat));
	if (!growth->bat)
		return -ENOMEM;
	memcpy(growth->bat, vhd->bat.bat, entries * sizeof(*growth->bat));
	for (i = entries; i < growth->layout.entries; i++)
		growth->bat[i] = VHD_BLOCK_UNUSED;
	return 0;
}

/* ---- blocks -------------------------------------------------------------------------------------
 */

static bool
block_is_in_the_way(const struct growth *growth, uint32_t entry)
{
	return entry != VHD_BLOCK_UNUSED && vhd_bitmap_offset(entry) < growth->layout.metadata_end;
}

/* A file is extended first: whatever its last sector holds is taken for a footer. */
static int
move_block(struct growth *growth, uint32_t block, uint8_t *buf)
{
	const struct vhd_layout *layout = &growth->layout;
	size_t bytes = (size_t)layout->block_secs << VHD_SECTOR_SHIFT;
	uint32_t to;
	int err;

	err = vhd_journal_add_block(growth->journal, block,
				    VHD_JOURNAL_METADATA | VHD_JOURNAL_DATA);
	if (err)
		return err;
	err = vhd_layout_place(layout, growth->end_of_data, growth->limit, &to);
	if (err)
		return vhd_fail(growth->vhd, err, "file: no room for another block");
	growth->end_of_data = vhd_bitmap_offset(to) + bytes;
	if (!growth->vhd->is_block)
		err = io_truncate(growth->vhd->priv->io, growth->end_of_data + VHD_FOOTER_BYTES);
	if (err)
		return vhd_fail(growth->vhd, err, "file: cannot grow: %s", strerror(-err));
	err = read_at(growth->vhd, buf, bytes, vhd_bitmap_offset(growth->bat[block]));
	if (!err)
		err = write_at(growth->vhd, buf, bytes, vhd_bitmap_offset(to));
	if (!err)
		growth->bat[block] = to;
	return err;
}

static int
move_blocks(struct growth *growth)
{
	const struct vhd_resize *what = growth->what;
	AUTO_FREE uint8_t *buf = malloc((size_t)growth->layout.block_secs << VHD_SECTOR_SHIFT);
	uint64_t total = 0, done = 0;
	uint32_t block, entries = growth->vhd->bat.entries;
	int err = buf ? 0 : -ENOMEM;

	for (block = 0; block < entries; block++)
		total += block_is_in_the_way(growth, growth->bat[block]);
	for (block = 0; !err && block < entries; block++) {
		if (!block_is_in_the_way(growth, growth->bat[block]))
			continue;
		err = move_block(growth, block, buf);
		if (!err && what->progress)
			what->progress(what->arg, ++done, total);
	}
	return err;
}

/* ---- tables -------------------------------------------------------------------------------------
 */

static int
write_bat(struct growth *growth)
{
	uint32_t first, count, per_sector = VHD_SECTOR_SIZE / sizeof(uint32_t);
	uint8_t raw[VHD_SECTOR_SIZE];
	int err = 0;

	for (first = 0; !err && first < growth->layout.entries; first += count) {
		count = growth->layout.entries - first;
		if (count > per_sector)
			count = per_sector;
		vhd_bat_pack_sector(growth->bat + first, count, raw);
		err = write_at(growth->vhd, raw, sizeof(raw),
			       growth->layout.table_offset + (uint64_t)first * sizeof(uint32_t));
	}
	return err;
}

/* Bits stay; those of new blocks are 0. */
static int
write_batmap(struct growth *growth)
{
	vhd_context_t *vhd = growth->vhd;
	vhd_batmap_header_t header = vhd->priv->image.batmap;
	AUTO_FREE uint8_t *map = NULL;
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];
	size_t kept = (size_t)header.batmap_size << VHD_SECTOR_SHIFT;
	int err;

	if (!vhd->priv->image.has_batmap)
		return 0;
	map = calloc(1, growth->batmap_bytes);
	if (!map)
		return -ENOMEM;
	if (vhd->batmap.map)
		memcpy(map, vhd->batmap.map,
		       kept < growth->batmap_bytes ? kept : growth->batmap_bytes);
	header.version = VHD_BATMAP_VERSION;
	header.batmap_offset = vhd_batmap_header_at(&growth->layout) + VHD_BATMAP_HEADER_BYTES;
	header.batmap_size = (uint32_t)(growth->batmap_bytes >> VHD_SECTOR_SHIFT);
	header.checksum = vhd_batmap_sum(&header, growth->what->bytes, map, growth->batmap_bytes);
	vhd_batmap_header_pack(&header, raw);
	err = write_at(vhd, map, growth->batmap_bytes, header.batmap_offset);
	if (!err)
		err = write_at(vhd, raw, sizeof(raw), vhd_batmap_header_at(&growth->layout));
	if (err)
		return err;
	vhd->priv->image.batmap = header;
	return 0;
}

/* What they hold was read before anything was written over it. */
static int
write_locators(struct growth *growth, uint8_t *const *data)
{
	const vhd_parent_locator_t *locator = growth->header.locator;
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < VHD_LOCATORS; i++)
		if (data[i])
			err = write_at(growth->vhd, data[i], vhd_locator_room(&locator[i]),
				       locator[i].data_offset);
	return err;
}

static int
read_locators(struct growth *growth, uint8_t **data)
{
	const vhd_parent_locator_t *locator = growth->vhd->priv->image.header.locator;
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < VHD_LOCATORS; i++) {
		if (locator[i].data_offset == growth->header.locator[i].data_offset)
			continue;
		data[i] = malloc(vhd_locator_room(&locator[i]));
		err = data[i] ? read_at(growth->vhd, data[i], vhd_locator_room(&locator[i]),
					locator[i].data_offset)
			      : -ENOMEM;
	}
	return err;
}

static int
write_tables(struct growth *growth)
{
	uint8_t raw[VHD_HEADER_BYTES];
	uint8_t *locators[VHD_LOCATORS] = { NULL };
	unsigned i;
	int err;

	err = vhd_need_batmap(growth->vhd);
	if (!err)
		err = read_locators(growth, locators);
	if (!err)
		err = write_bat(growth);
	if (!err)
		err = write_batmap(growth);
	if (!err)
		err = write_locators(growth, locators);
	for (i = 0; i < VHD_LOCATORS; i++)
		free(locators[i]);
	if (err)
		return err;
	vhd_header_encode(&growth->header, raw);
	return write_at(growth->vhd, raw, sizeof(raw), growth->vhd->footer.data_offset);
}

/* ---- a dynamic image ----------------------------------------------------------------------------
 */

/* What the context knows is what the file holds now. */
static void
adopt_tables(struct growth *growth)
{
	vhd_context_t *vhd = growth->vhd;
	struct vhd_image *image = &vhd->priv->image;
	uint64_t blocks_end = image->layout.blocks_end;

	image->layout = growth->layout;
	image->layout.blocks_end = blocks_end;
	image->header = growth->header;
	vhd->header = growth->header;
	free(vhd->bat.bat);
	vhd->bat.bat = STEAL(growth->bat);
	vhd->bat.entries = growth->layout.entries;
	vhd->priv->end_of_data = growth->end_of_data;
	vhd->priv->grows = !vhd->is_block;
	vhd->priv->batmap_dirty = false;
	vhd_put_batmap(vhd);
	vhd->batmap.header = image->batmap;
}

static int
grow_tables(struct growth *growth)
{
	vhd_context_t *vhd = growth->vhd;
	int err = 0;

	/* A locator may lie behind blocks; they are in the way of tables only. */
	if (growth->layout.entries > vhd->bat.entries)
		err = move_blocks(growth);
	if (!err)
		err = io_sync(vhd->priv->io);
	if (!err)
		err = vhd_context_at(vhd, VHD_POINT_RESIZE_DATA_MOVED);
	if (!err && !vhd->is_block)
		err = io_truncate(vhd->priv->io, growth->end_of_data + VHD_FOOTER_BYTES);
	if (!err)
		err = write_tables(growth);
	if (!err)
		err = io_sync(vhd->priv->io);
	if (!err)
		err = vhd_context_at(vhd, VHD_POINT_RESIZE_METADATA_MOVED);
	if (err)
		return err;
	adopt_tables(growth);
	adopt_size(vhd, growth->what->bytes);
	return 0;
}

static int
resize_dynamic(vhd_journal_t *journal, const struct vhd_resize *what)
{
	struct growth growth = { .journal = journal, .vhd = &journal->vhd, .what = what };
	int err;

	if (what->bytes < journal->vhd.footer.current_size)
		return vhd_fail(&journal->vhd, -ENOSYS, "a dynamic image cannot shrink");
	err = vhd_need_bat(&journal->vhd);
	if (!err)
		err = plan(&growth);
	if (!err && growth.end_of_data + VHD_FOOTER_BYTES > growth.limit)
		err = vhd_fail(&journal->vhd, -ENOSPC, "file: no room for the BAT");
	if (!err)
		err = grow_tables(&growth);
	free(growth.bat);
	return err;
}

/* ---- a fixed image ------------------------------------------------------------------------------
 */

/* Where the old footer was is a part of the disk now, or of nothing. */
static int
resize_fixed(vhd_journal_t *journal, const struct vhd_resize *what)
{
	static const uint8_t zeros[VHD_FOOTER_BYTES];
	vhd_context_t *vhd = &journal->vhd;
	uint64_t before = journal->priv->header.footer_offset;
	int err = 0;

	if (vhd->is_block)
		return vhd_fail(vhd, -ENOSYS, "a fixed image on a device is as large as that");
	if (what->bytes < before) {
		err = vhd_journal_save(journal, VHD_ENTRY_DATA, what->bytes, VHD_FOOTER_BYTES);
		if (!err)
			err = vhd_journal_publish(journal);
	} else if (what->bytes > before) {
		err = io_truncate(vhd->priv->io, what->bytes + VHD_FOOTER_BYTES);
		if (!err)
			err = write_at(vhd, zeros, sizeof(zeros), before);
	}
	if (!err)
		err = vhd_context_at(vhd, VHD_POINT_RESIZE_DATA_MOVED);
	if (!err)
		err = io_sync(vhd->priv->io);
	if (!err)
		err = vhd_context_at(vhd, VHD_POINT_RESIZE_METADATA_MOVED);
	if (err)
		return err;
	adopt_size(vhd, what->bytes);
	vhd->priv->image.footer_at = what->bytes;
	return 0;
}

/* ---- all ----------------------------------------------------------------------------------------
 */

int
vhd_resize_journaled(vhd_journal_t *journal, const struct vhd_resize *what)
{
	vhd_context_t *vhd = &journal->vhd;
	int err;

	vhd_context_set_hooks(vhd, &what->hooks);
	err = vhd_context_at(vhd, VHD_POINT_RESIZE_BEGIN);
	if (err)
		return err;
	if (vhd_type_dynamic(vhd))
		err = resize_dynamic(journal, what);
	else
		err = resize_fixed(journal, what);
	if (!err)
		err = vhd_context_at(vhd, VHD_POINT_RESIZE_END);
	return err ? err : vhd_journal_commit(journal);
}

static int
take_back(const char *file, const char *jfile)
{
	vhd_journal_t journal;
	int err;

	err = vhd_journal_open(&journal, file, jfile);
	if (err)
		return err;
	err = vhd_journal_revert(&journal);
	if (!err)
		return vhd_journal_remove(&journal);
	vhd_journal_close(&journal);
	return err;
}

int
vhd_resize(const char *file, const char *jfile, const struct vhd_resize *what, struct reason *why)
{
	vhd_journal_t journal;
	int err;

	if (!what->bytes || what->bytes % VHD_SECTOR_SIZE ||
	    what->bytes > VHD_MAX_SECTORS << VHD_SECTOR_SHIFT)
		return reason(why, -EINVAL, "size: %llu bytes are not possible",
			      (unsigned long long)what->bytes);
	err = vhd_journal_create(&journal, file, jfile);
	if (err)
		return reason(why, err, "journal: %s: %s", jfile, strerror(-err));
	err = vhd_resize_journaled(&journal, what);
	if (!err)
		return vhd_journal_remove(&journal);
	reason(why, err, "%s", vhd_journal_error(&journal));
	/* In memory nothing of this attempt counts any more. */
	journal.vhd.oflags = VHD_OPEN_RDONLY;
	vhd_journal_close(&journal);
	take_back(file, jfile);
	return err;
}
