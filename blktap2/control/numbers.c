/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers in texts and in the names of files: strictly decimal, and bounded.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl.h"

#define MAX_NUMBER (1u << 30)

bool
ctl_parse_number(const char *text, unsigned long limit, unsigned long *number)
{
	unsigned long value = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned long)(*text - '0');
		if (value > limit)
			return false;
	}
	*number = value;
	return true;
}

static int
by_value(const void *left, const void *right)
{
	const int *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

int
ctl_numbers(const char *dir, const char *prefix, int **out, size_t *count)
{
	size_t length = strlen(prefix), used = 0, room = 0;
	int *numbers = NULL, *more, err = 0;
	DIR *list = opendir(dir);
	struct dirent *entry;
	unsigned long number;

	while (list && (entry = readdir(list))) {
		if (strncmp(entry->d_name, prefix, length) != 0 ||
		    !ctl_parse_number(entry->d_name + length, MAX_NUMBER, &number))
			continue;
		if (used == room) {
			room = room ? room * 2 : 64;
			more = reallocarray(numbers, room, sizeof(*numbers));
			if (!more) {
				err = -ENOMEM;
				break;
			}
			numbers = more;
		}
		numbers[used++] = (int)number;
	}
	if (list)
		closedir(list);
	if (err) {
		free(numbers);
		return err;
	}
	if (used)
		qsort(numbers, used, sizeof(*numbers), by_value);
	*out = numbers;
	*count = used;
	return 0;
}
