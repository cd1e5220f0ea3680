/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: where the sectors of the disk are.  The innermost part of every read.
 */
#include "drivers/block-vhd.h"

static enum vd_kind
within_limit(const struct vd_state *vd, uint64_t offset, int *secs)
{
	uint64_t inside;

	if (offset >= vd->data_limit)
		return VD_ZERO;
	inside = (vd->data_limit - offset) >> VHD_SECTOR_SHIFT;
	if ((uint64_t)*secs > inside)
		*secs = (int)inside;
	return *secs ? VD_DATA : VD_ZERO;
}

/* The bits in memory, or NULL: of a full block, and of one whose bits are not there. */
static const uint8_t *
bits_of(const struct vd_state *vd, const struct vd_entry *entry)
{
	if (entry->slot == VD_SLOT_NONE || entry->slot & VD_SLOT_NOT_READY)
		return NULL;
	if (vd->evicts)
		vd->used[entry->slot] = 1;
	return vd->bits + entry->slot * vd->bitmap_bytes;
}

/* The bits of all parts that these sectors, of one block, are in. */
static uint32_t
parts_of(const struct vd_state *vd, uint32_t first, int secs)
{
	uint32_t last = first + (uint32_t)secs - 1;

	return (2u << (last >> vd->part_shift)) - (1u << (first >> vd->part_shift));
}

/* Is the first of the sectors there?  *secs: how many from it on are like it. */
static bool
run_of_bits(const struct vd_state *vd, const struct vd_entry *entry, const uint8_t *bits,
	    uint32_t first, int *secs)
{
	const struct vd_parts *there = &vd->parts[entry->slot];
	const uint32_t asked = parts_of(vd, first, *secs);

	if (!(there->some & asked))
		return false;
	if ((there->all & asked) == asked)
		return true;
	*secs = (int)vhd_bits_run(bits, first, (uint32_t)*secs);
	return vhd_bits_test(bits, first);
}

enum vd_kind
vd_lookup(struct vd_state *vd, td_sector_t sec, int *secs, uint64_t *offset)
{
	uint32_t first = (uint32_t)sec & vd->spb_mask;
	const struct vd_entry *entry;
	const uint8_t *bits;

	if (vd->is_fixed) {
		*offset = sec << VHD_SECTOR_SHIFT;
		return VD_DATA;
	}
	entry = &vd->map[sec >> vd->spb_shift];
	if ((uint32_t)*secs > vd->spb_mask + 1 - first)
		*secs = (int)(vd->spb_mask + 1 - first);
	if (!entry->inverted)
		return VD_ABSENT;
	if (entry->slot != VD_SLOT_FULL) {
		bits = bits_of(vd, entry);
		if (!bits)
			return VD_UNKNOWN;
		vd->hits++;
		if (!run_of_bits(vd, entry, bits, first, secs))
			return VD_ABSENT;
	}
	*offset = vhd_data_offset(&vd->image.layout, ~entry->inverted) +
		  ((uint64_t)first << VHD_SECTOR_SHIFT);
	return within_limit(vd, *offset, secs);
}

int
vd_lacks(td_driver_t *driver, td_sector_t sec, int secs)
{
	const struct vd_state *vd = driver->data;
	uint32_t first = (uint32_t)sec & vd->spb_mask;
	const struct vd_entry *entry;
	const uint8_t *bits;
	uint32_t asked;

	if (vd->is_fixed || (uint32_t)secs > vd->spb_mask + 1 - first)
		return 0;
	entry = &vd->map[sec >> vd->spb_shift];
	if (!entry->inverted)
		return 1;
	bits = bits_of(vd, entry);
	if (!bits)
		return 0;
	asked = parts_of(vd, first, secs);
	if (!(vd->parts[entry->slot].some & asked))
		return 1;
	if (vd->parts[entry->slot].all & asked)
		return 0;
	return vhd_bits_none(bits, first, (uint32_t)secs);
}
