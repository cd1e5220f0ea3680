/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The footer.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "vhd/lib/checksum.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/geometry.h"

#define SUM_AT 64
#define HIDDEN_AT 85
#define RESERVED_AT 86

_Static_assert(sizeof(vhd_footer_t) == VHD_FOOTER_BYTES, "the structure has no holes");

static uint32_t
sum_without(const uint8_t raw[VHD_FOOTER_BYTES])
{
	return vhd_byte_sum(raw, VHD_FOOTER_BYTES) - vhd_byte_sum(raw + SUM_AT, 4);
}

uint32_t
vhd_footer_sum(const uint8_t raw[VHD_FOOTER_BYTES])
{
	return ~sum_without(raw);
}

void
vhd_footer_pack(const vhd_footer_t *footer, uint8_t raw[VHD_FOOTER_BYTES])
{
	memcpy(raw, footer->cookie, 8);
	put_be32(raw + 8, footer->features);
	put_be32(raw + 12, footer->format_version);
	put_be64(raw + 16, footer->data_offset);
	put_be32(raw + 24, footer->timestamp);
	memcpy(raw + 28, footer->creator, 4);
	put_be32(raw + 32, footer->creator_version);
	put_be32(raw + 36, footer->creator_os);
	put_be64(raw + 40, footer->original_size);
	put_be64(raw + 48, footer->current_size);
	put_be32(raw + 56, footer->geometry);
	put_be32(raw + 60, footer->type);
	put_be32(raw + SUM_AT, footer->checksum);
	memcpy(raw + 68, footer->uuid.bytes, VHD_UUID_SIZE);
	raw[84] = footer->saved_state;
	raw[HIDDEN_AT] = footer->hidden;
	memcpy(raw + RESERVED_AT, footer->reserved, sizeof(footer->reserved));
}

void
vhd_footer_unpack(const uint8_t raw[VHD_FOOTER_BYTES], vhd_footer_t *footer)
{
	memcpy(footer->cookie, raw, 8);
	footer->features = get_be32(raw + 8);
	footer->format_version = get_be32(raw + 12);
	footer->data_offset = get_be64(raw + 16);
	footer->timestamp = get_be32(raw + 24);
	memcpy(footer->creator, raw + 28, 4);
	footer->creator_version = get_be32(raw + 32);
	footer->creator_os = get_be32(raw + 36);
	footer->original_size = get_be64(raw + 40);
	footer->current_size = get_be64(raw + 48);
	footer->geometry = get_be32(raw + 56);
	footer->type = get_be32(raw + 60);
	footer->checksum = get_be32(raw + SUM_AT);
	memcpy(footer->uuid.bytes, raw + 68, VHD_UUID_SIZE);
	footer->saved_state = raw[84];
	footer->hidden = raw[HIDDEN_AT];
	memcpy(footer->reserved, raw + RESERVED_AT, sizeof(footer->reserved));
}

void
vhd_footer_encode(vhd_footer_t *footer, uint8_t raw[VHD_FOOTER_BYTES])
{
	vhd_footer_pack(footer, raw);
	footer->checksum = vhd_footer_sum(raw);
	put_be32(raw + SUM_AT, footer->checksum);
}

/* Early tools of the tap family hid an image without computing its checksum anew. */
static bool
sum_is_right(const uint8_t raw[VHD_FOOTER_BYTES], const vhd_footer_t *footer)
{
	if (footer->checksum == vhd_footer_sum(raw))
		return true;
	if (!vhd_footer_by_tapdisk(footer) || !footer->hidden)
		return false;
	if (footer->creator_version != VHD_TAPDISK_VERSION_OLD &&
	    footer->creator_version != VHD_TAPDISK_VERSION_1_1)
		return false;
	return footer->checksum == ~(sum_without(raw) - footer->hidden);
}

