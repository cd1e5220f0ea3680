/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers in texts: decimal digits without a sign, a blank or a base, and bounded.
 */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* The whole text is a number of at most max: true, and *number; else it stays as it was. */
bool number_parse(const char *text, uint64_t max, uint64_t *number);

/* The same of a number that text begins with; *end is what comes after it. */
bool number_take(const char *text, uint64_t max, const char **end, uint64_t *number);

#endif
