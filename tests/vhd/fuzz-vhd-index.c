/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An index, and what it says of an image.  Input: a byte (1: checksums are made right, 2: unique
 * ids are those of the image that there is), the bytes of NAME.files and of IMAGE.bat as 16-bit
 * numbers, those files, NAME.index, which is at least one block.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/vhd/memory-io.h"
#include "tests/vhd/vhd-fuzz.h"
#include "vhd/lib/context.h"
#include "vhd/lib/create.h"
#include "vhd/lib/index.h"

#define SIZE (4u << 20)
#define SECTORS 64u /* that are read at once */
#define BLOCKS 64u  /* that are read */

/* The files of a fuzzed world. */
struct world {
	struct memory_disk index, files, bat, image;
};

static int
open_in_world(void *arg, const char *path, unsigned flags, struct io **io)
{
	static const char *const names[] = { "/i.index", "/i.files", "/image.bat", "/none" };
	struct world *world = arg;
	struct memory_disk *disks[] = { &world->index, &world->files, &world->bat, NULL };
	struct memory_disk *disk = &world->image;
	unsigned i;

	fuzz_check(!flags);
	for (i = 0; i < 4; i++)
		if (strcmp(path, names[i]) == 0)
			disk = disks[i];
	if (!disk)
		return -ENOENT;
	*io = memory_io(disk);
	return 0;
}

static void
take_file(struct fuzz_input *input, struct memory_disk *disk, size_t bytes)
{
	memory_disk_resize(disk, bytes);
	if (bytes)
		fuzz_take(input, disk->at, bytes);
}

static void
make_image(struct memory_disk *disk, vhd_uuid_t *uuid)
{
	struct vhd_plan plan = { .type = VHD_TYPE_DYNAMIC, .bytes = SIZE };
	vhd_context_t vhd;
	struct io *io = memory_io(disk);

	fuzz_check(!vhd_plan_write(&plan, io, NULL));
	io_close(io);
	fuzz_check(!vhd_open_io(&vhd, memory_io(disk), "image", VHD_OPEN_RDONLY, NULL));
	*uuid = vhd.footer.uuid;
	vhd_close(&vhd);
}

static void
put_uuids(struct world *world, const vhd_uuid_t *uuid)
{
	size_t at;

	for (at = VHDI_HEADER_BYTES; at + VHDI_FILE_BYTES <= world->files.bytes;
	     at += VHDI_FILE_BYTES)
		if (get_be32(world->files.at + at) == 1)
			memcpy(world->files.at + at + 8, uuid, sizeof(*uuid));
	if (world->bat.bytes >= VHDI_BAT_HEADER_BYTES)
		memcpy(world->bat.at + 40, uuid, sizeof(*uuid));
}

static void
mend(struct memory_disk *disk, size_t bytes)
{
	if (bytes >= VHDI_HEADER_BYTES && bytes <= disk->bytes)
		put_be32(disk->at + VHDI_SUM_AT, vhdi_sum(disk->at, bytes));
}

static void
use(vhdi_context_t *index)
{
	static uint8_t data[SECTORS * VHD_SECTOR_SIZE];
	uint64_t sector, sectors;
	vhdi_block_t block;
	vhdi_bat_t bat;
	uint32_t i;

	if (!vhdi_read_block(index, VHDI_FIRST_BLOCK, &block)) {
		for (i = 0; i < block.entries; i++)
			fuzz_check(block.table[i].file_id <= index->files);
		vhdi_free_block(&block);
	}
	if (vhdi_read_bat(index, "/image", &bat))
		return;
	sectors = bat.bytes >> VHD_SECTOR_SHIFT;
	for (i = 0; i < BLOCKS; i++) {
		sector = sectors / BLOCKS * i;
		vhdi_io_read(index, &bat, data, sector, SECTORS);
	}
	vhdi_io_read(index, &bat, data, sectors - 1, 1);
	fuzz_check(vhdi_io_read(index, &bat, data, sectors, 1) == -ERANGE);
	vhdi_free_bat(&bat);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct world world = { .index = { .at = NULL } };
	const struct vhdi_source source = { .open = open_in_world, .arg = &world };
	uint8_t choice = fuzz_byte(&input), lengths[4];
	vhdi_context_t index;
	vhd_uuid_t uuid;

	fuzz_take(&input, lengths, sizeof(lengths));
	take_file(&input, &world.files, get_be16(lengths));
	take_file(&input, &world.bat, get_be16(lengths + 2));
	take_file(&input, &world.index,
		  input.left > VHDI_HEADER_BYTES + VHDI_BLOCK_BYTES
			  ? input.left
			  : VHDI_HEADER_BYTES + VHDI_BLOCK_BYTES);
	make_image(&world.image, &uuid);
	if (choice & 2)
		put_uuids(&world, &uuid);
	if (choice & 1) {
		mend(&world.files, world.files.bytes);
		mend(&world.bat, world.bat.bytes);
		mend(&world.index, VHDI_HEADER_BYTES);
	}
	if (!vhdi_open_from(&index, "/i", &source, NULL)) {
		use(&index);
		vhdi_close(&index);
	}
	memory_disk_free(&world.index);
	memory_disk_free(&world.files);
	memory_disk_free(&world.bat);
	memory_disk_free(&world.image);
	return 0;
}
