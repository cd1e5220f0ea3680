/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hidden flag, marker and key hash.  Images without a batmap keep the latter two in extended
 * attributes.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "vhd/lib/batmap.h"
#include "vhd/lib/context.h"

#define XATTR_MARKER "user.com.citrix.xenclient.backend.marker"
#define XATTR_KEYHASH "user.com.citrix.xenclient.backend.keyhash"

int
vhd_hidden(vhd_context_t *ctx, int *hidden)
{
	*hidden = ctx->footer.hidden;
	return 0;
}

int
vhd_set_hidden(vhd_context_t *ctx, int hidden)
{
	vhd_footer_t footer = ctx->footer;
	int err = vhd_may_write(ctx);

	if (!err && (hidden < 0 || hidden > 255))
		err = vhd_fail(ctx, -EINVAL, "hidden is 0 to 255");
	if (err)
		return err;
	footer.hidden = (uint8_t)hidden;
	err = vhd_write_footer(ctx, &footer);
	/* Without room for the trailing footer, the copy speaks for both. */
	if (err != -ENOSPC || !vhd_image_is_dynamic(&ctx->priv->image))
		return err;
	ctx->footer = footer;
	return io_sync(ctx->priv->io);
}

/* ---- extended attributes ------------------------------------------------------------------------
 */

/* An attribute of exactly so many bytes; one that is missing is all zeros. */
static int
file_attribute(int fd, const char *name, uint8_t *value, size_t bytes)
{
	ssize_t got = fd < 0 ? -1 : fgetxattr(fd, name, value, bytes);

	if (got == (ssize_t)bytes)
		return 0;
	if (fd >= 0 && (got >= 0 || errno == ERANGE))
		return -EINVAL;
	if (fd >= 0 && errno != ENODATA && errno != EOPNOTSUPP && errno != EPERM)
		return -errno;
	memset(value, 0, bytes);
	return 0;
}

static int
get_attribute(vhd_context_t *ctx, const char *name, uint8_t *value, size_t bytes)
{
	int err = file_attribute(ctx->fd, name, value, bytes);

	if (err == -EINVAL)
		return vhd_fail(ctx, err, "file: attribute %s has a wrong length", name);
	return err ? vhd_fail(ctx, err, "file: attribute %s: %s", name, strerror(-err)) : 0;
}

static int
set_attribute(vhd_context_t *ctx, const char *name, const uint8_t *value, size_t bytes)
{
	if (ctx->fd < 0)
		return vhd_fail(ctx, -EOPNOTSUPP, "file: has no attributes");
	if (fsetxattr(ctx->fd, name, value, bytes, 0))
		return vhd_fail(ctx, -errno, "file: attribute %s: %s", name, strerror(errno));
	return 0;
}

/* ---- marker, key hash ---------------------------------------------------------------------------
 */

int
vhd_marker(vhd_context_t *ctx, char *marker)
{
	uint8_t value;
	int err;

	if (ctx->priv->image.has_batmap) {
		*marker = (char)ctx->priv->image.batmap.marker;
		return 0;
	}
	err = get_attribute(ctx, XATTR_MARKER, &value, 1);
	if (!err)
		*marker = (char)value;
	return err;
}

int
vhd_set_marker(vhd_context_t *ctx, char marker)
{
	vhd_batmap_header_t header = ctx->priv->image.batmap;
	uint8_t value = (uint8_t)marker;
	int err = vhd_may_write(ctx);

	if (err)
		return err;
	if (!ctx->priv->image.has_batmap)
		return set_attribute(ctx, XATTR_MARKER, &value, 1);
	header.marker = value;
	return vhd_batmap_write_header(ctx, &header);
}

int
vhd_keyhash_of_file(int fd, struct vhd_keyhash *keyhash)
{
	uint8_t raw[VHD_KEYHASH_BYTES];
	int err = file_attribute(fd, XATTR_KEYHASH, raw, sizeof(raw));

	if (!err)
		vhd_keyhash_unpack(raw, keyhash);
	return err;
}

int
vhd_get_keyhash(vhd_context_t *ctx, struct vhd_keyhash *keyhash)
{
	uint8_t raw[VHD_KEYHASH_BYTES];
	int err;

	if (ctx->priv->image.has_batmap) {
		*keyhash = ctx->priv->image.batmap.keyhash;
		return 0;
	}
	err = get_attribute(ctx, XATTR_KEYHASH, raw, sizeof(raw));
	if (!err)
		vhd_keyhash_unpack(raw, keyhash);
	return err;
}

static int
check_empty(vhd_context_t *ctx)
{
	int err;

	if (!vhd_image_is_dynamic(&ctx->priv->image))
		return 0;
	err = vhd_need_bat(ctx);
	if (!err && !vhd_bat_is_empty(&ctx->bat))
		err = vhd_fail(ctx, -EBUSY, "there are blocks already");
	return err;
}

int
vhd_set_keyhash(vhd_context_t *ctx, const struct vhd_keyhash *keyhash)
{
	vhd_batmap_header_t header = ctx->priv->image.batmap;
	uint8_t raw[VHD_KEYHASH_BYTES];
	int err = vhd_may_write(ctx);

	if (!err)
		err = check_empty(ctx);
	if (err)
		return err;
	ctx->priv->keyhash_known = false;
	if (ctx->priv->image.has_batmap) {
		header.keyhash = *keyhash;
		return vhd_batmap_write_header(ctx, &header);
	}
	vhd_keyhash_pack(keyhash, raw);
	return set_attribute(ctx, XATTR_KEYHASH, raw, sizeof(raw));
}