int
vhd_footer_decode(const uint8_t raw[VHD_FOOTER_BYTES], vhd_footer_t *footer, struct reason *why)
{
	vhd_footer_t found;

	vhd_footer_unpack(raw, &found);
	if (memcmp(found.cookie, VHD_COOKIE, 8) != 0 && !vhd_footer_is_poisoned(&found))
		return reason(why, -EINVAL, "bad cookie");
	if (!sum_is_right(raw, &found))
		return reason(why, -EINVAL, "bad checksum: 0x%x, and should be 0x%x",
			      found.checksum, vhd_footer_sum(raw));
	if (found.format_version >> 16 != VHD_VERSION >> 16)
		return reason(why, -EINVAL, "version 0x%08x is not known", found.format_version);
	*footer = found;
	return 0;
}

int
vhd_footer_check(const vhd_footer_t *footer, struct reason *why)
{
	uint64_t sectors = vhd_virtual_sectors(footer, VHD_SIZE_BY_CREATOR);

	if (footer->type != VHD_TYPE_FIXED && !vhd_footer_is_dynamic(footer))
		return reason(why, -EINVAL, "disk type %u is not supported", footer->type);
	if (vhd_footer_by_tapdisk(footer) && footer->creator_version == VHD_TAPDISK_VERSION_OLD)
		return reason(why, -EINVAL, "creator version 0.1 is obsolete: vhd-update(8)");
	if (vhd_footer_by_tapdisk(footer) && footer->creator_version > VHD_TAPDISK_VERSION)
		return reason(why, -EINVAL, "creator version 0x%08x is too new",
			      footer->creator_version);
	if (!sectors)
		return reason(why, -EINVAL, "the disk has no sectors");
	if (footer->current_size >> VHD_SECTOR_SHIFT > VHD_MAX_SECTORS)
		return reason(why, -EINVAL, "the disk is larger than 2040 GiB");
	return 0;
}

bool
vhd_footer_is_poisoned(const vhd_footer_t *footer)
{
	return memcmp(footer->cookie, VHD_POISON_COOKIE, 8) == 0;
}

bool
vhd_footer_by_tapdisk(const vhd_footer_t *footer)
{
	return memcmp(footer->creator, "tap", 3) == 0;
}

bool
vhd_footer_is_dynamic(const vhd_footer_t *footer)
{
	return footer->type == VHD_TYPE_DYNAMIC || footer->type == VHD_TYPE_DIFFERENCING;
}

bool
vhd_footer_hides_by_copy(const vhd_footer_t *footer)
{
	return vhd_footer_is_dynamic(footer) && vhd_footer_by_tapdisk(footer) &&
	       (footer->creator_version == VHD_TAPDISK_VERSION_OLD ||
		footer->creator_version == VHD_TAPDISK_VERSION_1_1);
}

int
vhd_footer_choose(const struct vhd_footers *found, const vhd_footer_t **chosen,
		  enum vhd_footer_state *state, struct reason *why)
{
	const vhd_footer_t *trailing = found->trailing, *copy = found->copy;

	if (!trailing && !copy)
		return reason(why, -EINVAL, "neither at the end nor at the start");
	if (!trailing && !vhd_footer_is_dynamic(copy))
		return reason(why, -EINVAL, "only at the start, but of type %u", copy->type);
	*chosen = trailing ? trailing : copy;
	if (!trailing)
		*state = VHD_FOOTERS_RECOVERED;
	else if (!vhd_footer_is_dynamic(trailing))
		*state = VHD_FOOTERS_GOOD;
	else if (!copy)
		*state = VHD_FOOTERS_COPY_LOST;
	else if (copy->type != trailing->type || copy->data_offset != trailing->data_offset)
		*state = VHD_FOOTERS_CONFLICT;
	else if (memcmp(copy, trailing, sizeof(*copy)) != 0)
		*state = VHD_FOOTERS_DIFFER;
	else
		*state = VHD_FOOTERS_GOOD;
	return 0;
}
