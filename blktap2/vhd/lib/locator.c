/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parent locators.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/utf16.h"

#define URL "file://"
#define URL_LOCALHOST "file://localhost/"

uint64_t
vhd_locator_room(const vhd_parent_locator_t *locator)
{
	if (locator->data_space < VHD_SECTOR_SIZE)
		return (uint64_t)locator->data_space << VHD_SECTOR_SHIFT;
	return locator->data_space % VHD_SECTOR_SIZE ? 0 : locator->data_space;
}

bool
vhd_platform_is_path(uint32_t code)
{
	return code == VHD_PLATFORM_MACX || code == VHD_PLATFORM_W2KU || code == VHD_PLATFORM_W2RU;
}

bool
vhd_platform_is_known(uint32_t code)
{
	return code == VHD_PLATFORM_NONE || code == VHD_PLATFORM_MAC || code == VHD_PLATFORM_WI2R ||
	       code == VHD_PLATFORM_WI2K || vhd_platform_is_path(code);
}

int
vhd_locator_check(const vhd_parent_locator_t *locator, unsigned index, uint64_t file_bytes,
		  struct reason *why)
{
	uint64_t room = vhd_locator_room(locator);

	if (locator->code == VHD_PLATFORM_NONE)
		return 0;
	if (!room)
		return reason(why, -EINVAL, "locator %u: a room of %u makes no sense", index,
			      locator->data_space);
	if (locator->data_offset < VHD_SECTOR_SIZE ||
	    !range_fits(locator->data_offset, room, file_bytes))
		return reason(why, -EINVAL,
			      "locator %u: its room at offset 0x%llx is not in the file", index,
			      (unsigned long long)locator->data_offset);
	if (locator->data_length > room || locator->data_length > VHD_LOCATOR_MAX_LENGTH)
		return reason(why, -EINVAL, "locator %u: %u bytes are too many", index,
			      locator->data_length);
	return 0;
}

/* ---- decoding -----------------------------------------------------------------------------------
 */

static int
decode_url(const uint8_t *data, size_t bytes, char **path)
{
	size_t skip;

	while (bytes && !data[bytes - 1])
		bytes--;
	if (bytes >= strlen(URL_LOCALHOST) && !memcmp(data, URL_LOCALHOST, strlen(URL_LOCALHOST)))
		skip = strlen(URL_LOCALHOST) - 1;
	else if (bytes >= strlen(URL) && !memcmp(data, URL, strlen(URL)))
		skip = strlen(URL);
	else
		return -EINVAL;
	if (bytes == skip || memchr(data, '\0', bytes))
		return -EINVAL;
	*path = strndup((const char *)data + skip, bytes - skip);
	return *path ? 0 : -ENOMEM;
}

static bool
begins_with_drive(const char *path)
{
	char letter = (char)(path[0] | 0x20);

	return letter >= 'a' && letter <= 'z' && path[1] == ':';
}

static int
decode_windows(const uint8_t *data, size_t bytes, char **path)
{
	AUTO_FREE char *text = NULL;
	char *at;
	int err;

	err = utf16_to_utf8(data, bytes, false, &text);
	if (err)
		return err;
	for (at = text; (at = strchr(at, '\\')); at++)
		*at = '/';
	if (begins_with_drive(text))
		memmove(text, text + 2, strlen(text + 2) + 1);
	if (!*text)
		return -EINVAL;
	*path = STEAL(text);
	return 0;
}

int
vhd_locator_decode(uint32_t code, const uint8_t *data, size_t bytes, char **path)
{
	if (bytes > VHD_LOCATOR_MAX_PATH || !vhd_platform_is_path(code))
		return -EINVAL;
	return code == VHD_PLATFORM_MACX ? decode_url(data, bytes, path)
					 : decode_windows(data, bytes, path);
}

int
vhd_parent_name_decode(const uint8_t raw[512], char **name)
{
	AUTO_FREE char *text = NULL;
	int err;

	err = utf16_to_utf8(raw, 512, true, &text);
	if (err)
		return err;
	if (!*text)
		return -EINVAL;
	*name = STEAL(text);
	return 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void
vhd_percent_decode(char *text)
{
	const char *from = text;
	int high, low;

	while (*from) {
		high = *from == '%' ? hex_digit(from[1]) : -1;
		low = high >= 0 ? hex_digit(from[2]) : -1;
		/* %00 would end the name in its middle. */
		if (low < 0 || high + low == 0) {
			*text++ = *from++;
			continue;
		}
		*text++ = (char)(high << 4 | low);
		from += 3;
	}
	*text = '\0';
}

/* ---- encoding -----------------------------------------------------------------------------------
 */

static int
encode_url(const char *path, uint8_t *data, size_t room, size_t *bytes)
{
	size_t prefix = strlen(URL), length = strlen(path);

	if (length > room || prefix > room - length)
		return -ENAMETOOLONG;
	memcpy(data, URL, prefix);
	memcpy(data + prefix, path, length);
	*bytes = prefix + length;
	return 0;
}

static int
encode_windows(uint32_t code, const char *path, uint8_t *data, size_t room, size_t *bytes)
{
	bool dot = code == VHD_PLATFORM_W2RU && strncmp(path, "../", 3) == 0;
	AUTO_FREE char *text = NULL;
	char *at;

	if (asprintf(&text, "%s%s", dot ? "./" : "", path) < 0) {
		text = NULL;
		return -ENOMEM;
	}
	for (at = text; (at = strchr(at, '/')); at++)
		*at = '\\';
	return utf8_to_utf16(text, false, data, room, bytes);
}

int
vhd_locator_encode(uint32_t code, const char *path, uint8_t *data, size_t room, size_t *bytes)
{
	if (!vhd_platform_is_path(code) || !*path)
		return -EINVAL;
	if (code == VHD_PLATFORM_MACX)
		return encode_url(path, data, room, bytes);
	return encode_windows(code, path, data, room, bytes);
}

int
vhd_parent_name_encode(const char *path, uint8_t raw[512])
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	uint8_t text[512] = { 0 };
	size_t bytes;
	int err;

	if (!*name)
		return -EINVAL;
	err = utf8_to_utf16(name, true, text, sizeof(text), &bytes);
	if (err)
		return err;
	memcpy(raw, text, sizeof(text));
	return 0;
}

char *
vhd_relative_path(const char *from, const char *to)
{
	size_t common = 0, up = 0, i, room;
	char *path, *at;

	for (i = 0; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			common = i + 1;
	for (i = common; from[i]; i++)
		up += from[i] == '/';
	room = 3 * up + strlen(to + common) + sizeof("./");
	path = malloc(room);
	if (!path)
		return NULL;
	for (at = path, i = 0; i < up; i++, at += 3)
		memcpy(at, "../", 3);
	snprintf(at, room - 3 * up, "%s%s", up ? "" : "./", to + common);
	return path;
}
