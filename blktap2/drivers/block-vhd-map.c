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

/* The usual question, and the usual answers: eight sectors that share a byte, and a bit. */
static bool
run_of_bits(const uint8_t *bits, uint32_t first, int *secs)
{
	uint8_t byte = bits[first / 8];

	if (*secs == 8 && first % 8 == 0 && (byte == 0xFF || !byte))
		return byte;
	*secs = (int)vhd_bits_run(bits, first, (uint32_t)*secs);
	return vhd_bits_test(bits, first);
}

enum vd_kind
vd_lookup(struct vd_state *vd, td_sector_t sec, int *secs, uint64_t *offset)
{
	uint32_t first = (uint32_t)sec & vd->spb_mask;
	const struct vd_entry *entry;

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
		if (entry->slot == VD_SLOT_NONE || entry->slot & VD_SLOT_NOT_READY)
			return VD_UNKNOWN;
		vd->used[entry->slot] = 1;
		if (!run_of_bits(vd->bits + entry->slot * vd->bitmap_bytes, first, secs))
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

	if (vd->is_fixed || (uint32_t)secs > vd->spb_mask + 1 - first)
		return 0;
	entry = &vd->map[sec >> vd->spb_shift];
	if (!entry->inverted)
		return 1;
	/* Neither a full block, nor one without its bits. */
	if (entry->slot == VD_SLOT_NONE || entry->slot & VD_SLOT_NOT_READY)
		return 0;
	bits = vd->bits + entry->slot * vd->bitmap_bytes;
	if (!vd->used[entry->slot])
		vd->used[entry->slot] = 1;
	if (secs == 8 && first % 8 == 0)
		return !bits[first / 8];
	return vhd_bits_none(bits, first, (uint32_t)secs);
}
