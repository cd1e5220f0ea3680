/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util coalesce: an image becomes part of its parent.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "vhd/lib/coalesce.h"
#include "vhd/vhd-util.h"

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_FLAG('s', "zeros take no room in the parent"),
	ROW_FLAG('p', "show the percentage on stdout"),
	ROW_TEXT('o', "X", "accepted for old callers", false),
	ROW_TEXT('a', "X", "accepted for old callers", false),
	ROW_TEXT('x', "X", "accepted for old callers", false),
	ROW_PROGRESS,
	ROW_END,
};

static int
merge(struct image *child, const struct vhd_merge_target *target, const struct options *options)
{
	struct reason why = { "" };
	struct progress progress;
	const struct vhd_merge_watch watch = { .step = progress_step, .arg = &progress };
	uint64_t sectors;
	int err;

	progress_begin(&progress, 0, options->at['p'].given, options->at[OPTION_PROGRESS].given);
	err = vhd_merge(&child->vhd, target, &watch, &sectors, &why);
	progress_end(&progress, !err);
	if (err && why.text[0])
		return vhd_util_refused(err, "error coalescing %s: %s", child->name, why.text);
	if (err)
		return vhd_util_failed("coalescing", child->name, err);
	printf("Coalesced %" PRIu64 " sectors", sectors);
	return 0;
}

static int
merge_into_image(struct image *child, const char *path, const struct options *options)
{
	int flags = VHD_OPEN_RDWR | (options->at['s'].given ? VHD_OPEN_IO_WRITE_SPARSE : 0);
	struct image parent;
	int err = image_open(&parent, path, flags, IMAGE_LOCK_UPDATE);

	if (err)
		return err;
	err = merge(child, &(struct vhd_merge_target){ .vhd = &parent.vhd }, options);
	return image_close(&parent, err);
}

static int
merge_into_raw(struct image *child, const char *path, const struct options *options)
{
	struct io *io;
	int lock, err = image_lock(path, IMAGE_LOCK_UPDATE, &lock);

	if (!err)
		err = io_file_open(path, IO_WRITE, &io);
	if (err) {
		image_unlock(lock);
		return vhd_util_failed_open(path, err);
	}
	err = merge(child, &(struct vhd_merge_target){ .raw = io }, options);
	io_close(io);
	image_unlock(lock);
	return err;
}

static int
run(const struct options *options)
{
	const char *name = options->at['n'].text;
	AUTO_FREE char *path = NULL;
	struct image child;
	int err = image_open(&child, name, VHD_OPEN_RDONLY, IMAGE_LOCK_SHARED);

	if (err)
		return err;
	if (child.vhd.footer.type != VHD_TYPE_DIFFERENCING)
		return image_close(&child,
				   vhd_util_refused(-EINVAL, "%s is no differencing image", name));
	err = vhd_util_failed("finding parent of", name, vhd_parent_locator_get(&child.vhd, &path));
	if (!err)
		err = vhd_parent_raw(&child.vhd) ? merge_into_raw(&child, path, options)
						 : merge_into_image(&child, path, options);
	return image_close(&child, err);
}

const struct command cmd_coalesce = {
	.name = "coalesce",
	.help = "Write what an image holds to its parent; the image itself stays as it is.",
	.rows = rows,
	.run = run,
};
