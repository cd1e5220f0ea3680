/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of an index, and its tables.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/image-lock.h"
#include "vhd/lib/index.h"
#include "vhd/lib/parent.h"

#define BAT_SUFFIX ".bat"

int
vhdi_fail(vhdi_context_t *ctx, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ctx->priv->why.text, sizeof(ctx->priv->why.text), format, args);
	va_end(args);
	return err;
}

const char *
vhdi_error(const vhdi_context_t *ctx)
{
	return ctx->priv ? ctx->priv->why.text : "";
}

int
vhdi_open_beside(vhdi_context_t *ctx, const char *path, const char *suffix, unsigned flags,
		 struct io **io)
{
	struct vhdi_source *source = &ctx->priv->source;
	AUTO_FREE char *full = NULL;
	int err;

	if (asprintf(&full, "%s%s", path, suffix) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	err = source->open(source->arg, full, flags, io);
	return err ? vhdi_fail(ctx, err, "%s: %s", full, strerror(-err)) : 0;
}

/* ---- tables -------------------------------------------------------------------------------------
 */

/* All bytes of a file beside an index or an image, of at most so many. */
static int
read_whole(vhdi_context_t *ctx, const char *path, const char *suffix, size_t most, uint8_t **raw,
	   size_t *bytes)
{
	AUTO_FREE uint8_t *found = NULL;
	struct io *io;
	uint64_t size;
	int err;

	err = vhdi_open_beside(ctx, path, suffix, 0, &io);
	if (err)
		return err;
	err = io_size(io, &size);
	if (!err && size > most)
		err = vhdi_fail(ctx, -EIO, "%s%s: too large", path, suffix);
	if (!err) {
		found = malloc(size ? size : 1);
		err = found ? io_read_at(io, found, size, 0) : -ENOMEM;
	}
	io_close(io);
	if (err)
		return err;
	*raw = STEAL(found);
	*bytes = size;
	return 0;
}

static int
read_files(vhdi_context_t *ctx, vhdi_file_t **list, uint32_t *count)
{
	AUTO_FREE uint8_t *raw = NULL;
	size_t bytes;
	int err;

	err = read_whole(ctx, ctx->name, VHDI_FILES_SUFFIX, vhdi_files_bytes(VHDI_MAX_FILES), &raw,
			 &bytes);
	return err ? err : vhdi_files_decode(raw, bytes, list, count, &ctx->priv->why);
}

int
vhdi_refresh(vhdi_context_t *ctx)
{
	vhdi_file_t *list = NULL;
	uint64_t bytes;
	uint32_t count;
	int err;

	err = io_size(ctx->priv->index, &bytes);
	if (!err)
		err = read_files(ctx, &list, &count);
	if (err)
		return err;
	vhdi_files_free(ctx->priv->list, ctx->files);
	ctx->priv->list = list;
	ctx->files = count;
	ctx->priv->end = bytes >> VHD_SECTOR_SHIFT;
	return 0;
}

int
vhdi_get_file(vhdi_context_t *ctx, uint32_t id, const vhdi_file_t **file)
{
	if (id == VHDI_NOWHERE || id > ctx->files)
		return vhdi_fail(ctx, -ENOENT, "file %u: there are %u", id, ctx->files);
	*file = &ctx->priv->list[id - 1];
	return 0;
}

int
vhdi_find_file(vhdi_context_t *ctx, const char *path, const vhdi_file_t **file)
{
	uint32_t i;

	for (i = 0; i < ctx->files; i++) {
		if (strcmp(ctx->priv->list[i].path, path) == 0) {
			*file = &ctx->priv->list[i];
			return 0;
		}
	}
	return vhdi_fail(ctx, -ENOENT, "%s: is not in the index", path);
}

int
vhdi_bat_path(const char *image, char **path)
{
	AUTO_FREE char *canonical = NULL;
	int err = vhd_canonical_new_path(image, &canonical);

	if (err)
		return err;
	return asprintf(path, "%s" BAT_SUFFIX, canonical) < 0 ? -ENOMEM : 0;
}

static int
check_bat(vhdi_context_t *ctx, const vhdi_bat_t *bat)
{
	const vhdi_file_t *file;
	uint32_t i;
	int err = 0;

	if (vhdi_get_file(ctx, bat->file_id, &file))
		return vhdi_fail(ctx, -EIO, "bat: file %u: there are %u", bat->file_id, ctx->files);
	if (file->is_raw || memcmp(&file->uuid, &bat->uuid, sizeof(bat->uuid)) != 0)
		return vhdi_fail(ctx, -EIO, "bat: file %u has another unique id", bat->file_id);
	for (i = 0; !err && i < bat->entries; i++)
		if (bat->table[i] != VHDI_UNUSED)
			err = vhdi_check_place(ctx, bat->table[i]);
	return err;
}

int
vhdi_read_bat(vhdi_context_t *ctx, const char *image, vhdi_bat_t *bat)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE uint8_t *raw = NULL;
	vhdi_bat_t found;
	size_t bytes;
	int err;

