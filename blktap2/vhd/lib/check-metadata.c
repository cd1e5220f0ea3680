/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of footers, header, and the batmap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/check-internal.h"
#include "vhd/lib/geometry.h"

#define CLOCK_TOLERANCE 1800 /* seconds that another host's clock may be ahead */
#define KNOWN_FEATURES (VHD_FEATURE_TEMPORARY | VHD_FEATURE_RESERVED)

/* ---- one footer -------------------------------------------------------------------------------
 */

static bool
is_in_future(uint32_t timestamp)
{
	return (int64_t)timestamp + VHD_EPOCH > (int64_t)time(NULL) + CLOCK_TOLERANCE;
}

static bool
data_offset_is_good(const struct vhd_view *view, const vhd_footer_t *footer)
{
	uint64_t at = footer->data_offset;

	if (footer->type == VHD_TYPE_FIXED)
		return at == VHD_NO_OFFSET || at == 0xFFFFFFFF || at == 0;
	return at % VHD_SECTOR_SIZE == 0 && at >= VHD_FOOTER_BYTES &&
	       range_fits(at, VHD_HEADER_BYTES, view->file_bytes);
}

/*
 * Cylinders, heads and sectors may not describe more than there is; the largest ones say nothing.
 * The tap family always rounds down.
 */
static bool
geometry_is_good(const vhd_footer_t *footer)
{
	uint64_t sectors = footer->current_size >> VHD_SECTOR_SHIFT;
	uint64_t described = vhd_geometry_sectors(footer->geometry);

	if (vhd_footer_by_tapdisk(footer))
		return described <= vhd_geometry_sectors(vhd_geometry(sectors));
	return footer->geometry == VHD_GEOMETRY_MAX || described <= sectors;
}

static bool
size_is_good(const vhd_footer_t *footer)
{
	return footer->current_size && footer->current_size % VHD_SECTOR_SIZE == 0 &&
	       footer->current_size >> VHD_SECTOR_SHIFT <= VHD_MAX_SECTORS;
}

static bool
creator_is_good(const vhd_footer_t *footer)
{
	return !vhd_footer_by_tapdisk(footer) ||
	       (footer->creator_version != VHD_TAPDISK_VERSION_OLD &&
		footer->creator_version <= VHD_TAPDISK_VERSION);
}

/* Is it a footer at all? */
static int
check_identity(struct vhd_check *check, enum vhd_area area, const uint8_t *raw,
	       const vhd_footer_t *footer)
{
	vhd_footer_t decoded;

	if (vhd_footer_is_poisoned(footer))
		return vhd_check_found(check, area, 0, VHD_PROBLEM_FOOTER_POISONED);
	if (memcmp(footer->cookie, VHD_COOKIE, 8) != 0)
		return vhd_check_found(check, area, 0, VHD_PROBLEM_FOOTER_COOKIE);
	if (footer->format_version == VHD_VERSION && vhd_footer_decode(raw, &decoded, NULL))
		return vhd_check_found(check, area, 0, VHD_PROBLEM_FOOTER_SUM, footer->checksum,
				       vhd_footer_sum(raw));
	if (footer->format_version != VHD_VERSION)
		return vhd_check_found(check, area, 0, VHD_PROBLEM_FOOTER_VERSION,
				       footer->format_version);
	return 0;
}

static int
check_footer(struct vhd_check *check, enum vhd_area area, const uint8_t *raw,
	     const vhd_footer_t *footer)
{
	int err = check_identity(check, area, raw, footer);

	if (err)
		return err;
#define FOUND(...) return vhd_check_found(check, area, 0, __VA_ARGS__)
	if (footer->features & ~KNOWN_FEATURES)
		FOUND(VHD_PROBLEM_FOOTER_FEATURES, footer->features);
	if (footer->type != VHD_TYPE_FIXED && !vhd_footer_is_dynamic(footer))
		FOUND(VHD_PROBLEM_FOOTER_TYPE, footer->type);
	if (!data_offset_is_good(&check->view, footer))
		FOUND(VHD_PROBLEM_FOOTER_DATA_OFFSET, footer->data_offset);
	if (!check->options->ignore_time && is_in_future(footer->timestamp))
		FOUND(VHD_PROBLEM_FOOTER_TIME);
	if (!creator_is_good(footer))
		FOUND(VHD_PROBLEM_FOOTER_CREATOR, footer->creator_version);
	if (!size_is_good(footer))
		FOUND(VHD_PROBLEM_FOOTER_SIZE, footer->current_size);
	if (!geometry_is_good(footer))
		FOUND(VHD_PROBLEM_FOOTER_GEOMETRY, footer->geometry);
	if (footer->saved_state > 1)
		FOUND(VHD_PROBLEM_FOOTER_SAVED, footer->saved_state);
	if (footer->hidden > 1)
		FOUND(VHD_PROBLEM_FOOTER_HIDDEN, footer->hidden);
	if (!vhd_all_zero(footer->reserved, sizeof(footer->reserved)))
		FOUND(VHD_PROBLEM_FOOTER_RESERVED);
	if (vhd_all_zero(&footer->uuid, sizeof(footer->uuid)))
		FOUND(VHD_PROBLEM_FOOTER_UUID);
#undef FOUND
	return 0;
}

