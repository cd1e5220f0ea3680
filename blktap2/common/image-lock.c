/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Image locks by open-file description: byte 0 of the file is for readers and the writer, byte 1
 * for who changes an image that is being read.  Other users of such locks keep to bytes 100 and up,
 * so they do not see ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/image-lock.h"

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

static int
lock_byte(int fd, off_t byte, bool exclusive)
{
	struct flock lock = {
		.l_type = exclusive ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

int
image_lock(const char *path, enum image_lock_mode mode, int *out)
{
	bool writes = mode != IMAGE_LOCK_SHARED;
	AUTO_CLOSE int fd = -1;
	struct stat file;
	int err;

	*out = -1;
	/* What is no image file is the driver's to refuse; and no device is opened but to be used.
	 */
	if (stat(path, &file) || !(S_ISREG(file.st_mode) || S_ISBLK(file.st_mode)))
		return 0;
	fd = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || is_remote(fd))
		return 0;
	err = lock_byte(fd, 0, mode == IMAGE_LOCK_EXCLUSIVE);
	if (!err && mode == IMAGE_LOCK_UPDATE)
		err = lock_byte(fd, 1, true);
	if (err)
		return err == -EBUSY ? err : 0;
	*out = steal_fd(&fd);
	return 0;
}

void
image_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
