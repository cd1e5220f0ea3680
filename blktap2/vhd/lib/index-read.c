/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading through an index.  Nothing that it says is believed: not where its blocks are, nor which
 * files it names, nor where in them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/image.h"
#include "vhd/lib/index.h"

/* ---- files --------------------------------------------------------------------------------------
 */

/* Sectors that an entry may point at: of an image, those before its footer. */
static int
usable_sectors(vhdi_context_t *ctx, const vhdi_file_t *file, struct io *io, uint64_t *sectors)
{
	struct vhd_image image;
	struct reason why;
	uint64_t bytes;
	int err;

	if (file->is_raw) {
		err = io_size(io, &bytes);
		*sectors = bytes >> VHD_SECTOR_SHIFT;
		return err;
	}
	err = vhd_image_read(io, 0, &image, &why);
	if (err)
		return vhdi_fail(ctx, err, "%s: %s", file->path, why.text);
	if (memcmp(&image.footer.uuid, &file->uuid, sizeof(file->uuid)) != 0)
		return vhdi_fail(ctx, -ESTALE, "%s: is not the image that was indexed", file->path);
	*sectors = image.footer_at >> VHD_SECTOR_SHIFT;
	return 0;
}

/* The place of the file; of one that is not open: of the one that was not used for longest. */
static struct vhdi_open_file *
place_for(struct vhdi_private *priv, uint32_t id)
{
	struct vhdi_open_file *place, *oldest = priv->open;

	for (place = priv->open; place < priv->open + VHDI_OPEN_FILES; place++) {
		if (place->id == id)
			return place;
		if (place->used < oldest->used)
			oldest = place;
	}
	return oldest;
}

static int
open_file(vhdi_context_t *ctx, uint32_t id, struct vhdi_open_file **opened)
{
	struct vhdi_open_file *place = place_for(ctx->priv, id);
	const vhdi_file_t *file;
	int err;

	if (place->id != id) {
		if (vhdi_get_file(ctx, id, &file))
			return vhdi_fail(ctx, -EIO, "index: file %u: there are %u", id, ctx->files);
		io_close(place->io);
		*place = (struct vhdi_open_file){ .id = VHDI_NOWHERE };
		err = vhdi_open_beside(ctx, file->path, "", 0, &place->io);
		if (!err)
			err = usable_sectors(ctx, file, place->io, &place->sectors);
		if (err)
			return err;
		place->id = id;
	}
	place->used = ++ctx->priv->clock;
	*opened = place;
	return 0;
}

/* ---- blocks -------------------------------------------------------------------------------------
 */

int
vhdi_check_place(vhdi_context_t *ctx, uint32_t sector)
{
	if (sector >= VHDI_FIRST_BLOCK && (sector - VHDI_FIRST_BLOCK) % VHDI_BLOCK_SECTORS == 0 &&
	    range_fits(sector, VHDI_BLOCK_SECTORS, ctx->priv->end))
		return 0;
	return vhdi_fail(ctx, -EIO, "index: there is no block at sector %u", sector);
}

/* most[id]: one more than the largest offset in that file. */
static int
find_most(vhdi_context_t *ctx, const vhdi_entry_t *table, uint64_t *most)
{
	uint32_t i;

	for (i = 0; i < VHDI_BLOCK_ENTRIES; i++) {
		const vhdi_entry_t *entry = &table[i];

		if (entry->file_id > ctx->files || (!entry->file_id && entry->offset))
			return vhdi_fail(ctx, -EIO, "index: file %u, sector %u: there is none",
					 entry->file_id, entry->offset);
		if (entry->file_id && entry->offset >= most[entry->file_id])
			most[entry->file_id] = entry->offset + 1ull;
	}
	return 0;
}

static int
check_block(vhdi_context_t *ctx, const vhdi_entry_t *table)
{
	AUTO_FREE uint64_t *most = calloc(ctx->files + 1ul, sizeof(*most));
	struct vhdi_open_file *file;
	uint32_t id;
	int err;

	if (!most)
		return -ENOMEM;
	err = find_most(ctx, table, most);
	for (id = 1; !err && id <= ctx->files; id++) {
		if (!most[id])
			continue;
		err = open_file(ctx, id, &file);
		if (!err && most[id] > file->sectors)
			err = vhdi_fail(ctx, -EIO, "index: file %u has no sector %llu", id,
					(unsigned long long)most[id] - 1);
	}
	return err;
}

