/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arithmetic that cannot wrap.
 *
 * Sizes and offsets that come from a guest, an image or a peer are only ever combined through
 * these.  All return 0, or -EOVERFLOW with *out untouched.
 */
#ifndef COMMON_CHECKED_H
#define COMMON_CHECKED_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

static inline int
checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return -EOVERFLOW;
	*out = sum;
	return 0;
}

static inline int
checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return -EOVERFLOW;
	*out = product;
	return 0;
}

/* Round value up to a multiple of unit; unit is a power of two. */
static inline int
checked_round_up(uint64_t value, uint64_t unit, uint64_t *out)
{
	uint64_t sum;

	if (__builtin_add_overflow(value, unit - 1, &sum))
		return -EOVERFLOW;
	*out = sum & ~(unit - 1);
	return 0;
}

/* True when [at, at + count) lies inside [0, limit); written so that no sum can wrap. */
static inline bool
range_fits(uint64_t at, uint64_t count, uint64_t limit)
{
	return count <= limit && at <= limit - count;
}

static inline bool
is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

#endif
