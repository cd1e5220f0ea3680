/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes at a place of a file that are done as a whole: short ones are continued, and a
 * signal in between is no end.
 */
#ifndef COMMON_WHOLE_H
#define COMMON_WHOLE_H

#include <stddef.h>
#include <stdint.h>

/* All bytes from at on: 0, -ENODATA when the file ends before, or -errno. */
int whole_read(int fd, void *buf, size_t bytes, uint64_t at);
int whole_write(int fd, const void *buf, size_t bytes, uint64_t at); /* 0 or -errno */

#endif
