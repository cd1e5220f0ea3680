/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages of the Xen block interface, as they lie in the slots of a ring: little-endian, in
 * two layouts.
 *
 * A slot is decoded from a private copy only.  Nothing here trusts a value of the guest; what a
 * decoded request may ask for is checked by blkif_check.
 */
#ifndef FRONTEND_BLKIF_WIRE_H
#define FRONTEND_BLKIF_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLKIF_OP_READ 0
#define BLKIF_OP_WRITE 1
#define BLKIF_OP_WRITE_BARRIER 2
#define BLKIF_OP_FLUSH_DISKCACHE 3
#define BLKIF_OP_DISCARD 5
#define BLKIF_OP_INDIRECT 6

#define BLKIF_RSP_OKAY 0
#define BLKIF_RSP_ERROR (-1)
#define BLKIF_RSP_EOPNOTSUPP (-2)

#define BLKIF_PAGE 4096u         /* bytes that a grant names */
#define BLKIF_DIRECT_SEGMENTS 11 /* of a request that is not indirect */
#define BLKIF_PAGE_SEGMENTS 512  /* of an indirect page */
#define BLKIF_INDIRECT_PAGES 8   /* of a request, whatever is offered */
#define BLKIF_SEGMENT_BYTES 8
#define BLKIF_SLOT_MAX 112    /* bytes of the largest slot */
#define BLKIF_RING_HEADER 64  /* bytes before the first slot */
#define BLKIF_RESPONSE_MAX 16 /* bytes */

/* Which offsets the fields of a slot have. */
struct blkif_layout {
	unsigned slot_bytes;
	unsigned id; /* what follows it is packed, in all requests */
	unsigned response_bytes;
};

/* Of x86_32-abi, and of x86_64-abi and arm-abi. */
extern const struct blkif_layout blkif_layout_32;
extern const struct blkif_layout blkif_layout_64;

/* A part of a granted page; bounds are inclusive, in sectors of 512 bytes. */
struct blkif_segment {
	uint32_t gref;
	uint8_t first;
	uint8_t last;
};

struct blkif_request {
	uint8_t op;          /* as the guest wrote it: what is echoed */
	uint8_t indirect_op; /* READ or WRITE of an INDIRECT */
	uint16_t segments;
	uint64_t id;
	uint64_t sector;
	uint64_t sectors; /* of a DISCARD */
	union {
		struct blkif_segment segment[BLKIF_DIRECT_SEGMENTS];
		uint32_t page[BLKIF_INDIRECT_PAGES]; /* grants of the pages with the segments */
	};
};

/* Decode the private copy of a slot.  A direct request of too many segments has those that fit. */
void blkif_decode(struct blkif_request *request, const struct blkif_layout *layout,
		  const uint8_t *slot);

/* One segment, out of the private copy of an indirect page or of a slot. */
void blkif_decode_segment(struct blkif_segment *segment, const uint8_t *raw);

/* Encode a response, its padding zero; layout->response_bytes of raw are written. */
void blkif_encode_response(uint8_t *raw, const struct blkif_layout *layout, uint64_t id, uint8_t op,
			   int status);

/* ---- what may be asked for ---- */

struct blkif_limits {
	uint64_t sectors;     /* of the disk, 512 bytes each */
	uint32_t sector_size; /* bytes */
	unsigned indirect_max;
	bool read_only;
	bool can_flush, can_barrier, can_discard, can_indirect; /* were offered */
};

/*
 * What the guest is to be told of a request that cannot be served, BLKIF_RSP_OKAY if it can.  Of an
 * indirect one the segments, which are not there yet, are left to the following two.
 */
int blkif_check(const struct blkif_request *request, const struct blkif_limits *limits);
bool blkif_segment_is_sound(const struct blkif_segment *segment, const struct blkif_limits *limits);
int blkif_check_range(uint64_t sector, uint64_t sectors, const struct blkif_limits *limits);

/* Sectors of a sound segment. */
static inline unsigned
blkif_segment_sectors(const struct blkif_segment *segment)
{
	return segment->last - segment->first + 1u;
}

/* READ, WRITE, ... of an indirect request, too. */
uint8_t blkif_effective_op(const struct blkif_request *request);

#endif
