/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dump of an image's metadata.  Programs read some of its lines.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "vhd/lib/geometry.h"
#include "vhd/lib/locator.h"
#include "vhd/vhd-util-headers.h"
#include "vhd/vhd-util.h"

#define LABEL_COLUMNS 20
#define UUID_TEXT 36

/* ---- parts of lines ---------------------------------------------------------------------------
 */

static void
title(const char *text)
{
	size_t i, length = strlen(text);

	puts(text);
	for (i = 0; i < length; i++)
		putchar('-');
	putchar('\n');
}

static void
label(const char *text)
{
	printf("%-*s: ", LABEL_COLUMNS, text);
}

/* A member of some bytes that ought to be text. */
static void
line_text(const char *name, const char *bytes, size_t size, const char *quote)
{
	char text[16] = "";

	memcpy(text, bytes, size);
	label(name);
	fputs(quote, stdout);
	vhd_util_put_name(stdout, text);
	puts(quote);
}

static void
line_number(const char *name, uint64_t number)
{
	label(name);
	printf("%" PRIu64 "\n", number);
}

static void
line_hex(const char *name, uint32_t number)
{
	label(name);
	printf("0x%08x\n", number);
}

static void
line_version(const char *name, uint32_t version)
{
	label(name);
	printf("Major: %u, Minor: %u\n", version >> 16, version & 0xFFFF);
}

static void
line_bytes(const char *name, uint64_t bytes)
{
	label(name);
	printf("%" PRIu64 " MB (%" PRIu64 " Bytes)\n", bytes >> 20, bytes);
}

static void
line_time(const char *name, uint32_t timestamp)
{
	time_t seconds = (time_t)timestamp + VHD_EPOCH;
	char text[64] = "";
	struct tm when;

	if (gmtime_r(&seconds, &when))
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &when);
	label(name);
	puts(text);
}

static void
line_uuid(const char *name, const vhd_uuid_t *uuid)
{
	size_t i;

	label(name);
	for (i = 0; i < sizeof(uuid->bytes); i++)
		printf(i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid->bytes[i]);
	putchar('\n');
}

static void
line_sum(uint32_t stored, uint32_t computed, bool good)
{
	label("Checksum");
	printf("0x%x|0x%x (%s)\n", stored, computed, good ? "Good!" : "Bad!");
}

/* ---- footer -----------------------------------------------------------------------------------
 */

static const char *
system_name(uint32_t code)
{
	switch (code) {
	case 0x5769326B: /* Wi2k */
		return "Windows";
	case 0x4D616320: /* Mac */
		return "Macintosh";
	default:
		return "Unknown!";
	}
}

static const char *
type_name(uint32_t type)
{
	static const char *const names[] = {
		"None",
		"Reserved (deprecated)",
		"Fixed hard disk",
		"Dynamic hard disk",
		"Differencing hard disk",
		"Reserved (deprecated)",
		"Reserved (deprecated)",
	};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "Unknown type!";
}

static void
print_geometry(uint32_t geometry)
{
	uint64_t bytes = vhd_geometry_sectors(geometry) << VHD_SECTOR_SHIFT;

	label("Geometry");
	printf("Cyl: %u, Hds: %u, Sctrs: %u\n", geometry >> 16, geometry >> 8 & 0xFF,
	       geometry & 0xFF);
	label("");
	printf("= %" PRIu64 " MB (%" PRIu64 " Bytes)\n", bytes >> 20, bytes);
}

static void
print_footer(const vhd_footer_t *footer, const uint8_t *raw)
{
	vhd_footer_t decoded;
	bool known = memcmp(footer->cookie, VHD_COOKIE, 8) == 0;
	bool good = footer->checksum == vhd_footer_sum(raw) ||
		    (known && vhd_footer_decode(raw, &decoded, NULL) == 0);

	title("VHD Footer Summary:");
	line_text("Cookie", footer->cookie, 8, "");
	label("Features");
	printf("(0x%08x) %s%s\n", footer->features,
	       footer->features & VHD_FEATURE_TEMPORARY ? "<TEMP>" : "",
	       footer->features & VHD_FEATURE_RESERVED ? "<RESV>" : "");
	line_version("File format version", footer->format_version);
	line_number("Data offset", footer->data_offset);
	line_time("Timestamp", footer->timestamp);
	line_text("Creator Application", footer->creator, 4, "'");
	line_version("Creator version", footer->creator_version);
	label("Creator OS");
	puts(system_name(footer->creator_os));
	line_bytes("Original disk size", footer->original_size);
	line_bytes("Current disk size", footer->current_size);
	print_geometry(footer->geometry);
	label("Disk type");
	puts(type_name(footer->type));
	line_sum(footer->checksum, vhd_footer_sum(raw), good);
	line_uuid("UUID", &footer->uuid);
	label("Saved state");
	puts(footer->saved_state ? "Yes" : "No");
	line_number("Hidden", footer->hidden);
	putchar('\n');
}

