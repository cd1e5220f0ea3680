/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a context: opening, what it says about failures, making durable, closing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "vhd/lib/context.h"

#define OPEN_FLAGS 0xff
#define USE_DSYNC "/etc/tapdisk_use_dsync"

/* How much the process wants to have in syslog: the one thing that contexts share. */
static int libvhd_log_level;

void
libvhd_set_log_level(int level)
{
	libvhd_log_level = level;
}

int
vhd_fail(vhd_context_t *ctx, int err, const char *format, ...)
{
	struct reason *why = &ctx->priv->why;
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return vhd_told(ctx, err);
}

int
vhd_told(const vhd_context_t *ctx, int err)
{
	if (err && libvhd_log_level > 0)
		syslog(LOG_INFO, "libvhd: %s: %s", ctx->file, ctx->priv->why.text);
	return err;
}

const char *
vhd_error(const vhd_context_t *ctx)
{
	return ctx->priv ? ctx->priv->why.text : "";
}

void
vhd_context_set_hooks(vhd_context_t *ctx, const struct vhd_hooks *hooks)
{
	ctx->priv->hooks = *hooks;
}

int
vhd_context_at(vhd_context_t *ctx, enum vhd_point point)
{
	const struct vhd_hooks *hooks = &ctx->priv->hooks;

	return hooks->at ? hooks->at(hooks->arg, point) : 0;
}

int
vhd_may_write(vhd_context_t *ctx)
{
	ctx->priv->why.text[0] = '\0';
	if (!(ctx->oflags & VHD_OPEN_RDWR))
		return vhd_fail(ctx, -EROFS, "opened for reading only");
	if (vhd_disabled(ctx))
		return vhd_fail(ctx, -EBUSY, "a resize is under way");
	return 0;
}

/* ---- opening ------------------------------------------------------------------------------------
 */

static unsigned
image_flags(int flags)
{
	unsigned result = 0;

	if (flags & VHD_OPEN_RDWR)
		result |= VHD_IMAGE_WRITE;
	if (flags & VHD_OPEN_IGNORE_DISABLED)
		result |= VHD_IMAGE_POISONED;
	if (flags & VHD_OPEN_USE_BKP_FOOTER)
		result |= VHD_IMAGE_USE_COPY;
	if (flags & VHD_OPEN_FAST && !(flags & VHD_OPEN_RDWR))
		result |= VHD_IMAGE_FAST;
	if (flags & VHD_OPEN_OBSOLETE)
		result |= VHD_IMAGE_OBSOLETE;
	return result;
}

static void
show_image(vhd_context_t *ctx)
{
	const struct vhd_image *image = &ctx->priv->image;

	ctx->is_block = image->is_device;
	ctx->footer = image->footer;
	ctx->header = image->header;
	ctx->spb = image->layout.spb;
	ctx->bm_secs = image->layout.bm_secs;
	ctx->bat.spb = image->layout.spb;
	ctx->bat.entries = image->layout.entries;
	ctx->batmap.header = image->batmap;
}

static bool
footers_lack_something(const struct vhd_image *image)
{
	return image->footers == VHD_FOOTERS_RECOVERED || image->footers == VHD_FOOTERS_COPY_LOST ||
	       image->footer_is_short;
}

/* The first open for writing after a power cut finds no trailing footer. */
static int
mend_footers(vhd_context_t *ctx)
{
	int err;

	if (!(ctx->oflags & VHD_OPEN_RDWR) || vhd_disabled(ctx) ||
	    !footers_lack_something(&ctx->priv->image))
		return 0;
	err = vhd_write_footer(ctx, &ctx->footer);
	if (err)
		return err;
	/* A block that was cut ends before the footer now. */
	return io_size(ctx->priv->io, &ctx->priv->image.file_bytes);
}

static int
open_image(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;
	enum vhd_footer_state state;
	int err;

	err = vhd_image_read(priv->io, image_flags(ctx->oflags), &priv->image, &priv->why);
	if (err)
		return vhd_told(ctx, err);
	state = priv->image.footers;
	if (ctx->oflags & VHD_OPEN_STRICT &&
	    (state == VHD_FOOTERS_RECOVERED || state == VHD_FOOTERS_CONFLICT))
		return vhd_fail(ctx, -EINVAL, "footer: not valid");
	show_image(ctx);
	return mend_footers(ctx);
}

