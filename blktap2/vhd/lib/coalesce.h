/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Merging an image into its parent.
 */
#ifndef VHD_LIB_COALESCE_H
#define VHD_LIB_COALESCE_H

#include <stdint.h>

#include <vhd/libvhd.h>

#include "common/reason.h"

/*
 * Where the sectors go: an image open for writing, or a raw file.  Exactly one of both is set.
 */
struct vhd_merge_target {
	vhd_context_t *vhd;
	struct io *raw;
};

/* Called before each block; a result other than 0 ends the merge with it. */
struct vhd_merge_watch {
	int (*step)(void *arg, uint64_t done, uint64_t total); /* in bytes of the disk */
	void *arg;
};

/*
 * Write all sectors that child holds to target, as they are in the file: encrypted ones stay so. It
 * may be ended and begun again at any point, as child is not changed.  *sectors counts what was
 * written, even after a failure.  Returns 0 when all is on stable storage; -EINVAL child is no
 * differencing image, or the target is too small or has another key; or -errno.
 */
int vhd_merge(vhd_context_t *child, const struct vhd_merge_target *target,
	      const struct vhd_merge_watch *watch, uint64_t *sectors, struct reason *why);

#endif
