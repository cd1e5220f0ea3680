/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util resize: another size of the disk.
 */
#include <errno.h>
#include <inttypes.h>

#include "vhd/lib/resize.h"
#include "vhd/vhd-util.h"

#define BLOCK_MB 2

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_NUMBER('s', "MB", "the new size in MiB", true, UINT64_MAX),
	ROW_TEXT('j', "JOURNAL", "file from which the resize can be undone", false),
	ROW_FLAG('f', "fast: as far as the image was prepared for, also while it is read"),
	ROW_PROGRESS,
	ROW_END,
};

static int
resize_fast(struct image *image, uint64_t size_mb)
{
	uint64_t bytes = (size_mb + BLOCK_MB - 1) / BLOCK_MB * BLOCK_MB << 20, most;
	vhd_context_t *vhd = &image->vhd;
	int err;

	if (!vhd_creator_tapdisk(vhd))
		return vhd_util_refused(-EINVAL, "%s was not made by tools of this family",
					image->name);
	if (!vhd_type_dynamic(vhd))
		return vhd_util_refused(-EINVAL, "%s is a fixed image: use -j", image->name);
	if (bytes < vhd->footer.current_size)
		return vhd_util_refused(-EINVAL, "%s is larger: %" PRIu64 " MB", image->name,
					vhd->footer.current_size >> 20);
	if (bytes == vhd->footer.current_size)
		return 0;
	err = vhd_max_virt_size(vhd, &most);
	if (!err && bytes > most)
		return vhd_util_refused(-EINVAL, "%s is prepared for no more than %" PRIu64 " MB",
					image->name, most >> 20);
	if (!err)
		err = vhd_set_virt_size(vhd, bytes);
	return vhd_util_failed("resizing", image->name, err);
}

/* ---- with a journal ---------------------------------------------------------------------------
 */

/* A resize ends by itself or not at all: a signal waits for it. */
static void
show(void *arg, uint64_t done, uint64_t total)
{
	struct progress *progress = arg;

	progress->total = total * (BLOCK_MB << 20);
	progress_set(progress, done * (BLOCK_MB << 20));
}

/* Only an image of ours, as nobody else knows how its metadata lie; *same: there is nothing to do.
 */
static int
check_image(const char *name, uint64_t bytes, bool *same)
{
	struct image image;
	int err = image_peek(&image, name, VHD_OPEN_RDONLY);

	if (err)
		return err;
	*same = bytes == image.vhd.footer.current_size;
	if (!vhd_creator_tapdisk(&image.vhd))
		err = vhd_util_refused(-EINVAL, "%s was not made by tools of this family", name);
	return image_close(&image, err);
}

static int
resize_journaled(const struct options *options, uint64_t bytes)
{
	const char *name = options->at['n'].text;
	struct progress progress;
	const struct vhd_resize what = {
		.bytes = bytes,
		.hooks = { .at = vhd_util_test_point },
		.progress = show,
		.arg = &progress,
	};
	struct reason why = { "" };
	bool same = false;
	int err = check_image(name, bytes, &same);

	if (err || same)
		return err;
	progress_begin(&progress, 0, false, options->at[OPTION_PROGRESS].given);
	err = vhd_resize(name, options->at['j'].text, &what, &why);
	progress_end(&progress, !err);
	if (err && why.text[0])
		return vhd_util_refused(err, "error resizing %s: %s", name, why.text);
	return vhd_util_failed("resizing", name, err);
}

static int
run_journaled(const struct options *options)
{
	const char *name = options->at['n'].text;
	uint64_t mb = options->at['s'].number;
	int lock, err = image_lock(name, IMAGE_LOCK_EXCLUSIVE, &lock);

	if (err)
		return vhd_util_failed_open(name, err);
	err = resize_journaled(options, (mb + BLOCK_MB - 1) / BLOCK_MB * BLOCK_MB << 20);
	image_unlock(lock);
	return err;
}

static int
run(const struct options *options)
{
	const struct option_value *journal = &options->at['j'];
	uint64_t size_mb = options->at['s'].number;
	struct image image;
	int err;

	if (journal->given == options->at['f'].given)
		return options_wrong(&cmd_resize);
	if (!size_mb || size_mb > SIZE_LIMIT_MB)
		return vhd_util_refused(-EINVAL, "size must be 1 to %d MB", SIZE_LIMIT_MB);
	if (journal->given)
		return run_journaled(options);
	err = image_open(&image, options->at['n'].text, VHD_OPEN_RDWR, IMAGE_LOCK_UPDATE);
	return err ? err : image_close(&image, resize_fast(&image, size_mb));
}

const struct command cmd_resize = {
	.name = "resize",
	.help = "Give the disk another size.",
	.rows = rows,
	.run = run,
};

/* ---- revert -----------------------------------------------------------------------------------
 */

static const struct option_row revert_rows[] = {
	ROW_NAME,
	ROW_TEXT('j', "JOURNAL", "what resize left", true),
	ROW_END,
};

static int
run_revert(const struct options *options)
{
	const char *name = options->at['n'].text, *file = options->at['j'].text;
	vhd_journal_t journal;
	int lock, err, closed;

	err = image_lock(name, IMAGE_LOCK_EXCLUSIVE, &lock);
	if (err)
		return vhd_util_failed_open(name, err);
	err = vhd_util_failed("opening journal", file, vhd_journal_open(&journal, name, file));
	if (!err) {
		err = vhd_util_failed("reverting", name, vhd_journal_revert(&journal));
		closed = err ? vhd_journal_close(&journal) : vhd_journal_remove(&journal);
		err = err ? err : vhd_util_failed("removing journal", file, closed);
	}
	image_unlock(lock);
	return err;
}

const struct command cmd_revert = {
	.name = "revert",
	.help = "Undo a resize that was interrupted.",
	.rows = revert_rows,
	.run = run_revert,
};
