/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests on their way down: the door of each image, and what lies below the bottom of a chain.
 */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "drivers/core/image.h"

/* ---- down -------------------------------------------------------------------------------------
 */

/* What a driver may rely on is refused here when it does not hold: 0 or -errno. */
static int
check(const td_image_t *image, const td_request_t *treq, int max_secs)
{
	const td_driver_t *driver = image->driver;
	uint64_t unit;

	if (!driver || !(driver->state & TD_DRIVER_OPEN))
		return -ENODEV;
	if (treq->op != TD_OP_READ && treq->op != TD_OP_BLOCK_STATUS && treq->op != TD_OP_FLUSH &&
	    image->flags & TD_OPEN_RDONLY)
		return -EPERM;
	if (treq->op == TD_OP_FLUSH)
		return 0;
	if (treq->secs <= 0 || treq->secs > max_secs)
		return -EINVAL;
	if (!range_fits(treq->sec, (uint64_t)treq->secs, driver->info.size))
		return -EINVAL;
	unit = driver->info.sector_size >> SECTOR_SHIFT;
	if (unit > 1 && (treq->sec % unit || (uint64_t)treq->secs % unit))
		return -EINVAL;
	return 0;
}

static int
max_transfer(const td_image_t *image)
{
	if (image->driver && image->driver->ops->flags & TD_DISK_BIG_REQUESTS)
		return TD_MAX_RANGE_SECS;
	return TD_MAX_REQUEST_SECS;
}

static bool
is_filter(const td_image_t *image)
{
	return image->driver->ops->flags & TD_DISK_FILTER;
}

void
td_queue_read(td_image_t *image, td_request_t treq)
{
	int err;

	treq.image = image;
	err = check(image, &treq, max_transfer(image));
	if (err)
		td_complete_request(treq, err);
	else
		image->driver->ops->td_queue_read(image->driver, treq);
}

void
td_queue_write(td_image_t *image, td_request_t treq)
{
	int err;

	treq.image = image;
	err = check(image, &treq, max_transfer(image));
	if (err)
		td_complete_request(treq, err);
	else
		image->driver->ops->td_queue_write(image->driver, treq);
}

void
td_queue_flush(td_image_t *image, td_request_t treq)
{
	int err;

	treq.image = image;
	err = check(image, &treq, 0);
	if (err)
		td_complete_request(treq, err);
	else if (image->driver->ops->td_queue_flush)
		image->driver->ops->td_queue_flush(image->driver, treq);
	else if (is_filter(image))
		td_forward_request(treq);
	else
		td_default_flush(image, treq);
}

void
td_queue_discard(td_image_t *image, td_request_t treq)
{
	int err;

	treq.image = image;
	err = check(image, &treq, TD_MAX_RANGE_SECS);
	if (err)
		td_complete_request(treq, err);
	else if (image->driver->ops->td_queue_discard)
		image->driver->ops->td_queue_discard(image->driver, treq);
	else if (is_filter(image))
		td_forward_request(treq);
	else
		td_complete_request(treq, -EOPNOTSUPP);
}

void
td_queue_write_zeroes(td_image_t *image, td_request_t treq)
{
	int err;

	treq.image = image;
	err = check(image, &treq, TD_MAX_RANGE_SECS);
	if (err)
		td_complete_request(treq, err);
	else if (image->driver->ops->td_queue_write_zeroes && !image->core->no_write_zeroes)
		td_try_write_zeroes(image, treq);
	else
		td_default_write_zeroes(image, treq);
}

void
td_queue_block_status(td_image_t *image, td_request_t treq)
{
	int err;

	treq.image = image;
	err = check(image, &treq, TD_MAX_RANGE_SECS);
	if (err) {
		td_complete_request(treq, err);
	} else if (image->driver->ops->td_queue_block_status) {
		image->driver->ops->td_queue_block_status(image->driver, treq);
	} else if (is_filter(image)) {
		td_forward_request(treq);
	} else {
		treq.status = TD_BLOCK_STATE_NONE;
		td_complete_request(treq, 0);
	}
}

void
td_queue_request(td_image_t *image, td_request_t treq)
{
	switch (treq.op) {
	case TD_OP_READ:
		td_queue_read(image, treq);
		break;
	case TD_OP_WRITE:
		td_queue_write(image, treq);
		break;
	case TD_OP_FLUSH:
		td_queue_flush(image, treq);
		break;
	case TD_OP_DISCARD:
		td_queue_discard(image, treq);
		break;
	case TD_OP_WRITE_ZEROES:
		td_queue_write_zeroes(image, treq);
		break;
	case TD_OP_BLOCK_STATUS:
		td_queue_block_status(image, treq);
		break;
	default:
		td_complete_request(treq, -EINVAL);
	}
}

/* ---- below ------------------------------------------------------------------------------------
 */

/* Nothing is there: never-written sectors read as zero, and no write may get lost unnoticed. */
static void
complete_below_bottom(td_request_t treq)
{
	int res = 0;

	switch (treq.op) {
	case TD_OP_READ:
		memset(treq.buf, 0, (size_t)treq.secs << SECTOR_SHIFT);
		break;
	case TD_OP_BLOCK_STATUS:
		treq.status = TD_BLOCK_STATE_HOLE;
		break;
	case TD_OP_WRITE:
	case TD_OP_WRITE_ZEROES:
		res = -EIO;
		break;
	default:
		break;
	}
	td_complete_request(treq, res);
}

/* The image below whose turn a read is: those that would only hand it on are passed by. */
static td_image_t *
skip_images(td_image_t *image, td_sector_t sec, int secs)
{
	td_image_t *below;

	for (;; image = below) {
		below = image->core->below;
		if (!below || !below->driver->ops->td_lacks ||
		    !range_fits(sec, (uint64_t)secs, below->info.size) ||
		    !below->driver->ops->td_lacks(below->driver, sec, secs))
			return image;
	}
}

void
td_forward_request(td_request_t treq)
{
	td_request_t beyond;
	td_image_t *below;
	uint64_t inside;

	if (treq.op == TD_OP_READ)
		treq.image = skip_images(treq.image, treq.sec, treq.secs);
	below = treq.image->core->below;
	if (!below || (treq.op != TD_OP_FLUSH && treq.sec >= below->info.size)) {
		complete_below_bottom(treq);
		return;
	}
	/* A parent may be shorter than its child. */
	beyond = treq;
	inside = below->info.size - treq.sec;
	if (treq.op != TD_OP_FLUSH && (uint64_t)treq.secs > inside) {
		beyond.sec += inside;
		beyond.secs -= (int)inside;
		if (beyond.buf)
			beyond.buf += inside << SECTOR_SHIFT;
		treq.secs = (int)inside;
		complete_below_bottom(beyond);
	}
	td_queue_request(below, treq);
}
