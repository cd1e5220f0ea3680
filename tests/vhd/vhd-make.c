/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes images for the scripts, also ones that no tool would make:
 *
 *	vhd-make fixed PATH SECTORS
 *	vhd-make dynamic PATH SECTORS [BLOCK-SIZE [ENTRIES]]
 *	vhd-make child PATH PARENT		over a VHD, as large as that
 *	vhd-make over-raw PATH PARENT SECTORS
 *	vhd-make bat PATH BLOCK ENTRY		change an entry of the BAT
 *	vhd-make foot PATH OFFSET VALUE		change a byte of both footers, checksums included
 *
 * PARENT is stored as it is given.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/io.h"
#include "tests/driver-kit/make-vhd.h"
#include "vhd/lib/image.h"

static int
fail(const char *what, int err)
{
	fprintf(stderr, "vhd-make: %s: %s\n", what, strerror(-err));
	return 1;
}

static int
make(const char *path, struct make_vhd *how)
{
	int err;

	how->batmap = how->type != VHD_TYPE_FIXED;
	if (!how->block_size)
		how->block_size = VHD_BLOCK_SIZE;
	err = make_vhd(path, how, NULL);
	return err ? fail(path, err) : 0;
}

/* The parent is looked for where the child will look for it. */
static int
read_image(const char *path, const char *beside, struct vhd_image *image)
{
	const char *slash = strrchr(beside, '/');
	char whole[4096];
	struct reason why;
	struct io *io;
	int err;

	if (path[0] == '/' || !slash)
		snprintf(whole, sizeof(whole), "%s", path);
	else
		snprintf(whole, sizeof(whole), "%.*s/%s", (int)(slash - beside), beside, path);
	err = io_file_open(whole, 0, &io);
	if (err)
		return fail(whole, err);
	err = vhd_image_read(io, 0, image, &why);
	io_close(io);
	return err ? fail(why.text, err) : 0;
}

static int
make_child(const char *path, const char *parent)
{
	struct vhd_image image;
	struct make_vhd how = { .type = VHD_TYPE_DIFFERENCING, .parent = parent };

	if (read_image(parent, path, &image))
		return 1;
	how.sectors = image.sectors;
	how.parent_uuid = &image.footer.uuid;
	return make(path, &how);
}

static int
change_bat(const char *path, uint32_t block, uint32_t entry)
{
	struct vhd_image image;
	uint8_t raw[4];
	struct io *io;
	int err;

	if (read_image(path, "", &image))
		return 1;
	put_be32(raw, entry);
	err = io_file_open(path, IO_WRITE, &io);
	if (err)
		return fail(path, err);
	err = io_write_at(io, raw, sizeof(raw), image.layout.table_offset + 4ull * block);
	io_close(io);
	return err ? fail(path, err) : 0;
}

static int
change_footers(const char *path, unsigned long offset, unsigned long value)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	struct vhd_image image;
	struct io *io;
	int err;

	if (read_image(path, "", &image))
		return 1;
	vhd_footer_encode(&image.footer, raw);
	raw[offset % VHD_FOOTER_BYTES] = (uint8_t)value;
	put_be32(raw + 64, vhd_footer_sum(raw));
	err = io_file_open(path, IO_WRITE, &io);
	if (err)
		return fail(path, err);
	err = io_write_at(io, raw, sizeof(raw), image.footer_at);
	if (!err && vhd_image_is_dynamic(&image))
		err = io_write_at(io, raw, sizeof(raw), 0);
	io_close(io);
	return err ? fail(path, err) : 0;
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	unsigned long number[6] = { 0 };
	struct make_vhd how = { 0 };
	int i;

	for (i = 3; i < argc && i < 6; i++)
		number[i] = strtoul(argv[i], NULL, 0);
	how.sectors = number[3];
	how.block_size = (uint32_t)number[4];
	how.entries = (uint32_t)number[5];
	if (argc < 4)
		return fail("usage", -EINVAL);
	if (strcmp(verb, "fixed") == 0)
		how.type = VHD_TYPE_FIXED;
	else if (strcmp(verb, "dynamic") == 0)
		how.type = VHD_TYPE_DYNAMIC;
	if (how.type)
		return make(argv[2], &how);
	if (strcmp(verb, "child") == 0)
		return make_child(argv[2], argv[3]);
	if (strcmp(verb, "bat") == 0)
		return change_bat(argv[2], (uint32_t)number[3], (uint32_t)number[4]);
	if (strcmp(verb, "foot") == 0)
		return change_footers(argv[2], number[3], number[4]);
	how = (struct make_vhd){ .type = VHD_TYPE_DIFFERENCING,
				 .parent = argv[3],
				 .sectors = number[4] };
	return make(argv[2], &how);
}
