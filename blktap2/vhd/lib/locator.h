/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parent locators: where their bytes may be, and what the bytes say.
 *
 * Pure functions over bytes; who reads them from an image and looks for the file is
 * vhd/lib/parent.h.
 */
#ifndef VHD_LIB_LOCATOR_H
#define VHD_LIB_LOCATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/reason.h"

#define VHD_LOCATOR_MAX_LENGTH (64u << 10) /* bytes, of any locator */
#define VHD_LOCATOR_MAX_PATH 4096u         /* bytes, of one that is followed */
#define VHD_LOCATOR_SPACE 512u             /* bytes that are reserved when one is written */

/* The room of a used entry, in bytes; 0: its data_space makes no sense. */
uint64_t vhd_locator_room(const vhd_parent_locator_t *locator);

/* Platform codes that the format knows (VHD_PLATFORM_NONE, too), and those that name a path for us.
 */
bool vhd_platform_is_known(uint32_t code);
bool vhd_platform_is_path(uint32_t code);

/*
 * An entry can be read: it is unused, or its room is inside a file of that size and holds its data,
 * which are not absurdly long.  Reasons begin with "locator N: ".  Returns 0 or -EINVAL.
 */
int vhd_locator_check(const vhd_parent_locator_t *locator, unsigned index, uint64_t file_bytes,
		      struct reason *why);

/*
 * The path in the data of a locator with one of the path codes, with "/" between its parts and
 * without "file://" or a drive: "./parent.vhd", "/images/parent.vhd".  *path is owned by the caller
 * and not empty.  Returns 0, -EINVAL when the data name no path, -ENOMEM.
 */
int vhd_locator_decode(uint32_t code, const uint8_t *data, size_t bytes, char **path);

/*
 * The data for a path that is absolute, or relative to the folder of the child ("./name",
 * "../folder/name").  Returns 0 with their length in *bytes, -ENAMETOOLONG when they do not fit
 * into room, -EINVAL for a code that is no path's or a name that is no UTF-8.
 */
int vhd_locator_encode(uint32_t code, const char *path, uint8_t *data, size_t room, size_t *bytes);

/*
 * The name of the parent in a header: UTF-16BE, zero padded.  Decoding: *name is owned by the
 * caller; 0, -EINVAL (also when it is empty), -ENOMEM.  Encoding: the last part of path; 0,
 * -EINVAL, -ENAMETOOLONG.
 */
int vhd_parent_name_decode(const uint8_t raw[512], char **name);
int vhd_parent_name_encode(const char *path, uint8_t raw[512]);

/* Replace %XX in place; what is no escape stays. */
void vhd_percent_decode(char *text);

/*
 * The path from the folder of the file `from` to the file `to`, both absolute and canonical:
 * "./name" or "../folder/name".  NULL: memory is short.  The caller owns it.
 */
char *vhd_relative_path(const char *from, const char *to);

#endif
