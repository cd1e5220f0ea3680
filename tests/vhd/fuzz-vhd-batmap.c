/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batmap behind a BAT of any size.  Input: a byte (1: the checksum is made right), 2 bytes for
 * the entries of the BAT, 8 for the size of the disk, the header of the batmap, the rest of the
 * file.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/io.h"
#include "tests/vhd/memory-io.h"
#include "tests/vhd/vhd-fuzz.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/image.h"

#define TABLE_AT 1536

static void
read_map(struct vhd_image *image, struct io *io)
{
	uint32_t trusted, bit;
	struct reason why;
	uint8_t *map;

	trusted = vhd_batmap_trusted_bits(&image->batmap, image->footer.current_size,
					  image->layout.entries);
	fuzz_check(trusted <= image->layout.entries);
	if (vhd_image_read_batmap(io, image, &map, &why))
		return;
	for (bit = trusted; bit < image->layout.entries; bit++)
		fuzz_check(!vhd_bits_test(map, bit));
	free(map);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t choice = fuzz_byte(&input), numbers[10], raw[VHD_BATMAP_HEADER_BYTES];
	vhd_header_t header = { .table_offset = TABLE_AT, .block_size = VHD_BLOCK_SIZE };
	struct memory_disk disk = { .at = NULL };
	struct vhd_image image = { .has_batmap = true };
	vhd_batmap_header_t *batmap = &image.batmap;
	struct reason why;
	struct io *io;
	size_t at;

	fuzz_take(&input, numbers, sizeof(numbers));
	fuzz_take(&input, raw, sizeof(raw));
	header.max_table_entries = get_be16(numbers) + 1u;
	image.footer.type = VHD_TYPE_DYNAMIC;
	image.footer.current_size =
		get_be64(numbers + 2) % (VHD_MAX_SECTORS << VHD_SECTOR_SHIFT) + 512;
	vhd_layout_init(&image.layout, 512, &header);
	at = vhd_batmap_header_at(&image.layout) + sizeof(raw);
	memory_disk_resize(&disk, at + input.left);
	image.file_bytes = disk.bytes;
	fuzz_take(&input, disk.at + at, input.left);
	vhd_batmap_header_unpack(raw, batmap);
	if (!vhd_batmap_check_header(batmap, &image.layout, disk.bytes, &why)) {
		if (choice & 1)
			batmap->checksum = vhd_batmap_sum(
				batmap, image.footer.current_size, disk.at + batmap->batmap_offset,
				(uint64_t)batmap->batmap_size << VHD_SECTOR_SHIFT);
		io = memory_io(&disk);
		read_map(&image, io);
		io_close(io);
	}
	memory_disk_free(&disk);
	return 0;
}
