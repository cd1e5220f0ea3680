/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes a history of everything that this program does to the files of a folder.
 *
 * It stands in the place of the C library's calls that change files, so it sees tools and
 * libraries; operations of the fake loop are seen from when they are queued to when they have
 * ended.
 */
#ifndef TESTS_CRASH_RECORD_H
#define TESTS_CRASH_RECORD_H

#include "tests/crash/history.h"

struct fake_control;

/* The files that are in the folder now are there as they are, durably. */
void record_start(struct history *history, const char *folder);
void record_stop(void);

/* Of this loop, too. */
void record_loop(struct fake_control *control);

#endif
