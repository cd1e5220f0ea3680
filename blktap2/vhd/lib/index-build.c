/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making an index, and adding images to it.
 *
 * NAME.index only grows, and ids of files stay what they are, so that who reads an index meanwhile
 * is not disturbed.  Blocks and paths are durable before the IMAGE.bat that points at them takes
 * the place of its predecessor, at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "vhd/lib/context.h"
#include "vhd/lib/index.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/parent.h"

/* ---- whole files --------------------------------------------------------------------------------
 */

/* A new file with these bytes; nothing is left of one that cannot be made. */
static int
make_file(const char *path, const uint8_t *raw, size_t bytes)
{
	struct io *io;
	int err;

	err = io_file_open(path, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &io);
	if (err)
		return err;
	err = io_write_at(io, raw, bytes, 0);
	if (!err)
		err = io_sync(io);
	io_close(io);
	if (err)
		unlink(path);
	return err;
}

static int
replace_file(const char *path, const uint8_t *raw, size_t bytes)
{
	AUTO_FREE char *fresh = NULL;
	int err;

	if (asprintf(&fresh, "%s.%ld", path, (long)getpid()) < 0) {
		fresh = NULL;
		return -ENOMEM;
	}
	unlink(fresh); /* of a process with that number that was killed */
	err = make_file(fresh, raw, bytes);
	if (err)
		return err;
	if (rename(fresh, path)) {
		err = -errno;
		unlink(fresh);
		return err;
	}
	return io_file_sync_name(path);
}

int
vhdi_create(const char *name)
{
	uint8_t files[VHDI_HEADER_BYTES], index[VHDI_HEADER_BYTES];
	AUTO_FREE char *canonical = NULL;
	AUTO_FREE char *index_path = NULL;
	AUTO_FREE char *files_path = NULL;
	int err;

	err = vhdi_names(name, &index_path, &canonical);
	if (err)
		return err;
	if (asprintf(&files_path, "%s" VHDI_FILES_SUFFIX, canonical) < 0) {
		files_path = NULL;
		return -ENOMEM;
	}
	vhdi_files_encode(NULL, 0, files);
	vhdi_header_encode(index);
	err = make_file(files_path, files, sizeof(files));
	if (err)
		return err;
	err = make_file(index_path, index, sizeof(index));
	if (err) {
		unlink(files_path);
		return err;
	}
	return io_file_sync_name(index_path);
}

/* ---- an image and its chain ---------------------------------------------------------------------
 */

/* One vhdi_add(). */
struct adding {
	vhdi_context_t *index;
	int (*step)(void *arg, uint64_t done, uint64_t total); /* NULL: nobody wants to know */
	void *arg;
	vhd_context_t vhd;               /* the image */
	uint32_t ids[VHD_CHAIN_MAX + 1]; /* of the images, and of the raw file below */
	vhdi_bat_t bat;                  /* of the image, in the making */
	vhdi_bat_t known[2];             /* whose blocks may be the same: its own, its parent's */
	uint64_t end;                    /* sectors of NAME.index, with what has been written */
	uint8_t *block, *other;          /* owned; bytes of blocks */
	vhdi_entry_t *table;             /* owned; entries of a block */
};

/* The id of a file, which is new if need be. */
static int
id_of(vhdi_context_t *index, const char *path, const vhd_uuid_t *uuid, uint32_t *id)
{
	static const vhd_uuid_t none;
	vhdi_file_t *list = index->priv->list;
	uint32_t i;

	for (i = 0; i < index->files; i++) {
		if (list[i].is_raw == !uuid && strcmp(list[i].path, path) == 0 &&
		    memcmp(&list[i].uuid, uuid ? uuid : &none, sizeof(none)) == 0) {
			*id = list[i].id;
			return 0;
		}
	}
	if (index->files == VHDI_MAX_FILES)
		return vhdi_fail(index, -ENOSPC, "files: there are %u already", index->files);
	if (strlen(path) >= VHD_MAX_NAME_LEN)
		return vhdi_fail(index, -ENAMETOOLONG, "%s: too long", path);
	list = reallocarray(list, index->files + 1ul, sizeof(*list));
	if (!list)
		return -ENOMEM;
	index->priv->list = list;
	list[index->files] = (vhdi_file_t){
		.id = index->files + 1,
		.is_raw = !uuid,
		.uuid = uuid ? *uuid : none,
		.path = strdup(path),
	};
	if (!list[index->files].path)
		return -ENOMEM;
	*id = ++index->files;
	return 0;
}

