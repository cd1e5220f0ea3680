/* SPDX-License-Identifier: BSD-2-Clause */
/* ublk's words for disks and requests, and ours. */
#include <errno.h>
#include <string.h>

#include "drivers/frontend/ublk-request.h"

#define PAGE_SHIFT 12
#define RANGE_SECTORS (1u << 21) /* of one discard or write-zeroes: 1 GiB */

static uint8_t
shift_of(uint32_t size)
{
	return (uint8_t)__builtin_ctz(size);
}

void
ublk_describe(const struct ublk_disk *disk, struct ublk_params *params)
{
	uint8_t logical = shift_of(disk->sector_size);
	uint8_t physical = logical > PAGE_SHIFT ? logical : PAGE_SHIFT;

	memset(params, 0, sizeof(*params));
	params->length = sizeof(*params);
	params->types = UBLK_PARAM_BASIC;
	params->basic.logical_shift = logical;
	params->basic.physical_shift = physical;
	params->basic.optimal_shift = physical;
	params->basic.minimal_shift = physical;
	params->basic.request_sectors = UBLK_REQUEST_BYTES >> SECTOR_SHIFT;
	params->basic.sectors = disk->sectors;
	if (disk->read_only) {
		params->basic.attributes = UBLK_READ_ONLY;
		return;
	}
	params->basic.attributes = UBLK_VOLATILE_CACHE | UBLK_FUA;
	params->types |= UBLK_PARAM_DISCARD;
	params->discard.granularity = 1u << physical;
	params->discard.zero_sectors = RANGE_SECTORS;
	params->discard.segments = 1;
	if (disk->can_discard)
		params->discard.discard_sectors = RANGE_SECTORS;
}

int
ublk_translate(const struct ublk_request *request, void *buffer, struct iovec *iov,
	       struct vbd_request *out)
{
	static const int ops[] = {
		[UBLK_OP_READ] = TD_OP_READ,
		[UBLK_OP_WRITE] = TD_OP_WRITE,
		[UBLK_OP_FLUSH] = TD_OP_FLUSH,
		[UBLK_OP_DISCARD] = TD_OP_DISCARD,
		[UBLK_OP_WRITE_ZEROES] = TD_OP_WRITE_ZEROES,
	};
	uint32_t op = UBLK_REQUEST_OP(request->op_flags);

	/* 4 was never given a meaning that we offer. */
	if (op > UBLK_OP_WRITE_ZEROES || op == 4)
		return -EOPNOTSUPP;
	out->op = ops[op];
	out->flags = 0;
	out->iov = NULL;
	out->iovcnt = 0;
	out->sector = op == UBLK_OP_FLUSH ? 0 : request->sector;
	out->sectors = op == UBLK_OP_FLUSH ? 0 : request->sectors;
	if (request->op_flags & UBLK_REQUEST_FUA && op != UBLK_OP_READ && op != UBLK_OP_FLUSH)
		out->flags |= TD_REQ_FUA;
	if (request->op_flags & UBLK_REQUEST_NO_UNMAP && op == UBLK_OP_WRITE_ZEROES)
		out->flags |= TD_REQ_NO_UNMAP;
	if (op > UBLK_OP_WRITE)
		return 0;
	if (request->sectors > UBLK_REQUEST_BYTES >> SECTOR_SHIFT)
		return -EINVAL;
	iov->iov_base = buffer;
	iov->iov_len = (size_t)request->sectors << SECTOR_SHIFT;
	out->iov = iov;
	out->iovcnt = 1;
	return 0;
}

int
ublk_result(const struct vbd_request *request, int err)
{
	if (err)
		return err;
	return request->iovcnt ? (int)request->iov->iov_len : 0;
}
