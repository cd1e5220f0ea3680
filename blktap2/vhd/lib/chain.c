/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies below an image: looked for once, opened for reading, kept until the image is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "vhd/lib/context.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/parent.h"

/* One search: what was accepted last is open in lower. */
struct hunt {
	vhd_context_t *ctx;
	bool any_id; /* the parent was named by the caller */
	struct vhd_lower lower;
};

static void
close_lower(struct vhd_lower *lower)
{
	if (lower->vhd)
		vhd_close(lower->vhd);
	free(lower->vhd);
	io_close(lower->raw);
	free(lower->path);
	*lower = (struct vhd_lower){ .is_known = false };
}

void
vhd_put_lower(vhd_context_t *ctx)
{
	close_lower(&ctx->priv->lower);
}

/* The file of fd is one that the chain holds already. */
static bool
is_loop(const vhd_context_t *ctx, int fd)
{
	struct stat found, other;

	if (fd < 0 || fstat(fd, &found))
		return false;
	for (; ctx; ctx = ctx->priv->child)
		if (ctx->fd >= 0 && !fstat(ctx->fd, &other) && other.st_ino == found.st_ino &&
		    other.st_dev == found.st_dev && other.st_rdev == found.st_rdev)
			return true;
	return false;
}

static unsigned
height(const vhd_context_t *ctx)
{
	unsigned images = 0;

	for (; ctx; ctx = ctx->priv->child)
		images++;
	return images;
}

static int
accept_raw(struct hunt *hunt, const char *path)
{
	struct vhd_lower *lower = &hunt->lower;
	int err;

	err = io_file_open(path, 0, &lower->raw);
	if (err)
		return err;
	if (is_loop(hunt->ctx, io_file_fd(lower->raw)))
		return -ELOOP;
	return io_size(lower->raw, &lower->raw_bytes);
}

static int
accept_vhd(struct hunt *hunt, const char *path)
{
	struct vhd_lower *lower = &hunt->lower;
	vhd_context_t *parent;
	int err;

	parent = calloc(1, sizeof(*parent));
	if (!parent)
		return -ENOMEM;
	err = vhd_open(parent, path,
		       VHD_OPEN_RDONLY | VHD_OPEN_IGNORE_DISABLED |
			       (hunt->ctx->oflags & VHD_OPEN_CACHED));
	if (err) {
		free(parent);
		return err;
	}
	lower->vhd = parent;
	parent->priv->child = hunt->ctx;
	if (is_loop(hunt->ctx, parent->fd))
		return -ELOOP;
	if (!hunt->any_id &&
	    vhd_uuid_compare(&parent->footer.uuid, &hunt->ctx->header.parent_uuid) != 0)
		return -EINVAL;
	return 0;
}

static int
accept_parent(void *arg, const char *path)
{
	struct hunt *hunt = arg;
	int err;

	close_lower(&hunt->lower);
	err = vhd_parent_is_raw(&hunt->ctx->footer, &hunt->ctx->header) ? accept_raw(hunt, path)
									: accept_vhd(hunt, path);
	if (err)
		close_lower(&hunt->lower);
	return err;
}

static int
find_lower(vhd_context_t *ctx, struct hunt *hunt, char **path)
{
	struct vhd_parent_judge judge = { .accept = accept_parent, .arg = hunt };
	int err;

	if (!ctx->custom_parent)
		return vhd_parent_find(ctx->priv->io, &ctx->header, ctx->file, &judge, path,
				       &ctx->priv->why);
	hunt->any_id = true;
	err = accept_parent(hunt, ctx->custom_parent);
	if (err)
		return vhd_fail(ctx, err, "parent: %s: %s", ctx->custom_parent, strerror(-err));
	*path = strdup(ctx->custom_parent);
	return *path ? 0 : -ENOMEM;
}

