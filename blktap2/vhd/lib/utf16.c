/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UTF-16 and UTF-8.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vhd/lib/utf16.h"

#define HIGH_FIRST 0xD800u
#define LOW_FIRST 0xDC00u
#define LOW_LAST 0xDFFFu

static unsigned
unit_at(const uint8_t *raw, bool big_endian)
{
	return big_endian ? get_be16(raw) : get_le16(raw);
}

static bool
is_surrogate(uint32_t code)
{
	return code >= HIGH_FIRST && code <= LOW_LAST;
}

/* One character, and the bytes that it takes; 0: not UTF-16. */
static size_t
read_utf16(const uint8_t *raw, size_t bytes, bool big_endian, uint32_t *code)
{
	unsigned high = unit_at(raw, big_endian), low;

	*code = high;
	if (!is_surrogate(high))
		return 2;
	if (high >= LOW_FIRST || bytes < 4)
		return 0;
	low = unit_at(raw + 2, big_endian);
	if (low < LOW_FIRST || low > LOW_LAST)
		return 0;
	*code = 0x10000 + ((high - HIGH_FIRST) << 10) + (low - LOW_FIRST);
	return 4;
}

static char *
write_utf8(char *at, uint32_t code)
{
	if (code < 0x80) {
		*at++ = (char)code;
		return at;
	}
	if (code < 0x800) {
		*at++ = (char)(0xC0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*at++ = (char)(0xE0 | code >> 12);
		} else {
			*at++ = (char)(0xF0 | code >> 18);
			*at++ = (char)(0x80 | (code >> 12 & 0x3f));
		}
		*at++ = (char)(0x80 | (code >> 6 & 0x3f));
	}
	*at++ = (char)(0x80 | (code & 0x3f));
	return at;
}

int
utf16_to_utf8(const uint8_t *raw, size_t bytes, bool big_endian, char **text)
{
	char *start, *at;
	uint32_t code;
	size_t step;

	if (bytes % 2)
		return -EINVAL;
	while (bytes && unit_at(raw + bytes - 2, big_endian) == 0)
		bytes -= 2;
	/* A unit becomes three bytes at most. */
	start = calloc(bytes / 2 + 1, 3);
	if (!start)
		return -ENOMEM;
	for (at = start; bytes; raw += step, bytes -= step) {
		step = read_utf16(raw, bytes, big_endian, &code);
		if (!step || !code) {
			free(start);
			return -EINVAL;
		}
		at = write_utf8(at, code);
	}
	*text = start;
	return 0;
}

/* One character, and the bytes that it takes; 0: not UTF-8. */
static size_t
read_utf8(const char *text, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = (uint8_t)text[0], next;
	size_t length, i;

	if (first < 0x80) {
		*code = first;
		return 1;
	}
	length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
	if (first < 0xC0 || first > 0xF4)
		return 0;
	*code = first & (0xffu >> (length + 1));
	for (i = 1; i < length; i++) {
		next = (uint8_t)text[i];
		if ((next & 0xC0) != 0x80)
			return 0;
		*code = *code << 6 | (next & 0x3f);
	}
	if (*code < smallest[length] || *code > 0x10FFFF || is_surrogate(*code))
		return 0;
	return length;
}

static void
put_unit(uint8_t *raw, bool big_endian, uint32_t unit)
{
	if (big_endian)
		put_be16(raw, (uint16_t)unit);
	else
		put_le16(raw, (uint16_t)unit);
}

int
utf8_to_utf16(const char *text, bool big_endian, uint8_t *raw, size_t room, size_t *bytes)
{
	size_t used = 0, step, width;
	uint32_t code;

	for (; *text; text += step, used += width) {
		step = read_utf8(text, &code);
		if (!step)
			return -EINVAL;
		width = code >= 0x10000 ? 4 : 2;
		if (room - used < width)
			return -ENAMETOOLONG;
		if (width == 2) {
			put_unit(raw + used, big_endian, code);
			continue;
		}
		put_unit(raw + used, big_endian, HIGH_FIRST + ((code - 0x10000) >> 10));
		put_unit(raw + used + 2, big_endian, LOW_FIRST + (code & 0x3ff));
	}
	*bytes = used;
	return 0;
}
