/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings in shared memory, for monitors that must not ask:
 *
 *   td3-<pid>/vbd-<domid>-<devid>         counters, as of a disk
 *   vbd3-<domid>-<devid>/statistics       counters, with discards, flushes and maxima
 *   vbd3-<domid>-<devid>/io_ring          how the rings stand, as text behind its checksum
 *
 * Monitors are woken by the second directory, so that the first page is there before.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/server.h"
#include "drivers/core/shm-dir.h"
#include "drivers/frontend/blkif-internal.h"

#define STATISTICS "statistics"
#define IO_RING "io_ring"

/* Of a queue: three lines of text and six numbers at most. */
#define QUEUE_TEXT 160
#define CHECKSUM_BYTES sizeof(unsigned long)

/* What readers map, in the byte order of the host. */
struct layout {
	uint64_t discards, flushes, waits;
	uint64_t reads, reads_completed, read_sectors, read_usecs, read_usecs_max;
	uint64_t writes, writes_completed, write_sectors, write_usecs, write_usecs_max;
	uint64_t flags;
};

_Static_assert(sizeof(struct layout) == 112, "monitors know this size");
_Static_assert(offsetof(struct layout, reads) == 24, "monitors know this place");
_Static_assert(offsetof(struct layout, writes) == 64, "monitors know this place");

struct blkif_pages {
	struct shm_page *page;
	struct shm_dir *dir; /* NULL: hidden */
	struct layout *map;  /* NULL: there is none */
};

struct blkif_pages *
blkif_pages_new(const struct blkif_device *device)
{
	struct shm_stats *stats = tapdisk_server_shm(device->blkif->server);
	struct blkif_pages *pages = stats ? calloc(1, sizeof(*pages)) : NULL;
	char name[32];

	if (!pages)
		return NULL;
	snprintf(name, sizeof(name), "vbd-%u-%u", device->config.domid, device->config.devid);
	pages->page = shm_page_new(stats, name);
	snprintf(name, sizeof(name), "vbd3-%u-%u", device->config.domid, device->config.devid);
	pages->dir = shm_dir_new(shm_stats_root(stats), name);
	if (pages->dir)
		pages->map = shm_map(pages->dir, STATISTICS);
	blkif_pages_tell(pages, device);
	return pages;
}

void
blkif_pages_update(struct blkif_pages *pages, const struct blkif_counters *counters)
{
	const struct shm_counters *io = &counters->io;

	if (!pages)
		return;
	shm_page_update(pages->page, io);
	if (pages->map)
		*pages->map = (struct layout){
			.discards = counters->discards,
			.flushes = counters->flushes,
			.waits = io->busy,
			.reads = io->submitted[0],
			.reads_completed = io->completed[0],
			.read_sectors = io->sectors[0],
			.read_usecs = io->usecs[0],
			.read_usecs_max = counters->usecs_max[0],
			.writes = io->submitted[1],
			.writes_completed = io->completed[1],
			.write_sectors = io->sectors[1],
			.write_usecs = io->usecs[1],
			.write_usecs_max = counters->usecs_max[1],
		};
}

/* ---- how the rings stand ---- */

/* As zlib has it: the bits reversed, begun and ended with ones. */
static uint32_t
checksum(const char *text, size_t length)
{
	uint32_t sum = 0xffffffff;
	unsigned bit;

	while (length--) {
		sum ^= (uint8_t)*text++;
		for (bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
	}
	return ~sum;
}

static size_t
describe(const struct blkif_ring *ring, char text[static QUEUE_TEXT])
{
	struct blkif_ring_words words;
	int length;

	blkif_ring_look(ring, &words);
	length = snprintf(text, QUEUE_TEXT,
			  "nr_ents %u\nreq prod %u cons %d event %u\nrsp prod %u pvt %d event %u\n",
			  ring->slots, words.req_prod, (int32_t)ring->req_cons, words.req_event,
			  words.rsp_prod, (int32_t)ring->rsp_pvt, words.rsp_event);
	return length < 0 || length >= QUEUE_TEXT ? 0 : (size_t)length;
}

void
blkif_pages_tell(struct blkif_pages *pages, const struct blkif_device *device)
{
	char content[CHECKSUM_BYTES + BLKIF_MAX_QUEUES * QUEUE_TEXT];
	char *text = content + CHECKSUM_BYTES;
	unsigned long sum;
	size_t length = 0;
	unsigned i;

	if (!pages || !pages->dir)
		return;
	for (i = 0; i < device->config.queue_count; i++)
		length += describe(&device->queues[i].ring, text + length);
	sum = checksum(text, length);
	memcpy(content, &sum, CHECKSUM_BYTES);
	/* The next time may go better. */
	(void)shm_dir_replace(pages->dir, IO_RING, content, CHECKSUM_BYTES + length);
}

/* ---- the end ---- */

void
blkif_pages_hide(struct blkif_pages *pages)
{
	if (!pages)
		return;
	shm_page_hide(pages->page);
	shm_dir_free(pages->dir);
	pages->dir = NULL;
}

void
blkif_pages_free(struct blkif_pages *pages)
{
	if (!pages)
		return;
	blkif_pages_hide(pages);
	shm_page_free(pages->page);
	shm_unmap(pages->map);
	free(pages);
}
