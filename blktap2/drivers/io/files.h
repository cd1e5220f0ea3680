/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kind of file a descriptor is, so far as it matters for the way its I/O is done.
 *
 * Some files never wait for a device: handing their I/O to a kernel thread costs more than doing
 * it.  A number may be closed and used for another file.  Where the engine knows of that, when
 * drivers have been opened, it has all kinds forgotten.  A driver may also do so while it is open,
 * and nobody is told: a kind is therefore believed for a number of turns, a small one where the
 * loop would wait if it were wrong.
 */
#ifndef IO_FILES_H
#define IO_FILES_H

#include <stdbool.h>
#include <stdint.h>

#define IO_FILES_KNOWN 64 /* descriptors remembered; a power of two */

enum io_file_kind {
	IO_FILE_UNKNOWN,
	IO_FILE_MEMORY,   /* tmpfs and the like: a transfer is a copy */
	IO_FILE_BUFFERED, /* through the page cache: may or may not wait */
	IO_FILE_DIRECT,   /* O_DIRECT; only where tells_direct */
};

struct io_file {
	int fd;
	enum io_file_kind kind;
	uint64_t turn;       /* when it was looked at */
	bool no_nowait_read; /* the file system does not know RWF_NOWAIT */
	bool no_nowait_write;
};

/* Zeroed by its owner. */
struct io_files {
	bool tells_direct; /* by the owner: else O_DIRECT counts as buffered, which is found faster
			    */
	uint64_t turn;     /* counted up by the owner */
	struct io_file known[IO_FILES_KNOWN];
};

/* Never waits.  Borrowed until the next call. */
struct io_file *io_files_find(struct io_files *files, int fd);

/* Descriptors have been closed and opened: look at each anew. */
void io_files_forget(struct io_files *files);

#endif
