/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bit maps of the VHD format: bit i is in byte i / 8, the most significant one first.
 *
 * Bitmaps of blocks, the batmap and the dump of allocated blocks all have this order.  Pure
 * functions; callers bound the indexes.
 */
#ifndef VHD_LIB_BITS_H
#define VHD_LIB_BITS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool
vhd_bits_test(const uint8_t *map, uint32_t bit)
{
	return map[bit / 8] & (0x80u >> bit % 8);
}

static inline void
vhd_bits_set(uint8_t *map, uint32_t bit)
{
	map[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
}

static inline void
vhd_bits_clear(uint8_t *map, uint32_t bit)
{
	map[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

void vhd_bits_set_range(uint8_t *map, uint32_t from, uint32_t count);
void vhd_bits_clear_range(uint8_t *map, uint32_t from, uint32_t count);

/* The number of bits from `from` on, at most count, that equal the first of them; 0 if count is 0.
 */
uint32_t vhd_bits_run(const uint8_t *map, uint32_t from, uint32_t count);

/* All of the count bits from `from` on are 1 (true for none). */
bool vhd_bits_all(const uint8_t *map, uint32_t from, uint32_t count);

/* None of them is. */
bool vhd_bits_none(const uint8_t *map, uint32_t from, uint32_t count);

/* How many of them are 1. */
uint32_t vhd_bits_count(const uint8_t *map, uint32_t from, uint32_t count);

#endif
