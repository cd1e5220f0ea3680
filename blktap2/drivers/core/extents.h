/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Collecting the pieces of a block status answer, which images of a chain may deliver out of order.
 */
#ifndef CORE_EXTENTS_H
#define CORE_EXTENTS_H

#include "drivers/core/vbd.h"

/* Add a piece: 0 or -ENOMEM.  Sectors of 512 bytes. */
int vbd_extents_add(struct vbd_extents *extents, uint64_t sector, uint64_t sectors, int status);

/* Sort by sector and merge neighbours of equal status. */
void vbd_extents_sort(struct vbd_extents *extents);

#endif
