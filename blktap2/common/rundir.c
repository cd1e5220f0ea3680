/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding and making the control directory.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/rundir.h"

#define CONF_FILE SYSCONFDIR "/blktap/blktap.conf"
#define CONF_KEY "control-dir"

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

/* What the configuration file says, or NULL. */
static char *
configured(void)
{
	AUTO_FCLOSE FILE *file = fopen(CONF_FILE, "re");
	char line[512], *value;

	while (file && fgets(line, sizeof(line), file)) {
		value = value_of(line, CONF_KEY);
		if (value)
			return strdup(value);
	}
	return NULL;
}

int
rundir_path(char **out)
{
	const char *given = secure_getenv("BLKTAP_CONTROL_DIR");
	AUTO_FREE char *path = given && *given ? strdup(given) : configured();

	if (!path)
		path = strdup(CONTROL_DIR);
	if (!path)
		return -ENOMEM;
	if (path[0] != '/')
		return -EINVAL;
	if (strlen(path) > RUNDIR_MAX)
		return -ENAMETOOLONG;
	*out = STEAL(path);
	return 0;
}

/* A directory that others may write to, or that is a link, could be used against us. */
static int
check_directory(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
	if (fstat(fd, &found))
		return -errno;
	return found.st_uid == geteuid() && !(found.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

/* Make path with all the levels above it. */
static int
make_levels(const char *path)
{
	AUTO_FREE char *level = strdup(path);
	char *slash = level;

	if (!level)
		return -ENOMEM;
	while (slash) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		/* The levels above are the system's; only the last one is private. */
		if (mkdir(level, slash ? 0755 : 0700) && errno != EEXIST)
			return -errno;
		if (slash)
			*slash = '/';
	}
	return 0;
}

int
rundir_create(const char *path)
{
	AUTO_FREE char *markers = NULL;
	int err;

	if (asprintf(&markers, "%s/tapdisk", path) < 0) {
		markers = NULL;
		return -ENOMEM;
	}
	err = make_levels(path);
	if (!err)
		err = check_directory(path);
	if (!err && mkdir(markers, 0700) && errno != EEXIST)
		err = -errno;
	return err ? err : check_directory(markers);
}
