/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Image locks by open-file description, on byte 0 of the file.  Other users of such locks keep to
 * bytes 100 and up, so they do not see ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/image-lock.h"

#define SMB_MAGIC 0x517B
#define CIFS_MAGIC 0xFF534D42
#define SMB2_MAGIC 0xFE534D42

/* A lock on a network file system may hang with its server, and not be seen by its other clients.
 */
static bool
is_remote(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	switch ((unsigned long)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case CIFS_MAGIC:
	case SMB2_MAGIC:
	case SMB_MAGIC:
		return true;
	default:
		return false;
	}
}

int
image_lock(const char *path, bool exclusive, int *out)
{
	struct flock lock = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = 0,
		.l_len = 1,
	};
	AUTO_CLOSE int fd = -1;
	struct stat file;

	*out = -1;
	/* What is no image file is the driver's to refuse; and no device is opened but to be used.
	 */
	if (stat(path, &file) || !(S_ISREG(file.st_mode) || S_ISBLK(file.st_mode)))
		return 0;
	fd = open(path, (exclusive ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || is_remote(fd))
		return 0;
	if (fcntl(fd, F_OFD_SETLK, &lock))
		return errno == EAGAIN || errno == EACCES ? -EBUSY : 0;
	*out = steal_fd(&fd);
	return 0;
}

void
image_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
