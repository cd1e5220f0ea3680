/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers in texts and in the names of files: strictly decimal, and bounded.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/number.h"
#include "control/ctl.h"

#define MAX_NUMBER (1u << 30)

bool
ctl_parse_number(const char *text, unsigned long limit, unsigned long *number)
{
	uint64_t value;

	if ((text[0] == '0' && text[1]) || !number_parse(text, limit, &value))
		return false;
	*number = (unsigned long)value;
	return true;
}

static int
by_value(const void *left, const void *right)
{
	const int *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

/* Numbers that are found one by one. */
struct numbers {
	int *at; /* owned */
	size_t count, room;
};

static int
add_number(struct numbers *numbers, int number)
{
	size_t room = numbers->room ? numbers->room * 2 : 64;
	int *at;

	if (numbers->count == numbers->room) {
		at = reallocarray(numbers->at, room, sizeof(*at));
		if (!at)
			return -ENOMEM;
		numbers->at = at;
		numbers->room = room;
	}
	numbers->at[numbers->count++] = number;
	return 0;
}

int
ctl_numbers(const char *dir, const char *prefix, int **out, size_t *count)
{
	struct numbers numbers = { 0 };
	DIR *list = opendir(dir);
	struct dirent *entry;
	unsigned long number;
	int err = 0;

	if (!list && errno != ENOENT)
		return -errno;
	while (list && !err && (entry = readdir(list)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
		    ctl_parse_number(entry->d_name + strlen(prefix), MAX_NUMBER, &number))
			err = add_number(&numbers, (int)number);
	if (list)
		closedir(list);
	if (err) {
		free(numbers.at);
		return err;
	}
	if (numbers.count)
		qsort(numbers.at, numbers.count, sizeof(*numbers.at), by_value);
	*out = numbers.at;
	*count = numbers.count;
	return 0;
}
