/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kind of file a descriptor is, so far as it matters for the way its I/O is done.
 *
 * Some files never wait for a device: handing their I/O to a kernel thread costs more than doing
 * it. An answer is kept for one turn of the loop, so a descriptor number that is closed and used
 * again is seen anew; a wrong answer would cost time, never correctness.
 */
#ifndef IO_FILES_H
#define IO_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IO_FILES_KNOWN 64 /* descriptors remembered; a power of two */

enum io_file_kind {
	IO_FILE_MEMORY = 1, /* tmpfs and the like: a transfer is a copy */
	IO_FILE_BUFFERED,   /* through the page cache: may or may not wait */
	IO_FILE_DIRECT,     /* O_DIRECT: the kernel queues it */
};

struct io_file {
	int fd;
	enum io_file_kind kind; /* 0: nothing known */
	uint64_t turn;          /* when it was looked at */
	dev_t dev;
	ino_t ino;
	bool no_nowait_read; /* the file system does not know RWF_NOWAIT */
	bool no_nowait_write;
};

/* Zeroed by its owner. */
struct io_files {
	uint64_t turn; /* counted up by the owner */
	struct io_file known[IO_FILES_KNOWN];
};

/* Borrowed until the next call; NULL when fd is no file. */
struct io_file *io_files_find(struct io_files *files, int fd);

#endif
