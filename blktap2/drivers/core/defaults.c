/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens where a driver leaves an optional function out: correct, only slower.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/image.h"
#include "drivers/core/loop.h"
#include "drivers/core/server-internal.h"

/* ---- flush ------------------------------------------------------------------------------------
 */

/* One fdatasync per descriptor that was written to; the request ends with the last of them. */
struct default_flush {
	td_request_t treq;
	unsigned left;
	int err;
	struct tiocb tiocbs[DRIVER_DIRTY_FDS];
};

static void
flush_synced(void *arg, struct tiocb *tiocb, int err)
{
	struct default_flush *flush = arg;

	(void)tiocb;
	if (err && !flush->err)
		flush->err = err;
	if (--flush->left)
		return;
	td_complete_request(flush->treq, flush->err);
	free(flush);
}

void
td_default_flush(td_image_t *image, td_request_t treq)
{
	struct td_driver_core *core = image->driver->core;
	struct default_flush *flush;
	unsigned i;

	if (!core->dirty_count || core->dirty_lost) {
		td_complete_request(treq, core->dirty_lost ? -EIO : 0);
		return;
	}
	flush = calloc(1, sizeof(*flush));
	if (!flush) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	flush->treq = treq;
	flush->left = core->dirty_count;
	for (i = 0; i < flush->left; i++) {
		td_prep_fsync(&flush->tiocbs[i], core->dirty[i], flush_synced, flush);
		td_queue_tiocb(image->driver, &flush->tiocbs[i]);
	}
}

/* ---- write-zeroes -----------------------------------------------------------------------------
 */

#define ZERO_PARALLEL 8

static const char zeroes[TD_MAX_REQUEST_SECS << SECTOR_SHIFT] __attribute__((aligned(4096)));

/*
 * A range being written with zeroes, a few pieces at a time.  Each piece that comes back completes
 * its part of the request: what is tried again, for want of resources, is only what was not
 * written.
 */
struct zero_fill {
	td_request_t treq; /* what is asked */
	td_sector_t next;
	td_sector_t end;
	unsigned in_flight; /* sectors */
	bool feeding;
	int err; /* of the first piece that failed: no more are written */
};

static void zero_feed(struct zero_fill *fill);

/* Complete the part of the request that begins at sec. */
static void
zero_complete(const struct zero_fill *fill, td_sector_t sec, int secs, int res)
{
	td_request_t part = fill->treq;

	part.sec = sec;
	part.secs = secs;
	td_complete_request(part, res);
}

static void
zero_written(td_request_t treq, int res)
{
	struct zero_fill *fill = treq.cb_data;

	if (res && !fill->err)
		fill->err = res;
	zero_complete(fill, treq.sec, treq.secs, res);
	fill->in_flight -= (unsigned)treq.secs;
	zero_feed(fill);
}

static void
zero_feed(struct zero_fill *fill)
{
	const td_image_t *image = fill->treq.image;
	td_request_t piece = fill->treq;
	td_sector_t left;

	if (fill->feeding)
		return;
	fill->feeding = true;
	while (!fill->err && fill->next < fill->end &&
	       fill->in_flight < ZERO_PARALLEL * TD_MAX_REQUEST_SECS) {
		left = fill->end - fill->next;
		piece.op = TD_OP_WRITE;
		piece.buf = (char *)zeroes;
		piece.sec = fill->next;
		piece.secs = left < TD_MAX_REQUEST_SECS ? (int)left : TD_MAX_REQUEST_SECS;
		piece.cb = zero_written;
		piece.cb_data = fill;
		fill->next += (td_sector_t)piece.secs;
		fill->in_flight += (unsigned)piece.secs;
		image->driver->ops->td_queue_write(image->driver, piece);
	}
	fill->feeding = false;
	if (fill->in_flight)
		return;
	if (fill->next < fill->end)
		zero_complete(fill, fill->next, (int)(fill->end - fill->next), fill->err);
	free(fill);
}

void
td_default_write_zeroes(td_image_t *image, td_request_t treq)
{
	struct zero_fill *fill = calloc(1, sizeof(*fill));

	treq.image = image;
	if (!fill) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	fill->treq = treq;
	fill->next = treq.sec;
	fill->end = treq.sec + (td_sector_t)treq.secs;
	zero_feed(fill);
}

/* A write-zeroes request in a driver that may still say it cannot. */
struct zero_try {
	td_callback_t cb;
	void *cb_data;
	int left; /* sectors */
};

static void
zero_tried(td_request_t treq, int res)
{
	struct zero_try *attempt = treq.cb_data;

	treq.cb = attempt->cb;
	treq.cb_data = attempt->cb_data;
	attempt->left -= treq.secs;
	if (attempt->left <= 0)
		free(attempt);
	if (res != -EOPNOTSUPP) {
		treq.cb(treq, res);
		return;
	}
	/* Zeroes that must stay allocated are more than some can; the others they may still do. */
	if (!(treq.flags & TD_REQ_NO_UNMAP))
		treq.image->core->no_write_zeroes = true;
	td_default_write_zeroes(treq.image, treq);
}

void
td_try_write_zeroes(td_image_t *image, td_request_t treq)
{
	struct zero_try *attempt = calloc(1, sizeof(*attempt));

	if (!attempt) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	attempt->cb = treq.cb;
	attempt->cb_data = treq.cb_data;
	attempt->left = treq.secs;
	treq.cb = zero_tried;
	treq.cb_data = attempt;
	image->driver->ops->td_queue_write_zeroes(image->driver, treq);
}
