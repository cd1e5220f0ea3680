/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an index, as <vhd/libvhd-index.h> describes them.  Pure functions.
 */
#ifndef VHD_LIB_INDEX_FORMAT_H
#define VHD_LIB_INDEX_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include <vhd/libvhd-index.h>

#include "common/reason.h"

#define VHDI_HEADER_BYTES 512 /* of NAME.index and NAME.files */
#define VHDI_FILE_BYTES 1536u /* for each file in NAME.files */
#define VHDI_BAT_HEADER_BYTES 1536
#define VHDI_ENTRY_BYTES 8u
#define VHDI_BLOCK_BYTES (VHDI_BLOCK_ENTRIES * VHDI_ENTRY_BYTES)
#define VHDI_BLOCK_SECTORS (VHDI_BLOCK_BYTES / VHD_SECTOR_SIZE)
#define VHDI_FIRST_BLOCK 1u                                     /* sector of NAME.index */
#define VHDI_MAX_ENTRIES (VHD_MAX_SECTORS / VHDI_BLOCK_ENTRIES) /* of a bat */
#define VHDI_SUM_AT 16                                          /* in all three */

/* The checksum of bytes whose own one stands at VHDI_SUM_AT. */
uint32_t vhdi_sum(const uint8_t *raw, size_t bytes);

void vhdi_header_encode(uint8_t raw[VHDI_HEADER_BYTES]);
int vhdi_header_decode(const uint8_t raw[VHDI_HEADER_BYTES], struct reason *why);

void vhdi_block_encode(const vhdi_entry_t *table, uint8_t raw[VHDI_BLOCK_BYTES]);
void vhdi_block_decode(const uint8_t raw[VHDI_BLOCK_BYTES], vhdi_entry_t *table);

/* The whole of NAME.files; paths are not longer than VHD_MAX_NAME_LEN with their NUL. */
size_t vhdi_files_bytes(uint32_t count);
void vhdi_files_encode(const vhdi_file_t *files, uint32_t count, uint8_t *raw);

/* *files, and the paths in it, are the caller's: vhdi_files_free().  0, -EIO, -ENOMEM. */
int vhdi_files_decode(const uint8_t *raw, size_t bytes, vhdi_file_t **files, uint32_t *count,
		      struct reason *why);
void vhdi_files_free(vhdi_file_t *files, uint32_t count);

/* The whole of IMAGE.bat, for the index called name. */
size_t vhdi_bat_bytes(uint32_t entries);
void vhdi_bat_encode(const vhdi_bat_t *bat, const char *name, uint8_t *raw);

/* *bat is the caller's: vhdi_free_bat().  0, -EIO, -ENOMEM, -EINVAL: of another index. */
int vhdi_bat_decode(const uint8_t *raw, size_t bytes, const char *name, vhdi_bat_t *bat,
		    struct reason *why);

#endif
