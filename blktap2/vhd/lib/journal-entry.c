/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an undo journal.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"
#include "vhd/lib/checksum.h"
#include "vhd/lib/journal-entry.h"

#define ENTRY_COOKIE 0xAAAA12344321AAAAull
#define SUM_AT 24
#define END_AT 56

void
vhd_journal_header_encode(const struct vhd_journal_header *header,
			  uint8_t raw[VHD_JOURNAL_HEADER_BYTES])
{
	memset(raw, 0, VHD_JOURNAL_HEADER_BYTES);
	memcpy(raw, VHD_JOURNAL_COOKIE, 8);
	memcpy(raw + 8, header->uuid.bytes, VHD_UUID_SIZE);
	put_be64(raw + 24, header->footer_offset);
	put_be32(raw + 32, header->data_entries);
	put_be32(raw + 36, header->metadata_entries);
	put_be64(raw + 40, header->data_offset);
	put_be64(raw + 48, header->metadata_offset);
	memcpy(raw + END_AT, &header->end, sizeof(header->end));
}

int
vhd_journal_header_decode(const uint8_t raw[VHD_JOURNAL_HEADER_BYTES],
			  struct vhd_journal_header *header, struct reason *why)
{
	struct vhd_journal_header found;

	if (memcmp(raw, VHD_JOURNAL_COOKIE, 8) != 0)
		return reason(why, -EINVAL, "journal: bad cookie");
	memcpy(found.uuid.bytes, raw + 8, VHD_UUID_SIZE);
	found.footer_offset = get_be64(raw + 24);
	found.data_entries = get_be32(raw + 32);
	found.metadata_entries = get_be32(raw + 36);
	found.data_offset = get_be64(raw + 40);
	found.metadata_offset = get_be64(raw + 48);
	memcpy(&found.end, raw + END_AT, sizeof(found.end));
	if (found.data_entries > VHD_JOURNAL_MAX_ENTRIES ||
	    found.metadata_entries > VHD_JOURNAL_MAX_ENTRIES)
		return reason(why, -EINVAL, "journal: too many entries: %u and %u",
			      found.metadata_entries, found.data_entries);
	if (found.footer_offset % VHD_SECTOR_SIZE || found.footer_offset > INT64_MAX / 2)
		return reason(why, -EINVAL, "journal: the footer was at 0x%llx",
			      (unsigned long long)found.footer_offset);
	*header = found;
	return 0;
}

static uint32_t
entry_sum(const uint8_t raw[VHD_JOURNAL_ENTRY_BYTES], const uint8_t *data, uint32_t size)
{
	return ~(vhd_byte_sum(raw, VHD_JOURNAL_ENTRY_BYTES) - vhd_byte_sum(raw + SUM_AT, 4) +
		 vhd_byte_sum(data, size));
}

void
vhd_journal_entry_encode(struct vhd_journal_entry *entry, const uint8_t *data,
			 uint8_t raw[VHD_JOURNAL_ENTRY_BYTES])
{
	memset(raw, 0, VHD_JOURNAL_ENTRY_BYTES);
	put_be64(raw, ENTRY_COOKIE);
	put_be32(raw + 8, entry->type);
	put_be32(raw + 12, entry->size);
	put_be64(raw + 16, entry->offset);
	entry->checksum = entry_sum(raw, data, entry->size);
	put_be32(raw + SUM_AT, entry->checksum);
}

int
vhd_journal_entry_decode(const uint8_t raw[VHD_JOURNAL_ENTRY_BYTES], uint64_t image_end,
			 struct vhd_journal_entry *entry, struct reason *why)
{
	uint32_t type = get_be32(raw + 8), size = get_be32(raw + 12);
	uint64_t offset = get_be64(raw + 16);

	if (get_be64(raw) != ENTRY_COOKIE)
		return reason(why, -EINVAL, "journal: an entry has a bad cookie");
	if (type < VHD_ENTRY_FOOTER || type > VHD_ENTRY_DATA)
		return reason(why, -EINVAL, "journal: there are no entries of type %u", type);
	if (!size || size % VHD_SECTOR_SIZE || size > VHD_JOURNAL_MAX_SIZE)
		return reason(why, -EINVAL, "journal: an entry of %u bytes", size);
	if (!range_fits(offset, size, image_end))
		return reason(why, -EINVAL, "journal: an entry for offset 0x%llx",
			      (unsigned long long)offset);
	if ((type == VHD_ENTRY_FOOTER || type == VHD_ENTRY_COPY) && size != VHD_SECTOR_SIZE)
		return reason(why, -EINVAL, "journal: a footer of %u bytes", size);
	entry->type = type;
	entry->size = size;
	entry->offset = offset;
	entry->checksum = get_be32(raw + SUM_AT);
	return 0;
}

int
vhd_journal_entry_check(const uint8_t raw[VHD_JOURNAL_ENTRY_BYTES],
			const struct vhd_journal_entry *entry, const uint8_t *data,
			struct reason *why)
{
	uint32_t sum = entry_sum(raw, data, entry->size);

	if (sum == entry->checksum)
		return 0;
	return reason(why, -EINVAL, "journal: bad checksum: 0x%x, and should be 0x%x",
		      entry->checksum, sum);
}
