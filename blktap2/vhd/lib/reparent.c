/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recording who the parent of an image is.
 *
 * A power cut in the middle must leave either parent.  The header has the unique id that decides
 * which of the paths are good: with an id all others are passed over, so that before and after the
 * header is written one path to each parent will do.  Without an id (the parent is raw) the first
 * path counts, whatever is there.  So if the new parent has an id, the locators that are looked at
 * last are written before the header, and the first one after it; if it is raw, the first one
 * before the header, and the others after it.
 *
 * An image with one path cannot have both: its path is written to another place, and the header
 * that has the new id says where that is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "vhd/lib/context.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/parent.h"

#define NO_PLACE 1

/* ---- encoding -----------------------------------------------------------------------------------
 */

static int
encode(uint32_t code, const char *name, char **data, size_t *bytes)
{
	AUTO_FREE uint8_t *raw = malloc(VHD_LOCATOR_MAX_PATH);
	int err;

	if (!raw)
		return -ENOMEM;
	err = vhd_locator_encode(code, name, raw, VHD_LOCATOR_MAX_PATH, bytes);
	if (!err)
		*data = (char *)STEAL(raw);
	return err;
}

int
vhd_macx_encode_location(const char *name, char **data, size_t *bytes)
{
	return encode(VHD_PLATFORM_MACX, name, data, bytes);
}

int
vhd_w2u_encode_location(const char *name, char **data, size_t *bytes)
{
	return encode(VHD_PLATFORM_W2RU, name, data, bytes);
}

int
vhd_initialize_header_parent_name(vhd_context_t *ctx, const char *parent)
{
	int err = vhd_parent_name_encode(parent, ctx->header.parent_name);

	return err ? vhd_fail(ctx, err, "parent: %s: %s", parent, strerror(-err)) : 0;
}

/* ---- locators -----------------------------------------------------------------------------------
 */

int
vhd_parent_locator_write_at(vhd_context_t *ctx, const char *parent, off_t offset, uint32_t code,
			    size_t room, vhd_parent_locator_t *locator)
{
	AUTO_FREE uint8_t *data = NULL;
	size_t bytes;
	int err = vhd_may_write(ctx);

	if (err)
		return err;
	if (offset < 0 || room > VHD_LOCATOR_MAX_LENGTH || room % VHD_SECTOR_SIZE || !room)
		return vhd_fail(ctx, -EINVAL, "a locator cannot be there");
	data = calloc(1, room);
	if (!data)
		return -ENOMEM;
	err = vhd_locator_encode(code, parent, data, room, &bytes);
	if (err)
		return vhd_fail(ctx, err, "parent: %s: %s", parent, strerror(-err));
	err = io_write_at(ctx->priv->io, data, room, (uint64_t)offset);
	ctx->priv->unsynced = true;
	if (err)
		return vhd_fail(ctx, err, "file: cannot be written: %s", strerror(-err));
	*locator = (vhd_parent_locator_t){
		.code = code,
		.data_space = (uint32_t)room,
		.data_length = (uint32_t)bytes,
		.data_offset = (uint64_t)offset,
	};
	return 0;
}

/* The path from the image to its parent, both of which exist. */
static int
path_to(vhd_context_t *ctx, const char *parent, char **relative)
{
	AUTO_FREE char *from = NULL;
	AUTO_FREE char *to = NULL;
	int err;

	err = vhd_canonical_path(ctx->file, &from);
	if (!err)
		err = vhd_canonical_path(parent, &to);
	if (err)
		return vhd_fail(ctx, err, "parent: %s: %s", parent, strerror(-err));
	*relative = vhd_relative_path(from, to);
	return *relative ? 0 : -ENOMEM;
}

/* Nothing is written unless all of it has room. */
static int
check_room(vhd_context_t *ctx, const char *relative)
{
	AUTO_FREE uint8_t *data = malloc(VHD_LOCATOR_MAX_LENGTH);
	const vhd_parent_locator_t *locator = ctx->header.locator;
	unsigned i, paths = 0;
	size_t bytes;
	int err = data ? 0 : -ENOMEM;

	for (i = 0; !err && i < VHD_LOCATORS; i++) {
		if (!vhd_platform_is_path(locator[i].code))
			continue;
		paths++;
		if (!vhd_locator_room(&locator[i]) ||
		    vhd_locator_room(&locator[i]) > VHD_LOCATOR_MAX_LENGTH)
			return vhd_fail(ctx, -EINVAL, "locator %u: its room makes no sense", i);
		err = vhd_locator_encode(locator[i].code, relative, data,
					 vhd_locator_room(&locator[i]), &bytes);
		if (err)
			return vhd_fail(ctx, err, "locator %u: %s: %s", i, relative,
					strerror(-err));
	}
	if (!err && !paths)
		return vhd_fail(ctx, -EINVAL, "locator 0: there is no room for any");
	return err;
}

static int
write_locator(vhd_context_t *ctx, unsigned index, const char *relative)
{
	vhd_parent_locator_t *locator = &ctx->header.locator[index];

	if (!vhd_platform_is_path(locator->code))
		return 0;
	return vhd_parent_locator_write_at(ctx, relative, (off_t)locator->data_offset,
					   locator->code, vhd_locator_room(locator), locator);
}

static unsigned
first_path(const vhd_context_t *ctx)
{
	unsigned i = 0;

	while (i < VHD_LOCATORS - 1 && !vhd_platform_is_path(ctx->header.locator[i].code))
		i++;
	return i;
}

