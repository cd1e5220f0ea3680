/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One image of a scan: with as little reading as will do, from a file, a device, or from the place
 * where an inactive logical volume begins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/header.h"
#include "vhd/lib/image.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/parent.h"
#include "vhd/vhd-util-scan.h"

#define HEAD_BYTES (VHD_FOOTER_BYTES + VHD_HEADER_BYTES) /* at the start of most images */
#define XATTR "user.com.citrix.xenclient.backend."

/* ---- inactive volumes -------------------------------------------------------------------------
 */

/* The first segment of a volume, on the device that holds it. */
struct window {
	struct io io;
	struct io *device; /* owned */
	uint64_t at;       /* bytes into the device */
	uint64_t segment;  /* bytes that can be seen */
	uint64_t bytes;    /* size of the volume */
};

static int
window_read(struct io *io, void *buf, size_t bytes, uint64_t at)
{
	struct window *window = (struct window *)(void *)io;

	if (!range_fits(at, bytes, window->bytes))
		return -ENODATA;
	if (!range_fits(at, bytes, window->segment))
		return -ENOTSUP;
	return io_read_at(window->device, buf, bytes, window->at + at);
}

static int
window_size(struct io *io, uint64_t *bytes)
{
	*bytes = ((struct window *)(void *)io)->bytes;
	return 0;
}

static void
window_close(struct io *io)
{
	io_close(((struct window *)(void *)io)->device);
	free(io);
}

static int
window_open(const struct vg *vg, const struct lv *lv, struct io **io)
{
	static const struct io_ops ops = {
		.read_at = window_read,
		.size = window_size,
		.close = window_close,
	};
	AUTO_FREE struct window *window = calloc(1, sizeof(*window));
	const char *device;
	int err;

	if (!window)
		return -ENOMEM;
	window->io.ops = &ops;
	window->io.is_device = true;
	window->bytes = lv->size;
	err = lvm_first_bytes(vg, lv, &device, &window->at);
	if (!err &&
	    __builtin_mul_overflow(lv->first_segment.pe_size, vg->extent_size, &window->segment))
		err = -EOVERFLOW;
	if (!err)
		err = io_file_open(device, 0, &window->device);
	if (err)
		return err;
	*io = &STEAL(window)->io;
	return 0;
}

static int
volume_open(const struct scan *scan, const char *path, struct io **io)
{
	const char *name = strrchr(path, '/') + 1;
	int i;

	for (i = 0; i < scan->vg.lv_cnt; i++)
		if (strcmp(scan->vg.lvs[i].name, name) == 0)
			return window_open(&scan->vg, &scan->vg.lvs[i], io);
	return -ENOENT;
}

/* ---- metadata ---------------------------------------------------------------------------------
 */

/* The copy of the footer, and the header behind it, in one read: false if they are not there. */
static bool
read_head(struct io *io, struct vhd_image *image)
{
	uint8_t raw[HEAD_BYTES];
	struct reason why;

	memset(image, 0, sizeof(*image));
	return io_size(io, &image->file_bytes) == 0 && io_read_at(io, raw, sizeof(raw), 0) == 0 &&
	       vhd_footer_decode(raw, &image->footer, &why) == 0 &&
	       vhd_footer_check(&image->footer, &why) == 0 && vhd_image_is_dynamic(image) &&
	       image->footer.data_offset == VHD_FOOTER_BYTES &&
	       vhd_header_decode(raw + VHD_FOOTER_BYTES, &image->header, &why) == 0 &&
	       vhd_header_check(&image->header, &image->footer, image->file_bytes, &why) == 0;
}

/* Marker and key hash of what was read fast. */
static void
read_batmap_header(struct io *io, struct vhd_image *image)
{
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];

	vhd_layout_init(&image->layout, image->footer.data_offset, &image->header);
	if (vhd_batmap_presence(&image->footer) == VHD_BATMAP_NONE ||
	    io_read_at(io, raw, sizeof(raw), vhd_batmap_header_at(&image->layout)))
		return;
	vhd_batmap_header_unpack(raw, &image->batmap);
	image->has_batmap = vhd_batmap_check_header(&image->batmap, &image->layout,
						    image->file_bytes, NULL) == 0;
}

static int
read_image(const struct scan *scan, struct io *io, struct vhd_image *image, struct reason *why)
{
	if ((scan->fast || scan->group) && read_head(io, image)) {
		if (scan->markers)
			read_batmap_header(io, image);
		return 0;
	}
	return vhd_image_read(io, VHD_IMAGE_POISONED, image, why);
}

