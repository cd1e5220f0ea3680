/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a VHD image sound?
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/soundness.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/check.h"
#include "vhd/lib/image.h"

#define ENTRIES_MAX 4096 /* of the images here */

static const char *
wrong(struct crash_run *crash, const char *when, const char *what)
{
	kit_fail(&crash->kit, "%s: %s", when, what);
	return crash->kit.why;
}

/* A block that is marked full has all of its sectors. */
static bool
is_batmap_right(struct io *io, const struct vhd_image *image, const uint32_t *bat,
		const uint8_t *map)
{
	static uint8_t bitmap[VHD_SECTOR_SIZE];
	uint32_t block;

	for (block = 0; block < image->layout.entries; block++) {
		if (!vhd_bits_test(map, block))
			continue;
		if (bat[block] == VHD_BLOCK_UNUSED ||
		    vhd_image_read_bitmap(io, image, bat[block], bitmap))
			return false;
		if (!vhd_bits_all(bitmap, 0, image->layout.spb))
			return false;
	}
	return true;
}

/* Footer, header and table are sound, no blocks overlap, no block is called full that is not. */
static const char *
check_tables(struct crash_run *crash, struct io *io, const char *when)
{
	static uint32_t bat[ENTRIES_MAX];
	struct reason why = { "" };
	struct vhd_image image;
	uint8_t *map = NULL;
	bool is_right;

	if (vhd_image_read(io, 0, &image, &why))
		return wrong(crash, when, why.text);
	if (image.layout.entries > ENTRIES_MAX || image.layout.bm_secs != 1)
		return "an image that this test does not know";
	if (vhd_image_read_bat(io, &image, 0, image.layout.entries, bat))
		return wrong(crash, when, "the table of blocks cannot be read");
	if (vhd_image_check_bat(&image, bat, image.layout.entries, true, &why))
		return wrong(crash, when, why.text);
	if (vhd_image_read_batmap(io, &image, &map, &why))
		return NULL;
	is_right = is_batmap_right(io, &image, bat, map);
	free(map);
	return is_right ? NULL : wrong(crash, when, "a block is called full that is not");
}

/* What vhd-util check says, but for what waits for the next writer or for a journal. */
static const char *
check_with_tool(struct crash_run *crash, const char *path, const char *when)
{
	const struct vhd_check_options options = { .accept_lost_footer = true,
						   .ignore_time = true };
	struct vhd_problem problem;
	const char *remedy;
	int err = vhd_check(path, &options, &problem, NULL);

	if (!err)
		return NULL;
	if (err != -EINVAL)
		return wrong(crash, when, strerror(-err));
	/* Opening the image for writing puts these right. */
	remedy = vhd_problem_remedy(problem.id);
	if (strcmp(remedy, "repair") == 0 || strcmp(remedy, "write") == 0 ||
	    strcmp(remedy, "revert") == 0)
		return NULL;
	/* Images of tests name their parent in a locator only. */
	if (problem.id == VHD_PROBLEM_HEADER_PARENT_NAME)
		return NULL;
	return wrong(crash, when, problem.text);
}

const char *
vhd_soundness(struct crash_run *crash, const char *path, const char *when)
{
	const char *found;
	struct io *io;

	if (io_file_open(path, 0, &io))
		return wrong(crash, when, "it cannot be opened");
	found = check_tables(crash, io, when);
	io_close(io);
	return found ? found : check_with_tool(crash, path, when);
}
