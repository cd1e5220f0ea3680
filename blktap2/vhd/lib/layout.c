/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things lie in an image.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/layout.h"

#define DATA_ALIGNMENT 8 /* sectors: 4 KiB */
#define HEADER_BYTES 1024

void
vhd_layout_init(struct vhd_layout *layout, uint64_t header_offset, const vhd_header_t *header)
{
	uint32_t spb = header->block_size >> VHD_SECTOR_SHIFT;

	*layout = (struct vhd_layout){
		.spb = spb,
		.bm_secs = (spb / 8 + VHD_SECTOR_SIZE - 1) >> VHD_SECTOR_SHIFT,
		.entries = header->max_table_entries,
		.table_offset = header->table_offset,
		.blocks_end = UINT64_MAX,
	};
	layout->block_secs = layout->bm_secs + spb;
	layout->table_end = layout->table_offset + vhd_table_bytes(header->max_table_entries);
	vhd_layout_add_table(layout, layout->table_offset,
			     layout->table_end - layout->table_offset);
	vhd_layout_add_table(layout, header_offset, HEADER_BYTES);
}

void
vhd_layout_add_table(struct vhd_layout *layout, uint64_t offset, uint64_t bytes)
{
	if (offset + bytes > layout->tables_end)
		layout->tables_end = offset + bytes;
	vhd_layout_add_locator(layout, offset, bytes);
}

void
vhd_layout_add_locator(struct vhd_layout *layout, uint64_t offset, uint64_t bytes)
{
	if (offset + bytes > layout->metadata_end)
		layout->metadata_end = offset + bytes;
}

int
vhd_layout_place(const struct vhd_layout *layout, uint64_t end_of_data, uint64_t limit,
		 uint32_t *entry)
{
	uint64_t sector, data;

	if (end_of_data >> VHD_SECTOR_SHIFT >= VHD_BLOCK_UNUSED)
		return -ENOSPC;
	sector = vhd_round_up_to_sectors(end_of_data) >> VHD_SECTOR_SHIFT;
	data = sector + layout->bm_secs;
	data = (data + DATA_ALIGNMENT - 1) & ~(uint64_t)(DATA_ALIGNMENT - 1);
	sector = data - layout->bm_secs;
	if (data + layout->spb > VHD_BLOCK_UNUSED - 1)
		return -ENOSPC;
	if ((data + layout->spb) << VHD_SECTOR_SHIFT > limit)
		return -ENOSPC;
	*entry = (uint32_t)sector;
	return 0;
}

uint64_t
vhd_layout_end_of_data(const struct vhd_layout *layout, const uint32_t *bat, uint32_t count)
{
	uint64_t end = layout->metadata_end, block_end;
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (bat[i] == VHD_BLOCK_UNUSED)
			continue;
		block_end = ((uint64_t)bat[i] + layout->block_secs) << VHD_SECTOR_SHIFT;
		if (block_end > end)
			end = block_end;
	}
	return end;
}

int
vhd_layout_check_entry(const struct vhd_layout *layout, uint32_t block, uint32_t entry,
		       bool may_be_cut, struct reason *why)
{
	uint64_t at = vhd_bitmap_offset(entry);
	uint64_t sectors = may_be_cut ? layout->bm_secs : layout->block_secs;

	if (at < layout->tables_end)
		return reason(why, -EINVAL,
			      "block %u: at offset 0x%llx, inside the tables that end at 0x%llx",
			      block, (unsigned long long)at,
			      (unsigned long long)layout->tables_end);
	if (!range_fits(at, sectors << VHD_SECTOR_SHIFT, layout->blocks_end))
		return reason(why, -EINVAL,
			      "block %u: at offset 0x%llx, behind the end of data at 0x%llx", block,
			      (unsigned long long)at, (unsigned long long)layout->blocks_end);
	return 0;
}

int
vhd_layout_check_entries(const struct vhd_layout *layout, const uint32_t *bat, uint32_t count,
			 bool may_be_cut, struct reason *why)
{
	uint32_t i;
	int err;

	for (i = 0; i < count; i++) {
		if (bat[i] == VHD_BLOCK_UNUSED)
			continue;
		err = vhd_layout_check_entry(layout, i, bat[i], may_be_cut, why);
		if (err)
			return err;
	}
	return 0;
}

/* ---- overlap ------------------------------------------------------------------------------------
 */

/* A used entry and its block in one number, so that numbers order by entry, then by block. */
static uint64_t
place_of(uint32_t entry, uint32_t block)
{
	return (uint64_t)entry << 32 | block;
}

#define RADIX_BITS 11
#define RADIX (1u << RADIX_BITS)

/* Order by entry; blocks are in order already, and stay so.  The result is in *at. */
static void
sort_places(uint64_t **at, uint64_t **spare, size_t count)
{
	uint64_t *from = *at, *to = *spare, *swap;
	size_t start[RADIX], i, sum, n;
	unsigned shift, digit;

	for (shift = 32; shift < 64; shift += RADIX_BITS) {
		for (digit = 0; digit < RADIX; digit++)
			start[digit] = 0;
		for (i = 0; i < count; i++)
			start[from[i] >> shift & (RADIX - 1)]++;
		for (digit = 0, sum = 0; digit < RADIX; digit++) {
			n = start[digit];
			start[digit] = sum;
			sum += n;
		}
		for (i = 0; i < count; i++)
			to[start[from[i] >> shift & (RADIX - 1)]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	*at = from;
	*spare = to;
}

static int
told_overlap(uint64_t first, uint64_t second, struct reason *why)
{
	return reason(why, -EINVAL, "bat: blocks %u and %u overlap, at offsets 0x%llx and 0x%llx",
		      (uint32_t)first, (uint32_t)second,
		      (unsigned long long)vhd_bitmap_offset((uint32_t)(first >> 32)),
		      (unsigned long long)vhd_bitmap_offset((uint32_t)(second >> 32)));
}

int
vhd_layout_check_overlap(const struct vhd_layout *layout, const uint32_t *bat, uint32_t count,
			 struct reason *why)
{
	AUTO_FREE uint64_t *places = NULL;
	AUTO_FREE uint64_t *spare = NULL;
	uint32_t used = 0, i;
	size_t n = 0;

	for (i = 0; i < count; i++)
		used += bat[i] != VHD_BLOCK_UNUSED;
	if (used < 2)
		return 0;
	places = calloc(used, sizeof(*places));
	spare = calloc(used, sizeof(*spare));
	if (!places || !spare)
		return reason(why, -ENOMEM, "bat: no memory for the test of %u blocks", used);
	for (i = 0; i < count; i++)
		if (bat[i] != VHD_BLOCK_UNUSED)
			places[n++] = place_of(bat[i], i);
	sort_places(&places, &spare, n);
	for (n = 1; n < used; n++)
		if ((places[n] >> 32) - (places[n - 1] >> 32) < layout->block_secs)
			return told_overlap(places[n - 1], places[n], why);
	return 0;
}
