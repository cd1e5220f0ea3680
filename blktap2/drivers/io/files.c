/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of files: see files.h.
 *
 * fstatfs and fstat would ask a file server, and wait for it.  Seals are kept in memory, and only
 * files that live in memory have them.
 */
#include <fcntl.h>

#include "drivers/io/files.h"

/* How long a kind is believed: a chain of thirty images asks for twenty in a turn. */
#define HARMLESS_TURNS 256
#define WAITING_TURNS 32

static enum io_file_kind
kind_of(const struct io_files *files, int fd)
{
	int flags;

	if (fcntl(fd, F_GET_SEALS) >= 0)
		return IO_FILE_MEMORY;
	flags = files->tells_direct ? fcntl(fd, F_GETFL) : 0;
	return flags >= 0 && (flags & O_DIRECT) ? IO_FILE_DIRECT : IO_FILE_BUFFERED;
}

/* Linux AIO submits direct transfers only without waiting. */
static bool
is_current(const struct io_files *files, const struct io_file *file)
{
	uint64_t turns = file->kind == IO_FILE_BUFFERED ? HARMLESS_TURNS : WAITING_TURNS;

	return file->kind != IO_FILE_UNKNOWN && files->turn - file->turn < turns;
}

struct io_file *
io_files_find(struct io_files *files, int fd)
{
	struct io_file *file = &files->known[(unsigned)fd % IO_FILES_KNOWN];

	if (file->fd == fd && is_current(files, file))
		return file;
	*file = (struct io_file){ .fd = fd, .kind = kind_of(files, fd), .turn = files->turn };
	return file;
}

void
io_files_forget(struct io_files *files)
{
	files->turn += HARMLESS_TURNS;
}