	err = vhdi_bat_path(image, &path);
	if (err)
		return vhdi_fail(ctx, err, "%s: %s", image, strerror(-err));
	err = read_whole(ctx, path, "", vhdi_bat_bytes(VHDI_MAX_ENTRIES), &raw, &bytes);
	if (!err)
		err = vhdi_bat_decode(raw, bytes, ctx->name, &found, &ctx->priv->why);
	if (err)
		return err;
	/* What it points at was there before it was. */
	err = vhdi_refresh(ctx);
	if (!err)
		err = check_bat(ctx, &found);
	if (err) {
		vhdi_free_bat(&found);
		return err;
	}
	*bat = found;
	return 0;
}

void
vhdi_free_bat(vhdi_bat_t *bat)
{
	free(bat->table);
	*bat = (vhdi_bat_t){ .table = NULL };
}

/* ---- life ---------------------------------------------------------------------------------------
 */

int
vhdi_close(vhdi_context_t *ctx)
{
	struct vhdi_private *priv = ctx->priv;
	size_t i;

	if (priv) {
		for (i = 0; i < VHDI_OPEN_FILES; i++)
			io_close(priv->open[i].io);
		for (i = 0; i < VHDI_CACHED_BLOCKS; i++)
			vhdi_free_block(&priv->cached[i].block);
		vhdi_files_free(priv->list, ctx->files);
		io_close(priv->index);
		image_unlock(priv->lock);
		free(priv);
	}
	free(ctx->name);
	*ctx = (vhdi_context_t){ .name = NULL };
	return 0;
}

static int
read_header(vhdi_context_t *ctx)
{
	uint8_t raw[VHDI_HEADER_BYTES];
	int err;

	err = io_read_at(ctx->priv->index, raw, sizeof(raw), 0);
	if (err)
		return vhdi_fail(ctx, err == -ENODATA ? -EIO : err, "index: cannot be read: %s",
				 strerror(-err));
	return vhdi_header_decode(raw, &ctx->priv->why);
}

static int
open_files(vhdi_context_t *ctx, unsigned flags)
{
	int err;

	err = vhdi_open_beside(ctx, ctx->name, VHDI_INDEX_SUFFIX, flags, &ctx->priv->index);
	if (!err)
		err = read_header(ctx);
	return err ? err : vhdi_refresh(ctx);
}

/* The lock is taken; -1: none. */
static int
open_index(vhdi_context_t *ctx, const char *name, const struct vhdi_source *source, unsigned flags,
	   int lock, struct reason *why)
{
	int err;

	*ctx = (vhdi_context_t){ .name = strdup(name) };
	ctx->priv = calloc(1, sizeof(*ctx->priv));
	if (!ctx->name || !ctx->priv) {
		image_unlock(lock);
		vhdi_close(ctx);
		return -ENOMEM;
	}
	ctx->priv->source = *source;
	ctx->priv->lock = lock;
	ctx->priv->writes = flags & IO_WRITE;
	err = open_files(ctx, flags);
	if (err) {
		if (why)
			*why = ctx->priv->why;
		vhdi_close(ctx);
	}
	return err;
}

int
vhdi_open_from(vhdi_context_t *ctx, const char *name, const struct vhdi_source *source,
	       struct reason *why)
{
	return open_index(ctx, name, source, 0, -1, why);
}

static int
open_by_path(void *arg, const char *path, unsigned flags, struct io **io)
{
	(void)arg;
	return io_file_open(path, flags, io);
}

int
vhdi_names(const char *name, char **index, char **canonical)
{
	AUTO_FREE char *given = NULL;
	AUTO_FREE char *path = NULL;
	size_t length;
	int err;

	if (asprintf(&given, "%s" VHDI_INDEX_SUFFIX, name) < 0) {
		given = NULL;
		return -ENOMEM;
	}
	err = vhd_canonical_new_path(given, &path);
	if (err)
		return err;
	length = strlen(path);
	if (length < strlen(VHDI_INDEX_SUFFIX) ||
	    strcmp(path + length - strlen(VHDI_INDEX_SUFFIX), VHDI_INDEX_SUFFIX) != 0)
		return -EINVAL; /* a link to something else */
	length -= strlen(VHDI_INDEX_SUFFIX);
	if (length >= VHD_MAX_NAME_LEN)
		return -ENAMETOOLONG;
	*canonical = strndup(path, length);
	if (!*canonical)
		return -ENOMEM;
	*index = STEAL(path);
	return 0;
}

int
vhdi_open_told(vhdi_context_t *ctx, const char *name, int flags, struct reason *why)
{
	const struct vhdi_source source = { .open = open_by_path };
	AUTO_FREE char *canonical = NULL;
	AUTO_FREE char *index = NULL;
	int err, lock = -1;

	*ctx = (vhdi_context_t){ .name = NULL };
	if (flags != VHD_OPEN_RDONLY && flags != VHD_OPEN_RDWR)
		return reason(why, -EINVAL, "these flags make no sense");
	err = vhdi_names(name, &index, &canonical);
	if (!err && flags == VHD_OPEN_RDWR)
		err = image_lock(index, IMAGE_LOCK_UPDATE, &lock);
	if (err)
		return reason(why, err, "%s: %s", name, strerror(-err));
	return open_index(ctx, canonical, &source, flags == VHD_OPEN_RDWR ? IO_WRITE : 0, lock,
			  why);
}

int
vhdi_open(vhdi_context_t *ctx, const char *name, int flags)
{
	return vhdi_open_told(ctx, name, flags, NULL);
}
