/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making images.
 *
 * All that the footers speak of is durable before the first of them is written, and an image has
 * its name for good when it is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vhd/libvhd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/create.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/geometry.h"
#include "vhd/lib/header.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/locator.h"

#define HEADER_AT VHD_FOOTER_BYTES
#define TABLE_AT (HEADER_AT + VHD_HEADER_BYTES)
#define FILL_BYTES (256u << 10) /* that are written at a time */

static const uint32_t locator_codes[] = {
	VHD_PLATFORM_MACX,
	VHD_PLATFORM_W2KU,
	VHD_PLATFORM_W2RU,
};
#define LOCATOR_COUNT (sizeof(locator_codes) / sizeof(locator_codes[0]))

/* An image in the making. */
struct making {
	const struct vhd_plan *plan;
	struct io *io;
	struct reason *why;
	vhd_footer_t footer;
	vhd_header_t header;
	struct vhd_layout layout;
	uint64_t end; /* of the metadata, in bytes */
};

int
vhd_plan_check(const struct vhd_plan *plan, struct reason *why)
{
	uint64_t most = VHD_MAX_SECTORS << VHD_SECTOR_SHIFT;

	if (plan->type != VHD_TYPE_FIXED && plan->type != VHD_TYPE_DYNAMIC &&
	    plan->type != VHD_TYPE_DIFFERENCING)
		return reason(why, -EINVAL, "there is no type %d", plan->type);
	if (!plan->bytes || plan->bytes % VHD_SECTOR_SIZE)
		return reason(why, -EINVAL, "size: no multiple of 512: %llu",
			      (unsigned long long)plan->bytes);
	if (plan->bytes > most || plan->max_bytes > most)
		return reason(why, -EINVAL, "size: more than 2040 GiB: %llu",
			      (unsigned long long)plan->bytes);
	return 0;
}

static int
failed(const struct making *making, int err)
{
	return reason(making->why, err, "file: cannot be written: %s", strerror(-err));
}

/* ---- what is to be written ----------------------------------------------------------------------
 */

static void
plan_footer(struct making *making)
{
	const struct vhd_plan *plan = making->plan;
	vhd_footer_t *footer = &making->footer;

	memcpy(footer->cookie, VHD_COOKIE, sizeof(footer->cookie));
	memcpy(footer->creator, "tap", sizeof(footer->creator));
	footer->features = VHD_FEATURE_RESERVED;
	footer->format_version = VHD_VERSION;
	footer->data_offset = plan->type == VHD_TYPE_FIXED ? VHD_NO_OFFSET : HEADER_AT;
	footer->timestamp = vhd_time(time(NULL));
	footer->creator_version = VHD_TAPDISK_VERSION;
	footer->original_size = plan->bytes;
	footer->current_size = plan->bytes;
	footer->geometry = vhd_chs(plan->bytes);
	footer->type = (uint32_t)plan->type;
	vhd_uuid_generate(&footer->uuid);
}

static int
plan_header(struct making *making)
{
	const struct vhd_plan *plan = making->plan;
	vhd_header_t *header = &making->header;
	uint64_t most = plan->bytes > plan->max_bytes ? plan->bytes : plan->max_bytes;
	int err;

	memcpy(header->cookie, VHD_HEADER_COOKIE, sizeof(header->cookie));
	header->data_offset = VHD_NO_OFFSET;
	header->table_offset = TABLE_AT;
	header->header_version = VHD_VERSION;
	header->block_size = VHD_BLOCK_SIZE;
	header->max_table_entries = (uint32_t)vhd_entries_needed(
		secs_round_up(most), VHD_BLOCK_SIZE >> VHD_SECTOR_SHIFT);
	if (plan->type != VHD_TYPE_DIFFERENCING)
		return 0;
	header->parent_uuid = plan->parent_uuid;
	header->parent_timestamp = plan->parent_timestamp;
	err = vhd_parent_name_encode(plan->parent, header->parent_name);
	return err ? reason(making->why, err, "parent: %s: %s", plan->parent, strerror(-err)) : 0;
}

/* ---- writing ------------------------------------------------------------------------------------
 */

static int
fill(struct making *making, uint64_t at, uint64_t bytes, int value)
{
	size_t piece = bytes < FILL_BYTES ? (size_t)bytes : FILL_BYTES;
	AUTO_FREE uint8_t *buf = malloc(piece);
	uint64_t done;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	memset(buf, value, piece);
	for (done = 0; !err && done < bytes; done += piece) {
		if (piece > bytes - done)
			piece = (size_t)(bytes - done);
		err = io_write_at(making->io, buf, piece, at + done);
	}
	return err ? failed(making, err) : 0;
}

static int
write_batmap(struct making *making)
{
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];
	uint64_t at = vhd_batmap_header_at(&making->layout);
	vhd_batmap_header_t header = {
		.cookie = { 't', 'd', 'b', 'a', 't', 'm', 'a', 'p' },
		.batmap_offset = at + VHD_BATMAP_HEADER_BYTES,
		.batmap_size = vhd_batmap_sectors(making->layout.entries),
		.version = VHD_BATMAP_VERSION,
		.checksum = ~0u, /* of zeros */
		.keyhash = making->plan->keyhash,
	};
	uint64_t bytes = (uint64_t)header.batmap_size << VHD_SECTOR_SHIFT;
	int err;

	vhd_batmap_header_pack(&header, raw);
	err = io_write_at(making->io, raw, sizeof(raw), at);
	if (err)
		return failed(making, err);
	making->end = header.batmap_offset + bytes;
	return fill(making, header.batmap_offset, bytes, 0);
}

