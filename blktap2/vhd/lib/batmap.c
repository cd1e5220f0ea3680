/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The batmap.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/checksum.h"
#include "vhd/lib/footer.h"

#define KEYHASH_AT 29
#define RESERVED_AT 94

_Static_assert(sizeof(vhd_batmap_header_t) == VHD_BATMAP_HEADER_BYTES,
	       "the structure has no holes");
_Static_assert(sizeof(struct vhd_keyhash) == VHD_KEYHASH_BYTES, "the structure has no holes");

enum vhd_batmap_presence
vhd_batmap_presence(const vhd_footer_t *footer)
{
	if (!vhd_footer_is_dynamic(footer) || !vhd_footer_by_tapdisk(footer))
		return VHD_BATMAP_NONE;
	if (footer->creator_version >= VHD_TAPDISK_VERSION_BATMAP)
		return VHD_BATMAP_DUE;
	return footer->creator_version == VHD_TAPDISK_VERSION_1_1 ? VHD_BATMAP_MAYBE
								  : VHD_BATMAP_NONE;
}

uint32_t
vhd_batmap_sectors(uint32_t entries)
{
	uint64_t bytes = ((uint64_t)entries + 7) / 8;
	uint64_t sectors = (bytes + VHD_SECTOR_SIZE - 1) >> VHD_SECTOR_SHIFT;

	return sectors ? (uint32_t)sectors : 1;
}

/* Whatever the block size of the image is, this counts blocks of 2 MiB, and only whole bytes. */
uint64_t
vhd_batmap_summed_bytes(uint64_t current_size)
{
	uint64_t bytes = current_size >> (VHD_BLOCK_SHIFT + 3);
	uint64_t sectors = (bytes + VHD_SECTOR_SIZE - 1) >> VHD_SECTOR_SHIFT;

	return (sectors ? sectors : 1) << VHD_SECTOR_SHIFT;
}

void
vhd_keyhash_pack(const struct vhd_keyhash *keyhash, uint8_t raw[VHD_KEYHASH_BYTES])
{
	raw[0] = keyhash->cookie;
	memcpy(raw + 1, keyhash->nonce, sizeof(keyhash->nonce));
	memcpy(raw + 33, keyhash->hash, sizeof(keyhash->hash));
}

void
vhd_keyhash_unpack(const uint8_t raw[VHD_KEYHASH_BYTES], struct vhd_keyhash *keyhash)
{
	keyhash->cookie = raw[0];
	memcpy(keyhash->nonce, raw + 1, sizeof(keyhash->nonce));
	memcpy(keyhash->hash, raw + 33, sizeof(keyhash->hash));
}

void
vhd_batmap_header_pack(const vhd_batmap_header_t *header, uint8_t raw[VHD_BATMAP_HEADER_BYTES])
{
	memcpy(raw, header->cookie, 8);
	put_be64(raw + 8, header->batmap_offset);
	put_be32(raw + 16, header->batmap_size);
	put_be32(raw + 20, header->version);
	put_be32(raw + 24, header->checksum);
	raw[28] = header->marker;
	vhd_keyhash_pack(&header->keyhash, raw + KEYHASH_AT);
	memcpy(raw + RESERVED_AT, header->reserved, sizeof(header->reserved));
}

void
vhd_batmap_header_unpack(const uint8_t raw[VHD_BATMAP_HEADER_BYTES], vhd_batmap_header_t *header)
{
	memcpy(header->cookie, raw, 8);
	header->batmap_offset = get_be64(raw + 8);
	header->batmap_size = get_be32(raw + 16);
	header->version = get_be32(raw + 20);
	header->checksum = get_be32(raw + 24);
	header->marker = raw[28];
	vhd_keyhash_unpack(raw + KEYHASH_AT, &header->keyhash);
	memcpy(header->reserved, raw + RESERVED_AT, sizeof(header->reserved));
}

int
vhd_batmap_check_header(const vhd_batmap_header_t *header, const struct vhd_layout *layout,
			uint64_t file_bytes, struct reason *why)
{
	uint64_t bytes = (uint64_t)header->batmap_size << VHD_SECTOR_SHIFT;

	if (memcmp(header->cookie, VHD_BATMAP_COOKIE, 8) != 0)
		return reason(why, -EINVAL, "batmap: bad cookie");
	if (header->version != VHD_BATMAP_VERSION && header->version != VHD_BATMAP_VERSION_SIGNED)
		return reason(why, -EINVAL, "batmap: version 0x%08x is not known", header->version);
	if (header->batmap_size < vhd_batmap_sectors(layout->entries))
		return reason(why, -EINVAL, "batmap: %u sectors are too few for %u blocks",
			      header->batmap_size, layout->entries);
	if (header->batmap_size > vhd_batmap_sectors(VHD_MAX_ENTRIES))
		return reason(why, -EINVAL, "batmap: %u sectors are too many", header->batmap_size);
	if (header->batmap_offset % VHD_SECTOR_SIZE ||
	    header->batmap_offset < vhd_batmap_header_at(layout) + VHD_BATMAP_HEADER_BYTES ||
	    !range_fits(header->batmap_offset, bytes, file_bytes))
		return reason(why, -EINVAL, "batmap: the map cannot be at offset 0x%llx",
			      (unsigned long long)header->batmap_offset);
	return 0;
}

uint32_t
vhd_batmap_sum(const vhd_batmap_header_t *header, uint64_t current_size, const uint8_t *map,
	       uint64_t bytes)
{
	uint64_t summed = vhd_batmap_summed_bytes(current_size);

	if (summed > bytes)
		summed = bytes;
	if (header->version == VHD_BATMAP_VERSION_SIGNED)
		return ~vhd_signed_byte_sum(map, summed);
	return ~vhd_byte_sum(map, summed);
}

uint32_t
vhd_batmap_trusted_bits(const vhd_batmap_header_t *header, uint64_t current_size, uint32_t entries)
{
	uint64_t bytes = (uint64_t)header->batmap_size << VHD_SECTOR_SHIFT;
	uint64_t summed = vhd_batmap_summed_bytes(current_size);

	if (summed < bytes)
		bytes = summed;
	return bytes * 8 < entries ? (uint32_t)(bytes * 8) : entries;
}