/* What an index can tell the places of: data that are in the file as the guest has them. */
static int
check_image(struct adding *adding, vhd_context_t *image)
{
	struct vhd_keyhash keyhash;
	int err;

	if (vhd_disabled(image))
		return vhdi_fail(adding->index, -EBUSY, "%s: a resize is under way", image->file);
	if (vhd_uuid_is_nil(&image->footer.uuid))
		return vhdi_fail(adding->index, -EINVAL, "%s: has no unique id", image->file);
	err = vhd_get_keyhash(image, &keyhash);
	if (!err && keyhash.cookie == 1)
		return vhdi_fail(adding->index, -EOPNOTSUPP, "%s: is encrypted", image->file);
	if (!err)
		err = vhd_need_batmap(image);
	if (!err)
		err = vhd_need_lower(image);
	return err ? vhdi_fail(adding->index, err, "%s: %s", image->file, vhd_error(image)) : 0;
}

static int
add_chain(struct adding *adding, const char *path)
{
	vhd_context_t *image = &adding->vhd;
	uint32_t *id = adding->ids;
	int err;

	for (;;) {
		const struct vhd_lower *lower;

		err = check_image(adding, image);
		if (!err)
			err = id_of(adding->index, path, &image->footer.uuid, id++);
		if (err)
			return err;
		lower = &image->priv->lower;
		if (lower->raw)
			return id_of(adding->index, lower->path, NULL, id);
		if (!lower->vhd)
			return 0;
		path = lower->path;
		image = lower->vhd;
	}
}

/* ---- entries ------------------------------------------------------------------------------------
 */

static void
fill(vhdi_entry_t *table, uint32_t sectors, uint32_t id, uint64_t offset, uint64_t limit)
{
	uint32_t i;

	for (i = 0; i < sectors && offset + i < limit; i++)
		table[i] = (vhdi_entry_t){ .file_id = id, .offset = (uint32_t)(offset + i) };
}

/* Sectors that an image has in its file.  What a power cut took from its last block is zeros. */
static int
fill_present(struct adding *adding, vhd_context_t *image, vhdi_entry_t *table, uint32_t sectors,
	     uint32_t id, uint64_t file_offset)
{
	uint64_t offset = file_offset >> VHD_SECTOR_SHIFT;
	uint64_t limit = image->priv->image.footer_at >> VHD_SECTOR_SHIFT;

	if (offset > UINT32_MAX - sectors)
		return vhdi_fail(adding->index, -EFBIG, "%s: reaches too far", image->file);
	fill(table, sectors, id, offset, limit);
	return 0;
}

/* Entries are zeroed; those of sectors that nobody has stay so. */
static int
locate(struct adding *adding, vhd_context_t *image, const uint32_t *id, vhdi_entry_t *table,
       uint64_t sector, uint32_t sectors)
{
	const struct vhd_lower *lower = &image->priv->lower;
	uint64_t end = image->priv->image.sectors, at;
	uint32_t run;
	bool present;
	int err = 0;

	for (; !err && sectors && sector < end; table += run, sector += run, sectors -= run) {
		run = end - sector < sectors ? (uint32_t)(end - sector) : sectors;
		err = vhd_image_run(image, sector, run, &run, &present, &at);
		if (err)
			return vhdi_fail(adding->index, err, "%s: %s", image->file,
					 vhd_error(image));
		if (present)
			err = fill_present(adding, image, table, run, *id, at);
		else if (lower->vhd)
			err = locate(adding, lower->vhd, id + 1, table, sector, run);
		else if (lower->raw)
			fill(table, run, id[1], sector, lower->raw_bytes >> VHD_SECTOR_SHIFT);
	}
	return err;
}

