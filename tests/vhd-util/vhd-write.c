/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to the disk of an image: vhd-write IMAGE SECTOR SECTORS BYTE [SECTOR SECTORS BYTE]...
 *
 * All sectors of a range are filled with that byte; they are on stable storage at the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vhd/libvhd.h>

static int
write_range(vhd_context_t *vhd, char **argv)
{
	uint64_t sector = strtoull(argv[0], NULL, 10);
	uint32_t sectors = (uint32_t)strtoul(argv[1], NULL, 10);
	size_t bytes = (size_t)sectors << VHD_SECTOR_SHIFT;
	char *data = malloc(bytes);
	int err;

	if (!data)
		return -ENOMEM;
	memset(data, (int)strtoul(argv[2], NULL, 10), bytes);
	err = vhd_io_write(vhd, data, sector, sectors);
	free(data);
	return err;
}

int
main(int argc, char **argv)
{
	vhd_context_t vhd;
	int i, closed, err;

	if (argc < 2 || (argc - 2) % 3)
		return EINVAL;
	err = vhd_open(&vhd, argv[1], VHD_OPEN_RDWR);
	if (err)
		return -err;
	for (i = 2; i < argc && !err; i += 3)
		err = write_range(&vhd, argv + i);
	closed = vhd_close(&vhd);
	return err ? -err : -closed;
}
