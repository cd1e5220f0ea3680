/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VHD images for tests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/cleanup.h"
#include "common/io.h"
#include "tests/driver-kit/make-vhd.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/geometry.h"
#include "vhd/lib/header.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/locator.h"

/* An image in the making. */
struct maker {
	const struct make_vhd *how;
	struct io *io;
	vhd_footer_t footer;
	uint64_t at; /* bytes: what is written next comes here */
};

static int
put(struct maker *maker, const void *raw, size_t bytes)
{
	int err = io_write_at(maker->io, raw, bytes, maker->at);

	maker->at += bytes;
	return err;
}

static void
fill_footer(struct maker *maker)
{
	const struct make_vhd *how = maker->how;

	maker->footer = (vhd_footer_t){
		.features = VHD_FEATURE_RESERVED,
		.format_version = VHD_VERSION,
		.data_offset = how->type == VHD_TYPE_FIXED ? VHD_NO_OFFSET : VHD_FOOTER_BYTES,
		.creator = "tap",
		.creator_version = how->batmap ? VHD_TAPDISK_VERSION : VHD_TAPDISK_VERSION_1_1,
		.original_size = how->sectors << VHD_SECTOR_SHIFT,
		.current_size = how->sectors << VHD_SECTOR_SHIFT,
		.geometry = vhd_geometry(how->sectors),
		.type = how->type,
	};
	memcpy(maker->footer.cookie, VHD_COOKIE, sizeof(maker->footer.cookie));
	if (getrandom(&maker->footer.uuid, sizeof(maker->footer.uuid), 0) < 0)
		maker->footer.uuid.bytes[0] = 1;
}

static int
put_footer(struct maker *maker)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	vhd_footer_encode(&maker->footer, raw);
	return put(maker, raw, sizeof(raw));
}

static uint32_t
entries_of(const struct make_vhd *how)
{
	if (how->entries)
		return how->entries;
	return (uint32_t)vhd_entries_needed(how->sectors, how->block_size >> VHD_SECTOR_SHIFT);
}

static int
put_header(struct maker *maker, uint64_t locator_at, size_t locator_bytes)
{
	const struct make_vhd *how = maker->how;
	uint8_t raw[VHD_HEADER_BYTES];
	vhd_header_t header = {
		.data_offset = VHD_NO_OFFSET,
		.table_offset = VHD_FOOTER_BYTES + VHD_HEADER_BYTES,
		.header_version = VHD_VERSION,
		.max_table_entries = entries_of(how),
		.block_size = how->block_size,
	};

	memcpy(header.cookie, VHD_HEADER_COOKIE, sizeof(header.cookie));
	if (how->parent) {
		if (how->parent_uuid)
			header.parent_uuid = *how->parent_uuid;
		header.locator[0] = (vhd_parent_locator_t){
			.code = VHD_PLATFORM_MACX,
			.data_space = VHD_LOCATOR_SPACE,
			.data_length = (uint32_t)locator_bytes,
			.data_offset = locator_at,
		};
	}
	vhd_header_encode(&header, raw);
	return put(maker, raw, sizeof(raw));
}

static int
put_bat(struct maker *maker)
{
	size_t bytes = (entries_of(maker->how) * 4ul + VHD_SECTOR_SIZE - 1) / VHD_SECTOR_SIZE *
		       VHD_SECTOR_SIZE;
	AUTO_FREE uint8_t *raw = malloc(bytes);

	if (!raw)
		return -ENOMEM;
	memset(raw, 0xFF, bytes);
	return put(maker, raw, bytes);
}

static int
put_batmap(struct maker *maker)
{
	uint32_t sectors = vhd_batmap_sectors(entries_of(maker->how));
	size_t bytes = (size_t)sectors * VHD_SECTOR_SIZE;
	AUTO_FREE uint8_t *map = calloc(1, bytes);
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];
	vhd_batmap_header_t header = {
		.batmap_offset = maker->at + sizeof(raw),
		.batmap_size = sectors,
		.version = VHD_BATMAP_VERSION,
	};
	int err;

	if (!map)
		return -ENOMEM;
	memcpy(header.cookie, VHD_BATMAP_COOKIE, sizeof(header.cookie));
	if (maker->how->key)
		header.keyhash = *maker->how->key;
	header.checksum = vhd_batmap_sum(&header, maker->footer.current_size, map, bytes);
	vhd_batmap_header_pack(&header, raw);
	err = put(maker, raw, sizeof(raw));
	return err ? err : put(maker, map, bytes);
}

static int
put_dynamic(struct maker *maker)
{
	const struct make_vhd *how = maker->how;
	uint8_t locator[VHD_LOCATOR_SPACE] = { 0 };
	uint64_t tables = VHD_FOOTER_BYTES + VHD_HEADER_BYTES;
	size_t bytes = 0;
	int err;

	tables +=
		(entries_of(how) * 4ull + VHD_SECTOR_SIZE - 1) / VHD_SECTOR_SIZE * VHD_SECTOR_SIZE;
	if (how->batmap)
		tables += VHD_SECTOR_SIZE * (1ull + vhd_batmap_sectors(entries_of(how)));
	if (how->parent) {
		err = vhd_locator_encode(VHD_PLATFORM_MACX, how->parent, locator, sizeof(locator),
					 &bytes);
		if (err)
			return err;
	}
	err = put_footer(maker);
	if (!err)
		err = put_header(maker, tables, bytes);
	if (!err)
		err = put_bat(maker);
	if (!err && how->batmap)
		err = put_batmap(maker);
	if (!err && how->parent)
		err = put(maker, locator, sizeof(locator));
	return err ? err : put_footer(maker);
}

static int
put_fixed(struct maker *maker)
{
	int err;

	maker->at = maker->how->sectors << VHD_SECTOR_SHIFT;
	err = io_truncate(maker->io, maker->at);
	return err ? err : put_footer(maker);
}

int
make_vhd(const char *path, const struct make_vhd *how, vhd_uuid_t *uuid)
{
	struct maker maker = { .how = how };
	int err = io_file_open(path, IO_WRITE | IO_CREATE, &maker.io);

	if (err)
		return err;
	fill_footer(&maker);
	err = how->type == VHD_TYPE_FIXED ? put_fixed(&maker) : put_dynamic(&maker);
	io_close(maker.io);
	if (uuid)
		*uuid = maker.footer.uuid;
	return err;
}
