/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold of the table of disktypes.h, for the build (disktypes-gen.c) and for the start of
 * tapdisk2 (tapdisk-disktype.c), which with TAPDISK looks at the drivers, too.
 */
#ifndef DRIVERS_DISKTYPES_CHECK_H
#define DRIVERS_DISKTYPES_CHECK_H

#include <string.h>

#ifdef TAPDISK
#include <tapdisk.h>
#endif

#include "drivers/disktypes.h"

#define DTYPES ((int)(sizeof(dtypes) / sizeof(dtypes[0])))
#define HANDLE_MAX 9 /* characters */

static inline int
disktypes_is_handle(const disk_info_t *entry)
{
	size_t length;

	/* An array that is full to the brim has lost its end. */
	if (!memchr(entry->handle, '\0', sizeof(entry->handle)))
		return 0;
	length = strspn(entry->handle, "abcdefghijklmnopqrstuvwxyz0123456789");
	return length >= 1 && length <= HANDLE_MAX && !entry->handle[length];
}

/* What is wrong between dtypes[at] and an entry before it, or NULL. */
static inline const char *
disktypes_clash(int at)
{
	int other;

	for (other = 0; other < at; other++) {
		if (dtypes[other] == &null_disk || dtypes[other] == dtypes[at])
			continue;
		if (dtypes[other]->idnum == dtypes[at]->idnum)
			return "its number is taken (step 2 of the guide)";
		if (strcmp(dtypes[other]->handle, dtypes[at]->handle) == 0)
			return "its handle is taken (step 3 of the guide)";
	}
	return NULL;
}

#ifdef TAPDISK
static inline const char *
disktypes_driver_fault(const struct tap_disk *drv)
{
	if (!drv)
		return "it has no driver (step 3 of the guide)";
	if (!drv->td_open || !drv->td_close || !drv->td_get_parent_id || !drv->td_validate_parent ||
	    !drv->td_queue_read || !drv->td_queue_write)
		return "its driver lacks a function that tapdisk.h calls required";
	return NULL;
}
#endif

/* What is wrong with dtypes[at], and where the guide (blktap2/README) tells it; NULL: nothing. */
static inline const char *
disktypes_fault(int at)
{
	const disk_info_t *entry = dtypes[at];
	const char *clash;

	if (entry == &null_disk)
		return NULL;
	if (entry->idnum < 0 || entry->idnum >= MAX_DISK_TYPES)
		return "its number is out of range (step 2 of the guide)";
	if (!entry->name[0])
		return "it has no name for people (step 3 of the guide)";
	if (!disktypes_is_handle(entry))
		return "its handle is not 1 to 9 of a-z and 0-9 (step 3 of the guide)";
	clash = disktypes_clash(at);
	if (clash)
		return clash;
	if (entry->idnum != at)
		return "its number is not its position in the table (step 4 of the guide)";
#ifdef TAPDISK
	return disktypes_driver_fault(entry->drv);
#else
	return NULL;
#endif
}

#endif
