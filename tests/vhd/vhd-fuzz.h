/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets of the VHD format share.
 */
#ifndef TESTS_VHD_VHD_FUZZ_H
#define TESTS_VHD_VHD_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input, from front to back; what it is too short for is zeros. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline size_t
fuzz_take(struct fuzz_input *input, void *to, size_t bytes)
{
	size_t taken = bytes < input->left ? bytes : input->left;

	memset(to, 0, bytes);
	if (taken)
		memcpy(to, input->at, taken);
	input->at += taken;
	input->left -= taken;
	return taken;
}

static inline uint8_t
fuzz_byte(struct fuzz_input *input)
{
	uint8_t byte;

	fuzz_take(input, &byte, 1);
	return byte;
}

/* What must be true of the library, whatever the input is. */
static inline void
fuzz_check(bool truth)
{
	if (!truth)
		__builtin_trap();
}

/* No input finds a checksum by chance. */
#define FUZZ_FOOTER_SUM_AT 64
#define FUZZ_HEADER_SUM_AT 36
#define fuzz_mend_footer(raw) put_be32((raw) + FUZZ_FOOTER_SUM_AT, vhd_footer_sum(raw))
#define fuzz_mend_header(raw) put_be32((raw) + FUZZ_HEADER_SUM_AT, vhd_header_sum(raw))

#endif
