/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of the file itself, at a position that the context keeps.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "vhd/lib/context.h"

int
vhd_seek(vhd_context_t *ctx, off_t offset, int whence)
{
	uint64_t base = 0;
	off_t position;
	int err = 0;

	if (whence == SEEK_CUR)
		base = (uint64_t)ctx->priv->position;
	else if (whence == SEEK_END)
		err = io_size(ctx->priv->io, &base);
	else if (whence != SEEK_SET)
		err = -EINVAL;
	if (err)
		return err;
	if (__builtin_add_overflow((off_t)base, offset, &position) || position < 0)
		return -EINVAL;
	ctx->priv->position = position;
	return 0;
}

off_t
vhd_position(vhd_context_t *ctx)
{
	return ctx->priv->position;
}

int
vhd_read(vhd_context_t *ctx, void *buf, size_t bytes)
{
	int err = io_read_at(ctx->priv->io, buf, bytes, (uint64_t)ctx->priv->position);

	if (err)
		return vhd_fail(ctx, err, "file: cannot be read: %s", strerror(-err));
	ctx->priv->position += (off_t)bytes;
	return 0;
}

int
vhd_write(vhd_context_t *ctx, const void *buf, size_t bytes)
{
	int err;

	if (!(ctx->oflags & VHD_OPEN_RDWR))
		return vhd_fail(ctx, -EROFS, "opened for reading only");
	err = io_write_at(ctx->priv->io, buf, bytes, (uint64_t)ctx->priv->position);
	ctx->priv->unsynced = true;
	if (err)
		return vhd_fail(ctx, err, "file: cannot be written: %s", strerror(-err));
	ctx->priv->position += (off_t)bytes;
	return 0;
}
