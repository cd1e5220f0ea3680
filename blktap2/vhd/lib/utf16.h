/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UTF-16 of either byte order, and UTF-8.  Strict both ways: no unpaired surrogates, no overlong
 * forms, no NUL inside.
 */
#ifndef VHD_LIB_UTF16_H
#define VHD_LIB_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The text without the NULs that may end it.  *text is owned by the caller; it may be empty.
 * Returns 0, -EINVAL when the bytes are no UTF-16 or hold a NUL before their last character,
 * -ENOMEM.
 */
int utf16_to_utf8(const uint8_t *raw, size_t bytes, bool big_endian, char **text);

/*
 * The characters of text, without a NUL, in at most room bytes.  Returns 0 with the length in
 * *bytes, -EINVAL when text is no UTF-8, -ENAMETOOLONG.  What is in raw after a failure is not
 * specified.
 */
int utf8_to_utf16(const char *text, bool big_endian, uint8_t *raw, size_t room, size_t *bytes);

#endif
