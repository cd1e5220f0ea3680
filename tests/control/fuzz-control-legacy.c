/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of the legacy protocol: see control-fuzz.c for the form of an input.
 */
#include "tests/control/control-fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_legacy(data, size);
	return 0;
}