/* ---- both -------------------------------------------------------------------------------------
 */

static int
check_file(struct vhd_check *check)
{
	uint64_t bytes = check->view.file_bytes;

	if (bytes < 511)
		return vhd_check_found(check, VHD_AREA_FILE, 0, VHD_PROBLEM_FILE_SHORT, bytes);
	if (bytes % 512 != 0 && bytes % 512 != 511)
		return vhd_check_found(check, VHD_AREA_FILE, 0, VHD_PROBLEM_FILE_SIZE, bytes);
	return 0;
}

/* The fixed form has no copy: what is at its start belongs to the guest. */
static int
check_fixed(struct vhd_check *check)
{
	const struct vhd_view *view = &check->view;

	if (check->footer->current_size > view->footer_at)
		return vhd_check_found(check, VHD_AREA_FILE, 0, VHD_PROBLEM_FILE_FIXED_SHORT,
				       view->footer_at);
	return 0;
}

/* But for what old tools changed in the copy alone. */
static bool
are_alike(const struct vhd_view *view)
{
	vhd_footer_t copy = view->copy;

	if (vhd_footer_hides_by_copy(&view->footer)) {
		copy.hidden = view->footer.hidden;
		copy.checksum = view->footer.checksum;
	}
	return memcmp(&copy, &view->footer, sizeof(copy)) == 0;
}

int
vhd_check_footers(struct vhd_check *check)
{
	struct vhd_view *view = &check->view;
	bool lost = false;
	int err = check_file(check);

	if (err)
		return err;
	err = check_footer(check, VHD_AREA_FOOTER, view->raw_footer, &view->footer);
	if (err && check->options->accept_lost_footer && view->footer.type != VHD_TYPE_FIXED) {
		memset(check->problem, 0, sizeof(*check->problem));
		lost = true;
		err = 0;
	}
	if (err)
		return err;
	if (lost || vhd_footer_is_dynamic(&view->footer))
		err = check_footer(check, VHD_AREA_COPY, view->raw_copy, &view->copy);
	if (err)
		return err;
	check->footer = lost ? &view->copy : &view->footer;
	check->virtual_sectors = vhd_virtual_sectors(check->footer, VHD_SIZE_BY_CREATOR);
	view->is_fixed = check->footer->type == VHD_TYPE_FIXED;
	if (view->is_fixed)
		return check_fixed(check);
	if (!lost && !are_alike(view))
		return vhd_check_found(check, VHD_AREA_FOOTERS, 0, VHD_PROBLEM_FOOTERS_DIFFER);
	return 0;
}

/* ---- the header -------------------------------------------------------------------------------
 */

static bool
table_offset_is_good(const struct vhd_check *check, const vhd_header_t *header, uint64_t bytes)
{
	uint64_t at = header->table_offset, header_at = check->footer->data_offset;

	if (at % VHD_SECTOR_SIZE || at < VHD_FOOTER_BYTES)
		return false;
	return at >= header_at + VHD_HEADER_BYTES || range_fits(at, bytes, header_at);
}

static bool
names_parent(const vhd_header_t *header)
{
	return !vhd_all_zero(&header->parent_uuid, sizeof(header->parent_uuid)) ||
	       header->parent_timestamp ||
	       !vhd_all_zero(header->parent_name, sizeof(header->parent_name)) ||
	       !vhd_all_zero(header->locator, sizeof(header->locator));
}

