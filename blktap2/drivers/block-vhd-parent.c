/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: the image that a differencing one is based on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/block-vhd.h"
#include "drivers/disktypes.h"
#include "vhd/lib/parent.h"

/* What is looked for, and why the last candidate was not it. */
struct wanted {
	const vhd_uuid_t *uuid; /* NULL: a raw image */
	struct reason why;
};

static int
check_identity(struct wanted *wanted, const char *path)
{
	struct vhd_image image;
	struct reason because;
	struct io *io;
	int err;

	err = io_file_open(path, 0, &io);
	if (err)
		return reason(&wanted->why, err, "its parent %s cannot be opened: %s", path,
			      strerror(-err));
	err = vhd_image_read(io, 0, &image, &because);
	io_close(io);
	if (err)
		return reason(&wanted->why, err, "its parent %s: %s", path, because.text);
	if (memcmp(&image.footer.uuid, wanted->uuid, sizeof(*wanted->uuid)) != 0)
		return reason(
			&wanted->why, -EINVAL,
			"%s has not the unique id of its parent: another image has taken its place",
			path);
	return 0;
}

/* A foreign image may name anything: what is no file and no disk is not even opened. */
static int
accept(void *arg, const char *path)
{
	struct wanted *wanted = arg;
	struct stat file;

	if (stat(path, &file))
		return -errno;
	if (!S_ISREG(file.st_mode) && !S_ISBLK(file.st_mode))
		return reason(&wanted->why, -EINVAL,
			      "its parent %s is neither a regular file nor a block device", path);
	return wanted->uuid ? check_identity(wanted, path) : 0;
}

int
vd_get_parent_id(td_driver_t *driver, td_disk_id_t *id)
{
	struct vd_state *vd = driver->data;
	bool is_raw = vhd_parent_is_raw(&vd->image.footer, &vd->image.header);
	struct wanted wanted = { .uuid = is_raw ? NULL : &vd->image.header.parent_uuid };
	struct vhd_parent_judge judge = { .accept = accept, .arg = &wanted };
	struct io *io;
	int err;

	if (!vd->has_parent)
		return TD_NO_PARENT;
	err = io_file_open(driver->name, 0, &io);
	if (err)
		return err;
	err = vhd_parent_find(io, &vd->image.header, driver->name, &judge, &id->name, NULL);
	io_close(io);
	if (err)
		return td_reason(driver, err == -EINVAL ? -EMEDIUMTYPE : err, "%s",
				 wanted.why.text[0] ? wanted.why.text
						    : "its parent is not to be found");
	id->drivertype = is_raw ? DISK_TYPE_AIO : DISK_TYPE_VHD;
	return 0;
}

int
vd_validate_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	const struct vd_state *vd = child->data, *below;
	bool is_raw = vhd_parent_is_raw(&vd->image.footer, &vd->image.header);

	(void)flags;
	if (!vd->has_parent)
		return -EINVAL;
	if (is_raw)
		return parent->type == DISK_TYPE_VHD ? -EINVAL : 0;
	if (parent->type != DISK_TYPE_VHD)
		return -EINVAL;
	below = parent->data;
	return memcmp(&below->image.footer.uuid, &vd->image.header.parent_uuid,
		      sizeof(vhd_uuid_t)) == 0
		       ? 0
		       : -EINVAL;
}
