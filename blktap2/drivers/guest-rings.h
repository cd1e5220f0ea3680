/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joins the control protocol's requests about guest rings with the block interface that serves
 * them.
 */
#ifndef DRIVERS_GUEST_RINGS_H
#define DRIVERS_GUEST_RINGS_H

#include "drivers/control-server.h"

struct blkif;

/* The keeper of rings as the control server wants it; blkif must outlive it. */
struct control_rings guest_rings(struct blkif *blkif);

#endif
