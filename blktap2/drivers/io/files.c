/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of files: see files.h.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "drivers/io/files.h"

/* Device nodes live on a memory file system, too: only the content of regular files counts. */
static bool
is_memory(int fd, const struct stat *st)
{
	struct statfs fs;

	if (!S_ISREG(st->st_mode) || fstatfs(fd, &fs))
		return false;
	return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
}

struct io_file *
io_files_find(struct io_files *files, int fd)
{
	struct io_file *file = &files->known[(unsigned)fd % IO_FILES_KNOWN];
	struct stat st;
	int flags;

	if (file->kind && file->fd == fd && file->turn == files->turn)
		return file;
	if (fstat(fd, &st)) {
		file->kind = 0;
		return NULL;
	}
	if (!file->kind || file->fd != fd || file->dev != st.st_dev || file->ino != st.st_ino) {
		*file = (struct io_file){ .fd = fd, .dev = st.st_dev, .ino = st.st_ino };
		if (is_memory(fd, &st))
			file->kind = IO_FILE_MEMORY;
	}
	file->turn = files->turn;
	if (file->kind == IO_FILE_MEMORY)
		return file;

	flags = fcntl(fd, F_GETFL);
	file->kind = flags >= 0 && (flags & O_DIRECT) ? IO_FILE_DIRECT : IO_FILE_BUFFERED;
	return file;
}
