/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory behind struct io, which fails when it is told to.
 */
#ifndef TESTS_VHD_MEMORY_IO_H
#define TESTS_VHD_MEMORY_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io.h"

/* What is stored: it survives its io, as a disk survives a process. */
struct memory_disk {
	uint8_t *at; /* owned: memory_disk_free() */
	size_t bytes;
	size_t room;
	bool is_device;

	unsigned calls;   /* that were made */
	unsigned fail_at; /* this call fails with -EIO, counted from 1; 0: none */
	bool stays_down;  /* and all after it */
	bool writes_only; /* calls that change nothing do not count */
};

/* A new io on the disk; closing it frees no more than the io. */
struct io *memory_io(struct memory_disk *disk);

/* The disk has so many bytes, and zeros where it grows. */
void memory_disk_resize(struct memory_disk *disk, size_t bytes);
void memory_disk_copy(struct memory_disk *to, const struct memory_disk *from);
void memory_disk_free(struct memory_disk *disk);

#endif
