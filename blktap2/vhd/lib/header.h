/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The header of dynamic and differencing images: bytes to structure and back, and what may be
 * believed of it.  Pure functions; reasons begin with "header: ".
 */
#ifndef VHD_LIB_HEADER_H
#define VHD_LIB_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/reason.h"

#define VHD_HEADER_BYTES 1024
#define VHD_MIN_BLOCK_SIZE 4096u
#define VHD_MAX_BLOCK_SIZE (256u << 20)

/* As for the footer: vhd_footer_sum and its neighbours. */
uint32_t vhd_header_sum(const uint8_t raw[VHD_HEADER_BYTES]);
void vhd_header_pack(const vhd_header_t *header, uint8_t raw[VHD_HEADER_BYTES]);
void vhd_header_unpack(const uint8_t raw[VHD_HEADER_BYTES], vhd_header_t *header);
void vhd_header_encode(vhd_header_t *header, uint8_t raw[VHD_HEADER_BYTES]);

/*
 * Bytes that are a header: cookie, checksum and version are right.  Returns 0, or -EINVAL with
 * *header untouched.
 */
int vhd_header_decode(const uint8_t raw[VHD_HEADER_BYTES], vhd_header_t *header,
		      struct reason *why);

/* The header is where a file of that size can have one: 0, or -EINVAL. */
int vhd_header_check_offset(uint64_t data_offset, uint64_t file_bytes, struct reason *why);

/*
 * A header that can be worked with, for this footer and in a file of that size: the size of blocks,
 * the BAT inside the file, not over header or copy, not absurdly large, but large enough for the
 * disk. Locators are looked at one by one (vhd_locator_check).  Returns 0, or -EINVAL.
 */
int vhd_header_check(const vhd_header_t *header, const vhd_footer_t *footer, uint64_t file_bytes,
		     struct reason *why);

#endif
