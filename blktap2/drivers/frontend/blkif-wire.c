/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages of the Xen block interface: see blkif-wire.h. */
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"
#include "drivers/frontend/blkif-wire.h"

#define SECTORS_PER_PAGE 8

/* In both layouts, from the start of the slot. */
#define OP_AT 0
#define COUNT_AT 1          /* u8; the operation of an indirect request */
#define INDIRECT_COUNT_AT 2 /* u16 */

/* After the id. */
#define SECTOR_AT 8
#define SEGMENTS_AT 16
#define DISCARD_COUNT_AT 16
#define INDIRECT_PAGES_AT 20

const struct blkif_layout blkif_layout_32 = { .slot_bytes = 108, .id = 4, .response_bytes = 12 };
const struct blkif_layout blkif_layout_64 = { .slot_bytes = 112, .id = 8, .response_bytes = 16 };

_Static_assert(8 + SEGMENTS_AT + BLKIF_DIRECT_SEGMENTS * BLKIF_SEGMENT_BYTES == BLKIF_SLOT_MAX,
	       "the largest slot ends with the last segment");

uint8_t
blkif_effective_op(const struct blkif_request *request)
{
	return request->op == BLKIF_OP_INDIRECT ? request->indirect_op : request->op;
}

/* ---- decoding ---- */

void
blkif_decode_segment(struct blkif_segment *segment, const uint8_t *raw)
{
	segment->gref = get_le32(raw);
	segment->first = raw[4];
	segment->last = raw[5];
}

static void
decode_indirect(struct blkif_request *request, const uint8_t *slot, const uint8_t *body)
{
	unsigned i;

	request->indirect_op = slot[COUNT_AT];
	request->segments = get_le16(slot + INDIRECT_COUNT_AT);
	for (i = 0; i < BLKIF_INDIRECT_PAGES; i++)
		request->page[i] = get_le32(body + INDIRECT_PAGES_AT + 4 * i);
}

static void
decode_direct(struct blkif_request *request, const uint8_t *slot, const uint8_t *body)
{
	unsigned i;

	request->segments = slot[COUNT_AT];
	for (i = 0; i < request->segments && i < BLKIF_DIRECT_SEGMENTS; i++)
		blkif_decode_segment(&request->segment[i],
				     body + SEGMENTS_AT + i * BLKIF_SEGMENT_BYTES);
}

void
blkif_decode(struct blkif_request *request, const struct blkif_layout *layout, const uint8_t *slot)
{
	const uint8_t *body = slot + layout->id;

	request->op = slot[OP_AT];
	request->indirect_op = 0;
	request->segments = 0;
	request->id = get_le64(body);
	request->sector = get_le64(body + SECTOR_AT);
	request->sectors = 0;
	if (request->op == BLKIF_OP_DISCARD)
		request->sectors = get_le64(body + DISCARD_COUNT_AT);
	else if (request->op == BLKIF_OP_INDIRECT)
		decode_indirect(request, slot, body);
	else
		decode_direct(request, slot, body);
}

void
blkif_encode_response(uint8_t *raw, const struct blkif_layout *layout, uint64_t id, uint8_t op,
		      int status)
{
	memset(raw, 0, layout->response_bytes);
	put_le64(raw, id);
	raw[8] = op;
	put_le16(raw + 10, (uint16_t)status);
}

/* ---- checking ---- */

static int
check_discard(const struct blkif_request *request, const struct blkif_limits *limits)
{
	if (!limits->can_discard)
		return limits->read_only ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP;
	return range_fits(request->sector, request->sectors, limits->sectors) ? BLKIF_RSP_OKAY
									      : BLKIF_RSP_ERROR;
}

static int
check_indirect(const struct blkif_request *request, const struct blkif_limits *limits)
{
	if (!limits->can_indirect)
		return BLKIF_RSP_EOPNOTSUPP;
	if (!request->segments || request->segments > limits->indirect_max)
		return BLKIF_RSP_ERROR;
	if (request->indirect_op == BLKIF_OP_READ)
		return BLKIF_RSP_OKAY;
	if (request->indirect_op != BLKIF_OP_WRITE || limits->read_only)
		return BLKIF_RSP_ERROR;
	return BLKIF_RSP_OKAY;
}

bool
blkif_segment_is_sound(const struct blkif_segment *segment, const struct blkif_limits *limits)
{
	unsigned unit = limits->sector_size / 512;

	if (segment->first > segment->last || segment->last >= SECTORS_PER_PAGE)
		return false;
	return unit <= 1 || (segment->first % unit == 0 && (segment->last + 1u) % unit == 0);
}

int
blkif_check_range(uint64_t sector, uint64_t sectors, const struct blkif_limits *limits)
{
	unsigned unit = limits->sector_size / 512;

	if (unit > 1 && sector % unit)
		return BLKIF_RSP_ERROR;
	return range_fits(sector, sectors, limits->sectors) ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR;
}

/* READ, WRITE, WRITE_BARRIER and FLUSH_DISKCACHE, which have their segments in the slot. */
static int
check_direct(const struct blkif_request *request, const struct blkif_limits *limits)
{
	uint64_t sectors = 0;
	unsigned i;

	if (request->segments > BLKIF_DIRECT_SEGMENTS)
		return BLKIF_RSP_ERROR;
	/* Without data the sector means nothing, and nothing is written. */
	if (!request->segments)
		return request->op == BLKIF_OP_WRITE_BARRIER ||
				       request->op == BLKIF_OP_FLUSH_DISKCACHE
			       ? BLKIF_RSP_OKAY
			       : BLKIF_RSP_ERROR;
	if (request->op != BLKIF_OP_READ && limits->read_only)
		return BLKIF_RSP_ERROR;
	for (i = 0; i < request->segments; i++) {
		if (!blkif_segment_is_sound(&request->segment[i], limits))
			return BLKIF_RSP_ERROR;
		sectors += blkif_segment_sectors(&request->segment[i]);
	}
	return blkif_check_range(request->sector, sectors, limits);
}

int
blkif_check(const struct blkif_request *request, const struct blkif_limits *limits)
{
	switch (request->op) {
	case BLKIF_OP_READ:
	case BLKIF_OP_WRITE:
		return check_direct(request, limits);
	case BLKIF_OP_WRITE_BARRIER:
		return limits->can_barrier ? check_direct(request, limits) : BLKIF_RSP_EOPNOTSUPP;
	case BLKIF_OP_FLUSH_DISKCACHE:
		return limits->can_flush ? check_direct(request, limits) : BLKIF_RSP_EOPNOTSUPP;
	case BLKIF_OP_DISCARD:
		return check_discard(request, limits);
	case BLKIF_OP_INDIRECT:
		return check_indirect(request, limits);
	default:
		return BLKIF_RSP_EOPNOTSUPP;
	}
}
