/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dynamic header.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"
#include "vhd/lib/checksum.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/geometry.h"
#include "vhd/lib/header.h"
#include "vhd/lib/layout.h"

#define SUM_AT 36
#define NAME_AT 64
#define LOCATORS_AT 576
#define LOCATOR_BYTES 24
#define RESERVED_AT 768

_Static_assert(sizeof(vhd_header_t) == VHD_HEADER_BYTES, "the structure has no holes");

uint32_t
vhd_header_sum(const uint8_t raw[VHD_HEADER_BYTES])
{
	return ~(vhd_byte_sum(raw, VHD_HEADER_BYTES) - vhd_byte_sum(raw + SUM_AT, 4));
}

static void
pack_locator(const vhd_parent_locator_t *locator, uint8_t *raw)
{
	put_be32(raw, locator->code);
	put_be32(raw + 4, locator->data_space);
	put_be32(raw + 8, locator->data_length);
	put_be32(raw + 12, locator->reserved);
	put_be64(raw + 16, locator->data_offset);
}

static void
unpack_locator(const uint8_t *raw, vhd_parent_locator_t *locator)
{
	locator->code = get_be32(raw);
	locator->data_space = get_be32(raw + 4);
	locator->data_length = get_be32(raw + 8);
	locator->reserved = get_be32(raw + 12);
	locator->data_offset = get_be64(raw + 16);
}

void
vhd_header_pack(const vhd_header_t *header, uint8_t raw[VHD_HEADER_BYTES])
{
	unsigned i;

	memcpy(raw, header->cookie, 8);
	put_be64(raw + 8, header->data_offset);
	put_be64(raw + 16, header->table_offset);
	put_be32(raw + 24, header->header_version);
	put_be32(raw + 28, header->max_table_entries);
	put_be32(raw + 32, header->block_size);
	put_be32(raw + SUM_AT, header->checksum);
	memcpy(raw + 40, header->parent_uuid.bytes, VHD_UUID_SIZE);
	put_be32(raw + 56, header->parent_timestamp);
	put_be32(raw + 60, header->reserved1);
	memcpy(raw + NAME_AT, header->parent_name, sizeof(header->parent_name));
	for (i = 0; i < VHD_LOCATORS; i++)
		pack_locator(&header->locator[i], raw + LOCATORS_AT + i * LOCATOR_BYTES);
	memcpy(raw + RESERVED_AT, header->reserved2, sizeof(header->reserved2));
}

void
vhd_header_unpack(const uint8_t raw[VHD_HEADER_BYTES], vhd_header_t *header)
{
	unsigned i;

	memcpy(header->cookie, raw, 8);
	header->data_offset = get_be64(raw + 8);
	header->table_offset = get_be64(raw + 16);
	header->header_version = get_be32(raw + 24);
	header->max_table_entries = get_be32(raw + 28);
	header->block_size = get_be32(raw + 32);
	header->checksum = get_be32(raw + SUM_AT);
	memcpy(header->parent_uuid.bytes, raw + 40, VHD_UUID_SIZE);
	header->parent_timestamp = get_be32(raw + 56);
	header->reserved1 = get_be32(raw + 60);
	memcpy(header->parent_name, raw + NAME_AT, sizeof(header->parent_name));
	for (i = 0; i < VHD_LOCATORS; i++)
		unpack_locator(raw + LOCATORS_AT + i * LOCATOR_BYTES, &header->locator[i]);
	memcpy(header->reserved2, raw + RESERVED_AT, sizeof(header->reserved2));
}

void
vhd_header_encode(vhd_header_t *header, uint8_t raw[VHD_HEADER_BYTES])
{
	vhd_header_pack(header, raw);
	header->checksum = vhd_header_sum(raw);
	put_be32(raw + SUM_AT, header->checksum);
}

int
vhd_header_decode(const uint8_t raw[VHD_HEADER_BYTES], vhd_header_t *header, struct reason *why)
{
	if (memcmp(raw, VHD_HEADER_COOKIE, 8) != 0)
		return reason(why, -EINVAL, "header: bad cookie");
	if (get_be32(raw + SUM_AT) != vhd_header_sum(raw))
		return reason(why, -EINVAL, "header: bad checksum: 0x%x, and should be 0x%x",
			      get_be32(raw + SUM_AT), vhd_header_sum(raw));
	if (get_be32(raw + 24) != VHD_VERSION)
		return reason(why, -EINVAL, "header: version 0x%08x is not known",
			      get_be32(raw + 24));
	vhd_header_unpack(raw, header);
	return 0;
}

int
vhd_header_check_offset(uint64_t data_offset, uint64_t file_bytes, struct reason *why)
{
	if (data_offset % VHD_SECTOR_SIZE || data_offset < VHD_FOOTER_BYTES)
		return reason(why, -EINVAL, "header: cannot be at offset 0x%llx",
			      (unsigned long long)data_offset);
	if (!range_fits(data_offset, VHD_HEADER_BYTES, file_bytes))
		return reason(why, -EINVAL, "header: at offset 0x%llx, behind the end of the file",
			      (unsigned long long)data_offset);
	return 0;
}

static int
check_table(const vhd_header_t *header, uint64_t header_offset, uint64_t file_bytes,
	    struct reason *why)
{
	uint64_t at = header->table_offset, bytes = vhd_table_bytes(header->max_table_entries);

	if (header->max_table_entries > VHD_MAX_ENTRIES)
		return reason(why, -EINVAL, "header: a BAT of %u entries is too large",
			      header->max_table_entries);
	if (at % VHD_SECTOR_SIZE || at < VHD_FOOTER_BYTES)
		return reason(why, -EINVAL, "header: the BAT cannot be at offset 0x%llx",
			      (unsigned long long)at);
	if (!range_fits(at, bytes, file_bytes))
		return reason(why, -EINVAL,
			      "header: a BAT of %u entries at offset 0x%llx reaches behind the end "
			      "of the file",
			      header->max_table_entries, (unsigned long long)at);
	if (at < header_offset + VHD_HEADER_BYTES && header_offset < at + bytes)
		return reason(why, -EINVAL, "header: the BAT at offset 0x%llx overlaps the header",
			      (unsigned long long)at);
	return 0;
}

int
vhd_header_check(const vhd_header_t *header, const vhd_footer_t *footer, uint64_t file_bytes,
		 struct reason *why)
{
	uint64_t sectors, needed;
	int err;

	if (!is_power_of_two(header->block_size) || header->block_size < VHD_MIN_BLOCK_SIZE ||
	    header->block_size > VHD_MAX_BLOCK_SIZE)
		return reason(why, -EINVAL, "header: a block size of %u is not supported",
			      header->block_size);
	err = check_table(header, footer->data_offset, file_bytes, why);
	if (err)
		return err;
	sectors = vhd_virtual_sectors(footer, VHD_SIZE_BY_CREATOR);
	needed = vhd_entries_needed(sectors, header->block_size >> VHD_SECTOR_SHIFT);
	if (!sectors || needed > header->max_table_entries)
		return reason(why, -EINVAL,
			      "header: the BAT has %u entries, and the disk needs %llu",
			      header->max_table_entries, (unsigned long long)needed);
	return 0;
}
