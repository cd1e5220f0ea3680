/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a child of an image.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/context.h"
#include "vhd/lib/create.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/parent.h"

#define SNAPSHOT_FLAGS                                                                             \
	(VHD_FLAG_CREAT_FILE_SIZE_FIXED | VHD_FLAG_CREAT_PARENT_RAW |                              \
	 VHD_FLAG_CREAT_KEEP_EMPTY_PARENT)

/* What the child is linked to. */
struct link {
	char *path;      /* owned */
	vhd_uuid_t uuid; /* nil: raw */
};

static int
is_empty(vhd_context_t *ctx, bool *empty)
{
	int err;

	*empty = false;
	if (!vhd_image_is_dynamic(&ctx->priv->image))
		return 0;
	err = vhd_need_bat(ctx);
	if (!err)
		*empty = vhd_bat_is_empty(&ctx->bat);
	return err;
}

/* Nobody could open a child of the longest chain. */
static int
link_to_vhd(vhd_context_t *image, struct link *link)
{
	int depth;

	if (vhd_chain_depth(image, &depth) == 0 && depth >= VHD_CHAIN_MAX)
		return -ELOOP;
	vhd_uuid_copy(&link->uuid, &image->footer.uuid);
	return vhd_canonical_path(image->file, &link->path);
}

/* An image that holds nothing and has a parent only makes the chain longer. */
static int
nearest_with_data(vhd_context_t *parent, struct link *link)
{
	vhd_context_t *image = parent;
	bool empty;
	int err;

	for (;;) {
		err = is_empty(image, &empty);
		if (err || !empty || image->footer.type != VHD_TYPE_DIFFERENCING)
			break;
		err = vhd_need_lower(image);
		if (err)
			break;
		if (image->priv->lower.raw) {
			vhd_uuid_clear(&link->uuid);
			link->path = strdup(image->priv->lower.path);
			return link->path ? 0 : -ENOMEM;
		}
		image = image->priv->lower.vhd;
	}
	return err ? err : link_to_vhd(image, link);
}

static int
plan_on_vhd(const char *parent, uint32_t flags, struct vhd_plan *plan, struct link *link)
{
	vhd_context_t lower;
	int err;

	err = vhd_open(&lower, parent, VHD_OPEN_RDONLY);
	if (err)
		return err;
	plan->bytes = lower.priv->image.sectors << VHD_SECTOR_SHIFT;
	/* Without a unique id a parent could not be told from a raw one. */
	err = vhd_uuid_is_nil(&lower.footer.uuid) ? -EINVAL : 0;
	if (!err)
		err = vhd_get_keyhash(&lower, &plan->keyhash);
	if (!err)
		err = flags & VHD_FLAG_CREAT_KEEP_EMPTY_PARENT ? link_to_vhd(&lower, link)
							       : nearest_with_data(&lower, link);
	vhd_close(&lower);
	return err;
}

static int
plan_on_raw(const char *parent, struct vhd_plan *plan, struct link *link)
{
	struct io *raw;
	uint64_t bytes;
	int err;

	err = io_file_open(parent, 0, &raw);
	if (err)
		return err;
	err = io_size(raw, &bytes);
	io_close(raw);
	if (!err)
		err = checked_round_up(bytes, VHD_SECTOR_SIZE, &plan->bytes);
	vhd_uuid_clear(&link->uuid);
	return err ? err : vhd_canonical_path(parent, &link->path);
}

/* The image need not exist yet, but its folder must. */
static int
path_from(const char *name, const struct link *link, char **relative)
{
	AUTO_FREE char *from = NULL;
	int err;

	err = vhd_canonical_new_path(name, &from);
	if (err)
		return err;
	*relative = vhd_relative_path(from, link->path);
	return *relative ? 0 : -ENOMEM;
}

static int
make_child(const char *name, struct vhd_plan *plan, const struct link *link)
{
	AUTO_FREE char *relative = NULL;
	struct stat found;
	int err;

	if (stat(link->path, &found))
		return -errno;
	err = path_from(name, link, &relative);
	if (err)
		return err;
	plan->parent = relative;
	plan->parent_uuid = link->uuid;
	plan->parent_timestamp = vhd_time(found.st_mtime);
	return vhd_plan_make(plan, name, NULL);
}

int
vhd_snapshot(const char *name, uint64_t bytes, const char *parent, uint64_t mbytes, uint32_t flags)
{
	struct vhd_plan plan = { .type = VHD_TYPE_DIFFERENCING };
	struct link link = { .path = NULL };
	int err;

	if (flags & ~(uint32_t)SNAPSHOT_FLAGS || checked_mul(mbytes, 1u << 20, &plan.max_bytes))
		return -EINVAL;
	if (flags & VHD_FLAG_CREAT_PARENT_RAW)
		err = plan_on_raw(parent, &plan, &link);
	else
		err = plan_on_vhd(parent, flags, &plan, &link);
	if (!err && bytes && bytes < plan.bytes)
		err = -EINVAL;
	if (!err && bytes)
		plan.bytes = bytes;
	if (!err)
		err = make_child(name, &plan, &link);
	free(link.path);
	return err;
}
