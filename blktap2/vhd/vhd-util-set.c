/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util set and repair: one field, and the footers.
 */
#include <errno.h>
#include <string.h>

#include "vhd/lib/repair.h"
#include "vhd/vhd-util.h"

static const struct option_row set_rows[] = {
	ROW_NAME,
	ROW_TEXT('f', "FIELD", "hidden or marker", true),
	ROW_NUMBER('v', "VALUE", "0 to 255", true, 255),
	ROW_END,
};

static int
run_set(const struct options *options)
{
	const char *field = options->at['f'].text;
	int value = (int)options->at['v'].number;
	bool hidden = strcmp(field, "hidden") == 0;
	struct image image;
	int err;

	if (!hidden && strcmp(field, "marker") != 0)
		return vhd_util_refused(-EINVAL, "unknown field: %s: hidden and marker can be set",
					field);
	err = image_open(&image, options->at['n'].text, VHD_OPEN_RDWR, IMAGE_LOCK_UPDATE);
	if (err)
		return err;
	err = hidden ? vhd_set_hidden(&image.vhd, value) : vhd_set_marker(&image.vhd, (char)value);
	return image_close(&image, vhd_util_failed("setting field of", image.name, err));
}

const struct command cmd_set = {
	.name = "set",
	.help = "Set a field of an image.",
	.rows = set_rows,
	.run = run_set,
};

/* ---- repair -----------------------------------------------------------------------------------
 */

static const struct option_row repair_rows[] = {
	ROW_NAME,
	ROW_FLAG('b', "take the copy of the footer, even if the one at the end is valid"),
	ROW_END,
};

static int
run_repair(const struct options *options)
{
	int flags = VHD_OPEN_RDWR | (options->at['b'].given ? VHD_OPEN_USE_BKP_FOOTER : 0);
	struct image image;
	int err = image_open(&image, options->at['n'].text, flags, IMAGE_LOCK_EXCLUSIVE);

	if (err)
		return err;
	return image_close(&image,
			   vhd_util_failed("repairing", image.name, vhd_repair(&image.vhd)));
}

const struct command cmd_repair = {
	.name = "repair",
	.help = "Write the footer at the end from its copy, if it is not valid.",
	.rows = repair_rows,
	.run = run_repair,
};
