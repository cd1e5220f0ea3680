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
#include "common/conf.h"
#include "common/rundir.h"

#define CONF_KEY "control-dir"

int
rundir_path(char **out)
{
	const char *given = secure_getenv("BLKTAP_CONTROL_DIR");
	AUTO_FREE char *path = NULL;
	int err = -ENOENT;

	if (given && *given)
		path = strdup(given);
	else
		err = conf_value(CONF_KEY, &path);
	if (err == -ENOENT && !path)
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
