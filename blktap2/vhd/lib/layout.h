/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things lie in a dynamic or differencing image: tables, blocks, the ends of both.
 *
 * A block is its bitmap, rounded up to sectors, and its data.  Its entry in the BAT is the file
 * sector of the bitmap.  Pure functions; reasons begin with "bat: " or "block N: ".
 */
#ifndef VHD_LIB_LAYOUT_H
#define VHD_LIB_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/reason.h"

#define VHD_MAX_ENTRIES                                                                            \
	(16u << 20) /* of a BAT that is accepted; 2040 GiB of 512 KiB are 4177920                  \
		     */

struct vhd_layout {
	uint32_t spb;          /* sectors of data in a block */
	uint32_t bm_secs;      /* sectors of its bitmap */
	uint32_t block_secs;   /* both */
	uint32_t entries;      /* of the BAT */
	uint64_t table_offset; /* bytes */
	uint64_t table_end;    /* bytes; where the header of a batmap is, if there is one */
	uint64_t tables_end;   /* bytes; of header, BAT and batmap: no block may begin before */
	uint64_t metadata_end; /* bytes; of the tables and of all locators: for new blocks */
	/*
	 * Bytes; no block may end behind: the trailing footer, or the end of a file that lost it. A
	 * device's is its last sector.
	 */
	uint64_t blocks_end;
};

/*
 * From a header that vhd_header_check() accepted.  Both ends are those of header and BAT, and
 * blocks_end has to be set by the caller.
 */
void vhd_layout_init(struct vhd_layout *layout, uint64_t header_offset, const vhd_header_t *header);

/* Something else is there, whose end does not overflow: another table, a locator. */
void vhd_layout_add_table(struct vhd_layout *layout, uint64_t offset, uint64_t bytes);
void vhd_layout_add_locator(struct vhd_layout *layout, uint64_t offset, uint64_t bytes);

/* The number of entries that a disk of that many sectors (not 0) needs. */
static inline uint64_t
vhd_entries_needed(uint64_t sectors, uint32_t spb)
{
	return (sectors - 1) / spb + 1;
}

static inline uint64_t
vhd_round_up_to_sectors(uint64_t bytes)
{
	return (bytes + VHD_SECTOR_SIZE - 1) & ~(uint64_t)(VHD_SECTOR_SIZE - 1);
}

/* The bytes of a BAT with its padding to whole sectors, which is part of it. */
static inline uint64_t
vhd_table_bytes(uint32_t entries)
{
	return vhd_round_up_to_sectors(4ull * entries);
}

/* Bytes of the file: of the bitmap, of the data of the block with that entry. */
static inline uint64_t
vhd_bitmap_offset(uint32_t entry)
{
	return (uint64_t)entry << VHD_SECTOR_SHIFT;
}

static inline uint64_t
vhd_data_offset(const struct vhd_layout *layout, uint32_t entry)
{
	return ((uint64_t)entry + layout->bm_secs) << VHD_SECTOR_SHIFT;
}

/*
 * The entry for the next block: the first at or behind end_of_data (bytes, any) whose data begin on
 * a multiple of 4 KiB.  limit is where the block must have ended, in bytes: the footer of a device,
 * UINT64_MAX for a file, which grows.  Returns 0, or -ENOSPC when the device is full or the entry
 * would be the mark of an unused one.
 */
int vhd_layout_place(const struct vhd_layout *layout, uint64_t end_of_data, uint64_t limit,
		     uint32_t *entry);

/* The end of what the entries use and of the metadata, in bytes; unused entries do not count. */
uint64_t vhd_layout_end_of_data(const struct vhd_layout *layout, const uint32_t *bat,
				uint32_t count);

/*
 * One used entry: behind the metadata, and its block before blocks_end.  With may_be_cut, the end
 * of its data may be missing (it reads as zeros), but the bitmap must be there.  Returns 0 or
 * -EINVAL.
 */
int vhd_layout_check_entry(const struct vhd_layout *layout, uint32_t block, uint32_t entry,
			   bool may_be_cut, struct reason *why);

/* All of count entries: 0, or -EINVAL for the first that is wrong. */
int vhd_layout_check_entries(const struct vhd_layout *layout, const uint32_t *bat, uint32_t count,
			     bool may_be_cut, struct reason *why);

/*
 * No two of the blocks share a sector.  In linear time; takes 16 bytes for each used entry while it
 * runs.  Returns 0, -EINVAL, or -ENOMEM.
 */
int vhd_layout_check_overlap(const struct vhd_layout *layout, const uint32_t *bat, uint32_t count,
			     struct reason *why);

#endif
