/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: the driver as the engine sees it, and what all of its parts use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/block-vhd.h"

/* ---- requests -----------------------------------------------------------------------------------
 */

static int
grow_pool(struct vd_state *vd)
{
	struct vd_pool *pool = calloc(1, sizeof(*pool));
	int i;

	if (!pool)
		return -ENOMEM;
	pool->next = vd->pools;
	vd->pools = pool;
	for (i = 0; i < TAPDISK_DATA_REQUESTS; i++) {
		pool->requests[i].vd = vd;
		pool->requests[i].next = vd->free;
		vd->free = &pool->requests[i];
	}
	vd->max += TAPDISK_DATA_REQUESTS;
	return 0;
}

struct vd_request *
vd_take_request(struct vd_state *vd, const td_request_t *part)
{
	struct vd_request *request;

	if (!vd->free && grow_pool(vd))
		return NULL;
	request = vd->free;
	vd->free = request->next;
	vd->pending++;
	request->era = (uint8_t)vd->places.era;
	vd->places.in_era[request->era]++;
	request->treq = *part;
	request->block = NULL;
	request->leads = false;
	request->left = 0;
	request->end = vd_finish;
	return request;
}

/* It uses no place any more. */
static void
leave_era(struct vd_request *request)
{
	struct vd_state *vd = request->vd;

	if (!--vd->places.in_era[request->era] && request->era != vd->places.era &&
	    vd->places.is_ending)
		vd_places_settle(vd);
}

void
vd_renew_request(struct vd_request *request)
{
	struct vd_state *vd = request->vd;

	leave_era(request);
	request->era = (uint8_t)vd->places.era;
	vd->places.in_era[request->era]++;
}

void
vd_give_request(struct vd_request *request)
{
	struct vd_state *vd = request->vd;

	leave_era(request);
	vd->pending--;
	request->next = vd->free;
	vd->free = request;
}

void
vd_finish(struct vd_request *request, int err)
{
	td_request_t treq = request->treq;

	vd_give_request(request);
	td_complete_request(treq, err);
}

/* ---- operations ---------------------------------------------------------------------------------
 */

void
vd_queue_tiocb(struct vd_state *vd, struct tiocb *tiocb)
{
	if (!vd->at_once) {
		td_queue_tiocb(vd->driver, tiocb);
		return;
	}
	tiocb->next = NULL;
	*vd->once_last = tiocb;
	vd->once_last = &tiocb->next;
}

static int
perform(struct io *io, const struct tiocb *tiocb)
{
	switch (tiocb->op) {
	case TIOCB_WRITE:
		return io_write_at(io, tiocb->buf, tiocb->bytes, (uint64_t)tiocb->offset);
	case TIOCB_FSYNC:
		return io_sync(io);
	default:
		return -EINVAL;
	}
}

void
vd_run_at_once(struct vd_state *vd)
{
	struct tiocb *tiocb;

	while ((tiocb = vd->once_first)) {
		vd->once_first = tiocb->next;
		if (!vd->once_first)
			vd->once_last = &vd->once_first;
		tiocb->cb(tiocb->arg, tiocb, perform(vd->io, tiocb));
	}
}

void
vd_transfer(struct vd_request *request, uint64_t offset, td_queue_callback_t done)
{
	struct vd_state *vd = request->vd;
	const td_request_t *treq = &request->treq;

	if (vd->crypt) {
		vd_crypt_transfer(request, offset, done);
		return;
	}
	if (treq->op == TD_OP_READ)
		td_prep_read(&request->tiocb, vd->file.fd, treq->buf,
			     (size_t)treq->secs << SECTOR_SHIFT, (long long)offset, done, request);
	else
		td_prep_write(&request->tiocb, vd->file.fd, treq->buf,
			      (size_t)treq->secs << SECTOR_SHIFT, (long long)offset, done, request);
	vd_queue_tiocb(vd, &request->tiocb);
}

/* ---- open and close -----------------------------------------------------------------------------
 */

static int
vhd_drv_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	struct vd_state *vd = driver->data;

	vd->driver = driver;
	return vd_open_image(vd, name, flags);
}

static int
vhd_drv_close(td_driver_t *driver)
{
	struct vd_state *vd = driver->data;
	int err = vd_close_image(vd);

	vd_free(vd);
	return err;
}

