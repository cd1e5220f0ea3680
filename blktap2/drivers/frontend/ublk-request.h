/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ublk is told of a disk, and what its requests mean to the disk: pure functions.
 */
#ifndef FRONTEND_UBLK_REQUEST_H
#define FRONTEND_UBLK_REQUEST_H

#include <stdbool.h>

#include "drivers/core/vbd.h"
#include "drivers/frontend/ublk-abi.h"

#define UBLK_DEPTH 64
#define UBLK_REQUEST_BYTES (256u * 1024)

/* What a device needs to know. */
struct ublk_disk {
	uint64_t sectors;
	uint32_t sector_size;
	bool read_only;
	bool can_discard;
};

void ublk_describe(const struct ublk_disk *disk, struct ublk_params *params);

/*
 * Fill in op, flags, sector, sectors and, with iov for the data at buffer, iov and iovcnt of *out.
 * 0, -EOPNOTSUPP an operation that was not offered, -EINVAL more data than was agreed.
 */
int ublk_translate(const struct ublk_request *request, void *buffer, struct iovec *iov,
		   struct vbd_request *out);

/* What the kernel is to hear of a request that ended with err. */
int ublk_result(const struct vbd_request *request, int err);

#endif
