/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame of the check, and its texts.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "vhd/lib/check-internal.h"

/* ---- texts ------------------------------------------------------------------------------------
 */

struct problem_row {
	const char *name;
	enum vhd_remedy remedy;
	const char *text;
};

static const struct problem_row problems[] = { [VHD_PROBLEM_NONE] = { "NONE", VHD_REMEDY_NONE, "" },
#define X(name, remedy, text) [VHD_PROBLEM_##name] = { #name, VHD_REMEDY_##remedy, text },
					       VHD_PROBLEMS(X)
#undef X
};

const char *
vhd_problem_name(enum vhd_problem_id id)
{
	return problems[id].name;
}

const char *
vhd_problem_remedy(enum vhd_problem_id id)
{
	static const char *const words[] = {
		[VHD_REMEDY_NONE] = "none",     [VHD_REMEDY_REPAIR] = "repair",
		[VHD_REMEDY_REVERT] = "revert", [VHD_REMEDY_MODIFY] = "modify",
		[VHD_REMEDY_WAIT] = "wait",
	};

	return words[problems[id].remedy];
}

const char *
vhd_area_name(enum vhd_area area)
{
	static const char *const names[] = {
		[VHD_AREA_FILE] = "file",        [VHD_AREA_FOOTER] = "footer",
		[VHD_AREA_COPY] = "footer copy", [VHD_AREA_FOOTERS] = "footers differ",
		[VHD_AREA_HEADER] = "header",    [VHD_AREA_BAT] = "bat",
		[VHD_AREA_BLOCK] = "block",      [VHD_AREA_BATMAP] = "batmap",
		[VHD_AREA_LOCATOR] = "locator",  [VHD_AREA_PARENT] = "parent",
	};

	return names[area];
}

int
vhd_check_found(struct vhd_check *check, enum vhd_area area, uint32_t number,
		enum vhd_problem_id id, ...)
{
	struct vhd_problem *problem = check->problem;
	size_t room = sizeof(problem->text);
	va_list args;
	int at;

	problem->id = id;
	problem->area = area;
	problem->number = number;
	if (area == VHD_AREA_BLOCK || area == VHD_AREA_LOCATOR)
		at = snprintf(problem->text, room, "%s %u: ", vhd_area_name(area), number);
	else
		at = snprintf(problem->text, room, "%s: ", vhd_area_name(area));
	va_start(args, id);
	vsnprintf(problem->text + at, room - (size_t)at, problems[id].text, args);
	va_end(args);
	return -EINVAL;
}

/* ---- the image --------------------------------------------------------------------------------
 */

bool
vhd_all_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	return size == 0 || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
}

static int
check_dynamic(struct vhd_check *check)
{
	int err = vhd_check_header_part(check);

	if (!err)
		err = vhd_check_batmap_part(check);
	if (!err)
		err = vhd_check_blocks(check);
	if (!err && (check->options->check_data || check->statistics))
		err = vhd_check_data(check);
	if (!err && check->footer->type == VHD_TYPE_DIFFERENCING)
		err = vhd_check_locators(check);
	return err;
}

int
vhd_check_image(const char *path, const struct vhd_check *child,
		const struct vhd_check_options *options, struct vhd_problem *problem,
		struct vhd_check_statistics *statistics)
{
	struct vhd_check check = {
		.options = options,
		.problem = problem,
		.statistics = statistics,
		.path = path,
		.child = child,
		.depth = child ? child->depth + 1 : 1,
	};
	int err = vhd_view_open(&check.view, path);

	if (err)
		return err;
	err = vhd_check_footers(&check);
	if (!err && !check.view.is_fixed)
		err = check_dynamic(&check);
	if (!err && check.view.is_fixed && statistics) {
		statistics->virtual_sectors = check.virtual_sectors;
		statistics->allocated_sectors = check.virtual_sectors;
		statistics->written_sectors = check.virtual_sectors;
	}
	free(check.bat);
	free(check.batmap);
	vhd_view_close(&check.view);
	return err;
}

int
vhd_check(const char *path, const struct vhd_check_options *options, struct vhd_problem *problem,
	  struct vhd_check_statistics *statistics)
{
	memset(problem, 0, sizeof(*problem));
	if (statistics)
		memset(statistics, 0, sizeof(*statistics));
	return vhd_check_image(path, NULL, options, problem, options->count ? statistics : NULL);
}
