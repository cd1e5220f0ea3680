/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a program for what it prints.
 */
#ifndef LVM_COMMAND_H
#define LVM_COMMAND_H

#include "common/reason.h"

/*
 * Run argv[0], found in PATH, with the C locale and nothing to read; no shell is involved.  Returns
 * 0 with *output, its standard output as a string that the caller frees; or, with *why: -ENOENT no
 * such program; -EIO it failed; -ETIMEDOUT; -EMSGSIZE it printed too much, or a NUL; -errno.
 */
int command_output(char *const argv[], char **output, struct reason *why);

#endif
