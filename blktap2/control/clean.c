/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tapdisks that were killed leave behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "control/ctl.h"

/* Somebody to be told what is removed, or would be. */
struct cleaner {
	bool dry;
	void (*fn)(void *arg, const char *name);
	void *arg;
};

static void
clean_file(const struct cleaner *cleaner, const char *name)
{
	bool gone = cleaner->dry ? access(name, F_OK) == 0 : unlink(name) == 0;

	if (gone && cleaner->fn)
		cleaner->fn(cleaner->arg, name);
}

/* All files dir/prefix<number>. */
static void
clean_numbered(const struct cleaner *cleaner, const char *dir, const char *prefix)
{
	AUTO_FREE int *numbers = NULL;
	char name[PATH_MAX];
	size_t count, i;

	if (ctl_numbers(dir, prefix, &numbers, &count))
		return;
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/%s%d", dir, prefix, numbers[i]);
		clean_file(cleaner, name);
	}
}

/* ---- statistics, where everybody may write ------------------------------------------------------
 */

/* A descriptor of a directory that is ours, and not elsewhere; -1. */
static int
open_own_directory(const char *path)
{
	AUTO_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (dir < 0 || fstat(dir, &found) || found.st_uid != geteuid())
		return -1;
	return steal_fd(&dir);
}

/*
 * Remove a directory and the files in it; first, before() is told the name of each, and may be
 * NULL.
 */
static void
clean_directory(const struct cleaner *cleaner, const char *path, int pid,
		void (*before)(const struct cleaner *cleaner, int pid, const char *name))
{
	int dir = open_own_directory(path);
	DIR *list = dir >= 0 ? fdopendir(dir) : NULL;
	struct dirent *entry;
	char name[PATH_MAX];

	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		if (before)
			before(cleaner, pid, entry->d_name);
		if (!cleaner->dry && unlinkat(dir, entry->d_name, 0))
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (cleaner->fn)
			cleaner->fn(cleaner->arg, name);
	}
	if (list)
		closedir(list);
	else if (dir >= 0)
		close(dir);
	if (!cleaner->dry)
		rmdir(path);
}

bool
ctl_is_alive(int pid)
{
	AUTO_CLOSE int process = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = { .fd = process, .events = POLLIN };

	if (process < 0)
		return kill(pid, 0) == 0 || errno != ESRCH;
	return poll(&end, 1, 0) == 0;
}

/* Has another tapdisk a page of that name? */
static bool
is_shown_by_another(int pid, const char *page)
{
	AUTO_FREE int *pids = NULL;
	char path[128];
	size_t count = 0, i;

	if (ctl_numbers(CTL_STATISTICS, CTL_STATISTICS_PREFIX, &pids, &count))
		return true;
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s%d/%s", CTL_STATISTICS, CTL_STATISTICS_PREFIX,
			 pids[i], page);
		if (pids[i] != pid && ctl_is_alive(pids[i]) && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* The page of a guest's ring, which has a directory, too; it may be another's by now. */
static void
clean_ring(const struct cleaner *cleaner, int pid, const char *page)
{
	unsigned domid, devid;
	char path[128], name[64];

	if (sscanf(page, "vbd-%u-%u", &domid, &devid) != 2)
		return;
	snprintf(name, sizeof(name), "vbd-%u-%u", domid, devid);
	if (strcmp(name, page) != 0 || is_shown_by_another(pid, page))
		return;
	snprintf(path, sizeof(path), "%s/vbd3-%u-%u", CTL_STATISTICS, domid, devid);
	clean_directory(cleaner, path, pid, NULL);
}

static void
clean_statistics(const struct cleaner *cleaner, int pid)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "%s/%s%d", CTL_STATISTICS, CTL_STATISTICS_PREFIX, pid);
	clean_directory(cleaner, dir, pid, clean_ring);
}

/* ---- all that a tapdisk leaves ------------------------------------------------------------------
 */

void
ctl_clean_pid(const struct ctl *ctl, int pid, bool dry, void (*fn)(void *arg, const char *name),
	      void *arg)
{
	static const char *const plain[] = { "ctl", "nbdclient" };
	static const char *const numbered[] = { "nbd", "nbd-old", "nbdserver", "nbdserver-new" };
	const struct cleaner cleaner = { .dry = dry, .fn = fn, .arg = arg };
	char text[512];
	size_t i;

	if (ctl_is_alive(pid))
		return;
	for (i = 0; i < sizeof(numbered) / sizeof(numbered[0]); i++) {
		snprintf(text, sizeof(text), "%s%d.", numbered[i], pid);
		clean_numbered(&cleaner, ctl->dir, text);
	}
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		snprintf(text, sizeof(text), "%s/%s%d", ctl->dir, plain[i], pid);
		clean_file(&cleaner, text);
	}
	clean_statistics(&cleaner, pid);
}