/* ---- blocks -------------------------------------------------------------------------------------
 */

/* The block is in the index already, as one that is known for this place. */
static bool
is_known(struct adding *adding, uint32_t number, uint32_t *place)
{
	const vhdi_bat_t *known;

	for (known = adding->known; known < adding->known + 2; known++) {
		if (number >= known->entries || known->table[number] == VHDI_UNUSED)
			continue;
		if (!io_read_at(adding->index->priv->index, adding->other, VHDI_BLOCK_BYTES,
				(uint64_t)known->table[number] << VHD_SECTOR_SHIFT) &&
		    memcmp(adding->block, adding->other, VHDI_BLOCK_BYTES) == 0) {
			*place = known->table[number];
			return true;
		}
	}
	return false;
}

static int
append_block(struct adding *adding, uint32_t *place)
{
	int err;

	if (adding->end > UINT32_MAX - VHDI_BLOCK_SECTORS)
		return vhdi_fail(adding->index, -EFBIG, "index: cannot grow any more");
	err = io_write_at(adding->index->priv->index, adding->block, VHDI_BLOCK_BYTES,
			  adding->end << VHD_SECTOR_SHIFT);
	if (err)
		return vhdi_fail(adding->index, err, "index: cannot be written: %s",
				 strerror(-err));
	*place = (uint32_t)adding->end;
	adding->end += VHDI_BLOCK_SECTORS;
	return 0;
}

static bool
is_nowhere(const vhdi_entry_t *table)
{
	uint32_t i;

	for (i = 0; i < VHDI_BLOCK_ENTRIES; i++)
		if (table[i].file_id != VHDI_NOWHERE)
			return false;
	return true;
}

static int
add_block(struct adding *adding, uint32_t number)
{
	uint64_t sector = (uint64_t)number * VHDI_BLOCK_ENTRIES;
	uint32_t *place = &adding->bat.table[number];
	int err;

	memset(adding->table, 0, VHDI_BLOCK_ENTRIES * sizeof(*adding->table));
	err = locate(adding, &adding->vhd, adding->ids, adding->table, sector, VHDI_BLOCK_ENTRIES);
	*place = VHDI_UNUSED;
	if (err || is_nowhere(adding->table))
		return err;
	vhdi_block_encode(adding->table, adding->block);
	return is_known(adding, number, place) ? 0 : append_block(adding, place);
}

static int
add_blocks(struct adding *adding)
{
	const struct vhd_image *image = &adding->vhd.priv->image;
	vhdi_bat_t *bat = &adding->bat;
	uint32_t number;
	int err = 0;

	bat->file_id = adding->ids[0];
	bat->uuid = adding->vhd.footer.uuid;
	bat->bytes = image->sectors << VHD_SECTOR_SHIFT;
	bat->entries = (uint32_t)vhd_entries_needed(image->sectors, VHDI_BLOCK_ENTRIES);
	bat->table = malloc(4ul * bat->entries);
	adding->block = malloc(VHDI_BLOCK_BYTES);
	adding->other = malloc(VHDI_BLOCK_BYTES);
	adding->table = calloc(VHDI_BLOCK_ENTRIES, sizeof(*adding->table));
	if (!bat->table || !adding->block || !adding->other || !adding->table)
		return -ENOMEM;
	for (number = 0; !err && number < bat->entries; number++) {
		if (adding->step)
			err = adding->step(adding->arg, (uint64_t)number * VHD_BLOCK_SIZE,
					   bat->bytes);
		if (!err)
			err = add_block(adding, number);
	}
	return err;
}

/* ---- writing ------------------------------------------------------------------------------------
 */

