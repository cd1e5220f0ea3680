/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aio: a raw image, read and written asynchronously and around the page cache.
 *
 * The shortest complete driver with I/O of its own.  Each request takes an aio_request from a pool,
 * becomes a tiocb, and is completed from the tiocb's callback.
 */
#include <errno.h>
#include <stdlib.h>

#include <tapdisk.h>

#include "drivers/block-raw.h"

struct aio_request {
	td_request_t treq;
	struct tiocb tiocb;
	struct aio_state *aio;
	struct aio_request *next; /* in the free list */
};

/* A piece of the pool; more are added when it runs dry. */
struct aio_block {
	struct aio_block *next;
	struct aio_request requests[TAPDISK_DATA_REQUESTS];
};

struct aio_state {
	struct raw_file file;
	struct aio_block *blocks;
	struct aio_request *free;
	int max;     /* requests in the pool */
	int pending; /* of them, with the engine */
};

/* ---- the pool ---------------------------------------------------------------------------------
 */

static int
grow_pool(struct aio_state *aio)
{
	struct aio_block *block = malloc(sizeof(*block));
	int i;

	if (!block)
		return -ENOMEM;
	block->next = aio->blocks;
	aio->blocks = block;
	for (i = 0; i < TAPDISK_DATA_REQUESTS; i++) {
		block->requests[i].aio = aio;
		block->requests[i].next = aio->free;
		aio->free = &block->requests[i];
	}
	aio->max += TAPDISK_DATA_REQUESTS;
	return 0;
}

static struct aio_request *
take_request(struct aio_state *aio)
{
	struct aio_request *request;

	if (!aio->free && grow_pool(aio))
		return NULL;
	request = aio->free;
	aio->free = request->next;
	aio->pending++;
	return request;
}

static void
give_request(struct aio_request *request)
{
	struct aio_state *aio = request->aio;

	aio->pending--;
	request->next = aio->free;
	aio->free = request;
}

/* ---- open and close ---------------------------------------------------------------------------
 */

static int
aio_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	struct aio_state *aio = driver->data;

	return raw_open(driver, name, flags, true, &aio->file);
}

static int
aio_close(td_driver_t *driver)
{
	struct aio_state *aio = driver->data;
	struct aio_block *block;

	while ((block = aio->blocks)) {
		aio->blocks = block->next;
		free(block);
	}
	return raw_close(&aio->file);
}

static int
aio_get_parent_id(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	(void)id;
	return TD_NO_PARENT;
}

static int
aio_validate_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	(void)child;
	(void)parent;
	(void)flags;
	return -EINVAL;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void
aio_done(void *arg, struct tiocb *tiocb, int err)
{
	struct aio_request *request = arg;
	td_request_t treq = request->treq;

	(void)tiocb;
	/* First give back, then complete: completing may bring the next request. */
	give_request(request);
	td_complete_request(treq, err);
}

static void
aio_queue_read(td_driver_t *driver, td_request_t treq)
{
	struct aio_state *aio = driver->data;
	struct aio_request *request = take_request(aio);

	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	request->treq = treq;
	td_prep_read(&request->tiocb, aio->file.fd, treq.buf, (size_t)treq.secs << SECTOR_SHIFT,
		     (long long)treq.sec << SECTOR_SHIFT, aio_done, request);
	td_queue_tiocb(driver, &request->tiocb);
}

static void
aio_queue_write(td_driver_t *driver, td_request_t treq)
{
	struct aio_state *aio = driver->data;
	struct aio_request *request = take_request(aio);

	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	request->treq = treq;
	td_prep_write(&request->tiocb, aio->file.fd, treq.buf, (size_t)treq.secs << SECTOR_SHIFT,
		      (long long)treq.sec << SECTOR_SHIFT, aio_done, request);
	td_queue_tiocb(driver, &request->tiocb);
}

static void
aio_queue_flush(td_driver_t *driver, td_request_t treq)
{
	struct aio_state *aio = driver->data;
	struct aio_request *request = take_request(aio);

	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	request->treq = treq;
	td_prep_fsync(&request->tiocb, aio->file.fd, aio_done, request);
	td_queue_tiocb(driver, &request->tiocb);
}

/* A discard or a write-zeroes: the kernel has no asynchronous call for devices. */
static void
aio_queue_change(td_driver_t *driver, td_request_t treq)
{
	struct aio_state *aio = driver->data;

	raw_queue_work(driver, &aio->file, treq);
}

static void
aio_queue_block_status(td_driver_t *driver, td_request_t treq)
{
	struct aio_state *aio = driver->data;

	raw_queue_block_status(driver, &aio->file, treq);
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

static int
aio_resize(td_driver_t *driver, td_sector_t size)
{
	struct aio_state *aio = driver->data;

	return raw_resize(driver, &aio->file, size);
}

static void
aio_stats(td_driver_t *driver, td_stats_t *stats)
{
	struct aio_state *aio = driver->data;

	td_stats_reqs(stats, aio->max ? aio->max : TAPDISK_DATA_REQUESTS, aio->pending);
}

static void
aio_debug(td_driver_t *driver)
{
	struct aio_state *aio = driver->data;

	td_log(driver, LOG_INFO, "%s: %d of %d requests pending", driver->name, aio->pending,
	       aio->max);
}

struct tap_disk tapdisk_aio = {
	.disk_type = "tapdisk_aio",
	.flags = TD_DISK_BIG_REQUESTS,
	.private_data_size = sizeof(struct aio_state),
	.td_open = aio_open,
	.td_close = aio_close,
	.td_get_parent_id = aio_get_parent_id,
	.td_validate_parent = aio_validate_parent,
	.td_queue_read = aio_queue_read,
	.td_queue_write = aio_queue_write,
	.td_debug = aio_debug,
	.td_queue_flush = aio_queue_flush,
	.td_queue_discard = aio_queue_change,
	.td_queue_write_zeroes = aio_queue_change,
	.td_queue_block_status = aio_queue_block_status,
	.td_stats = aio_stats,
	.td_resize = aio_resize,
};
