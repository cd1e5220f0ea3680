/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of changed blocks in a file.
 *
 * Two copies of the bitmap are in memory: the bits as they must become, and as they are in the file
 * for sure.  A request whose bits are all saved goes on at once, which after a while means every
 * request.  Another sets its bits, marks their pages as dirty, and waits for a worker, of which
 * there is one at a time: it writes a batch of pages, and syncs when a flush waits.  What arrives
 * meanwhile is the next batch.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <tapdisk.h>

#include "cbt/lib/cbt.h"
#include "drivers/block-log-cbt.h"

#define PAGE_BYTES 4096 /* of the bitmap: 2 GiB of the disk */
#define BATCH_PAGES 64
#define BLOCK_SECTORS (1u << (CBT_BLOCK_SHIFT - SECTOR_SHIFT))

/* A request that waits for the file; a flush also waits for the image below. */
struct log_request {
	td_request_t treq;
	int left; /* of a flush: what it waits for */
	int err;
	struct cbt_log *log;
	TAILQ_ENTRY(log_request) link;
};

TAILQ_HEAD(log_requests, log_request);

/* A piece of the pool; more are added when it runs dry. */
struct log_block {
	struct log_block *next;
	struct log_request requests[TAPDISK_DATA_REQUESTS];
};

/* What the worker does; its own while it runs. */
struct log_batch {
	uint64_t size; /* of the disk, in bytes */
	uint64_t pages[BATCH_PAGES];
	int count;
	bool sync;
	uint8_t bits[BATCH_PAGES][PAGE_BYTES];
};

struct cbt_log {
	td_driver_t *driver;
	int fd;
	bool read_only;
	bool off;      /* it has failed */
	uint64_t size; /* of the disk, in bytes */

	/* Whole pages of them, at least as many as there are bytes in the bitmap. */
	uint64_t pages;
	uint8_t *bits;
	uint8_t *saved;
	bool *dirty; /* one for each page */
	uint64_t dirty_pages;
	uint64_t first_dirty; /* none before this one */

	struct log_batch *batch;
	bool running;
	bool unsynced;                /* pages were written since the last sync */
	struct log_requests changes;  /* wait for their bits */
	struct log_requests flushes;  /* wait for the next batch */
	struct log_requests flushing; /* wait for this one */

	struct log_block *blocks;
	struct log_requests free;
	int max;
	int pending;
};

static void start_batch(struct cbt_log *log);

/* ---- the pool ---------------------------------------------------------------------------------
 */

static int
grow_pool(struct cbt_log *log)
{
	struct log_block *block = malloc(sizeof(*block));
	int i;

	if (!block)
		return -ENOMEM;
	block->next = log->blocks;
	log->blocks = block;
	for (i = 0; i < TAPDISK_DATA_REQUESTS; i++)
		TAILQ_INSERT_TAIL(&log->free, &block->requests[i], link);
	log->max += TAPDISK_DATA_REQUESTS;
	return 0;
}

static struct log_request *
take_request(struct cbt_log *log, const td_request_t *treq)
{
	struct log_request *request;

	if (TAILQ_EMPTY(&log->free) && grow_pool(log))
		return NULL;
	request = TAILQ_FIRST(&log->free);
	TAILQ_REMOVE(&log->free, request, link);
	log->pending++;
	*request = (struct log_request){ .treq = *treq, .log = log };
	return request;
}

static void
give_request(struct log_request *request)
{
	struct cbt_log *log = request->log;

	log->pending--;
	TAILQ_INSERT_HEAD(&log->free, request, link);
}

/* ---- pages ------------------------------------------------------------------------------------
 */

static uint64_t
page_length(uint64_t size, uint64_t page)
{
	uint64_t left = cbt_bitmap_bytes(size) - page * PAGE_BYTES;

	return left < PAGE_BYTES ? left : PAGE_BYTES;
}

static void
mark_dirty(struct cbt_log *log, uint64_t page)
{
	if (log->dirty[page])
		return;
	log->dirty[page] = true;
	log->dirty_pages++;
	if (page < log->first_dirty)
		log->first_dirty = page;
}

