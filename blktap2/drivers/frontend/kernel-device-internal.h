/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel-device.c (life of a device) shares with the drivers it may stand on: kernel-ublk.c,
 * kernel-nbd.c.
 */
#ifndef FRONTEND_KERNEL_DEVICE_INTERNAL_H
#define FRONTEND_KERNEL_DEVICE_INTERNAL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "drivers/core/loop.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/vbd.h"
#include "drivers/frontend/kernel-device.h"

struct kernel_device;
struct tlog;

/* A driver of the kernel's. */
struct kernel_driver {
	const char *name;

	/* Is it loaded? */
	bool (*is_there)(void);

	/* Make the device, node and all; ends with kernel_device_started. */
	void (*start)(struct kernel_device *device);

	/* Take it away in order, while its requests are still served; kernel_device_stopped. */
	void (*stop)(struct kernel_device *device);

	/* Take it away at once: the loop will not turn, or its requests are stuck. */
	void (*abandon)(struct kernel_device *device);

	/* Free what is left, after stop, abandon, or a start that failed; nothing is in flight. */
	void (*free)(struct kernel_device *device);
};

extern const struct kernel_driver kernel_nbd;
extern const struct kernel_driver kernel_ublk;

enum kernel_device_stage {
	KERNEL_DEVICE_STARTING,
	KERNEL_DEVICE_SERVING,
	KERNEL_DEVICE_PROBING, /* is it in use? */
	KERNEL_DEVICE_STOPPING,
	KERNEL_DEVICE_GONE, /* for the kernel; the rest goes with the disk */
};

/* Opens the node on a worker, and outlives a device that could not wait for it. */
struct kernel_device_probe;

struct kernel_device {
	struct vbd_source source;
	struct vbd *vbd;
	struct kernel_devices *devices;
	struct loop *loop;
	struct tlog *log;
	TAILQ_ENTRY(kernel_device) link;
	enum kernel_device_stage stage;
	unsigned driver; /* index of the one it stands on, or that is tried */
	void *state;     /* the driver's */
	char *node;      /* owned; "/dev/nbd0" */
	char *name;      /* owned; the symbolic link, once it is made */
	struct shm_tally tally;

	/* What the driver has said, until the end of the turn. */
	struct loop_task heard;
	int err;
	const char *why;

	/* What is being done, and who waits for it. */
	enum kernel_device_manner manner;
	struct kernel_device_probe *probe;
	struct loop_timer again; /* probe once more */
	uint64_t patience_ends;  /* loop microseconds */
	vbd_done_fn done;
	void *done_arg;
};

/*
 * How a start or a stop ended; what follows, follows at the end of the turn.  node is taken, and
 * NULL on failure; why is a constant text.
 */
void kernel_device_started(struct kernel_device *device, int err, const char *why, char *node);
void kernel_device_stopped(struct kernel_device *device);

#endif