static int
vhd_drv_is_busy(td_driver_t *driver)
{
	struct vd_state *vd = driver->data;

	return vd_commit_is_running(vd) || vd->growth.stage != VD_GROWTH_IDLE ||
	       vd_batmap_is_busy(vd) || vd->places.gaps == VD_GAPS_SOUGHT;
}

/* ---- the rest -----------------------------------------------------------------------------------
 */

/* Only what the footer says changes; blocks that the disk gains must be unused, as they always
 * were. */
static int
vhd_drv_resize(td_driver_t *driver, td_sector_t size)
{
	struct vd_state *vd = driver->data;
	vhd_footer_t *footer = &vd->image.footer;
	uint32_t needed, i;

	if (!size)
		return 0;
	if (vd->is_fixed || size > VHD_MAX_SECTORS ||
	    vhd_entries_needed(size, vd->image.layout.spb) > vd->image.layout.entries)
		return -EOPNOTSUPP;
	if (vd->growth.stage != VD_GROWTH_IDLE || vd->commit.writes_footers)
		return -EBUSY;
	needed = (uint32_t)vhd_entries_needed(size, vd->image.layout.spb);
	for (i = vd->needed; i < needed; i++)
		if (vd->map[i].inverted)
			return -EUCLEAN;
	footer->current_size = size << SECTOR_SHIFT;
	footer->geometry = vhd_geometry(size);
	vd->image.sectors = size;
	vd->needed = needed;
	driver->info.size = size;
	vd->changed = true;
	vd->footer_dirty = true;
	vd->copy_is_lost = true;
	vd_commit_start(vd);
	return 0;
}

static void
vhd_drv_stats(td_driver_t *driver, td_stats_t *stats)
{
	const struct vd_state *vd = driver->data;

	td_stats_reqs(stats, vd->max ? vd->max : TAPDISK_DATA_REQUESTS, vd->pending);
	if (vd->is_fixed)
		return;
	td_stats_enter(stats, "blocks");
	td_stats_number(stats, "allocated", vd->allocated);
	td_stats_number(stats, "of", vd->needed);
	td_stats_number(stats, "changed", vd->changed_count);
	td_stats_number(stats, "unmapped", (int64_t)vd->counters.unmapped);
	td_stats_number(stats, "free", (int64_t)(vd->places.last - vd->places.first));
	td_stats_leave(stats);
	td_stats_enter(stats, "bitmaps");
	td_stats_number(stats, "cached", vd->slot_count - 1);
	td_stats_number(stats, "room", vd->slot_max - 1);
	td_stats_number(stats, "hits", (int64_t)vd->hits);
	td_stats_number(stats, "misses", (int64_t)vd->counters.misses);
	td_stats_leave(stats);
	td_stats_number(stats, "allocations", (int64_t)vd->counters.allocations);
	td_stats_number(stats, "reused", (int64_t)vd->counters.reused);
	td_stats_number(stats, "commits", (int64_t)vd->counters.commits);
}

static void
vhd_drv_debug(td_driver_t *driver)
{
	const struct vd_state *vd = driver->data;

	td_log(driver, LOG_INFO,
	       "%s: %d of %d requests pending, %u of %u blocks allocated, %u changed, commit in "
	       "stage %d, growth in stage %d",
	       driver->name, vd->pending, vd->max, vd->allocated, vd->needed, vd->changed_count,
	       (int)vd->commit.stage, (int)vd->growth.stage);
}

struct tap_disk tapdisk_vhd = {
	.disk_type = "tapdisk_vhd",
	.flags = TD_DISK_BIG_REQUESTS,
	.private_data_size = sizeof(struct vd_state),
	.td_open = vhd_drv_open,
	.td_close = vhd_drv_close,
	.td_get_parent_id = vd_get_parent_id,
	.td_validate_parent = vd_validate_parent,
	.td_queue_read = vd_queue_read,
	.td_queue_write = vd_queue_write,
	.td_debug = vhd_drv_debug,
	.td_queue_flush = vd_queue_flush,
	.td_queue_discard = vd_queue_discard,
	.td_queue_write_zeroes = vd_queue_write_zeroes,
	.td_queue_block_status = vd_queue_block_status,
	.td_resize = vhd_drv_resize,
	.td_stats = vhd_drv_stats,
	.td_is_busy = vhd_drv_is_busy,
	.td_lacks = vd_lacks,
};