/* Of a file its size; of a device what the image uses of it, if that is known so far. */
static int
find_size(const struct scan *scan, struct io *io, const struct vhd_image *image, uint64_t *size)
{
	AUTO_FREE uint32_t *bat = NULL;
	int err;

	*size = image->file_bytes;
	if (!io->is_device || scan->fast || scan->group || !vhd_image_is_dynamic(image))
		return 0;
	bat = malloc((size_t)image->layout.entries * sizeof(*bat));
	if (!bat)
		return -ENOMEM;
	err = vhd_image_read_bat(io, image, 0, image->layout.entries, bat);
	if (!err)
		*size = vhd_layout_end_of_data(&image->layout, bat, image->layout.entries) +
			VHD_FOOTER_BYTES;
	return err;
}

static int
accept_any(void *arg, const char *path)
{
	(void)arg;
	return access(path, F_OK) ? -errno : 0;
}

/* Of a volume the header says which one; of a file, too, as long as its folder does not matter. */
static int
find_parent(const struct scan *scan, struct io *io, const struct vhd_image *image, const char *path,
	    char **parent, struct reason *why)
{
	const struct vhd_parent_judge judge = { .accept = accept_any };
	AUTO_FREE char *name = NULL;
	int err;

	if (image->footer.type != VHD_TYPE_DIFFERENCING)
		return 0;
	if (!scan->group && (scan->full_names || scan->tree || scan->parents)) {
		AUTO_FREE char *found = NULL;

		err = vhd_parent_find(io, &image->header, path, &judge, &found, why);
		if (err == 0 && vhd_canonical_path(found, parent))
			*parent = STEAL(found);
		if (err == 0 || err == -ENOMEM)
			return err;
	}
	err = vhd_parent_name_decode(image->header.parent_name, &name);
	if (err)
		return reason(why, err, "header: parent has no name");
	if (scan->group)
		return asprintf(parent, "/dev/%s/%s", scan->group, name) < 0 ? -ENOMEM : 0;
	return asprintf(parent, "%.*s%s", (int)(strrchr(path, '/') - path + 1), path, name) < 0
		       ? -ENOMEM
		       : 0;
}

/* Where there is no batmap, a file may have them as extended attributes. */
static void
find_marker(const char *path, const struct vhd_image *image, struct scanned *scanned)
{
	uint8_t raw[VHD_KEYHASH_BYTES], marker;

	if (image->has_batmap) {
		scanned->marker = image->batmap.marker;
		scanned->keyhash = image->batmap.keyhash;
		return;
	}
	if (getxattr(path, XATTR "marker", &marker, 1) == 1)
		scanned->marker = marker;
	if (getxattr(path, XATTR "keyhash", raw, sizeof(raw)) == (ssize_t)sizeof(raw))
		vhd_keyhash_unpack(raw, &scanned->keyhash);
}

static int
describe(const struct scan *scan, struct io *io, struct scanned *scanned, struct reason *why)
{
	struct vhd_image image;
	int err = read_image(scan, io, &image, why);

	if (!err)
		err = find_size(scan, io, &image, &scanned->size);
	if (!err)
		err = find_parent(scan, io, &image, scanned->path, &scanned->parent, why);
	if (err)
		return err;
	scanned->capacity = vhd_virtual_sectors(&image.footer, VHD_SIZE_BY_CREATOR)
			    << VHD_SECTOR_SHIFT;
	scanned->hidden = image.footer.hidden;
	if (scan->markers)
		find_marker(scanned->path, &image, scanned);
	return 0;
}

/* ---- one image --------------------------------------------------------------------------------
 */

void
scanned_free(struct scanned *scanned)
{
	if (!scanned)
		return;
	free(scanned->path);
	free(scanned->parent);
	free(scanned->message);
	free(scanned);
}

/* The reason, or what the system says of the error; without the sign that separates words. */
static char *
message_of(int err, const struct reason *why)
{
	char *message = strdup(why->text[0] ? why->text : strerror(-err));
	char *at;

	for (at = message; at && *at; at++)
		if (*at == '=' || *at == '\'')
			*at = ':';
	return message;
}

int
scan_image(const struct scan *scan, const char *path, bool may_vanish, struct scanned **out)
{
	struct scanned *scanned = calloc(1, sizeof(*scanned));
	struct reason why = { "" };
	struct io *io = NULL;
	int err = -ENOMEM;

	*out = NULL;
	if (!scanned)
		return -ENOMEM;
	if (scan->group || vhd_canonical_path(path, &scanned->path))
		scanned->path = strdup(path);
	if (!scanned->path)
		goto out;
	err = scan->group ? volume_open(scan, path, &io) : io_file_open(path, 0, &io);
	if (err == -ENOENT && may_vanish) {
		err = 0;
		goto out;
	}
	if (!err)
		err = describe(scan, io, scanned, &why);
	if (err && err != -ENOMEM) {
		scanned->err = err;
		scanned->message = message_of(err, &why);
		err = scanned->message ? 0 : -ENOMEM;
	}
	if (!err) {
		*out = scanned;
		scanned = NULL;
	}
out:
	io_close(io);
	scanned_free(scanned);
	return err;
}
