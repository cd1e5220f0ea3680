/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks on image files: one writer, or many readers, over all processes of the host.
 */
#ifndef COMMON_IMAGE_LOCK_H
#define COMMON_IMAGE_LOCK_H

enum image_lock_mode {
	IMAGE_LOCK_SHARED,    /* one of many readers */
	IMAGE_LOCK_EXCLUSIVE, /* the one writer, and no reader */
	/*
	 * The one writer among readers who bear with it: tools that change of an image only what an
	 * open reader has in memory already, or will not ask for.
	 */
	IMAGE_LOCK_UPDATE,
};

/*
 * Lock the file at path by open-file locks on its first two bytes.  *fd holds the lock, or is -1
 * where there is nothing to lock: no such file, not a local one, not a regular file or block
 * device, one that may not be written.  Returns 0, or -EBUSY: somebody else has it.
 */
int image_lock(const char *path, enum image_lock_mode mode, int *fd);

void image_unlock(int fd); /* -1 is fine */

#endif
