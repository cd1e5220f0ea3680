/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking up disk types: the names and drivers of disktypes.h.
 */
#ifndef DRIVERS_TAPDISK_DISKTYPE_H
#define DRIVERS_TAPDISK_DISKTYPE_H

struct reason;
struct tapdisk_type;

/* Is the table in order, and every driver complete?  0, or -EINVAL with *why naming the entry. */
int tapdisk_disktype_check(struct reason *why);

/* The index of the type called name: -ENOENT unknown, -ENOSYS known, but not built in. */
int tapdisk_disktype_find(const char *name);

/*
 * Split "type:path".  Returns the index of the type, with *path pointing behind the first colon, or
 * as tapdisk_disktype_find, -EINVAL without a colon or a path, -ENAMETOOLONG.
 */
int tapdisk_disktype_parse_params(const char *params, const char **path);

/* The same with the index in *type: 0 or the errors above. */
int tapdisk_parse_disk_type(const char *params, const char **path, int *type);

/*
 * All types for the engine, and the names of those that are known, but not built in; ended by a
 * NULL handle.  Owned by the caller: free() it.  NULL: memory is short.
 */
struct tapdisk_type *tapdisk_disktype_table(void);

#endif
