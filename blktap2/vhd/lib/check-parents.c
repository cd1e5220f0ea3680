/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of what a differencing image says of its parent, and of the parent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/check-internal.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/parent.h"

/* ---- one locator ------------------------------------------------------------------------------
 */

static bool
overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

/* Header, BAT, batmap, and the locators before this one; nothing of it wraps, all is in the file.
 */
static bool
overlaps_metadata(const struct vhd_check *check, unsigned index)
{
	const vhd_parent_locator_t *all = check->view.header.locator, *locator = &all[index];
	const struct vhd_layout *layout = &check->layout;
	uint64_t at = locator->data_offset, room = vhd_locator_room(locator);
	unsigned i;

	if (at < VHD_FOOTER_BYTES ||
	    overlap(at, room, check->footer->data_offset, VHD_HEADER_BYTES) ||
	    overlap(at, room, layout->table_offset, layout->table_end - layout->table_offset))
		return true;
	if (check->batmap &&
	    (overlap(at, room, layout->table_end, VHD_BATMAP_HEADER_BYTES) ||
	     overlap(at, room, check->view.batmap.batmap_offset,
		     (uint64_t)check->view.batmap.batmap_size << VHD_SECTOR_SHIFT)))
		return true;
	for (i = 0; i < index; i++)
		if (all[i].code != VHD_PLATFORM_NONE &&
		    overlap(at, room, all[i].data_offset, vhd_locator_room(&all[i])))
			return true;
	return false;
}

static bool
occurs_before(const vhd_parent_locator_t *all, unsigned index)
{
	unsigned i;

	for (i = 0; i < index; i++)
		if (all[i].code == all[index].code)
			return true;
	return false;
}

static int
check_place(struct vhd_check *check, unsigned i)
{
	const vhd_parent_locator_t *locator = &check->view.header.locator[i];
	uint64_t room = vhd_locator_room(locator);

#define FOUND(...) return vhd_check_found(check, VHD_AREA_LOCATOR, i, __VA_ARGS__)
	if (!vhd_platform_is_known(locator->code))
		FOUND(VHD_PROBLEM_LOCATOR_CODE, locator->code);
	if (occurs_before(check->view.header.locator, i))
		FOUND(VHD_PROBLEM_LOCATOR_TWICE, locator->code);
	if (!room)
		FOUND(VHD_PROBLEM_LOCATOR_SPACE, locator->data_space);
	if (locator->data_length > room || locator->data_length > VHD_LOCATOR_MAX_LENGTH)
		FOUND(VHD_PROBLEM_LOCATOR_LENGTH, locator->data_length);
	if (locator->data_offset % VHD_SECTOR_SIZE ||
	    !range_fits(locator->data_offset, room, check->view.file_bytes))
		FOUND(VHD_PROBLEM_LOCATOR_OFFSET, locator->data_offset);
	if (overlaps_metadata(check, i))
		FOUND(VHD_PROBLEM_LOCATOR_OVERLAP, locator->data_offset);
#undef FOUND
	return 0;
}

/* ---- where it leads ---------------------------------------------------------------------------
 */

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Relative names start at the folder of the image.  NULL: memory is short, or the image is gone. */
static char *
resolve(const struct vhd_check *check, const char *name)
{
	AUTO_FREE char *image = NULL;
	AUTO_FREE char *path = NULL;
	char *canonical;

	if (*name == '/')
		return strdup(name);
	image = realpath(check->path, NULL);
	if (!image)
		return NULL;
	*strrchr(image, '/') = '\0';
	if (asprintf(&path, "%s/%s", image, name) < 0)
		return NULL;
	return vhd_canonical_path(path, &canonical) == 0 ? canonical : STEAL(path);
}

static bool
parent_is_raw(const struct vhd_check *check)
{
	const vhd_header_t *header = &check->view.header;

	return vhd_all_zero(&header->parent_uuid, sizeof(header->parent_uuid));
}

static bool
has_uuid(const char *path, const vhd_uuid_t *uuid)
{
	struct vhd_view view;
	bool same;

	if (vhd_view_open(&view, path))
		return false;
	same = view.chosen && memcmp(&view.chosen->uuid, uuid, sizeof(*uuid)) == 0;
	vhd_view_close(&view);
	return same;
}

