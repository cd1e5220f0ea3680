/* SPDX-License-Identifier: BSD-2-Clause */
/* Directories of pages that readers map: see shm-dir.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/shm-dir.h"

#define NAME_BYTES 64

struct shm_dir {
	const char *root; /* borrowed */
	int fd;
	char name[NAME_BYTES];
};

static void
empty_directory(int dir)
{
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (!list) {
		if (copy >= 0)
			close(copy);
		return;
	}
	/* The copy shares its place in the list with the original. */
	rewinddir(list);
	while ((entry = readdir(list)))
		unlinkat(dir, entry->d_name, 0);
	closedir(list);
}

/* Open the directory if it is one, ours, and closed to others; -errno. */
static int
open_own_directory(int root, const char *name)
{
	AUTO_CLOSE int dir = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (dir < 0 || fstat(dir, &found))
		return -errno;
	if (found.st_uid != geteuid() || found.st_mode & 077)
		return -EPERM;
	return steal_fd(&dir);
}

/* A descriptor or -errno. */
static int
make_directory(const char *root, const char *name)
{
	AUTO_CLOSE int parent = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return -errno;
	if (mkdirat(parent, name, 0700) && errno != EEXIST)
		return -errno;
	return open_own_directory(parent, name);
}

struct shm_dir *
shm_dir_new(const char *root, const char *name)
{
	struct shm_dir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return NULL;
	dir->root = root;
	snprintf(dir->name, sizeof(dir->name), "%s", name);
	dir->fd = make_directory(root, dir->name);
	if (dir->fd < 0) {
		errno = -dir->fd;
		free(dir);
		return NULL;
	}
	empty_directory(dir->fd);
	return dir;
}

void
shm_dir_free(struct shm_dir *dir)
{
	int parent;

	if (!dir)
		return;
	empty_directory(dir->fd);
	close(dir->fd);
	parent = open(dir->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0) {
		unlinkat(parent, dir->name, AT_REMOVEDIR);
		close(parent);
	}
	free(dir);
}

void *
shm_map(struct shm_dir *dir, const char *name)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	AUTO_CLOSE int fd = -1;
	void *page = MAP_FAILED;

	unlinkat(dir->fd, name, 0);
	fd = openat(dir->fd, name, flags, 0600);
	if (fd < 0)
		return NULL;
	/* Allocated here, so that a full file system is an error now and not a signal later. */
	if (posix_fallocate(fd, 0, SHM_PAGE_BYTES) == 0)
		page = mmap(NULL, SHM_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		return page;
	unlinkat(dir->fd, name, 0);
	return NULL;
}

void
shm_unmap(void *page)
{
	if (page)
		munmap(page, SHM_PAGE_BYTES);
}

static int
write_file(const struct shm_dir *dir, const char *name, const void *data, size_t bytes)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	AUTO_CLOSE int fd = openat(dir->fd, name, flags, 0600);
	ssize_t written;

	if (fd < 0)
		return -errno;
	written = write(fd, data, bytes);
	if (written < 0)
		return -errno;
	return (size_t)written == bytes ? 0 : -ENOSPC;
}

int
shm_dir_replace(struct shm_dir *dir, const char *name, const void *data, size_t bytes)
{
	char fresh[NAME_BYTES];
	int err, length = snprintf(fresh, sizeof(fresh), "%s~", name);

	if (length < 0 || (size_t)length >= sizeof(fresh))
		return -ENAMETOOLONG;
	unlinkat(dir->fd, fresh, 0);
	err = write_file(dir, fresh, data, bytes);
	if (!err && renameat(dir->fd, fresh, dir->fd, name))
		err = -errno;
	if (err)
		unlinkat(dir->fd, fresh, 0);
	return err;
}

void
shm_dir_remove(struct shm_dir *dir, const char *name)
{
	unlinkat(dir->fd, name, 0);
}
