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

#define DEVICE_NOTE "device" /* "device\n", or "device NAME\n" */
#define NOTE_BYTES (sizeof(DEVICE_NOTE) + MINOR_NAME_MAX + 2)

char *
minor_device(int minor)
{
	char *path;

	if (asprintf(&path, MINOR_DEVICE_DIR "/tapdev%d", minor) < 0)
		return NULL;
	return path;
}

int
minor_device_dir(void)
{
	if ((mkdir("/dev/xen", 0755) && errno != EEXIST) ||
	    (mkdir(MINOR_DEVICE_DIR, 0755) && errno != EEXIST))
		return -errno;
	return 0;
}

/* Is there a note in the marker?  Then name is the one in it, or empty. */
static bool
read_note(int marker, char name[static NOTE_BYTES])
{
	const size_t length = sizeof(DEVICE_NOTE) - 1;
	ssize_t got = pread(marker, name, NOTE_BYTES - 1, 0);

	if (got <= (ssize_t)length || memcmp(name, DEVICE_NOTE, length) != 0 ||
	    name[got - 1] != '\n')
		return false;
	name[got - 1] = '\0';
	if (name[length] && name[length] != ' ')
		return false;
	memmove(name, name + length + (name[length] == ' '), (size_t)got - length);
	return true;
}

/* Does name, a symbolic link, stand for the device of the minor? */
static bool
is_name_of(const char *name, int minor)
{
	AUTO_FREE char *device = minor_device(minor);
	char target[64];
	ssize_t length = readlink(name, target, sizeof(target));

	return device && length >= 0 && (size_t)length == strlen(device) &&
	       memcmp(target, device, (size_t)length) == 0;
}

/* A plain name has its place beside the classic ones.  Owned by the caller; NULL: no name. */
static char *
full_name(const char *name)
{
	const char *slash = strchr(name, '/');
	char *full;

	if (!*name || strchr(name, '\n') || (slash && slash != name))
		return NULL;
	if (asprintf(&full, "%s%s", slash ? "" : MINOR_DEVICE_DIR "/", name) < 0)
		return NULL;
	if (strlen(full) <= MINOR_NAME_MAX)
		return full;
	free(full);
	return NULL;
}

static int
write_note(const char *control_dir, int minor, const char *name)
{
	AUTO_FREE char *path = minor_path(control_dir, minor);
	AUTO_CLOSE int fd = -1;
	int length;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = dprintf(fd, "%s%s%s\n", DEVICE_NOTE, name ? " " : "", name ? name : "");
	return length < 0 ? -errno : 0;
}

int
minor_want_device(const char *control_dir, int minor, const char *name)
{
	AUTO_FREE char *full = name ? full_name(name) : NULL;
	AUTO_FREE char *device = minor_device(minor);
	int err;

	if (!device)
		return -ENOMEM;
	if (!name)
		return write_note(control_dir, minor, NULL);
	if (!full)
		return -EINVAL;
	err = *name == '/' ? 0 : minor_device_dir();
	if (err)
		return err;
	err = symlink(device, full) ? -errno : 0;
	if (err && (err != -EEXIST || !is_name_of(full, minor)))
		return err;
	err = write_note(control_dir, minor, full);
	if (err)
		unlink(full);
	return err;
}

bool
minor_wants_device(const char *control_dir, int minor)
{
	AUTO_FREE char *path = minor_path(control_dir, minor);
	AUTO_CLOSE int fd = -1;
	char name[NOTE_BYTES];

	if (!path)
		return false;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && read_note(fd, name);
}

/* ---- giving back -------------------------------------------------------------------------------
 */

int
minor_free(const char *control_dir, int minor)
{
	AUTO_CLOSE int directory = lock_directory(control_dir);
	AUTO_CLOSE int fd = -1;
	char name[32], device[NOTE_BYTES];

	if (directory < 0)
		return directory;
	marker_name(name, sizeof(name), minor);
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (read_note(fd, device) && *device && is_name_of(device, minor))
		unlink(device);
	return unlinkat(directory, name, 0) ? -errno : 0;
}