static int
write_files(vhdi_context_t *index)
{
	AUTO_FREE uint8_t *raw = malloc(vhdi_files_bytes(index->files));
	AUTO_FREE char *path = NULL;
	int err;

	if (!raw || asprintf(&path, "%s" VHDI_FILES_SUFFIX, index->name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	vhdi_files_encode(index->priv->list, index->files, raw);
	err = replace_file(path, raw, vhdi_files_bytes(index->files));
	return err ? vhdi_fail(index, err, "%s: %s", path, strerror(-err)) : 0;
}

static int
write_bat(vhdi_context_t *index, const vhdi_bat_t *bat, const char *path)
{
	AUTO_FREE uint8_t *raw = malloc(vhdi_bat_bytes(bat->entries));
	int err;

	if (!raw)
		return -ENOMEM;
	vhdi_bat_encode(bat, index->name, raw);
	err = replace_file(path, raw, vhdi_bat_bytes(bat->entries));
	return err ? vhdi_fail(index, err, "%s: %s", path, strerror(-err)) : 0;
}

static int
publish(struct adding *adding, const char *bat_path)
{
	vhdi_context_t *index = adding->index;
	int err = io_sync(index->priv->index);

	if (err)
		return vhdi_fail(index, err, "index: cannot be written: %s", strerror(-err));
	err = write_files(index);
	return err ? err : write_bat(index, &adding->bat, bat_path);
}

/* Blocks that this image, or its parent, has in the index: one that cannot be read has none. */
static void
find_known(struct adding *adding, const char *path)
{
	const char *parent = adding->vhd.priv->lower.path;

	vhdi_read_bat(adding->index, path, &adding->known[0]);
	if (parent)
		vhdi_read_bat(adding->index, parent, &adding->known[1]);
}

static int
add(struct adding *adding, const char *path, const char *bat_path)
{
	struct vhdi_private *priv = adding->index->priv;
	struct reason why;
	int err;

	err = vhd_open_told(&adding->vhd, path, VHD_OPEN_RDONLY, &why);
	if (err)
		return vhdi_fail(adding->index, err, "%s: %s", path, why.text);
	err = vhdi_refresh(adding->index);
	if (!err)
		err = vhd_need_lower(&adding->vhd);
	if (err)
		return vhdi_fail(adding->index, err, "%s: %s", path, vhd_error(&adding->vhd));
	find_known(adding, path);
	adding->end = VHDI_FIRST_BLOCK + (priv->end - VHDI_FIRST_BLOCK + VHDI_BLOCK_SECTORS - 1) /
						 VHDI_BLOCK_SECTORS * VHDI_BLOCK_SECTORS;
	err = add_chain(adding, path);
	if (!err)
		err = add_blocks(adding);
	if (!err)
		return publish(adding, bat_path);
	io_truncate(priv->index, priv->end << VHD_SECTOR_SHIFT);
	return err;
}

int
vhdi_add_watched(vhdi_context_t *ctx, const char *image,
		 int (*step)(void *arg, uint64_t done, uint64_t total), void *arg)
{
	struct adding adding = { .index = ctx, .step = step, .arg = arg };
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *bat_path = NULL;
	int err, refreshed;

	ctx->priv->why.text[0] = '\0';
	if (!ctx->priv->writes)
		return vhdi_fail(ctx, -EROFS, "opened for reading only");
	err = vhd_canonical_path(image, &path);
	if (!err)
		err = vhdi_bat_path(image, &bat_path);
	if (err)
		return vhdi_fail(ctx, err, "%s: %s", image, strerror(-err));
	err = add(&adding, path, bat_path);
	/* After a failure, too: what was not published is forgotten. */
	refreshed = vhdi_refresh(ctx);
	vhd_close(&adding.vhd);
	vhdi_free_bat(&adding.bat);
	vhdi_free_bat(&adding.known[0]);
	vhdi_free_bat(&adding.known[1]);
	free(adding.block);
	free(adding.other);
	free(adding.table);
	return err ? err : refreshed;
}

int
vhdi_add(vhdi_context_t *ctx, const char *image)
{
	return vhdi_add_watched(ctx, image, NULL, NULL);
}
