/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util create and snapshot: new images.
 */
#include <errno.h>
#include <inttypes.h>

#include "vhd/vhd-util.h"

#define SIZE_STEP_MB 2 /* sizes are rounded up to blocks */

static uint64_t
round_up_mb(uint64_t mb)
{
	return (mb + SIZE_STEP_MB - 1) / SIZE_STEP_MB * SIZE_STEP_MB;
}

/* Say which size cannot be, if one cannot: 0 or -EINVAL. */
static int
check_sizes(const struct option_value *size, const struct option_value *most)
{
	if (size->given && !size->number)
		return vhd_util_refused(-EINVAL, "size is 0");
	if (size->number > SIZE_LIMIT_MB || most->number > SIZE_LIMIT_MB)
		return vhd_util_refused(-EINVAL, "size is too large: no more than %d MB",
					SIZE_LIMIT_MB);
	if (most->given && most->number < size->number)
		return vhd_util_refused(
			-EINVAL, "the size to prepare for, %" PRIu64 " MB, is below %" PRIu64 " MB",
			most->number, size->number);
	return 0;
}

static const struct option_row create_rows[] = {
	ROW_NAME,
	ROW_NUMBER('s', "MB", "size of the disk in MiB, rounded up to 2", true, UINT64_MAX),
	ROW_NUMBER('S', "MB", "prepare for this size, so that it can be reached by resize -f",
		   false, UINT64_MAX),
	ROW_FLAG('r', "fixed: all of the disk is in the file from the start"),
	ROW_LONG(OPTION_FORCE, "force", "replace a file that is no image"),
	ROW_END,
};

static int
run_create(const struct options *options)
{
	const struct option_value *size = &options->at['s'], *most = &options->at['S'];
	const char *name = options->at['n'].text;
	bool fixed = options->at['r'].given;
	int lock, err = check_sizes(size, most);

	if (err)
		return err;
	err = image_may_replace(name, options->at[OPTION_FORCE].given, &lock);
	if (!err)
		err = vhd_create(name, round_up_mb(size->number) << 20,
				 fixed ? VHD_TYPE_FIXED : VHD_TYPE_DYNAMIC,
				 fixed ? 0 : round_up_mb(most->number), 0);
	image_unlock(lock);
	return vhd_util_failed("creating", name, err);
}

const struct command cmd_create = {
	.name = "create",
	.help = "Make an image of a disk that is all zero.",
	.rows = create_rows,
	.run = run_create,
};

/* ---- snapshot ---------------------------------------------------------------------------------
 */

static const struct option_row snapshot_rows[] = {
	ROW_NAME,
	ROW_TEXT('p', "PARENT", "the image below the new one", true),
	ROW_NUMBER('S', "MB", "prepare for this size, so that it can be reached by resize -f",
		   false, UINT64_MAX),
	ROW_NUMBER('l', "N", "refuse if the parent's chain has so many images", false, INT32_MAX),
	ROW_FLAG('m', "the parent is raw"),
	ROW_FLAG('e', "link to the parent even if nothing was written to it"),
	ROW_LONG(OPTION_FORCE, "force", "replace a file that is no image"),
	ROW_END,
};

static int
check_depth(const char *parent, bool raw, uint64_t limit)
{
	struct image image;
	int depth = 1, err = 0;

	if (!raw) {
		err = image_peek(&image, parent, VHD_OPEN_RDONLY);
		if (err)
			return err;
		err = vhd_util_failed("finding the chain of", parent,
				      vhd_chain_depth(&image.vhd, &depth));
		err = image_close(&image, err);
	}
	if (!err && (uint64_t)depth >= limit)
		return vhd_util_refused(-ENOSPC, "chain is too deep: depth: %d, limit: %" PRIu64,
					depth, limit);
	return err;
}

static int
make_snapshot(const struct options *options, uint32_t flags)
{
	const char *name = options->at['n'].text, *parent = options->at['p'].text;
	int lock, parent_lock, err;

	err = image_lock(parent, IMAGE_LOCK_SHARED, &parent_lock);
	if (err)
		return vhd_util_failed_open(parent, err);
	err = image_may_replace(name, options->at[OPTION_FORCE].given, &lock);
	if (!err)
		err = vhd_snapshot(name, 0, parent, round_up_mb(options->at['S'].number), flags);
	image_unlock(lock);
	image_unlock(parent_lock);
	return vhd_util_failed("creating", name, err);
}

static int
run_snapshot(const struct options *options)
{
	const struct option_value *limit = &options->at['l'], none = { .given = false };
	const char *name = options->at['n'].text, *parent = options->at['p'].text;
	bool raw = options->at['m'].given;
	int err = check_sizes(&none, &options->at['S']);

	if (!err && limit->given)
		err = check_depth(parent, raw, limit->number);
	if (err)
		return err;
	if (image_in_chain(parent, name))
		return vhd_util_refused(-EINVAL, "error creating %s: %s needs it", name, parent);
	return make_snapshot(
		options, (raw ? VHD_FLAG_CREAT_PARENT_RAW : 0u) |
				 (options->at['e'].given ? VHD_FLAG_CREAT_KEEP_EMPTY_PARENT : 0u));
}

const struct command cmd_snapshot = {
	.name = "snapshot",
	.help = "Make an image that holds what is changed of its parent from now on.",
	.rows = snapshot_rows,
	.run = run_snapshot,
};