/* ---- header, locators, batmap -----------------------------------------------------------------
 */

static void
print_header(const struct vhd_view *view)
{
	const vhd_header_t *header = &view->header;
	AUTO_FREE char *parent = NULL;
	uint32_t sum = vhd_header_sum(view->raw_header);

	title("VHD Header Summary:");
	line_text("Cookie", header->cookie, 8, "");
	line_number("Data offset (unusd)", header->data_offset);
	line_number("Table offset", header->table_offset);
	line_hex("Header version", header->header_version);
	line_number("Max BAT size", header->max_table_entries);
	label("Block size");
	printf("%u (%u MB)\n", header->block_size, header->block_size >> 20);
	label("Parent name");
	if (vhd_parent_name_decode(header->parent_name, &parent) == 0)
		vhd_util_put_name(stdout, parent);
	putchar('\n');
	line_uuid("Parent UUID", &header->parent_uuid);
	line_time("Parent timestamp", header->parent_timestamp);
	line_sum(header->checksum, sum, header->checksum == sum);
	putchar('\n');
}

static void
print_locator(const struct vhd_view *view, unsigned i)
{
	const vhd_parent_locator_t *locator = &view->header.locator[i];
	AUTO_FREE char *name = NULL;

	label("locator:");
	printf("%u\n", i);
	label("       code");
	printf("0x%08x\n", locator->code);
	line_number("       data_space", locator->data_space);
	line_number("       data_length", locator->data_length);
	line_number("       data_offset", locator->data_offset);
	label("       decoded name");
	vhd_util_put_name(stdout, vhd_view_locator(view, i, &name) == 0 ? name : "");
	putchar('\n');
}

static void
print_locators(const struct vhd_view *view)
{
	unsigned i;

	title("VHD Parent Locators:");
	for (i = 0; i < VHD_LOCATORS; i++) {
		if (view->header.locator[i].code == VHD_PLATFORM_NONE)
			continue;
		print_locator(view, i);
		putchar('\n');
	}
}

static void
print_batmap(const struct vhd_view *view, const vhd_footer_t *footer)
{
	const vhd_batmap_header_t *batmap = &view->batmap;
	uint64_t bytes = (uint64_t)batmap->batmap_size << VHD_SECTOR_SHIFT;
	AUTO_FREE uint8_t *map = NULL;
	uint32_t sum = 0;

	title("VHD Batmap Summary:");
	line_number("Batmap offset", batmap->batmap_offset);
	line_number("Batmap size (secs)", batmap->batmap_size);
	line_hex("Batmap version", batmap->version);
	if (batmap->keyhash.cookie == 1) {
		label("Batmap keyhash nonce");
		vhd_util_put_hex(stdout, batmap->keyhash.nonce, sizeof(batmap->keyhash.nonce));
		putchar('\n');
		label("Batmap keyhash hash ");
		vhd_util_put_hex(stdout, batmap->keyhash.hash, sizeof(batmap->keyhash.hash));
		putchar('\n');
	}
	if (bytes <= VHD_MAX_ENTRIES && bytes <= view->file_bytes)
		map = malloc(bytes ? bytes : 1);
	if (map && io_read_at(view->io, map, bytes, batmap->batmap_offset) == 0)
		sum = vhd_batmap_sum(batmap, footer->current_size, map, bytes);
	line_sum(batmap->checksum, sum, batmap->checksum == sum);
	putchar('\n');
}

void
vhd_util_print_headers(const struct vhd_view *view, bool backup)
{
	const uint8_t *raw =
		backup || view->chosen == &view->copy ? view->raw_copy : view->raw_footer;
	const vhd_footer_t *footer = raw == view->raw_copy ? &view->copy : &view->footer;

	if (raw == view->raw_copy ? view->has_copy : view->has_footer)
		print_footer(footer, raw);
	if (!view->has_header)
		return;
	print_header(view);
	if (footer->type == VHD_TYPE_DIFFERENCING)
		print_locators(view);
	if (view->has_batmap)
		print_batmap(view, footer);
}
