/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting metadata right that can be had from other metadata.
 */
#ifndef VHD_LIB_REPAIR_H
#define VHD_LIB_REPAIR_H

#include <vhd/libvhd.h>

/*
 * Of an image that is open for writing: write the footer that counts to both places, with a unique
 * id if it has none; empty a batmap that cannot be believed.  Returns 0 or -errno.
 */
int vhd_repair(vhd_context_t *ctx);

/*
 * All blocks are gone: the disk reads as zeros, or as its parent.  Each step leaves an image that
 * is sound.  Returns 0, -EINVAL for a fixed image, or -errno.
 */
int vhd_kill_data(vhd_context_t *ctx);

#endif
