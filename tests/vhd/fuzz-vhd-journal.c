/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A journal that was left beside an image.  Input: a byte (1: checksums are made right, 2: the
 * image is taken as its own), the journal.
 */
#include <stdlib.h>

#include "tests/vhd/memory-io.h"
#include "tests/vhd/vhd-fuzz.h"
#include "vhd/lib/checksum.h"
#include "vhd/lib/context.h"
#include "vhd/lib/create.h"
#include "vhd/lib/journal.h"

#define SIZE (16u << 20)
#define SUM_AT 24 /* in the head of an entry */

/* An image with a resize under way, and its id. */
static void
poisoned(struct memory_disk *disk, uint8_t uuid[VHD_UUID_SIZE])
{
	struct vhd_plan plan = { .type = VHD_TYPE_DYNAMIC, .bytes = SIZE };
	struct memory_disk file = { .at = NULL };
	vhd_journal_t journal;
	vhd_context_t vhd;
	struct io *io = memory_io(disk);

	fuzz_check(!vhd_plan_write(&plan, io, NULL));
	io_close(io);
	fuzz_check(!vhd_open_io(&vhd, memory_io(disk), "image", VHD_OPEN_RDWR, NULL));
	memcpy(uuid, vhd.footer.uuid.bytes, VHD_UUID_SIZE);
	fuzz_check(!vhd_journal_create_io(&journal, &vhd, memory_io(&file), "journal", NULL));
	vhd_journal_close(&journal);
	memory_disk_free(&file);
}

/* Entries as they follow each other from offset 512 on. */
static void
mend(struct memory_disk *file)
{
	size_t at = VHD_JOURNAL_HEADER_BYTES, bytes;

	while (at + VHD_JOURNAL_ENTRY_BYTES <= file->bytes) {
		bytes = VHD_JOURNAL_ENTRY_BYTES + (size_t)get_be32(file->at + at + 12);
		if (bytes > file->bytes - at)
			return;
		put_be32(file->at + at + SUM_AT, 0);
		put_be32(file->at + at + SUM_AT, ~vhd_byte_sum(file->at + at, bytes));
		at += bytes;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t choice = fuzz_byte(&input), uuid[VHD_UUID_SIZE];
	struct memory_disk image = { .at = NULL }, file = { .at = NULL };
	vhd_journal_t journal;
	struct reason why;

	if (input.left < VHD_JOURNAL_HEADER_BYTES)
		return 0;
	poisoned(&image, uuid);
	memory_disk_resize(&file, input.left);
	fuzz_take(&input, file.at, input.left);
	if (choice & 1)
		mend(&file);
	if (choice & 2)
		memcpy(file.at + 8, uuid, sizeof(uuid));
	if (!vhd_journal_open_io(&journal, memory_io(&image), "image", memory_io(&file), "journal",
				 &why)) {
		vhd_journal_revert(&journal);
		vhd_journal_close(&journal);
	}
	memory_disk_free(&image);
	memory_disk_free(&file);
	return 0;
}