int
vhdi_read_block(vhdi_context_t *ctx, uint32_t sector, vhdi_block_t *block)
{
	AUTO_FREE vhdi_entry_t *table = NULL;
	AUTO_FREE uint8_t *raw = NULL;
	int err;

	err = vhdi_check_place(ctx, sector);
	if (err)
		return err;
	raw = malloc(VHDI_BLOCK_BYTES);
	table = calloc(VHDI_BLOCK_ENTRIES, sizeof(*table));
	if (!raw || !table)
		return -ENOMEM;
	err = io_read_at(ctx->priv->index, raw, VHDI_BLOCK_BYTES,
			 (uint64_t)sector << VHD_SECTOR_SHIFT);
	if (err)
		return vhdi_fail(ctx, err, "index: cannot be read: %s", strerror(-err));
	vhdi_block_decode(raw, table);
	err = check_block(ctx, table);
	if (err)
		return err;
	*block = (vhdi_block_t){ .entries = VHDI_BLOCK_ENTRIES, .table = STEAL(table) };
	return 0;
}

void
vhdi_free_block(vhdi_block_t *block)
{
	free(block->table);
	*block = (vhdi_block_t){ .table = NULL };
}

static int
cached_block(vhdi_context_t *ctx, uint32_t sector, const vhdi_entry_t **table)
{
	struct vhdi_cached_block *place, *oldest = ctx->priv->cached;
	struct vhdi_cached_block *end = oldest + VHDI_CACHED_BLOCKS;
	vhdi_block_t block;
	int err;

	for (place = oldest; place < end && (place->sector != sector || !place->block.table);
	     place++)
		if (place->used < oldest->used)
			oldest = place;
	if (place == end) {
		err = vhdi_read_block(ctx, sector, &block);
		if (err)
			return err;
		place = oldest;
		vhdi_free_block(&place->block);
		place->block = block;
		place->sector = sector;
	}
	place->used = ++ctx->priv->clock;
	*table = place->block.table;
	return 0;
}

/* ---- the disk -----------------------------------------------------------------------------------
 */

/* How many entries from the first one on are of sectors that follow each other. */
static uint32_t
run_of(const vhdi_entry_t *entry, uint32_t most)
{
	uint32_t step = entry->file_id == VHDI_NOWHERE ? 0 : 1, run = 1;

	while (run < most && entry[run].file_id == entry->file_id &&
	       entry[run].offset - entry->offset == step * run)
		run++;
	return run;
}

/* A file may have become shorter since its block was checked: then the io says so. */
static int
read_run(vhdi_context_t *ctx, const vhdi_entry_t *entry, uint8_t *buf, uint32_t sectors)
{
	size_t bytes = (size_t)sectors << VHD_SECTOR_SHIFT;
	struct vhdi_open_file *file;
	int err;

	if (entry->file_id == VHDI_NOWHERE) {
		memset(buf, 0, bytes);
		return 0;
	}
	err = open_file(ctx, entry->file_id, &file);
	if (err)
		return err;
	if (!range_fits(entry->offset, sectors, file->sectors))
		return vhdi_fail(ctx, -EIO, "file %u: has become shorter", entry->file_id);
	err = io_read_at(file->io, buf, bytes, (uint64_t)entry->offset << VHD_SECTOR_SHIFT);
	return err ? vhdi_fail(ctx, err == -ENODATA ? -EIO : err, "file %u: cannot be read: %s",
			       entry->file_id, strerror(-err))
		   : 0;
}

static int
read_in_block(vhdi_context_t *ctx, uint32_t place, uint32_t from, uint8_t *buf, uint32_t sectors)
{
	const vhdi_entry_t *table;
	uint32_t run;
	int err;

	if (place == VHDI_UNUSED) {
		memset(buf, 0, (size_t)sectors << VHD_SECTOR_SHIFT);
		return 0;
	}
	err = cached_block(ctx, place, &table);
	for (; !err && sectors; sectors -= run, from += run) {
		run = run_of(table + from, sectors);
		err = read_run(ctx, table + from, buf, run);
		buf += (size_t)run << VHD_SECTOR_SHIFT;
	}
	return err;
}

int
vhdi_io_read(vhdi_context_t *ctx, const vhdi_bat_t *bat, void *buf, uint64_t sector,
	     uint32_t sectors)
{
	uint8_t *to = buf;
	uint32_t from, part;
	int err = 0;

	ctx->priv->why.text[0] = '\0';
	if (!range_fits(sector, sectors, bat->bytes >> VHD_SECTOR_SHIFT))
		return vhdi_fail(ctx, -ERANGE, "behind the end of the disk");
	for (; !err && sectors; sectors -= part, sector += part) {
		from = (uint32_t)(sector % VHDI_BLOCK_ENTRIES);
		part = VHDI_BLOCK_ENTRIES - from;
		if (part > sectors)
			part = sectors;
		err = read_in_block(ctx, bat->table[sector / VHDI_BLOCK_ENTRIES], from, to, part);
		to += (size_t)part << VHD_SECTOR_SHIFT;
	}
	return err;
}