static void
discard(vhd_context_t *ctx)
{
	struct vhd_private *priv = ctx->priv;

	if (priv) {
		vhd_put_lower(ctx);
		vhd_crypt_free(priv->crypt);
		free(priv->bitmap);
		free(priv->pending);
		io_close(priv->io);
		free(priv);
	}
	free(ctx->bat.bat);
	free(ctx->batmap.map);
	free(ctx->custom_parent);
	free(ctx->file);
	memset(ctx, 0, sizeof(*ctx));
	ctx->fd = -1;
}

int
vhd_open_unread(vhd_context_t *ctx, struct io *io_taken, const char *name, int flags)
{
	memset(ctx, 0, sizeof(*ctx));
	ctx->fd = -1;
	ctx->oflags = flags;
	ctx->file = strdup(name);
	ctx->priv = calloc(1, sizeof(*ctx->priv));
	if (!ctx->file || !ctx->priv) {
		io_close(io_taken);
		discard(ctx);
		return -ENOMEM;
	}
	ctx->priv->io = io_taken;
	ctx->priv->bitmap_block = VHD_BLOCK_UNUSED;
	return 0;
}

int
vhd_open_io(vhd_context_t *ctx, struct io *io_taken, const char *name, int flags,
	    struct reason *why)
{
	int err;

	err = vhd_open_unread(ctx, io_taken, name, flags);
	if (err)
		return err;
	err = open_image(ctx);
	if (err) {
		if (why)
			*why = ctx->priv->why;
		discard(ctx);
	}
	return err;
}

static int
check_flags(int flags)
{
	bool reads = flags & VHD_OPEN_RDONLY, writes = flags & VHD_OPEN_RDWR;

	return (flags & ~OPEN_FLAGS) || reads == writes ? -EINVAL : 0;
}

int
vhd_open_told(vhd_context_t *ctx, const char *file, int flags, struct reason *why)
{
	unsigned how = flags & VHD_OPEN_RDWR ? IO_WRITE : 0;
	int is_device = 0;
	struct io *io;
	int err;

	memset(ctx, 0, sizeof(*ctx));
	ctx->fd = -1;
	err = check_flags(flags);
	if (err)
		return reason(why, err, "file: these flags make no sense");
	/* What another host has written to a shared device is not in our page cache. */
	if (!(flags & VHD_OPEN_CACHED) && !vhd_test_file_fixed(file, &is_device) && is_device)
		how |= IO_DIRECT;
	if (flags & VHD_OPEN_RDWR && access(USE_DSYNC, F_OK) == 0)
		how |= IO_DSYNC;
	err = io_file_open(file, how, &io);
	if (err)
		return reason(why, err, "file: %s", strerror(-err));
	err = vhd_open_io(ctx, io, file, flags, why);
	if (!err)
		ctx->fd = io_file_fd(io);
	return err;
}

int
vhd_open(vhd_context_t *ctx, const char *file, int flags)
{
	struct reason why = { "" };
	int err;

	err = vhd_open_told(ctx, file, flags, &why);
	if (err && libvhd_log_level > 0)
		syslog(LOG_INFO, "libvhd: %s: %s", file, why.text);
	return err;
}

/* ---- making durable, closing --------------------------------------------------------------------
 */

int
vhd_sync(vhd_context_t *ctx)
{
	int err;

	err = vhd_block_put_bitmap(ctx);
	if (!err)
		err = vhd_blocks_commit(ctx);
	if (err || !ctx->priv->unsynced)
		return err;
	err = io_sync(ctx->priv->io);
	if (!err)
		ctx->priv->unsynced = false;
	return err;
}

/* A set bit of the batmap is believed without a look: it is written after all that it speaks of. */
static int
finish(vhd_context_t *ctx)
{
	int err;

	err = vhd_sync(ctx);
	if (err || !ctx->priv->batmap_dirty)
		return err;
	err = vhd_write_batmap(ctx, &ctx->batmap);
	return err ? err : vhd_sync(ctx);
}

int
vhd_close(vhd_context_t *ctx)
{
	int err = 0;

	if (ctx->priv && ctx->oflags & VHD_OPEN_RDWR)
		err = finish(ctx);
	discard(ctx);
	return err;
}
