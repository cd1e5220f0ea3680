/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What frames say of a disk and of its rings, and how a ring is told to a tapdisk.
 */
#ifndef DAEMON_ATTACH_FRAMES_H
#define DAEMON_ATTACH_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/frame.h"
#include "daemon/attach.h"

/* The answer to INFO. */
void attach_take_info(struct disk_info *info, const struct frame *frame, const uint8_t *payload);

/* A ring in the answer to RING_LIST; false: of another device, or not understood. */
bool attach_take_ring(const struct device *device, const struct frame *frame,
		      const uint8_t *payload, struct ring *ring, uint32_t *state);

/* The ring that is wanted, for RING_CONNECT. */
void attach_put_ring(struct frame_writer *writer, const struct device *device);

#endif
