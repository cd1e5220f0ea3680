/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * New images: what is to be made, and making it on any struct io.
 */
#ifndef VHD_LIB_CREATE_H
#define VHD_LIB_CREATE_H

#include <stdint.h>

#include <vhd/vhd.h>

#include "common/io.h"
#include "common/reason.h"

struct vhd_plan {
	int type;           /* VHD_TYPE_FIXED, _DYNAMIC, _DIFFERENCING */
	uint64_t bytes;     /* of the disk; a multiple of 512 */
	uint64_t max_bytes; /* that the BAT is made for; below bytes: bytes */
	struct vhd_keyhash keyhash;

	/* Of a differencing image. */
	vhd_uuid_t parent_uuid;    /* nil: it is raw */
	uint32_t parent_timestamp; /* since VHD_EPOCH */
	const char *parent;        /* borrowed; path from the folder of the image */
};

/* The plan makes sense: 0, or -EINVAL. */
int vhd_plan_check(const struct vhd_plan *plan, struct reason *why);

/*
 * Make the image, durably.  A file must be empty; of a device whatever matters is overwritten.  The
 * image is none before all of it is there.
 */
int vhd_plan_write(const struct vhd_plan *plan, struct io *io, struct reason *why);

/* The same for a file or device with that name; a file that could not be made is removed. */
int vhd_plan_make(const struct vhd_plan *plan, const char *name, struct reason *why);

#endif