static int
write_locators(struct making *making)
{
	uint8_t data[VHD_LOCATOR_SPACE];
	size_t bytes, i;
	int err;

	for (i = 0; i < LOCATOR_COUNT; i++) {
		memset(data, 0, sizeof(data));
		err = vhd_locator_encode(locator_codes[i], making->plan->parent, data, sizeof(data),
					 &bytes);
		if (err)
			return reason(making->why, err, "parent: %s: %s", making->plan->parent,
				      strerror(-err));
		err = io_write_at(making->io, data, sizeof(data), making->end);
		if (err)
			return failed(making, err);
		making->header.locator[i] = (vhd_parent_locator_t){
			.code = locator_codes[i],
			.data_space = sizeof(data),
			.data_length = (uint32_t)bytes,
			.data_offset = making->end,
		};
		making->end += sizeof(data);
	}
	return 0;
}

static int
write_tables(struct making *making)
{
	uint8_t raw[VHD_HEADER_BYTES];
	int err = plan_header(making);

	if (err)
		return err;
	vhd_layout_init(&making->layout, HEADER_AT, &making->header);
	err = fill(making, TABLE_AT, making->layout.table_end - TABLE_AT, 0xFF);
	if (!err)
		err = write_batmap(making);
	if (!err && making->plan->type == VHD_TYPE_DIFFERENCING)
		err = write_locators(making);
	if (err)
		return err;
	vhd_header_encode(&making->header, raw);
	err = io_write_at(making->io, raw, sizeof(raw), HEADER_AT);
	return err ? failed(making, err) : 0;
}

static int
write_disk(struct making *making)
{
	uint64_t bytes = making->plan->bytes;
	int err;

	making->end = bytes;
	if (!making->io->is_device)
		err = io_truncate(making->io, bytes + VHD_FOOTER_BYTES);
	else
		err = io_zero(making->io, 0, bytes);
	return err ? failed(making, err) : 0;
}

/* Where the footer of a file belongs is known; that of a device is its last sector. */
static int
place_footer(struct making *making, uint64_t *at)
{
	uint64_t size;
	int err;

	*at = making->end;
	if (!making->io->is_device)
		return 0;
	err = io_size(making->io, &size);
	if (err)
		return failed(making, err);
	if (!range_fits(making->end, VHD_FOOTER_BYTES, size))
		return reason(making->why, -ENOSPC, "file: the device has only %llu bytes",
			      (unsigned long long)size);
	*at = size - VHD_FOOTER_BYTES;
	return 0;
}

static int
write_footers(struct making *making, uint64_t at)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	int err;

	vhd_footer_encode(&making->footer, raw);
	err = io_sync(making->io);
	if (!err && making->plan->type != VHD_TYPE_FIXED)
		err = io_write_at(making->io, raw, sizeof(raw), 0);
	if (!err)
		err = io_write_at(making->io, raw, sizeof(raw), at);
	if (!err)
		err = io_sync(making->io);
	return err ? failed(making, err) : 0;
}

int
vhd_plan_write(const struct vhd_plan *plan, struct io *io, struct reason *why)
{
	struct making making = { .plan = plan, .io = io, .why = why };
	uint64_t at;
	int err;

	err = vhd_plan_check(plan, why);
	if (err)
		return err;
	plan_footer(&making);
	/* A device that is too small is told before it is filled. */
	making.end = plan->type == VHD_TYPE_FIXED ? plan->bytes : TABLE_AT;
	err = place_footer(&making, &at);
	if (!err)
		err = plan->type == VHD_TYPE_FIXED ? write_disk(&making) : write_tables(&making);
	if (!err)
		err = place_footer(&making, &at);
	return err ? err : write_footers(&making, at);
}

int
vhd_plan_make(const struct vhd_plan *plan, const char *name, struct reason *why)
{
	struct io *io;
	bool is_device;
	int err;

	err = vhd_plan_check(plan, why);
	if (err)
		return err;
	err = io_file_open(name, IO_WRITE | IO_CREATE, &io);
	if (err)
		return reason(why, err, "file: %s", strerror(-err));
	is_device = io->is_device;
	err = vhd_plan_write(plan, io, why);
	io_close(io);
	if (!err && !is_device)
		err = io_file_sync_name(name);
	if (err && !is_device)
		unlink(name);
	return err;
}

int
vhd_create(const char *name, uint64_t bytes, int type, uint64_t mbytes, uint32_t flags)
{
	struct vhd_plan plan = { .type = type, .bytes = bytes };

	if (flags & ~VHD_FLAG_CREAT_FILE_SIZE_FIXED || type == VHD_TYPE_DIFFERENCING)
		return -EINVAL;
	if (checked_mul(mbytes, 1u << 20, &plan.max_bytes))
		return -EINVAL;
	return vhd_plan_make(&plan, name, NULL);
}
