/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of counters that readers map.  The directory lies in a place that everybody may write, so
 * nothing there is trusted that this process has not made itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/core/shm-stats.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd-internal.h"

#define PAGE_BYTES 4096
#define SHM_ROOT "/dev/shm"

struct shm_stats {
	int dir; /* descriptor of the directory */
	char name[32];
};

/* What readers map, in the byte order of the host. */
struct shm_layout {
	uint32_t version;
	uint32_t reserved;
	uint64_t out_of_resources;
	uint64_t reads_submitted, reads_completed, read_sectors, read_usecs;
	uint64_t writes_submitted, writes_completed, write_sectors, write_usecs;
	uint64_t errors;
	uint64_t flags;
};

_Static_assert(sizeof(struct shm_layout) == 96, "monitors know this size");
_Static_assert(offsetof(struct shm_layout, errors) == 80, "monitors know this place");

struct shm_page {
	struct shm_stats *stats; /* borrowed */
	char name[32];
	struct shm_layout *map;
};

static void
empty_directory(int dir)
{
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (!list) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((entry = readdir(list)))
		unlinkat(dir, entry->d_name, 0);
	closedir(list);
}

/* Open the directory if it is one, ours, and closed to others; -1. */
static int
open_own_directory(int root, const char *name)
{
	int dir = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (dir < 0)
		return -1;
	if (fstat(dir, &found) || found.st_uid != geteuid() || found.st_mode & 077) {
		close(dir);
		return -1;
	}
	return dir;
}

struct shm_stats *
shm_stats_new(struct tlog *log)
{
	struct shm_stats *stats = calloc(1, sizeof(*stats));
	int root = open(SHM_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!stats || root < 0)
		goto fail;
	snprintf(stats->name, sizeof(stats->name), "td3-%d", (int)getpid());
	if (mkdirat(root, stats->name, 0700) && errno != EEXIST)
		goto fail;
	stats->dir = open_own_directory(root, stats->name);
	if (stats->dir < 0)
		goto fail;
	close(root);
	empty_directory(stats->dir);
	return stats;

fail:
	tlog(log, LOG_NOTICE, "%s/td3-%d: cannot be made: no statistics pages", SHM_ROOT,
	     (int)getpid());
	if (root >= 0)
		close(root);
	free(stats);
	return NULL;
}

void
shm_stats_free(struct shm_stats *stats)
{
	char path[64];

	if (!stats)
		return;
	snprintf(path, sizeof(path), "%s/%s", SHM_ROOT, stats->name);
	empty_directory(stats->dir);
	close(stats->dir);
	rmdir(path);
	free(stats);
}

static void *
map_page(struct shm_stats *stats, const char *name)
{
	int fd = openat(stats->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	void *map = MAP_FAILED;

	if (fd < 0)
		return NULL;
	/* Allocated here, so that a full /dev/shm is an error now and not a signal later. */
	if (posix_fallocate(fd, 0, PAGE_BYTES) == 0)
		map = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		unlinkat(stats->dir, name, 0);
		return NULL;
	}
	return map;
}

struct shm_page *
shm_page_new(struct shm_stats *stats, const char *kind, int number)
{
	struct shm_page *page = stats ? calloc(1, sizeof(*page)) : NULL;

	if (!page)
		return NULL;
	page->stats = stats;
	snprintf(page->name, sizeof(page->name), "%s-%d", kind, number);
	unlinkat(stats->dir, page->name, 0);
	page->map = map_page(stats, page->name);
	if (!page->map) {
		free(page);
		return NULL;
	}
	page->map->version = 1;
	return page;
}

void
shm_page_update(struct shm_page *page, const struct vbd_counters *counters)
{
	struct shm_layout *map;

	if (!page)
		return;
	map = page->map;
	map->out_of_resources = counters->busy;
	map->reads_submitted = counters->reqs[0];
	map->reads_completed = counters->done[0];
	map->read_sectors = counters->sectors[0];
	map->read_usecs = counters->usecs[0];
	map->writes_submitted = counters->reqs[1];
	map->writes_completed = counters->done[1];
	map->write_sectors = counters->sectors[1];
	map->write_usecs = counters->usecs[1];
	map->errors = counters->errors;
}

void
shm_page_free(struct shm_page *page)
{
	if (!page)
		return;
	munmap(page->map, PAGE_BYTES);
	unlinkat(page->stats->dir, page->name, 0);
	free(page);
}
