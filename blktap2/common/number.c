/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers in texts: see number.h. */
#include <errno.h>
#include <stdlib.h>

#include "common/number.h"

bool
number_take(const char *text, uint64_t max, const char **end, uint64_t *number)
{
	unsigned long long value;
	char *after;

	/* strtoull would take blanks and a sign, too. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &after, 10);
	if (errno || value > max)
		return false;
	*end = after;
	*number = value;
	return true;
}

bool
number_parse(const char *text, uint64_t max, uint64_t *number)
{
	const char *end;
	uint64_t value;

	if (!number_take(text, max, &end, &value) || *end)
		return false;
	*number = value;
	return true;
}