/* The blocks of a range of sectors. */
static uint64_t
blocks_of(const td_request_t *treq, uint64_t *first)
{
	*first = treq->sec / BLOCK_SECTORS;
	return (treq->sec + (uint64_t)treq->secs - 1) / BLOCK_SECTORS - *first + 1;
}

static bool
is_saved(const struct cbt_log *log, const td_request_t *treq)
{
	uint64_t first, count = blocks_of(treq, &first);

	return cbt_bits_all_set(log->saved, first, count);
}

static void
set_bits(struct cbt_log *log, uint64_t first, uint64_t count)
{
	const uint64_t per_page = PAGE_BYTES * 8;
	uint64_t page;

	cbt_bits_set(log->bits, first, count);
	for (page = first / per_page; page <= (first + count - 1) / per_page; page++)
		mark_dirty(log, page);
}

/* ---- the worker -------------------------------------------------------------------------------
 */

/* Is this still the file that was opened, with room for all bits? */
static int
check_file(int fd, uint64_t size)
{
	struct cbt_header header;
	int err = cbt_read_header(fd, &header);

	return !err && header.size < size ? -EINVAL : err;
}

/* Who reads the bits must know that they are not all there.  A file that is too short says so. */
static void
disown(int fd)
{
	if (lseek(fd, 0, SEEK_END) >= CBT_HEADER_BYTES && cbt_write_inconsistent(fd) == 0)
		fdatasync(fd);
}

static int
write_batch(void *arg)
{
	struct cbt_log *log = arg;
	const struct log_batch *batch = log->batch;
	int err = check_file(log->fd, batch->size);
	int i;

	for (i = 0; !err && i < batch->count; i++)
		err = cbt_write_bits(log->fd, batch->pages[i] * PAGE_BYTES, batch->bits[i],
				     page_length(batch->size, batch->pages[i]));
	if (!err && batch->sync && fdatasync(log->fd))
		err = -errno;
	if (err)
		disown(log->fd);
	return err;
}

/* ---- the ends of requests ---------------------------------------------------------------------
 */

/* One of the two things that a flush waits for. */
static void
flush_part_done(struct log_request *request, int err)
{
	td_request_t treq = request->treq;

	if (err && !request->err)
		request->err = err;
	if (--request->left)
		return;
	err = request->err;
	give_request(request);
	td_complete_request(treq, err);
}

static void
flushed_below(td_request_t treq, int res)
{
	flush_part_done(treq.cb_data, res);
}

static void
end_flushes(struct log_requests *flushes, int err)
{
	struct log_request *request;

	while ((request = TAILQ_FIRST(flushes))) {
		TAILQ_REMOVE(flushes, request, link);
		flush_part_done(request, err);
	}
}

/* Forward the changes whose bits are saved, or all of them when nothing is logged any more. */
static void
end_changes(struct cbt_log *log)
{
	struct log_requests changes = TAILQ_HEAD_INITIALIZER(changes);
	struct log_request *request;
	td_request_t treq;

	TAILQ_CONCAT(&changes, &log->changes, link);
	while ((request = TAILQ_FIRST(&changes))) {
		TAILQ_REMOVE(&changes, request, link);
		treq = request->treq;
		if (log->off || is_saved(log, &treq)) {
			give_request(request);
			td_forward_request(treq);
		} else {
			TAILQ_INSERT_TAIL(&log->changes, request, link);
		}
	}
}

/* No worker could be had: those who wait come again. */
static void
turn_away(struct cbt_log *log)
{
	struct log_requests changes = TAILQ_HEAD_INITIALIZER(changes);
	struct log_request *request;
	td_request_t treq;

	TAILQ_CONCAT(&changes, &log->changes, link);
	while ((request = TAILQ_FIRST(&changes))) {
		TAILQ_REMOVE(&changes, request, link);
		treq = request->treq;
		give_request(request);
		td_complete_request(treq, -EBUSY);
	}
	end_flushes(&log->flushes, -EBUSY);
}

