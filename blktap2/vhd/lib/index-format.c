/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an index.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vhd/lib/checksum.h"
#include "vhd/lib/index-format.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/parent.h"

#define COOKIE_BYTES 8
#define INDEX_COOKIE "vhdindex"
#define FILES_COOKIE "vhdifile"
#define BAT_COOKIE "vhdi-bat"
#define VERSION 0x00010000u
#define PATH_AT 24  /* of a file */
#define NAME_AT 512 /* of a bat */

enum { KIND_VHD = 1, KIND_RAW };

uint32_t
vhdi_sum(const uint8_t *raw, size_t bytes)
{
	return ~(vhd_byte_sum(raw, bytes) - vhd_byte_sum(raw + VHDI_SUM_AT, 4));
}

/* What all three have: what, for messages. */
static int
check_common(const uint8_t *raw, size_t bytes, const char *cookie, const char *what,
	     struct reason *why)
{
	if (memcmp(raw, cookie, COOKIE_BYTES) != 0)
		return reason(why, -EIO, "%s: bad cookie", what);
	if (get_be32(raw + 8) != VERSION)
		return reason(why, -EIO, "%s: version 0x%08x is not known", what,
			      get_be32(raw + 8));
	if (get_be32(raw + VHDI_SUM_AT) != vhdi_sum(raw, bytes))
		return reason(why, -EIO, "%s: bad checksum", what);
	return 0;
}

static int
check_block_size(const uint8_t *raw, const char *what, struct reason *why)
{
	if (get_be32(raw + 12) == VHD_BLOCK_SIZE)
		return 0;
	return reason(why, -EIO, "%s: blocks of %u bytes", what, get_be32(raw + 12));
}

/* An absolute path of so many bytes. */
static bool
is_path(const uint8_t *field, uint32_t bytes)
{
	return bytes && bytes < VHD_MAX_NAME_LEN && *field == '/' && !memchr(field, 0, bytes);
}

/* ---- NAME.index ---------------------------------------------------------------------------------
 */

void
vhdi_header_encode(uint8_t raw[VHDI_HEADER_BYTES])
{
	memset(raw, 0, VHDI_HEADER_BYTES);
	memcpy(raw, INDEX_COOKIE, COOKIE_BYTES);
	put_be32(raw + 8, VERSION);
	put_be32(raw + 12, VHD_BLOCK_SIZE);
	put_be32(raw + VHDI_SUM_AT, vhdi_sum(raw, VHDI_HEADER_BYTES));
}

int
vhdi_header_decode(const uint8_t raw[VHDI_HEADER_BYTES], struct reason *why)
{
	int err = check_common(raw, VHDI_HEADER_BYTES, INDEX_COOKIE, "index", why);

	return err ? err : check_block_size(raw, "index", why);
}

void
vhdi_block_encode(const vhdi_entry_t *table, uint8_t raw[VHDI_BLOCK_BYTES])
{
	uint32_t i;

	for (i = 0; i < VHDI_BLOCK_ENTRIES; i++, raw += VHDI_ENTRY_BYTES) {
		put_be32(raw, table[i].file_id);
		put_be32(raw + 4, table[i].offset);
	}
}

void
vhdi_block_decode(const uint8_t raw[VHDI_BLOCK_BYTES], vhdi_entry_t *table)
{
	uint32_t i;

	for (i = 0; i < VHDI_BLOCK_ENTRIES; i++, raw += VHDI_ENTRY_BYTES) {
		table[i].file_id = get_be32(raw);
		table[i].offset = get_be32(raw + 4);
	}
}

/* ---- NAME.files ---------------------------------------------------------------------------------
 */

size_t
vhdi_files_bytes(uint32_t count)
{
	return VHDI_HEADER_BYTES + (size_t)count * VHDI_FILE_BYTES;
}

void
vhdi_files_encode(const vhdi_file_t *files, uint32_t count, uint8_t *raw)
{
	uint8_t *at = raw + VHDI_HEADER_BYTES;
	uint32_t i, bytes;

	memset(raw, 0, vhdi_files_bytes(count));
	memcpy(raw, FILES_COOKIE, COOKIE_BYTES);
	put_be32(raw + 8, VERSION);
	put_be32(raw + 12, count);
	for (i = 0; i < count; i++, at += VHDI_FILE_BYTES) {
		bytes = (uint32_t)strlen(files[i].path);
		put_be32(at, files[i].is_raw ? KIND_RAW : KIND_VHD);
		put_be32(at + 4, bytes);
		memcpy(at + 8, files[i].uuid.bytes, VHD_UUID_SIZE);
		memcpy(at + PATH_AT, files[i].path, bytes);
	}
	put_be32(raw + VHDI_SUM_AT, vhdi_sum(raw, vhdi_files_bytes(count)));
}

static int
decode_file(const uint8_t *at, uint32_t id, vhdi_file_t *file, struct reason *why)
{
	uint32_t kind = get_be32(at), bytes = get_be32(at + 4);

	if (kind != KIND_VHD && kind != KIND_RAW)
		return reason(why, -EIO, "file %u: of kind %u", id, kind);
	file->id = id;
	file->is_raw = kind == KIND_RAW;
	memcpy(file->uuid.bytes, at + 8, VHD_UUID_SIZE);
	if (file->is_raw != vhd_uuid_is_zero(&file->uuid))
		return reason(why, -EIO, "file %u: its kind and its unique id do not fit", id);
	if (!is_path(at + PATH_AT, bytes))
		return reason(why, -EIO, "file %u: its path makes no sense", id);
	file->path = strndup((const char *)at + PATH_AT, bytes);
	return file->path ? 0 : -ENOMEM;
}

