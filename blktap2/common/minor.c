/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Marker files.  Taking and giving back happen under a lock on their directory, so that a number is
 * never given back while somebody begins to use it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "common/patience.h"
#include "common/rundir.h"

char *
minor_path(const char *control_dir, int minor)
{
	char *path;

	if (asprintf(&path, "%s/%s/%s%d", control_dir, MINOR_DIR, MINOR_PREFIX, minor) < 0)
		return NULL;
	return path;
}

/* The directory of the markers, locked: a descriptor, or -errno. */
static int
lock_directory(const char *control_dir)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;
	int err;

	if (asprintf(&path, "%s/%s", control_dir, MINOR_DIR) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = lock_with_patience(fd);
	return err ? err : steal_fd(&fd);
}

static void
marker_name(char *name, size_t size, int minor)
{
	snprintf(name, size, "%s%d", MINOR_PREFIX, minor);
}

/* Make the marker: 0, -EEXIST, or -errno. */
static int
mark(int directory, int minor)
{
	char name[32];
	int fd;

	marker_name(name, sizeof(name), minor);
	fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int
minor_allocate(const char *control_dir, int *minor)
{
	AUTO_CLOSE int directory = -1;
	int n, err;

	err = rundir_create(control_dir);
	if (err)
		return err;
	directory = lock_directory(control_dir);
	if (directory < 0)
		return directory;
	for (n = 0; n <= MINOR_MAX; n++) {
		err = mark(directory, n);
		if (err == -EEXIST)
			continue;
		if (!err)
			*minor = n;
		return err;
	}
	return -ENOSPC;
}

int
minor_allocate_this(const char *control_dir, int minor)
{
	AUTO_CLOSE int directory = -1;
	int err;

	if (minor < 0 || minor > MINOR_MAX)
		return -EINVAL;
	err = rundir_create(control_dir);
	if (err)
		return err;
	directory = lock_directory(control_dir);
	return directory < 0 ? directory : mark(directory, minor);
}

int
minor_free(const char *control_dir, int minor)
{
	AUTO_CLOSE int directory = lock_directory(control_dir);
	AUTO_CLOSE int fd = -1;
	char name[32];

	if (directory < 0)
		return directory;
	marker_name(name, sizeof(name), minor);
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return unlinkat(directory, name, 0) ? -errno : 0;
}

int
minor_lock(const char *control_dir, int minor, int *out)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;
	struct stat locked, found;

	if (minor < 0 || minor > MINOR_MAX)
		return -EINVAL;
	path = minor_path(control_dir, minor);
	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	/* It may have been given back, and even taken anew, between the open and the lock. */
	if (fstat(fd, &locked) || stat(path, &found) || locked.st_ino != found.st_ino ||
	    locked.st_dev != found.st_dev)
		return -ENOENT;
	*out = steal_fd(&fd);
	return 0;
}

/* ---- devices ----------------------------------------------------------------------------------
 */

#define DEVICE_NOTE "device\n"

int
minor_want_device(const char *control_dir, int minor)
{
	AUTO_FREE char *path = minor_path(control_dir, minor);
	AUTO_CLOSE int fd = -1;
	ssize_t size;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size = write(fd, DEVICE_NOTE, sizeof(DEVICE_NOTE) - 1);
	if (size < 0)
		return -errno;
	return size == sizeof(DEVICE_NOTE) - 1 ? 0 : -EIO;
}

bool
minor_wants_device(const char *control_dir, int minor)
{
	AUTO_FREE char *path = minor_path(control_dir, minor);
	AUTO_CLOSE int fd = -1;
	char note[sizeof(DEVICE_NOTE)];

	if (!path)
		return false;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && read(fd, note, sizeof(note)) == sizeof(DEVICE_NOTE) - 1 &&
	       memcmp(note, DEVICE_NOTE, sizeof(DEVICE_NOTE) - 1) == 0;
}

char *
minor_device(int minor)
{
	char *path;

	if (asprintf(&path, MINOR_DEVICE_DIR "/tapdev%d", minor) < 0)
		return NULL;
	return path;
}
