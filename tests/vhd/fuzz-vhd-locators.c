/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a parent locator says.  Input: a byte for the platform code, and for whether offset and
 * length are as they should be (128), 24 bytes of an entry, the rest of the file.
 */
#include <stdlib.h>

#include "common/io.h"
#include "tests/vhd/memory-io.h"
#include "tests/vhd/vhd-fuzz.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/parent.h"

static const uint32_t codes[] = { VHD_PLATFORM_MACX, VHD_PLATFORM_W2KU, VHD_PLATFORM_W2RU,
				  VHD_PLATFORM_WI2R };

/* A path can be written again, and then says the same. */
static void
write_again(uint32_t code, const char *path)
{
	uint8_t raw[3 * VHD_LOCATOR_MAX_PATH];
	size_t bytes;
	char *again;

	if (vhd_locator_encode(code, path, raw, sizeof(raw), &bytes))
		return;
	fuzz_check(bytes <= sizeof(raw));
	if (vhd_locator_decode(code, raw, bytes, &again))
		return;
	fuzz_check(*again != '\0');
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t choice = fuzz_byte(&input), raw[24];
	struct memory_disk disk = { .at = NULL };
	vhd_parent_locator_t locator;
	struct reason why;
	struct io *io;
	char *path;

	fuzz_take(&input, raw, sizeof(raw));
	locator = (vhd_parent_locator_t){ .code = get_be32(raw),
					  .data_space = get_be32(raw + 4),
					  .data_length = get_be32(raw + 8),
					  .data_offset = get_be64(raw + 16) };
	locator.code = choice % 8 < 4 ? codes[choice % 8] : locator.code;
	memory_disk_resize(&disk, 512 + input.left);
	if (choice & 128) {
		locator.data_offset = 512;
		locator.data_length = (uint32_t)input.left;
		locator.data_space = 65536;
		memory_disk_resize(&disk, 512 + 65536 + input.left);
	}
	fuzz_take(&input, disk.at + 512, input.left);
	io = memory_io(&disk);
	if (!vhd_locator_read(io, &locator, 0, disk.bytes, &path, &why)) {
		fuzz_check(*path != '\0');
		write_again(locator.code, path);
		vhd_percent_decode(path);
		free(path);
	}
	io_close(io);
	memory_disk_free(&disk);
	return 0;
}