int
vhd_write_parent_locators(vhd_context_t *ctx, const char *parent)
{
	AUTO_FREE char *relative = NULL;
	unsigned i;
	int err = vhd_may_write(ctx);

	if (!err)
		err = path_to(ctx, parent, &relative);
	if (!err)
		err = check_room(ctx, relative);
	for (i = 0; !err && i < VHD_LOCATORS; i++)
		err = write_locator(ctx, i, relative);
	return err;
}

/* ---- another parent -----------------------------------------------------------------------------
 */

/* What the header says of the new parent, besides where it is. */
static int
describe_parent(vhd_context_t *ctx, const char *parent, bool raw)
{
	vhd_context_t lower;
	struct stat found;
	int err;

	if (stat(parent, &found))
		return vhd_fail(ctx, -errno, "parent: %s: %s", parent, strerror(errno));
	ctx->header.parent_timestamp = vhd_time(found.st_mtime);
	vhd_uuid_clear(&ctx->header.parent_uuid);
	if (raw)
		return vhd_initialize_header_parent_name(ctx, parent);
	err = vhd_open_told(&lower, parent, VHD_OPEN_RDONLY | VHD_OPEN_IGNORE_DISABLED,
			    &ctx->priv->why);
	if (err)
		return vhd_told(ctx, err);
	vhd_uuid_copy(&ctx->header.parent_uuid, &lower.footer.uuid);
	vhd_close(&lower);
	if (vhd_uuid_is_nil(&ctx->header.parent_uuid))
		return vhd_fail(ctx, -EINVAL, "parent: %s: has no unique id", parent);
	return vhd_initialize_header_parent_name(ctx, parent);
}

/* An image below itself could never be opened again. */
static int
check_not_above(vhd_context_t *ctx, const char *parent)
{
	struct stat mine, other;

	if (ctx->fd < 0 || fstat(ctx->fd, &mine) || stat(parent, &other))
		return 0;
	if (mine.st_dev == other.st_dev && mine.st_ino == other.st_ino &&
	    mine.st_rdev == other.st_rdev)
		return vhd_fail(ctx, -ELOOP, "parent: %s: is the image itself", parent);
	return 0;
}

static int
write_first(vhd_context_t *ctx, const char *relative)
{
	int err = write_locator(ctx, first_path(ctx), relative);

	return err ? err : io_sync(ctx->priv->io);
}

static int
write_others(vhd_context_t *ctx, const char *relative)
{
	unsigned i;
	int err = 0;

	for (i = first_path(ctx) + 1; !err && i < VHD_LOCATORS; i++)
		err = write_locator(ctx, i, relative);
	return err ? err : io_sync(ctx->priv->io);
}

static unsigned
count_paths(const vhd_context_t *ctx)
{
	unsigned i, paths = 0;

	for (i = 0; i < VHD_LOCATORS; i++)
		paths += vhd_platform_is_path(ctx->header.locator[i].code);
	return paths;
}

/* What was there is of no use any more, and stays.  NO_PLACE: nothing was done. */
static int
move_only_path(vhd_context_t *ctx, const char *relative)
{
	vhd_parent_locator_t *locator = &ctx->header.locator[first_path(ctx)];
	uint64_t at, room = vhd_locator_room(locator);
	int err = vhd_append(ctx, room, &at);

	/* A device may be full; then the name in the header has to do for an instant. */
	if (err == -ENOSPC && ctx->is_block)
		return NO_PLACE;
	if (!err)
		err = vhd_parent_locator_write_at(ctx, relative, (off_t)at, locator->code, room,
						  locator);
	if (err)
		return err;
	vhd_layout_add_locator(&ctx->priv->image.layout, at, room);
	err = vhd_sync(ctx);
	if (!err)
		err = vhd_context_at(ctx, VHD_POINT_REPARENT_LOCATOR);
	return err ? err : vhd_write_header(ctx, &ctx->header);
}

/* In the order that the head of this file gives. */
static int
write_in_order(vhd_context_t *ctx, const char *relative, bool raw)
{
	int err = raw ? write_first(ctx, relative) : write_others(ctx, relative);

	if (!err)
		err = vhd_context_at(ctx, VHD_POINT_REPARENT_LOCATOR);
	if (!err)
		err = vhd_write_header(ctx, &ctx->header);
	if (!err)
		err = raw ? write_others(ctx, relative) : write_first(ctx, relative);
	return err ? err : vhd_write_header(ctx, &ctx->header);
}

int
vhd_change_parent(vhd_context_t *ctx, const char *parent, int raw)
{
	AUTO_FREE char *relative = NULL;
	vhd_header_t before = ctx->header;
	int err = vhd_may_write(ctx);

	if (!err && ctx->footer.type != VHD_TYPE_DIFFERENCING)
		err = vhd_fail(ctx, -EINVAL, "parent: only a differencing image has one");
	if (!err)
		err = check_not_above(ctx, parent);
	if (!err)
		err = path_to(ctx, parent, &relative);
	if (!err)
		err = check_room(ctx, relative);
	if (!err)
		err = describe_parent(ctx, parent, raw);
	if (!err)
		err = vhd_context_at(ctx, VHD_POINT_REPARENT_BEGIN);
	if (!err)
		err = count_paths(ctx) == 1 ? move_only_path(ctx, relative) : NO_PLACE;
	if (err == NO_PLACE)
		err = write_in_order(ctx, relative, raw);
	if (err) {
		ctx->header = before;
		return err;
	}
	vhd_put_lower(ctx);
	return vhd_context_at(ctx, VHD_POINT_REPARENT_END);
}
