/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bit maps, by whole words where a range allows it.
 */
#include "common/bytes.h"
#include "vhd/lib/bits.h"

/* The bits of one byte from `from` on, at most count: its mask. */
static uint8_t
byte_mask(uint32_t from, uint32_t count)
{
	unsigned first = from % 8;
	unsigned bits = count < 8 - first ? count : 8 - first;

	return (uint8_t)((0xffu >> first) & ~(0xffu >> (first + bits)));
}

/* How many bits byte_mask() covered. */
static uint32_t
in_byte(uint32_t from, uint32_t count)
{
	uint32_t left = 8 - from % 8;

	return count < left ? count : left;
}

void
vhd_bits_set_range(uint8_t *map, uint32_t from, uint32_t count)
{
	uint32_t step;

	for (; count; from += step, count -= step) {
		if (from % 8 == 0 && count >= 8) {
			step = count & ~7u;
			memset(map + from / 8, 0xff, step / 8);
			continue;
		}
		step = in_byte(from, count);
		map[from / 8] |= byte_mask(from, count);
	}
}

void
vhd_bits_clear_range(uint8_t *map, uint32_t from, uint32_t count)
{
	uint32_t step;

	for (; count; from += step, count -= step) {
		if (from % 8 == 0 && count >= 8) {
			step = count & ~7u;
			memset(map + from / 8, 0, step / 8);
			continue;
		}
		step = in_byte(from, count);
		map[from / 8] &= (uint8_t)~byte_mask(from, count);
	}
}

uint32_t
vhd_bits_run(const uint8_t *map, uint32_t from, uint32_t count)
{
	uint32_t at = from, end = from + count;
	bool value;
	uint64_t same;

	if (!count)
		return 0;
	value = vhd_bits_test(map, from);
	same = value ? UINT64_MAX : 0;
	while (at < end) {
		if (at % 8 == 0 && end - at >= 64 && get_be64(map + at / 8) == same)
			at += 64;
		else if (vhd_bits_test(map, at) == value)
			at++;
		else
			break;
	}
	return at - from;
}

bool
vhd_bits_all(const uint8_t *map, uint32_t from, uint32_t count)
{
	return !count || (vhd_bits_test(map, from) && vhd_bits_run(map, from, count) == count);
}

bool
vhd_bits_none(const uint8_t *map, uint32_t from, uint32_t count)
{
	return !count || (!vhd_bits_test(map, from) && vhd_bits_run(map, from, count) == count);
}

uint32_t
vhd_bits_count(const uint8_t *map, uint32_t from, uint32_t count)
{
	uint32_t ones = 0, step;

	for (; count; from += step, count -= step) {
		if (from % 8 == 0 && count >= 64) {
			step = 64;
			ones += (uint32_t)__builtin_popcountll(get_be64(map + from / 8));
			continue;
		}
		step = in_byte(from, count);
		ones += (uint32_t)__builtin_popcount(map[from / 8] & byte_mask(from, count));
	}
	return ones;
}
