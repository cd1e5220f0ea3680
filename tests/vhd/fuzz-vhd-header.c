/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A header, and the layout that follows from it.  Input: a byte (1: the checksum is made right), 8
 * bytes for the size of the disk, 8 for that of the file, the header, entries of the BAT.
 */
#include <stdlib.h>

#include "tests/vhd/vhd-fuzz.h"
#include "vhd/lib/geometry.h"
#include "vhd/lib/header.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/locator.h"

#define HEADER_AT 512

static void
names_of(const vhd_header_t *header, uint64_t file_bytes)
{
	struct reason why;
	char *name;
	unsigned i;

	if (!vhd_parent_name_decode(header->parent_name, &name)) {
		fuzz_check(*name != '\0');
		vhd_percent_decode(name);
		free(name);
	}
	for (i = 0; i < VHD_LOCATORS; i++)
		if (!vhd_locator_check(&header->locator[i], i, file_bytes, &why))
			fuzz_check(!header->locator[i].code ||
				   header->locator[i].data_length <= VHD_LOCATOR_MAX_LENGTH);
}

/* Entries that are accepted are of blocks between the tables and the end. */
static void
entries_of(const struct vhd_layout *layout, struct fuzz_input *input)
{
	uint32_t bat[64], count = layout->entries < 64 ? layout->entries : 64, i, place;
	struct reason why;
	uint64_t end;

	for (i = 0; i < count; i++) {
		uint8_t raw[4];

		bat[i] = fuzz_take(input, raw, 4) ? get_be32(raw) : VHD_BLOCK_UNUSED;
	}
	if (vhd_layout_check_entries(layout, bat, count, false, &why))
		return;
	end = vhd_layout_end_of_data(layout, bat, count);
	fuzz_check(end >= layout->metadata_end);
	for (i = 0; i < count; i++)
		if (bat[i] != VHD_BLOCK_UNUSED)
			fuzz_check(vhd_bitmap_offset(bat[i]) >= layout->tables_end &&
				   vhd_data_offset(layout, bat[i]) < layout->blocks_end);
	vhd_layout_check_overlap(layout, bat, count, &why);
	if (!vhd_layout_place(layout, end, UINT64_MAX, &place))
		fuzz_check(vhd_bitmap_offset(place) >= end && place != VHD_BLOCK_UNUSED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t choice = fuzz_byte(&input), numbers[16], raw[VHD_HEADER_BYTES];
	vhd_footer_t footer = { .type = VHD_TYPE_DIFFERENCING, .data_offset = HEADER_AT };
	struct vhd_layout layout;
	uint64_t file_bytes;
	vhd_header_t header;
	struct reason why;

	fuzz_take(&input, numbers, sizeof(numbers));
	footer.current_size = get_be64(numbers) % (VHD_MAX_SECTORS << VHD_SECTOR_SHIFT) + 512;
	file_bytes = get_be64(numbers + 8) >> 1;
	fuzz_take(&input, raw, sizeof(raw));
	if (choice & 1)
		fuzz_mend_header(raw);
	if (vhd_header_check_offset(HEADER_AT, file_bytes, &why) ||
	    vhd_header_decode(raw, &header, &why))
		return 0;
	names_of(&header, file_bytes);
	if (vhd_header_check(&header, &footer, file_bytes, &why))
		return 0;
	vhd_layout_init(&layout, HEADER_AT, &header);
	fuzz_check(layout.entries <= VHD_MAX_ENTRIES && layout.table_end <= file_bytes);
	layout.blocks_end = file_bytes;
	entries_of(&layout, &input);
	return 0;
}
