/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Minors: the numbers of virtual disks.  A number is taken by a marker file in the control
 * directory, and in use while a tapdisk holds a lock on that file.
 */
#ifndef COMMON_MINOR_H
#define COMMON_MINOR_H

#include <stdbool.h>

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

/* Give the number back, and the name that it has brought its device: 0, -ENOENT not taken, -EAGAIN
 * in use by a tapdisk, or -errno. */
int minor_free(const char *control_dir, int minor);

/*
 * Use the number: lock its marker.  *fd holds the lock until it is closed.  Returns 0, -EINVAL out
 * of range, -ENOENT not taken, -EBUSY in use, or -errno.
 */
int minor_lock(const char *control_dir, int minor, int *fd);

/*
 * The disk is to be a block device of the host: noted in the marker, between taking the number and
 * using it.  name is another name for the device, for as long as the number is taken: a whole path,
 * or one without slashes, which lies beside the classic names; NULL: none.  0, -EINVAL no such
 * name, -EEXIST something else is there, or -errno.
 */
int minor_want_device(const char *control_dir, int minor, const char *name);
bool minor_wants_device(const char *control_dir, int minor);

/* Where such a device is found. */
#define MINOR_DEVICE_DIR "/dev/xen/blktap-2"
#define MINOR_NAME_MAX 1023    /* bytes of another name */
char *minor_device(int minor); /* owned by the caller; NULL: memory is short */
int minor_device_dir(void);    /* make it: 0 or -errno */

/* What people are told where there cannot be one. */
#define MINOR_NO_DEVICES                                                                           \
	"this kernel makes no block devices for tapdisks: neither ublk (module ublk_drv) nor the " \
	"NBD client (module nbd) is loaded"

/* The path of the marker, owned by the caller; NULL: memory is short. */
char *minor_path(const char *control_dir, int minor);

#endif
