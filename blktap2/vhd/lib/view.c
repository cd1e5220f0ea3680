/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading metadata without judging them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/view.h"

/* Bytes that may be missing: true when they are there. */
static int
read_part(const struct vhd_view *view, void *buffer, size_t bytes, uint64_t at, bool *there)
{
	int err = io_read_at(view->io, buffer, bytes, at);

	*there = err == 0;
	return err == -ENODATA ? 0 : err;
}

/* An old form of the footer lacks its last byte, which is zero. */
static int
read_trailing(struct vhd_view *view)
{
	size_t bytes = view->file_bytes % 512 == 511 ? 511 : VHD_FOOTER_BYTES;

	if (view->file_bytes < bytes)
		return 0;
	view->footer_at = view->file_bytes - bytes;
	return read_part(view, view->raw_footer, bytes, view->footer_at, &view->has_footer);
}

static bool
is_footer(const uint8_t *raw)
{
	vhd_footer_t footer;

	return vhd_footer_decode(raw, &footer, NULL) == 0;
}

static void
choose(struct vhd_view *view)
{
	if (view->has_footer && is_footer(view->raw_footer))
		view->chosen = &view->footer;
	else if (view->has_copy && is_footer(view->raw_copy) && vhd_footer_is_dynamic(&view->copy))
		view->chosen = &view->copy;
	view->is_fixed = view->chosen && view->chosen->type == VHD_TYPE_FIXED;
}

static int
read_behind(struct vhd_view *view)
{
	const vhd_footer_t *footer = view->chosen;
	uint64_t table;
	int err;

	if (!footer || view->is_fixed)
		return 0;
	err = read_part(view, view->raw_header, VHD_HEADER_BYTES, footer->data_offset,
			&view->has_header);
	if (err || !view->has_header)
		return err;
	vhd_header_unpack(view->raw_header, &view->header);
	if (checked_add(view->header.table_offset, vhd_table_bytes(view->header.max_table_entries),
			&table) ||
	    vhd_batmap_presence(footer) == VHD_BATMAP_NONE)
		return 0;
	err = read_part(view, view->raw_batmap, VHD_BATMAP_HEADER_BYTES, table, &view->has_batmap);
	vhd_batmap_header_unpack(view->raw_batmap, &view->batmap);
	if (memcmp(view->batmap.cookie, VHD_BATMAP_COOKIE, 8) != 0 &&
	    vhd_batmap_presence(footer) == VHD_BATMAP_MAYBE)
		view->has_batmap = false;
	return err;
}

int
vhd_view_read(struct vhd_view *view, struct io *io)
{
	int err;

	memset(view, 0, sizeof(*view));
	view->io = io;
	err = io_size(io, &view->file_bytes);
	if (!err)
		err = read_trailing(view);
	if (!err)
		err = read_part(view, view->raw_copy, VHD_FOOTER_BYTES, 0, &view->has_copy);
	if (err)
		return err;
	vhd_footer_unpack(view->raw_footer, &view->footer);
	vhd_footer_unpack(view->raw_copy, &view->copy);
	choose(view);
	return read_behind(view);
}

int
vhd_view_open(struct vhd_view *view, const char *path)
{
	struct io *io;
	int err = io_file_open(path, 0, &io);

	if (err)
		return err;
	err = vhd_view_read(view, io);
	if (err)
		io_close(io);
	return err;
}

void
vhd_view_close(struct vhd_view *view)
{
	io_close(view->io);
	view->io = NULL;
}

int
vhd_view_locator(const struct vhd_view *view, unsigned index, char **path)
{
	const vhd_parent_locator_t *locator = &view->header.locator[index];
	AUTO_FREE uint8_t *data = NULL;
	int err;

	if (!vhd_platform_is_path(locator->code) || !locator->data_length ||
	    locator->data_length > VHD_LOCATOR_MAX_PATH)
		return -EINVAL;
	data = malloc(locator->data_length);
	if (!data)
		return -ENOMEM;
	err = io_read_at(view->io, data, locator->data_length, locator->data_offset);
	if (err)
		return err == -ENODATA ? -EINVAL : err;
	return vhd_locator_decode(locator->code, data, locator->data_length, path);
}
