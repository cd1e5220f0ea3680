/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extents: appended as they come, put in order once.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "drivers/core/extents.h"

static bool
continues(const struct vbd_extent *before, uint64_t sector, int status)
{
	return before->status == status && before->sector + before->sectors == sector;
}

int
vbd_extents_add(struct vbd_extents *extents, uint64_t sector, uint64_t sectors, int status)
{
	size_t room = extents->room ? extents->room * 2 : 16;
	struct vbd_extent *at;

	if (extents->count && continues(&extents->at[extents->count - 1], sector, status)) {
		extents->at[extents->count - 1].sectors += sectors;
		return 0;
	}
	if (extents->count == extents->room) {
		at = reallocarray(extents->at, room, sizeof(*at));
		if (!at)
			return -ENOMEM;
		extents->at = at;
		extents->room = room;
	}
	extents->at[extents->count++] =
		(struct vbd_extent){ .sector = sector, .sectors = sectors, .status = status };
	return 0;
}

static int
by_sector(const void *left, const void *right)
{
	const struct vbd_extent *a = left, *b = right;

	return a->sector < b->sector ? -1 : a->sector > b->sector;
}

void
vbd_extents_sort(struct vbd_extents *extents)
{
	size_t from, to = 0;

	if (extents->count < 2)
		return;
	qsort(extents->at, extents->count, sizeof(*extents->at), by_sector);
	for (from = 1; from < extents->count; from++) {
		const struct vbd_extent *next = &extents->at[from];

		if (continues(&extents->at[to], next->sector, next->status))
			extents->at[to].sectors += next->sectors;
		else
			extents->at[++to] = *next;
	}
	extents->count = to + 1;
}
