/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must be true of a VHD image after every cut.
 */
#ifndef TESTS_CRASH_SOUNDNESS_H
#define TESTS_CRASH_SOUNDNESS_H

#include "tests/crash/crash-run.h"

/* Footer (or its copy), tables, blocks and batmap fit together: NULL, or what does not, when. */
const char *vhd_soundness(struct crash_run *crash, const char *path, const char *when);

#endif
