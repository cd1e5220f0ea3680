/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tapdisks that were killed leave behind.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
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
	char name[512];
	size_t count, i;

	if (ctl_numbers(dir, prefix, &numbers, &count))
		return;
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/%s%d", dir, prefix, numbers[i]);
		clean_file(cleaner, name);
	}
}

static void
clean_statistics(const struct cleaner *cleaner, int pid)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "%s/%s%d", CTL_STATISTICS, CTL_STATISTICS_PREFIX, pid);
	clean_numbered(cleaner, dir, "vdi-");
	if (!cleaner->dry)
		rmdir(dir);
}

void
ctl_clean_pid(const struct ctl *ctl, int pid, bool dry, void (*fn)(void *arg, const char *name),
	      void *arg)
{
	static const char *const plain[] = { "ctl", "nbdclient" };
	static const char *const numbered[] = { "nbd", "nbd-old", "nbdserver", "nbdserver-new" };
	const struct cleaner cleaner = { .dry = dry, .fn = fn, .arg = arg };
	char text[512];
	size_t i;

	if (kill(pid, 0) == 0 || errno != ESRCH)
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
