/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Integers of a fixed byte order at any address.
 *
 * On-disk and wire structures are read and written through these, field by field: no buffer is ever
 * cast to a struct, so neither alignment nor the host's byte order matters.
 */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_ACCESSORS(order, bits)                                                               \
	static inline uint##bits##_t get_##order##bits(const void *at)                             \
	{                                                                                          \
		uint##bits##_t raw;                                                                \
                                                                                                   \
		memcpy(&raw, at, sizeof(raw));                                                     \
		return order##bits##toh(raw);                                                      \
	}                                                                                          \
	static inline void put_##order##bits(void *at, uint##bits##_t value)                       \
	{                                                                                          \
		uint##bits##_t raw = hto##order##bits(value);                                      \
                                                                                                   \
		memcpy(at, &raw, sizeof(raw));                                                     \
	}

BYTES_ACCESSORS(be, 16)
BYTES_ACCESSORS(be, 32)
BYTES_ACCESSORS(be, 64)
BYTES_ACCESSORS(le, 16)
BYTES_ACCESSORS(le, 32)
BYTES_ACCESSORS(le, 64)

#undef BYTES_ACCESSORS

#endif
