/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which tapdisk serves a minor, when nobody has said.
 */
#ifndef DAEMON_LOCATE_H
#define DAEMON_LOCATE_H

#include <stdint.h>
#include <stdio.h>

/*
 * The process that holds the marker of the minor in the control directory: 0, -ENOENT nobody, or
 * -errno.  The process is to be asked whether it is a tapdisk with that disk.
 */
int locate_minor(const char *dir, uint32_t minor, uint32_t *pid);

/*
 * The same by a list of locks, as the kernel has it, and the marker's inode.  Files elsewhere may
 * have that inode, too, and be locked by programs that have no socket in the directory.
 */
int locate_holder(FILE *locks, uint64_t inode, const char *dir, uint32_t *pid);

#endif
