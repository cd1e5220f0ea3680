/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The batmap: one bit for each block, 1 when all sectors of the block are present, so that its
 * bitmap need not be read.  Its header, its checksums, and when it may be believed.
 *
 * Pure functions; reasons begin with "batmap: ".  Whoever may not believe a batmap takes all bits
 * as 0: that is never an error of the image as a whole.
 */
#ifndef VHD_LIB_BATMAP_H
#define VHD_LIB_BATMAP_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/reason.h"
#include "vhd/lib/layout.h"

#define VHD_BATMAP_HEADER_BYTES 512

/* By its creator, the image has a batmap: always, never, or if its header is found. */
enum vhd_batmap_presence { VHD_BATMAP_NONE, VHD_BATMAP_MAYBE, VHD_BATMAP_DUE };
enum vhd_batmap_presence vhd_batmap_presence(const vhd_footer_t *footer);

/* Where its header is, in bytes. */
static inline uint64_t
vhd_batmap_header_at(const struct vhd_layout *layout)
{
	return layout->table_end;
}

/* The sectors that a map for so many entries has. */
uint32_t vhd_batmap_sectors(uint32_t entries);

/* The bytes at the start of the map that the checksum is of. */
uint64_t vhd_batmap_summed_bytes(uint64_t current_size);

void vhd_batmap_header_pack(const vhd_batmap_header_t *header,
			    uint8_t raw[VHD_BATMAP_HEADER_BYTES]);
void vhd_batmap_header_unpack(const uint8_t raw[VHD_BATMAP_HEADER_BYTES],
			      vhd_batmap_header_t *header);

/*
 * A header that can be worked with, in a file of that size: cookie, version, a map inside the file
 * that is as large as the BAT wants, but not absurdly large, behind the BAT and clear of the
 * header. Returns 0 or -EINVAL.
 */
int vhd_batmap_check_header(const vhd_batmap_header_t *header, const struct vhd_layout *layout,
			    uint64_t file_bytes, struct reason *why);

/* The checksum of a map, as its version wants it; bytes are all of the map that is at hand. */
uint32_t vhd_batmap_sum(const vhd_batmap_header_t *header, uint64_t current_size,
			const uint8_t *map, uint64_t bytes);

/*
 * How many bits at the start of the map are covered by the checksum: the others count as 0.
 */
uint32_t vhd_batmap_trusted_bits(const vhd_batmap_header_t *header, uint64_t current_size,
				 uint32_t entries);

/* The bytes of header->keyhash as they are kept in an extended attribute, and back. */
#define VHD_KEYHASH_BYTES 65
void vhd_keyhash_pack(const struct vhd_keyhash *keyhash, uint8_t raw[VHD_KEYHASH_BYTES]);
void vhd_keyhash_unpack(const uint8_t raw[VHD_KEYHASH_BYTES], struct vhd_keyhash *keyhash);

#endif
