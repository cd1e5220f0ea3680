/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics in shared memory: see shm-stats.h. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tapdisk.h>

#include "drivers/core/shm-dir.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/tlog.h"

struct shm_stats {
	const char *root; /* borrowed */
	struct shm_dir *dir;
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
_Static_assert(offsetof(struct shm_layout, reads_submitted) == 16, "monitors know this place");
_Static_assert(offsetof(struct shm_layout, writes_submitted) == 48, "monitors know this place");
_Static_assert(offsetof(struct shm_layout, errors) == 80, "monitors know this place");

struct shm_page {
	struct shm_stats *stats; /* borrowed */
	bool is_hidden;
	char name[32];
	struct shm_layout *map;
};

struct shm_stats *
shm_stats_new(const char *root, struct tlog *log)
{
	struct shm_stats *stats = calloc(1, sizeof(*stats));
	char name[32];

	if (!stats)
		return NULL;
	snprintf(name, sizeof(name), "td3-%d", (int)getpid());
	stats->root = root;
	stats->dir = shm_dir_new(root, name);
	if (stats->dir)
		return stats;
	tlog(log, LOG_NOTICE, "%s/%s: %s: no statistics pages", root, name, strerror(errno));
	free(stats);
	return NULL;
}

void
shm_stats_free(struct shm_stats *stats)
{
	if (!stats)
		return;
	shm_dir_free(stats->dir);
	free(stats);
}

const char *
shm_stats_root(const struct shm_stats *stats)
{
	return stats->root;
}

/* ---- pages ---- */

struct shm_page *
shm_page_new(struct shm_stats *stats, const char *name)
{
	struct shm_page *page = stats ? calloc(1, sizeof(*page)) : NULL;

	if (!page)
		return NULL;
	page->stats = stats;
	snprintf(page->name, sizeof(page->name), "%s", name);
	page->map = shm_map(stats->dir, page->name);
	if (!page->map) {
		free(page);
		return NULL;
	}
	page->map->version = 1;
	return page;
}

void
shm_page_update(struct shm_page *page, const struct shm_counters *counters)
{
	struct shm_layout *map;

	if (!page)
		return;
	map = page->map;
	map->out_of_resources = counters->busy;
	map->reads_submitted = counters->submitted[0];
	map->reads_completed = counters->completed[0];
	map->read_sectors = counters->sectors[0];
	map->read_usecs = counters->usecs[0];
	map->writes_submitted = counters->submitted[1];
	map->writes_completed = counters->completed[1];
	map->write_sectors = counters->sectors[1];
	map->write_usecs = counters->usecs[1];
	map->errors = counters->errors;
}

void
shm_page_hide(struct shm_page *page)
{
	if (!page || page->is_hidden)
		return;
	page->is_hidden = true;
	shm_dir_remove(page->stats->dir, page->name);
}

void
shm_page_free(struct shm_page *page)
{
	if (!page)
		return;
	shm_page_hide(page);
	shm_unmap(page->map);
	free(page);
}

/* ---- counters and their page ---- */

void
shm_tally_begin(struct shm_tally *tally, int op)
{
	if (op == TD_OP_READ || op == TD_OP_WRITE)
		tally->counters.submitted[op == TD_OP_WRITE]++;
}

void
shm_tally_end(struct shm_tally *tally, int op, uint64_t sectors, uint64_t usecs, int err)
{
	struct shm_counters *counters = &tally->counters;
	int way = op == TD_OP_WRITE;

	/* What cannot be done at all is an answer and not an error. */
	if (err && err != -EOPNOTSUPP)
		counters->errors++;
	if (op == TD_OP_READ || op == TD_OP_WRITE) {
		counters->completed[way]++;
		counters->usecs[way] += usecs;
		if (!err)
			counters->sectors[way] += sectors;
	}
	shm_page_update(tally->page, counters);
}