int
vhd_need_lower(vhd_context_t *ctx)
{
	struct hunt hunt = { .ctx = ctx };
	AUTO_FREE char *path = NULL;
	int err;

	if (ctx->priv->lower.is_known)
		return 0;
	if (ctx->footer.type == VHD_TYPE_DIFFERENCING) {
		if (height(ctx) >= VHD_CHAIN_MAX)
			return vhd_fail(ctx, -ELOOP, "parent: there are too many");
		err = find_lower(ctx, &hunt, &path);
		if (!err)
			err = vhd_canonical_path(path, &hunt.lower.path);
		if (err) {
			close_lower(&hunt.lower);
			return err;
		}
	}
	ctx->priv->lower = hunt.lower;
	ctx->priv->lower.is_known = true;
	return 0;
}

int
vhd_chain_depth(vhd_context_t *ctx, int *depth)
{
	vhd_context_t *image = ctx;
	int images = 1, err;

	while (image) {
		err = vhd_need_lower(image);
		if (err && image != ctx)
			return vhd_fail(ctx, err, "%s: %s", image->file, vhd_error(image));
		if (err)
			return err;
		images += image->priv->lower.path != NULL;
		image = image->priv->lower.vhd;
	}
	*depth = images;
	return 0;
}

/* ---- what is recorded ---------------------------------------------------------------------------
 */

int
vhd_parent_locator_get(vhd_context_t *ctx, char **parent)
{
	int err;

	if (ctx->footer.type != VHD_TYPE_DIFFERENCING)
		return vhd_fail(ctx, -EINVAL, "parent: there is none");
	err = vhd_need_lower(ctx);
	if (err)
		return err;
	*parent = strdup(ctx->priv->lower.path);
	return *parent ? 0 : -ENOMEM;
}

int
vhd_parent_locator_count(vhd_context_t *ctx)
{
	int i, used = 0;

	for (i = 0; i < VHD_LOCATORS; i++)
		used += ctx->header.locator[i].code != VHD_PLATFORM_NONE;
	return used;
}

int
vhd_parent_locator_read(vhd_context_t *ctx, const vhd_parent_locator_t *locator, char **parent)
{
	ptrdiff_t index = locator - ctx->header.locator;

	return vhd_told(ctx,
			vhd_locator_read(ctx->priv->io, locator,
					 index >= 0 && index < VHD_LOCATORS ? (unsigned)index : 0,
					 ctx->priv->image.file_bytes, parent, &ctx->priv->why));
}

int
vhd_header_decode_parent(vhd_context_t *ctx, const vhd_header_t *header, char **name)
{
	int err = vhd_parent_name_decode(header->parent_name, name);

	return err ? vhd_fail(ctx, err, "header: the parent has no name") : 0;
}

int
vhd_parent_locator_unresolved_get(vhd_context_t *ctx, char **parent)
{
	unsigned i;
	int err;

	if (ctx->footer.type != VHD_TYPE_DIFFERENCING)
		return vhd_fail(ctx, -EINVAL, "parent: there is none");
	for (i = 0; i < VHD_LOCATORS; i++) {
		if (!vhd_platform_is_path(ctx->header.locator[i].code))
			continue;
		err = vhd_parent_locator_read(ctx, &ctx->header.locator[i], parent);
		if (err != -EINVAL)
			return err;
	}
	return vhd_header_decode_parent(ctx, &ctx->header, parent);
}

/* Whether it is the right one, its opener will see. */
static int
accept_existing(void *arg, const char *path)
{
	struct stat found;

	(void)arg;
	return stat(path, &found) ? -errno : 0;
}

int
vhd_find_parent(vhd_context_t *ctx, const char *parent, char **path)
{
	struct vhd_parent_judge judge = { .accept = accept_existing };
	AUTO_FREE char *found = NULL;
	int err;

	err = vhd_parent_find_name(parent, ctx->file, &judge, &found);
	if (!err)
		err = vhd_canonical_path(found, path);
	return err ? vhd_fail(ctx, err, "parent: %s: %s", parent, strerror(-err)) : 0;
}

int
vhd_custom_parent_set(vhd_context_t *ctx, const char *parent)
{
	char *copy = strdup(parent);

	if (!copy)
		return -ENOMEM;
	vhd_put_lower(ctx);
	free(ctx->custom_parent);
	ctx->custom_parent = copy;
	return 0;
}
