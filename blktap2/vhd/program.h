/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of this folder begin with.
 */
#ifndef VHD_PROGRAM_H
#define VHD_PROGRAM_H

#include <stdbool.h>

/*
 * Names are in the characters of the locale; and neither a closed pipe nor a file that may not grow
 * kills a program: both are errors like others.  0 or -errno.
 */
int program_begin(void);

/* The only argument asks for the version, which has been printed. */
bool program_tells_version(const char *name, int argc, char **argv);

#endif
