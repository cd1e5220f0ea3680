/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync: a raw image through the page cache, one request after the other in the order of their
 * arrival.
 *
 * The loop never waits: requests are queued, and a worker does a whole queue at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <tapdisk.h>

#include "common/whole.h"
#include "drivers/block-raw.h"

struct sync_request {
	td_request_t treq;
	int res;
	struct sync_request *next;
};

struct sync_queue {
	struct sync_request *first, **last;
};

struct sync_state {
	struct raw_file file;
	struct sync_queue waiting;
	struct sync_queue working; /* the worker's while busy */
	struct sync_request *free;
	bool busy;
	int max; /* requests there are, free or not */
	int pending;
};

static void
queue_init(struct sync_queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

/* ---- on the worker ----------------------------------------------------------------------------
 */

static int
transfer(int fd, const td_request_t *treq)
{
	size_t bytes = (size_t)treq->secs << SECTOR_SHIFT;
	uint64_t at = treq->sec << SECTOR_SHIFT;
	int err;

	if (treq->op == TD_OP_WRITE)
		return whole_write(fd, treq->buf, bytes, at);
	err = whole_read(fd, treq->buf, bytes, at);
	return err == -ENODATA ? -EIO : err;
}

static int
serve(const struct raw_file *file, const td_request_t *treq)
{
	switch (treq->op) {
	case TD_OP_FLUSH:
		return fdatasync(file->fd) ? -errno : 0;
	case TD_OP_DISCARD:
		return raw_discard(file, treq);
	case TD_OP_WRITE_ZEROES:
		return raw_write_zeroes(file, treq);
	default:
		return transfer(file->fd, treq);
	}
}

static int
work(void *arg)
{
	const td_driver_t *driver = arg;
	const struct sync_state *sync = driver->data;
	struct sync_request *request;

	for (request = sync->working.first; request; request = request->next)
		request->res = serve(&sync->file, &request->treq);
	return 0;
}

/* ---- on the loop ------------------------------------------------------------------------------
 */

static struct sync_request *
take_request(struct sync_state *sync)
{
	struct sync_request *request = sync->free;

	if (request)
		sync->free = request->next;
	else
		request = malloc(sizeof(*request));
	if (!request)
		return NULL;
	sync->pending++;
	if (sync->max < sync->pending)
		sync->max = sync->pending;
	return request;
}

static void
give_request(struct sync_state *sync, struct sync_request *request)
{
	request->next = sync->free;
	sync->free = request;
	sync->pending--;
}

static void start_work(td_driver_t *driver);

static void
worked(void *arg, int result)
{
	td_driver_t *driver = arg;
	struct sync_state *sync = driver->data;
	struct sync_request *request, *next;
	td_request_t treq;
	int res;

	for (request = sync->working.first; request; request = next) {
		next = request->next;
		treq = request->treq;
		res = result ? result : request->res;
		if (treq.op == TD_OP_DISCARD && res == -EOPNOTSUPP)
			sync->file.no_discard = true;
		give_request(sync, request);
		td_complete_request(treq, res);
	}
	sync->busy = false;
	start_work(driver);
}

static void
start_work(td_driver_t *driver)
{
	struct sync_state *sync = driver->data;

	if (sync->busy || !sync->waiting.first)
		return;
	sync->working = sync->waiting;
	queue_init(&sync->waiting);
	sync->busy = true;
	if (td_work(driver, work, worked, driver))
		worked(driver, -EBUSY);
}

static void
enqueue(td_driver_t *driver, td_request_t treq)
{
	struct sync_state *sync = driver->data;
	struct sync_request *request = take_request(sync);

	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	request->treq = treq;
	request->next = NULL;
	*sync->waiting.last = request;
	sync->waiting.last = &request->next;
	start_work(driver);
}

static void
sync_queue_discard(td_driver_t *driver, td_request_t treq)
{
	const struct sync_state *sync = driver->data;

	if (sync->file.no_discard)
		td_complete_request(treq, -EOPNOTSUPP);
	else
		enqueue(driver, treq);
}

/* Changes nothing, and so need not wait for its turn. */
static void
sync_queue_block_status(td_driver_t *driver, td_request_t treq)
{
	struct sync_state *sync = driver->data;

	raw_queue_block_status(driver, &sync->file, treq);
}

/* ---- open and close ---------------------------------------------------------------------------
 */

static int
sync_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	struct sync_state *sync = driver->data;

	queue_init(&sync->waiting);
	return raw_open(driver, name, flags, false, &sync->file);
}

static int
sync_close(td_driver_t *driver)
{
	struct sync_state *sync = driver->data;
	struct sync_request *request;

	while ((request = sync->free)) {
		sync->free = request->next;
		free(request);
	}
	return raw_close(&sync->file);
}

static int
sync_get_parent_id(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	(void)id;
	return TD_NO_PARENT;
}

static int
sync_validate_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	(void)child;
	(void)parent;
	(void)flags;
	return -EINVAL;
}

static int
sync_resize(td_driver_t *driver, td_sector_t size)
{
	struct sync_state *sync = driver->data;

	return raw_resize(driver, &sync->file, size);
}

static void
sync_stats(td_driver_t *driver, td_stats_t *stats)
{
	const struct sync_state *sync = driver->data;

	td_stats_reqs(stats, sync->max, sync->pending);
}

struct tap_disk tapdisk_sync = {
	.disk_type = "tapdisk_sync",
	.flags = TD_DISK_BIG_REQUESTS,
	.private_data_size = sizeof(struct sync_state),
	.td_open = sync_open,
	.td_close = sync_close,
	.td_get_parent_id = sync_get_parent_id,
	.td_validate_parent = sync_validate_parent,
	.td_queue_read = enqueue,
	.td_queue_write = enqueue,
	.td_queue_flush = enqueue,
	.td_queue_discard = sync_queue_discard,
	.td_queue_write_zeroes = enqueue,
	.td_queue_block_status = sync_queue_block_status,
	.td_stats = sync_stats,
	.td_resize = sync_resize,
};
