/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tapdisk locks the marker of each minor that it serves, and the kernel tells who holds locks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "daemon/locate.h"
#include "daemon/parse.h"

#define LOCKS "/proc/locks"
#define PID_FIELD 4 /* "1: FLOCK  ADVISORY  WRITE 731 00:1a:8123 0 EOF" */
#define FILE_FIELD 5

/* The process in a line about the inode; false: the line is about something else. */
static bool
take_line(char *line, unsigned long long inode, uint32_t *pid)
{
	char *field, *rest = line, *number = NULL, wanted[32];
	unsigned i;

	snprintf(wanted, sizeof(wanted), "%llu", inode);
	for (i = 0; (field = strtok_r(rest, " \n", &rest)); i++) {
		if (i == 1 && strcmp(field, "FLOCK") != 0)
			return false;
		if (i == PID_FIELD && !parse_number(field, UINT32_MAX, pid))
			return false;
		if (i == FILE_FIELD)
			number = strrchr(field, ':');
	}
	return number && strcmp(number + 1, wanted) == 0;
}

static bool
is_tapdisk(const char *dir, uint32_t pid)
{
	AUTO_FREE char *path = NULL;

	if (asprintf(&path, "%s/ctl%u", dir, pid) < 0) {
		path = NULL;
		return false;
	}
	return access(path, F_OK) == 0;
}

int
locate_holder(FILE *locks, uint64_t inode, const char *dir, uint32_t *pid)
{
	char line[256];
	uint32_t holder;

	while (fgets(line, sizeof(line), locks))
		if (take_line(line, inode, &holder) && holder && is_tapdisk(dir, holder)) {
			*pid = holder;
			return 0;
		}
	return -ENOENT;
}

int
locate_minor(const char *dir, uint32_t minor, uint32_t *pid)
{
	AUTO_FREE char *marker = minor_path(dir, (int)minor);
	AUTO_FCLOSE FILE *locks = fopen(LOCKS, "re");
	struct stat found;

	if (!marker)
		return -ENOMEM;
	if (!locks || stat(marker, &found))
		return -errno;
	return locate_holder(locks, found.st_ino, dir, pid);
}
