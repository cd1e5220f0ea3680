/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of disktypes.h as the engine and the command line see it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <tapdisk.h>

#define TAPDISK
#include "common/reason.h"
#include "drivers/core/server.h"
#include "drivers/disktypes-check.h"
#include "drivers/tapdisk-disktype.h"

/* Types of the format family that other builds may have: a better answer than "unknown". */
static const char *const reserved[] = {
	"vhdsync", "vmdk",  "vhd", "qcow", "qcow2", "vhdx", "bc",    "vhdi",
	"log",     "remus", "nbd", "lc",   "lle",   "llp",  "valve",
};

#define RESERVED ((int)(sizeof(reserved) / sizeof(reserved[0])))

int
tapdisk_disktype_check(struct reason *why)
{
	const char *fault;
	int i;

	for (i = 0; i < DTYPES; i++) {
		fault = disktypes_fault(i);
		if (fault)
			return reason(why, -EINVAL, "dtypes[%d] (\"%.9s\"): %s", i,
				      dtypes[i]->handle, fault);
	}
	return 0;
}

int
tapdisk_disktype_find(const char *name)
{
	int i;

	for (i = 0; i < DTYPES; i++)
		if (dtypes[i] != &null_disk && strcmp(dtypes[i]->handle, name) == 0)
			return dtypes[i]->drv ? i : -ENOSYS;
	for (i = 0; i < RESERVED; i++)
		if (strcmp(reserved[i], name) == 0)
			return -ENOSYS;
	return -ENOENT;
}

int
tapdisk_disktype_parse_params(const char *params, const char **path)
{
	const char *colon = strchr(params, ':');
	char name[HANDLE_MAX + 1];
	int type;

	if (!colon || !colon[1])
		return -EINVAL;
	if (colon - params > HANDLE_MAX || strlen(params) >= MAX_NAME_LEN)
		return -ENAMETOOLONG;
	memcpy(name, params, (size_t)(colon - params));
	name[colon - params] = '\0';
	type = tapdisk_disktype_find(name);
	if (type >= 0)
		*path = colon + 1;
	return type;
}

int
tapdisk_parse_disk_type(const char *params, const char **path, int *type)
{
	int found = tapdisk_disktype_parse_params(params, path);

	if (found < 0)
		return found;
	*type = found;
	return 0;
}

static bool
is_built(const char *name)
{
	return tapdisk_disktype_find(name) >= 0;
}

struct tapdisk_type *
tapdisk_disktype_table(void)
{
	struct tapdisk_type *table = calloc(DTYPES + RESERVED + 1, sizeof(*table)), *next = table;
	int i;

	for (i = 0; table && i < DTYPES; i++)
		if (dtypes[i] != &null_disk)
			*next++ = (struct tapdisk_type){ .number = i,
							 .handle = dtypes[i]->handle,
							 .singleton = dtypes[i]->single_handler,
							 .ops = dtypes[i]->drv };
	for (i = 0; table && i < RESERVED; i++)
		if (!is_built(reserved[i]))
			*next++ = (struct tapdisk_type){ .number = -1, .handle = reserved[i] };
	return table;
}
