/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of blocks: where they are, that each has its place for itself, what they hold.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/check-internal.h"
#include "vhd/lib/locator.h"

#define STEP_BLOCKS 256 /* blocks between two reports */

/* ---- where they are ---------------------------------------------------------------------------
 */

static int
read_bat(struct vhd_check *check)
{
	uint32_t i, entries = check->layout.entries;
	int err;

	check->bat = malloc((size_t)entries * sizeof(*check->bat));
	if (!check->bat)
		return -ENOMEM;
	err = io_read_at(check->view.io, check->bat, (size_t)entries * sizeof(*check->bat),
			 check->layout.table_offset);
	for (i = 0; !err && i < entries; i++)
		check->bat[i] = get_be32(&check->bat[i]);
	return err;
}

static uint64_t
bytes_at(uint32_t entry)
{
	return (uint64_t)entry << VHD_SECTOR_SHIFT;
}

/* Locators may lie among the blocks; those that make no sense are looked at later. */
static int
check_locator_free(struct vhd_check *check, uint32_t block)
{
	uint64_t at = bytes_at(check->bat[block]), end = at + bytes_at(check->layout.block_secs);
	struct reason why;
	unsigned i;

	for (i = 0; i < VHD_LOCATORS; i++) {
		const vhd_parent_locator_t *locator = &check->view.header.locator[i];

		if (locator->code != VHD_PLATFORM_NONE && locator->data_offset < end &&
		    vhd_locator_check(locator, i, check->view.file_bytes, &why) == 0 &&
		    at < locator->data_offset + vhd_locator_room(locator))
			return vhd_check_found(check, VHD_AREA_BLOCK, block,
					       VHD_PROBLEM_BLOCK_LOCATOR, at, i);
	}
	return 0;
}

static int
check_place(struct vhd_check *check, uint32_t block)
{
	const struct vhd_layout *layout = &check->layout;
	uint64_t at = bytes_at(check->bat[block]);

	if (at < layout->tables_end)
		return vhd_check_found(check, VHD_AREA_BLOCK, block, VHD_PROBLEM_BLOCK_METADATA, at,
				       layout->tables_end);
	if (at + bytes_at(layout->block_secs) > layout->blocks_end)
		return vhd_check_found(check, VHD_AREA_BLOCK, block, VHD_PROBLEM_BLOCK_END, at,
				       layout->blocks_end);
	return check->footer->type == VHD_TYPE_DIFFERENCING ? check_locator_free(check, block) : 0;
}

static int
check_places(struct vhd_check *check, uint32_t *used)
{
	const struct vhd_layout *layout = &check->layout;
	uint32_t block;
	int err = 0;

	for (block = 0; block < layout->entries && !err; block++) {
		if (check->bat[block] != VHD_BLOCK_UNUSED) {
			++*used;
			err = check_place(check, block);
		} else if (check->batmap && vhd_bits_test(check->batmap, block)) {
			err = vhd_check_found(check, VHD_AREA_BATMAP, 0, VHD_PROBLEM_BATMAP_FULL,
					      block);
		}
	}
	return err;
}

/* ---- each for itself --------------------------------------------------------------------------
 */

static int
compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static int
check_overlap(struct vhd_check *check, uint32_t used)
{
	AUTO_FREE uint64_t *places = malloc(((size_t)used + 1) * sizeof(*places));
	uint32_t block, i = 0;

	if (!places)
		return -ENOMEM;
	/* The place, then the block, in one number that sorts. */
	for (block = 0; block < check->layout.entries; block++)
		if (check->bat[block] != VHD_BLOCK_UNUSED)
			places[i++] = (uint64_t)check->bat[block] << 32 | block;
	qsort(places, used, sizeof(*places), compare);
	for (i = 1; i < used; i++) {
		uint32_t before = (uint32_t)(places[i - 1] >> 32);
		uint32_t after = (uint32_t)(places[i] >> 32);

		if (after - before < check->layout.block_secs)
			return vhd_check_found(check, VHD_AREA_BLOCK, (uint32_t)places[i],
					       VHD_PROBLEM_BLOCK_OVERLAP, (uint32_t)places[i - 1],
					       bytes_at(before), (uint32_t)places[i],
					       bytes_at(after));
	}
	return 0;
}

int
vhd_check_blocks(struct vhd_check *check)
{
	uint32_t used = 0;
	int err = read_bat(check);

	if (!err)
		err = check_places(check, &used);
	if (!err && !check->options->skip_overlap)
		err = check_overlap(check, used);
	return err;
}

/* ---- what they hold ---------------------------------------------------------------------------
 */

static int
check_absent(struct vhd_check *check, uint32_t block, const uint8_t *bitmap, uint8_t *data)
{
	const struct vhd_layout *layout = &check->layout;
	uint32_t sector;
	int err;

	if (vhd_bits_all(bitmap, 0, layout->spb))
		return 0;
	err = io_read_at(check->view.io, data, bytes_at(layout->spb),
			 vhd_data_offset(layout, check->bat[block]));
	if (err)
		return err;
	for (sector = 0; sector < layout->spb; sector++)
		if (!vhd_bits_test(bitmap, sector) &&
		    !vhd_all_zero(data + bytes_at(sector), VHD_SECTOR_SIZE))
			return vhd_check_found(check, VHD_AREA_BLOCK, block, VHD_PROBLEM_BLOCK_DATA,
					       sector);
	return 0;
}

static int
check_block(struct vhd_check *check, uint32_t block, uint8_t *bitmap, uint8_t *data)
{
	const struct vhd_layout *layout = &check->layout;
	int err = io_read_at(check->view.io, bitmap, bytes_at(layout->bm_secs),
			     vhd_bitmap_offset(check->bat[block]));

	if (err)
		return err;
	if (check->statistics) {
		check->statistics->allocated_sectors += layout->spb;
		check->statistics->written_sectors += vhd_bits_count(bitmap, 0, layout->spb);
	}
	return data ? check_absent(check, block, bitmap, data) : 0;
}

static int
report(const struct vhd_check *check, uint32_t block)
{
	const struct vhd_check_options *options = check->options;
	uint64_t block_bytes = check->view.header.block_size;

	if (!options->step || block % STEP_BLOCKS)
		return 0;
	return options->step(options->step_arg, block * block_bytes,
			     check->layout.entries * block_bytes);
}

int
vhd_check_data(struct vhd_check *check)
{
	const struct vhd_layout *layout = &check->layout;
	AUTO_FREE uint8_t *bitmap = malloc(bytes_at(layout->bm_secs));
	AUTO_FREE uint8_t *data = NULL;
	uint32_t block;
	int err = 0;

	if (check->options->check_data)
		data = malloc(bytes_at(layout->spb));
	if (!bitmap || (check->options->check_data && !data))
		return -ENOMEM;
	if (check->statistics)
		check->statistics->virtual_sectors = check->virtual_sectors;
	for (block = 0; block < layout->entries && !err; block++) {
		err = report(check, block);
		if (!err && check->bat[block] != VHD_BLOCK_UNUSED)
			err = check_block(check, block, bitmap, data);
	}
	return err;
}
