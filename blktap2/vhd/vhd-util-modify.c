/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util modify: another parent, another end, no data.
 */
#include <errno.h>

#include "vhd/lib/repair.h"
#include "vhd/vhd-util.h"

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_NUMBER('s', "BYTES", "move the footer to this new end", false, INT64_MAX),
	ROW_TEXT('p', "PARENT", "the image has this parent now", false),
	ROW_FLAG('m', "with -p: it is raw"),
	ROW_FLAG('z', "drop all data"),
	ROW_END,
};

static int
change_parent(struct image *image, const char *parent, bool raw)
{
	const struct vhd_hooks hooks = { .at = vhd_util_test_point };

	if (image_in_chain(parent, image->name))
		return vhd_util_refused(-ELOOP, "error reparenting %s: it is below %s itself",
					image->name, parent);
	vhd_context_set_hooks(&image->vhd, &hooks);
	return vhd_util_failed("reparenting", image->name,
			       vhd_change_parent(&image->vhd, parent, raw));
}

static int
run(const struct options *options)
{
	const struct option_value *size = &options->at['s'], *parent = &options->at['p'];
	bool raw = options->at['m'].given, kill = options->at['z'].given;
	struct image image;
	int err;

	if ((!size->given && !parent->given && !kill) || (raw && !parent->given))
		return options_wrong(&cmd_modify);
	err = image_open(&image, options->at['n'].text, VHD_OPEN_RDWR, IMAGE_LOCK_UPDATE);
	if (err)
		return err;
	if (kill)
		err = vhd_util_failed("dropping data of", image.name, vhd_kill_data(&image.vhd));
	if (!err && size->given)
		err = vhd_util_failed("setting physical size of", image.name,
				      vhd_set_phys_size(&image.vhd, (off_t)size->number));
	if (!err && parent->given)
		err = change_parent(&image, parent->text, raw);
	return image_close(&image, err);
}

const struct command cmd_modify = {
	.name = "modify",
	.help = "Change what an image is linked to, and where it ends.",
	.rows = rows,
	.run = run,
};
