/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any file in the place of an image: opened, looked through, read, written.  Input: a byte for how
 * (below), the file.
 */
#include <stdlib.h>

#include "tests/vhd/memory-io.h"
#include "tests/vhd/vhd-fuzz.h"
#include "vhd/lib/context.h"
#include "vhd/lib/header.h"

#define CHOICE_WRITE 1
#define CHOICE_FAST 2
#define CHOICE_COPY 4
#define CHOICE_DISABLED 8
#define CHOICE_MEND 16 /* checksums are made right */
#define CHOICE_DEVICE 32

#define BLOCKS 64u  /* that are looked at */
#define SECTORS 64u /* that are read at once */

static int
flags_of(uint8_t choice)
{
	int flags = choice & CHOICE_WRITE ? VHD_OPEN_RDWR : VHD_OPEN_RDONLY;

	flags |= choice & CHOICE_FAST ? VHD_OPEN_FAST : 0;
	flags |= choice & CHOICE_COPY ? VHD_OPEN_USE_BKP_FOOTER : 0;
	flags |= choice & CHOICE_DISABLED ? VHD_OPEN_IGNORE_DISABLED : 0;
	return flags;
}

static void
mend(struct memory_disk *disk)
{
	uint64_t header;

	if (disk->bytes < VHD_FOOTER_BYTES)
		return;
	fuzz_mend_footer(disk->at);
	fuzz_mend_footer(disk->at + disk->bytes - VHD_FOOTER_BYTES);
	header = get_be64(disk->at + 16);
	if (header < disk->bytes && disk->bytes - header >= VHD_HEADER_BYTES)
		fuzz_mend_header(disk->at + header);
}

static void
look(vhd_context_t *vhd)
{
	uint32_t block, at;
	char *text;
	unsigned i;
	off_t end;

	if (!vhd_get_batmap(vhd))
		vhd_batmap_test(vhd, &vhd->batmap, UINT32_MAX);
	vhd_end_of_headers(vhd, &end);
	for (i = 0; vhd_type_dynamic(vhd) && i < VHD_LOCATORS; i++)
		if (!vhd_parent_locator_read(vhd, &vhd->header.locator[i], &text))
			free(text);
	if (!vhd_parent_locator_unresolved_get(vhd, &text))
		free(text);
	if (!vhd_header_decode_parent(vhd, &vhd->header, &text))
		free(text);
	if (vhd_get_bat(vhd))
		return;
	vhd_end_of_data(vhd, &end);
	for (block = 0; block < vhd->bat.entries && block < BLOCKS; block++) {
		vhd_offset(vhd, (uint64_t)block * vhd->spb, &at);
		if (!vhd_read_bitmap(vhd, block, &text))
			free(text);
	}
}

static void
use(vhd_context_t *vhd)
{
	static uint8_t data[SECTORS * VHD_SECTOR_SIZE];
	uint64_t sectors = vhd->footer.current_size >> VHD_SECTOR_SHIFT;
	uint64_t step = sectors / BLOCKS + 1, sector;

	for (sector = 0; sector < sectors; sector += step)
		vhd_io_read(vhd, data, sector, SECTORS);
	vhd_io_read(vhd, data, sectors - 1, 1);
	vhd_io_read(vhd, data, sectors, 1);
	if (!vhd_io_write(vhd, data, sectors / 2, 1))
		fuzz_check(!vhd_io_read(vhd, data, sectors / 2, 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t choice = fuzz_byte(&input);
	struct memory_disk disk = { .is_device = choice & CHOICE_DEVICE };
	struct reason why;
	vhd_context_t vhd;

	if (!input.left)
		return 0;
	memory_disk_resize(&disk, input.left);
	fuzz_take(&input, disk.at, input.left);
	if (choice & CHOICE_MEND)
		mend(&disk);
	if (!vhd_open_io(&vhd, memory_io(&disk), "image", flags_of(choice), &why)) {
		/* No parent: the names of an input are those of files that are none of its. */
		vhd.priv->lower.is_known = true;
		look(&vhd);
		use(&vhd);
		vhd_close(&vhd);
	}
	memory_disk_free(&disk);
	return 0;
}
