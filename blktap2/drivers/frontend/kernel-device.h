/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks as block devices of this host, through drivers that the kernel has for servers in user
 * space: ublk where it is there, else the kernel's NBD client.
 *
 * A disk has a device if its minor was taken for one (minor_wants_device).  Whatever the node is
 * called by its driver, it has the classic name /dev/xen/blktap-2/tapdev<minor> as a symbolic link.
 */
#ifndef FRONTEND_KERNEL_DEVICE_H
#define FRONTEND_KERNEL_DEVICE_H

#include "drivers/core/vbd.h"

struct tapdisk_server;
struct kernel_devices; /* those of a process */

/* How long a device that is to go may still be in use: whoever had it may be about to let go. */
#define KERNEL_DEVICE_PATIENCE_MS 10000

enum kernel_device_manner {
	KERNEL_DEVICE_ASK,    /* -EBUSY if somebody still uses it when the patience is over */
	KERNEL_DEVICE_INSIST, /* ... and then it goes all the same */
	KERNEL_DEVICE_FORCE,  /* at once; what is in flight on it fails */
};

int kernel_devices_new(struct kernel_devices **devices, struct tapdisk_server *server);
void kernel_devices_free(struct kernel_devices *devices); /* all disks are closed; NULL is fine */

/*
 * Make the device of an open disk; nothing is done if its minor is not for one.  done is called
 * once, later or at once.
 */
void kernel_device_add(struct kernel_devices *devices, struct vbd *vbd, vbd_done_fn done,
		       void *arg);

/*
 * Take the device of a disk away, if it has one: before the disk is closed, as what the host has
 * not yet written is written now.  -EALREADY: it is being taken away; FORCE overtakes.
 */
void kernel_device_remove(struct kernel_devices *devices, struct vbd *vbd,
			  enum kernel_device_manner manner, vbd_done_fn done, void *arg);

/* Those of all disks, by INSIST; done(arg) when the last one is gone. */
void kernel_devices_remove_all(struct kernel_devices *devices, void (*done)(void *arg), void *arg);

#endif