/* ---- batches ----------------------------------------------------------------------------------
 */

/* Move dirty pages into the batch. */
static void
fill_batch(struct cbt_log *log)
{
	struct log_batch *batch = log->batch;
	uint64_t page = log->first_dirty;

	batch->size = log->size;
	batch->count = 0;
	for (; log->dirty_pages && batch->count < BATCH_PAGES; page++) {
		if (!log->dirty[page])
			continue;
		memcpy(batch->bits[batch->count], log->bits + page * PAGE_BYTES, PAGE_BYTES);
		batch->pages[batch->count++] = page;
		log->dirty[page] = false;
		log->dirty_pages--;
	}
	log->first_dirty = page;
	log->unsynced |= batch->count > 0;
	batch->sync = log->unsynced && !TAILQ_EMPTY(&log->flushes);
}

/* The file has what was in the batch. */
static void
note_saved(struct cbt_log *log)
{
	const struct log_batch *batch = log->batch;
	int i;

	for (i = 0; i < batch->count; i++)
		memcpy(log->saved + batch->pages[i] * PAGE_BYTES, batch->bits[i], PAGE_BYTES);
	if (batch->sync)
		log->unsynced = false;
}

static void
give_up(struct cbt_log *log, int err)
{
	log->off = true;
	td_log(log->driver, LOG_ERR, "%s: the log has failed, nothing is logged any more: %s",
	       log->driver->name, strerror(-err));
	td_event(log->driver, "log-failed");
}

static void
batch_done(void *arg, int err)
{
	struct cbt_log *log = arg;

	log->running = false;
	if (err)
		give_up(log, err);
	else
		note_saved(log);
	end_changes(log);
	end_flushes(&log->flushing, 0);
	if (log->off)
		end_flushes(&log->flushes, 0);
	start_batch(log);
}

