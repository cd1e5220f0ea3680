/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checksum of footers, headers, batmaps and journal entries: the ones' complement of the sum of
 * all bytes, modulo 2^32.
 */
#ifndef VHD_LIB_CHECKSUM_H
#define VHD_LIB_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The sum itself; sums of parts may be added up, and ~ of the whole is the checksum. */
static inline uint32_t
vhd_byte_sum(const uint8_t *at, size_t bytes)
{
	uint32_t sum = 0;

	while (bytes--)
		sum += *at++;
	return sum;
}

/* The same with bytes of 0x80 and more taken as negative, as batmaps of version 1.1 have it. */
static inline uint32_t
vhd_signed_byte_sum(const uint8_t *at, size_t bytes)
{
	uint32_t sum = 0;

	while (bytes--)
		sum += (uint32_t)(int8_t)*at++;
	return sum;
}

#endif
