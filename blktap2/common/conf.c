/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the settings of the host.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/conf.h"
#include "common/number.h"

#define CONF_FILE SYSCONFDIR "/blktap/blktap.conf"

/* The value of "key = value", in place, or NULL when the line is about something else. */
static char *
value_of(char *line, const char *key)
{
	size_t length = strlen(key);
	char *end;

	line += strspn(line, " \t");
	if (strncmp(line, key, length) != 0)
		return NULL;
	line += length;
	line += strspn(line, " \t");
	if (*line++ != '=')
		return NULL;
	line += strspn(line, " \t");
	end = line + strcspn(line, "#\n");
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return *line ? line : NULL;
}

int
conf_value(const char *key, char **value)
{
	const char *given = secure_getenv("BLKTAP_CONFIG");
	AUTO_FCLOSE FILE *file = fopen(given && *given ? given : CONF_FILE, "re");
	char line[512], *found;

	while (file && fgets(line, sizeof(line), file)) {
		found = value_of(line, key);
		if (!found)
			continue;
		*value = strdup(found);
		return *value ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

int
conf_number(const char *key, uint32_t most, uint32_t *number)
{
	AUTO_FREE char *text = NULL;
	uint64_t value;
	int err = conf_value(key, &text);

	if (err)
		return err;
	if (!number_parse(text, most, &value))
		return -EINVAL;
	*number = (uint32_t)value;
	return 0;
}