/* While a batch runs somebody waits for it, so the driver is not closed meanwhile. */
static void
start_batch(struct cbt_log *log)
{
	int i;

	if (log->running || log->off || (TAILQ_EMPTY(&log->changes) && TAILQ_EMPTY(&log->flushes)))
		return;
	fill_batch(log);
	TAILQ_CONCAT(&log->flushing, &log->flushes, link);
	if (!log->batch->count && !log->batch->sync) {
		end_flushes(&log->flushing, 0);
		return;
	}
	if (td_work(log->driver, write_batch, batch_done, log) == 0) {
		log->running = true;
		return;
	}
	for (i = 0; i < log->batch->count; i++)
		mark_dirty(log, log->batch->pages[i]);
	TAILQ_CONCAT(&log->flushes, &log->flushing, link);
	turn_away(log);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

void
cbt_log_change(struct cbt_log *log, td_request_t treq)
{
	struct log_request *request;
	uint64_t first, count;

	if (log->off || treq.flags & (TD_REQ_FILL | TD_REQ_JOB) || is_saved(log, &treq)) {
		td_forward_request(treq);
		return;
	}
	request = take_request(log, &treq);
	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	count = blocks_of(&treq, &first);
	set_bits(log, first, count);
	TAILQ_INSERT_TAIL(&log->changes, request, link);
	start_batch(log);
}

void
cbt_log_flush(struct cbt_log *log, td_request_t treq)
{
	struct log_request *request;

	if (log->off || log->read_only) {
		td_forward_request(treq);
		return;
	}
	request = take_request(log, &treq);
	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	request->left = 2;
	TAILQ_INSERT_TAIL(&log->flushes, request, link);
	start_batch(log);
	treq.cb = flushed_below;
	treq.cb_data = request;
	td_forward_request(treq);
}

/* ---- open, resize, close ----------------------------------------------------------------------
 */

static int
resize_bytes(uint8_t **at, uint64_t old_bytes, uint64_t bytes)
{
	uint8_t *grown = realloc(*at, bytes);

	if (!grown)
		return -ENOMEM;
	memset(grown + old_bytes, 0, bytes - old_bytes);
	*at = grown;
	return 0;
}

/* Room for the bits of a disk of size bytes; more of it than before stays when memory is short. */
static int
make_room(struct cbt_log *log, uint64_t size)
{
	const uint64_t pages = (cbt_bitmap_bytes(size) + PAGE_BYTES - 1) / PAGE_BYTES;
	uint64_t old = log->pages;
	bool *dirty;

	if (pages <= old)
		return 0;
	if (resize_bytes(&log->bits, old * PAGE_BYTES, pages * PAGE_BYTES) ||
	    resize_bytes(&log->saved, old * PAGE_BYTES, pages * PAGE_BYTES))
		return -ENOMEM;
	dirty = reallocarray(log->dirty, pages, sizeof(*dirty));
	if (!dirty)
		return -ENOMEM;
	memset(dirty + old, 0, (pages - old) * sizeof(*dirty));
	log->dirty = dirty;
	log->pages = pages;
	return 0;
}

int
cbt_log_resize(struct cbt_log *log, td_sector_t sectors)
{
	const uint64_t size = sectors << SECTOR_SHIFT;
	const uint64_t first = log->size >> CBT_BLOCK_SHIFT;
	int err;

	if (size <= log->size || log->read_only || log->off)
		return 0;
	err = make_room(log, size);
	if (err)
		return err;
	log->size = size;
	set_bits(log, first, cbt_blocks(size) - first);
	return 0;
}

/* The bits that the file begins with. */
static int
load(struct cbt_log *log)
{
	const uint64_t size = log->driver->info.size << SECTOR_SHIFT;
	struct cbt_header header;
	int err = cbt_read_header(log->fd, &header);

	if (!err && header.size != size)
		err = -EINVAL;
	if (!err)
		err = make_room(log, size);
	if (!err)
		err = cbt_read_bits(log->fd, 0, log->saved, cbt_bitmap_bytes(size));
	if (err)
		return err;
	memcpy(log->bits, log->saved, cbt_bitmap_bytes(size));
	log->size = size;
	return 0;
}

static void
release(struct cbt_log *log)
{
	struct log_block *block;

	while ((block = log->blocks)) {
		log->blocks = block->next;
		free(block);
	}
	if (log->fd >= 0)
		close(log->fd);
	free(log->batch);
	free(log->dirty);
	free(log->bits);
	free(log->saved);
	free(log);
}

int
cbt_log_open(td_driver_t *driver, const char *path, td_flag_t flags, struct cbt_log **out)
{
	struct cbt_log *log = calloc(1, sizeof(*log));
	int err;

	if (!log)
		return -ENOMEM;
	log->driver = driver;
	log->fd = -1;
	log->read_only = flags & TD_OPEN_RDONLY;
	log->unsynced = true; /* who knows what the last one left in the page cache */
	TAILQ_INIT(&log->changes);
	TAILQ_INIT(&log->flushes);
	TAILQ_INIT(&log->flushing);
	TAILQ_INIT(&log->free);
	log->batch = malloc(sizeof(*log->batch));
	err = log->batch ? cbt_open(path, !log->read_only, &log->fd) : -ENOMEM;
	if (!err)
		err = load(log);
	if (err) {
		release(log);
		return err;
	}
	*out = log;
	return 0;
}

void
cbt_log_close(struct cbt_log *log)
{
	int err = 0;

	if (!log)
		return;
	while (!err && !log->off && log->dirty_pages) {
		fill_batch(log);
		err = write_batch(log);
	}
	if (!err && !log->off && !log->read_only) {
		err = check_file(log->fd, log->size);
		if (!err && log->unsynced && fdatasync(log->fd))
			err = -errno;
	}
	if (err) {
		disown(log->fd);
		td_log(log->driver, LOG_ERR, "%s: the log is not complete: %s", log->driver->name,
		       strerror(-err));
	}
	release(log);
}

void
cbt_log_stats(const struct cbt_log *log, td_stats_t *stats)
{
	td_stats_reqs(stats, log->max ? log->max : TAPDISK_DATA_REQUESTS, log->pending);
	td_stats_text(stats, "log", log->off ? "failed" : "on");
}
