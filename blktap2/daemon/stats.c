/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names in the directory that a tapdisk keeps for its pages.  Everybody may write beside it, so it
 * is believed only when it is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/stats.h"

#define NAME_BYTES 64

struct names {
	char directory[NAME_BYTES], disk[NAME_BYTES], ring[NAME_BYTES];
};

static struct names
names_of(const struct stats_name *name)
{
	struct names names;

	snprintf(names.directory, sizeof(names.directory), "/dev/shm/td3-%u", name->pid);
	snprintf(names.disk, sizeof(names.disk), "vdi-%u", name->minor);
	snprintf(names.ring, sizeof(names.ring), "vbd-%u-%u", name->domid, name->devid);
	return names;
}

/* A descriptor, or -errno. */
static int
open_directory(const char *path)
{
	AUTO_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (dir < 0 || fstat(dir, &found))
		return -errno;
	if (found.st_uid != geteuid() || found.st_mode & 077)
		return -EPERM;
	return steal_fd(&dir);
}

int
stats_show(const struct stats_name *name)
{
	struct names names = names_of(name);
	AUTO_CLOSE int dir = open_directory(names.directory);

	if (dir < 0)
		return dir;
	if (linkat(dir, names.disk, dir, names.ring, 0) && errno != EEXIST)
		return -errno;
	return 0;
}

void
stats_hide(const struct stats_name *name)
{
	struct names names = names_of(name);
	AUTO_CLOSE int dir = open_directory(names.directory);
	struct stat disk, ring;

	if (dir < 0 || fstatat(dir, names.disk, &disk, AT_SYMLINK_NOFOLLOW) ||
	    fstatat(dir, names.ring, &ring, AT_SYMLINK_NOFOLLOW))
		return;
	if (disk.st_ino == ring.st_ino)
		unlinkat(dir, names.ring, 0);
}