static int
check_header(struct vhd_check *check, const vhd_header_t *header)
{
	uint64_t bytes = vhd_table_bytes(header->max_table_entries);

#define FOUND(...) return vhd_check_found(check, VHD_AREA_HEADER, 0, __VA_ARGS__)
	if (memcmp(header->cookie, VHD_HEADER_COOKIE, 8) != 0)
		FOUND(VHD_PROBLEM_HEADER_COOKIE);
	if (header->checksum != vhd_header_sum(check->view.raw_header))
		FOUND(VHD_PROBLEM_HEADER_SUM, header->checksum,
		      vhd_header_sum(check->view.raw_header));
	if (header->header_version != VHD_VERSION)
		FOUND(VHD_PROBLEM_HEADER_VERSION, header->header_version);
	if (header->data_offset != VHD_NO_OFFSET)
		FOUND(VHD_PROBLEM_HEADER_DATA_OFFSET, header->data_offset);
	if (!is_power_of_two(header->block_size) || header->block_size < VHD_MIN_BLOCK_SIZE ||
	    header->block_size > VHD_MAX_BLOCK_SIZE)
		FOUND(VHD_PROBLEM_HEADER_BLOCK_SIZE, header->block_size);
	if (!table_offset_is_good(check, header, bytes))
		FOUND(VHD_PROBLEM_HEADER_TABLE_OFFSET, header->table_offset);
	if (header->max_table_entries > VHD_MAX_ENTRIES ||
	    !range_fits(header->table_offset, bytes, check->view.file_bytes))
		FOUND(VHD_PROBLEM_HEADER_TABLE_SIZE, header->max_table_entries);
	if (header->reserved1 || !vhd_all_zero(header->reserved2, sizeof(header->reserved2)))
		FOUND(VHD_PROBLEM_HEADER_RESERVED);
	if (check->footer->type == VHD_TYPE_DYNAMIC && names_parent(header))
		FOUND(VHD_PROBLEM_HEADER_PARENT);
	if (check->footer->type == VHD_TYPE_DIFFERENCING &&
	    vhd_all_zero(header->parent_name, sizeof(header->parent_name)))
		FOUND(VHD_PROBLEM_HEADER_PARENT_NAME);
#undef FOUND
	return 0;
}

int
vhd_check_header_part(struct vhd_check *check)
{
	const vhd_header_t *header = &check->view.header;
	struct vhd_layout *layout = &check->layout;
	uint64_t needed;
	int err = check_header(check, header);

	if (err)
		return err;
	vhd_layout_init(layout, check->footer->data_offset, header);
	needed = vhd_entries_needed(check->virtual_sectors, layout->spb);
	if (needed > header->max_table_entries)
		return vhd_check_found(check, VHD_AREA_BAT, 0, VHD_PROBLEM_BAT_SMALL,
				       header->max_table_entries, needed);
	check->blocks = (uint32_t)needed;
	layout->blocks_end = check->footer == &check->view.footer || check->view.io->is_device
				     ? check->view.footer_at
				     : check->view.file_bytes;
	return 0;
}

/* ---- the batmap -------------------------------------------------------------------------------
 */

static int
check_batmap_header(struct vhd_check *check, const vhd_batmap_header_t *header)
{
	const struct vhd_layout *layout = &check->layout;
	uint64_t bytes = (uint64_t)header->batmap_size << VHD_SECTOR_SHIFT;

#define FOUND(...) return vhd_check_found(check, VHD_AREA_BATMAP, 0, __VA_ARGS__)
	if (memcmp(header->cookie, VHD_BATMAP_COOKIE, 8) != 0)
		FOUND(VHD_PROBLEM_BATMAP_COOKIE);
	if (header->version != VHD_BATMAP_VERSION && header->version != VHD_BATMAP_VERSION_SIGNED)
		FOUND(VHD_PROBLEM_BATMAP_VERSION, header->version);
	if (header->batmap_offset % VHD_SECTOR_SIZE ||
	    header->batmap_offset < layout->table_end + VHD_BATMAP_HEADER_BYTES ||
	    header->batmap_offset >= check->view.file_bytes)
		FOUND(VHD_PROBLEM_BATMAP_OFFSET, header->batmap_offset);
	if (header->batmap_size < vhd_batmap_sectors(layout->entries) ||
	    !range_fits(header->batmap_offset, bytes, check->view.file_bytes) ||
	    bytes > VHD_MAX_ENTRIES)
		FOUND(VHD_PROBLEM_BATMAP_SIZE, header->batmap_size);
#undef FOUND
	return 0;
}

int
vhd_check_batmap_part(struct vhd_check *check)
{
	const vhd_batmap_header_t *header = &check->view.batmap;
	uint64_t bytes;
	uint32_t sum;
	int err;

	if (!check->view.has_batmap)
		return 0;
	err = check_batmap_header(check, header);
	if (err)
		return err;
	bytes = (uint64_t)header->batmap_size << VHD_SECTOR_SHIFT;
	check->batmap = malloc(bytes);
	if (!check->batmap)
		return -ENOMEM;
	err = io_read_at(check->view.io, check->batmap, bytes, header->batmap_offset);
	if (err)
		return err;
	sum = vhd_batmap_sum(header, check->footer->current_size, check->batmap, bytes);
	if (sum != header->checksum)
		return vhd_check_found(check, VHD_AREA_BATMAP, 0, VHD_PROBLEM_BATMAP_SUM,
				       header->checksum, sum);
	vhd_layout_add_table(&check->layout, check->layout.table_end, VHD_BATMAP_HEADER_BYTES);
	vhd_layout_add_table(&check->layout, header->batmap_offset, bytes);
	return 0;
}
