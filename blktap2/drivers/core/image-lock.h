/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks on image files: one writer, or many readers, over all processes of the host.
 */
#ifndef CORE_IMAGE_LOCK_H
#define CORE_IMAGE_LOCK_H

#include <stdbool.h>

/*
 * Lock the file at path for writing (alone) or reading (shared), by an open-file lock on its first
 * byte.  *fd holds the lock, or is -1 where there is nothing to lock: no such file, not a local
 * one, not a regular file or block device.  Returns 0, or -EBUSY: another disk has it.
 */
int image_lock(const char *path, bool exclusive, int *fd);

void image_unlock(int fd); /* -1 is fine */

#endif
