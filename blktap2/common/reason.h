/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why something failed, in one sentence for people, on its way up beside the -errno.
 */
#ifndef COMMON_REASON_H
#define COMMON_REASON_H

#include <stdarg.h>
#include <stdio.h>

#define REASON_BYTES 512

struct reason {
	char text[REASON_BYTES];
};

/* Set the sentence, cut to size, and return err.  why may be NULL. */
static inline int __attribute__((format(printf, 3, 4)))
reason(struct reason *why, int err, const char *format, ...)
{
	va_list args;

	if (!why)
		return err;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return err;
}

#endif
