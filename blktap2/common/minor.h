/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Minors: the numbers of virtual disks.  A number is taken by an empty marker file in the control
 * directory, and in use while a tapdisk holds a lock on that file.
 */
#ifndef COMMON_MINOR_H
#define COMMON_MINOR_H

#define MINOR_MAX 16383

/* The directory and file of the markers, below the control directory. */
#define MINOR_DIR "tapdisk"
#define MINOR_PREFIX "tapdisk-"

/*
 * Take the lowest free number, making the directories if need be.  Returns 0, -ENOSPC none is left,
 * -ETIMEDOUT others hold the directory, or -errno.
 */
int minor_allocate(const char *control_dir, int *minor);

/* Take this number: 0, -EEXIST, -EINVAL out of range, or as minor_allocate. */
int minor_allocate_this(const char *control_dir, int minor);

/* Give the number back: 0, -ENOENT not taken, -EAGAIN in use by a tapdisk, or -errno. */
int minor_free(const char *control_dir, int minor);

/*
 * Use the number: lock its marker.  *fd holds the lock until it is closed.  Returns 0, -EINVAL out
 * of range, -ENOENT not taken, -EBUSY in use, or -errno.
 */
int minor_lock(const char *control_dir, int minor, int *fd);

/* The path of the marker, owned by the caller; NULL: memory is short. */
char *minor_path(const char *control_dir, int minor);

#endif