void
vhdi_files_free(vhdi_file_t *files, uint32_t count)
{
	while (count)
		free(files[--count].path);
	free(files);
}

int
vhdi_files_decode(const uint8_t *raw, size_t bytes, vhdi_file_t **files, uint32_t *count,
		  struct reason *why)
{
	vhdi_file_t *found;
	uint32_t many, i;
	int err = 0;

	if (bytes < VHDI_HEADER_BYTES)
		return reason(why, -EIO, "files: too short");
	err = check_common(raw, bytes, FILES_COOKIE, "files", why);
	if (err)
		return err;
	many = get_be32(raw + 12);
	if (many > VHDI_MAX_FILES || bytes != vhdi_files_bytes(many))
		return reason(why, -EIO, "files: %u of them in %zu bytes", many, bytes);
	found = calloc(many + 1ul, sizeof(*found));
	if (!found)
		return -ENOMEM;
	for (i = 0; !err && i < many; i++)
		err = decode_file(raw + vhdi_files_bytes(i), i + 1, &found[i], why);
	if (err) {
		vhdi_files_free(found, many);
		return err;
	}
	*files = found;
	*count = many;
	return 0;
}

/* ---- IMAGE.bat ----------------------------------------------------------------------------------
 */

size_t
vhdi_bat_bytes(uint32_t entries)
{
	size_t table = (size_t)entries * 4;

	return VHDI_BAT_HEADER_BYTES +
	       (table + VHD_SECTOR_SIZE - 1) / VHD_SECTOR_SIZE * VHD_SECTOR_SIZE;
}

void
vhdi_bat_encode(const vhdi_bat_t *bat, const char *name, uint8_t *raw)
{
	size_t bytes = vhdi_bat_bytes(bat->entries), length = strlen(name);
	uint32_t i;

	memset(raw, 0, VHDI_BAT_HEADER_BYTES);
	memset(raw + VHDI_BAT_HEADER_BYTES, 0xff, bytes - VHDI_BAT_HEADER_BYTES);
	memcpy(raw, BAT_COOKIE, COOKIE_BYTES);
	put_be32(raw + 8, VERSION);
	put_be32(raw + 12, VHD_BLOCK_SIZE);
	put_be32(raw + 20, bat->file_id);
	put_be64(raw + 24, bat->bytes);
	put_be32(raw + 32, bat->entries);
	put_be32(raw + 36, (uint32_t)length);
	memcpy(raw + 40, bat->uuid.bytes, VHD_UUID_SIZE);
	memcpy(raw + NAME_AT, name, length);
	for (i = 0; i < bat->entries; i++)
		put_be32(raw + VHDI_BAT_HEADER_BYTES + 4ul * i, bat->table[i]);
	put_be32(raw + VHDI_SUM_AT, vhdi_sum(raw, bytes));
}

static int
check_size(const vhdi_bat_t *bat, size_t bytes, struct reason *why)
{
	uint64_t sectors = bat->bytes >> VHD_SECTOR_SHIFT;

	if (!sectors || bat->bytes % VHD_SECTOR_SIZE || sectors > VHD_MAX_SECTORS)
		return reason(why, -EIO, "bat: a disk of %llu bytes",
			      (unsigned long long)bat->bytes);
	if (bat->entries != vhd_entries_needed(sectors, VHDI_BLOCK_ENTRIES) ||
	    bytes != vhdi_bat_bytes(bat->entries))
		return reason(why, -EIO, "bat: %u entries in %zu bytes", bat->entries, bytes);
	return 0;
}

int
vhdi_bat_decode(const uint8_t *raw, size_t bytes, const char *name, vhdi_bat_t *bat,
		struct reason *why)
{
	vhdi_bat_t found = { .table = NULL };
	uint32_t length, i;
	int err;

	if (bytes < VHDI_BAT_HEADER_BYTES)
		return reason(why, -EIO, "bat: too short");
	err = check_common(raw, bytes, BAT_COOKIE, "bat", why);
	if (!err)
		err = check_block_size(raw, "bat", why);
	if (err)
		return err;
	found.file_id = get_be32(raw + 20);
	found.bytes = get_be64(raw + 24);
	found.entries = get_be32(raw + 32);
	memcpy(found.uuid.bytes, raw + 40, VHD_UUID_SIZE);
	length = get_be32(raw + 36);
	err = check_size(&found, bytes, why);
	if (err)
		return err;
	if (!is_path(raw + NAME_AT, length))
		return reason(why, -EIO, "bat: its index has no name");
	if (length != strlen(name) || memcmp(raw + NAME_AT, name, length) != 0)
		return reason(why, -EINVAL, "bat: it is of another index");
	found.table = malloc(4ul * found.entries);
	if (!found.table)
		return -ENOMEM;
	for (i = 0; i < found.entries; i++)
		found.table[i] = get_be32(raw + VHDI_BAT_HEADER_BYTES + 4ul * i);
	*bat = found;
	return 0;
}