/* *path is the parent's, owned by the caller. */
static int
check_target(struct vhd_check *check, unsigned i, const char *parent_name, char **path)
{
	AUTO_FREE char *name = NULL;
	struct stat file;
	int err = vhd_view_locator(&check->view, i, &name);

#define FOUND(...) return vhd_check_found(check, VHD_AREA_LOCATOR, i, __VA_ARGS__)
	if (err == -EINVAL)
		FOUND(VHD_PROBLEM_LOCATOR_TEXT);
	if (err)
		return err;
	if (strcmp(base_name(name), parent_name) != 0)
		FOUND(VHD_PROBLEM_LOCATOR_NAME);
	*path = resolve(check, name);
	if (!*path)
		return -ENOMEM;
	if (stat(*path, &file))
		FOUND(VHD_PROBLEM_LOCATOR_MISSING);
	if (!check->options->ignore_parent_uuid && !parent_is_raw(check) &&
	    !has_uuid(*path, &check->view.header.parent_uuid))
		FOUND(VHD_PROBLEM_LOCATOR_UUID);
#undef FOUND
	return 0;
}

/* ---- the parent -------------------------------------------------------------------------------
 */

static bool
is_same_file(const struct vhd_check *check, const struct stat *file)
{
	struct stat own;

	return stat(check->path, &own) == 0 && own.st_dev == file->st_dev &&
	       own.st_ino == file->st_ino;
}

/* It says already which image of the chain is meant. */
static bool
names_image(const struct vhd_problem *problem)
{
	return problem->area == VHD_AREA_PARENT && problem->id != VHD_PROBLEM_PARENT_UNNAMED;
}

static int
check_parent(struct vhd_check *check, const char *path)
{
	const struct vhd_check *below;
	struct vhd_problem problem = { .id = VHD_PROBLEM_NONE };
	struct stat file;
	int err;

#define FOUND(...) return vhd_check_found(check, VHD_AREA_PARENT, 0, __VA_ARGS__)
	if (stat(path, &file))
		return -errno;
	for (below = check; below; below = below->child)
		if (is_same_file(below, &file))
			FOUND(VHD_PROBLEM_PARENT_LOOP, path);
	if (check->depth >= VHD_CHECK_MAX_DEPTH)
		FOUND(VHD_PROBLEM_PARENT_DEPTH, VHD_CHECK_MAX_DEPTH);
	err = vhd_check_image(path, check, check->options, &problem, NULL);
	if (err && names_image(&problem)) {
		*check->problem = problem;
		return err;
	}
	if (err && problem.id != VHD_PROBLEM_NONE)
		FOUND(VHD_PROBLEM_PARENT_INVALID, path, problem.text);
	if (err && err != -EINTR)
		FOUND(VHD_PROBLEM_PARENT_UNREADABLE, path, err);
#undef FOUND
	return err;
}

static int
check_unused(struct vhd_check *check, unsigned i)
{
	const vhd_parent_locator_t *locator = &check->view.header.locator[i];

	if (vhd_all_zero(locator, sizeof(*locator)))
		return 0;
	return vhd_check_found(check, VHD_AREA_LOCATOR, i, VHD_PROBLEM_LOCATOR_UNUSED);
}

int
vhd_check_locators(struct vhd_check *check)
{
	const vhd_header_t *header = &check->view.header;
	AUTO_FREE char *parent_name = NULL;
	AUTO_FREE char *parent = NULL;
	unsigned i;
	int err = 0;

	if (vhd_parent_name_decode(header->parent_name, &parent_name))
		return vhd_check_found(check, VHD_AREA_HEADER, 0, VHD_PROBLEM_HEADER_PARENT_NAME);
	for (i = 0; i < VHD_LOCATORS && !err; i++) {
		AUTO_FREE char *path = NULL;

		if (header->locator[i].code == VHD_PLATFORM_NONE) {
			err = check_unused(check, i);
			continue;
		}
		err = check_place(check, i);
		if (!err && vhd_platform_is_path(header->locator[i].code)) {
			err = check_target(check, i, parent_name, &path);
			if (!err && !parent)
				parent = STEAL(path);
		}
	}
	if (err)
		return err;
	if (!parent)
		return vhd_check_found(check, VHD_AREA_PARENT, 0, VHD_PROBLEM_PARENT_UNNAMED);
	return check->options->check_parents && !parent_is_raw(check) ? check_parent(check, parent)
								      : 0;
}
