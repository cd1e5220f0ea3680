/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: writes.  Data first; then the bits in memory; then the guest is told.  The rest is for the
 * next commit.
 *
 * A fresh block, one that the BAT in the file does not name yet, has a bitmap written together with
 * its first data: what has been acknowledged must not fail for want of room later.
 */
#include <errno.h>
#include <string.h>

#include "drivers/block-vhd.h"

/*
 * The sectors of a request are in the file now.  The bits of the one that had the first bitmap
 * written are in there, unless a commit has put another in its place meanwhile.
 */
static void
set_bits(struct vd_block *block, const struct vd_request *request)
{
	uint32_t first = vd_first_of(request), count = (uint32_t)request->treq.secs;

	if ((!request->leads || block->resaved) && !vhd_bits_all(block->bits, first, count))
		block->dirty = true;
	vd_block_set_bits(block, first, count);
	if (block->dirty || block->fresh)
		vd_block_changed(block);
}

/* Data and room are certain, or err says why not. */
static void
settle(struct vd_request *request, int err)
{
	struct vd_block *block = request->block;

	if (err && request->leads)
		block->dirty = true; /* its bitmap in the file promises more than there is */
	if (!err) {
		set_bits(block, request);
		block->vd->written = true;
	}
	block->pins--;
	/* Nothing is there: the place is for others. */
	if (err)
		vd_unmap_if_empty(block);
	request->end(request, err);
}

void
vd_block_write_done(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_request *request = arg;
	struct vd_block *block = request->block;

	(void)tiocb;
	if (!err && block->saving) {
		request->go = settle;
		vd_block_wait(block, request);
		return;
	}
	if (!err && block->fresh && !block->saved)
		err = block->save_err;
	settle(request, err);
}

static void
write_done(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_request *request = arg;

	(void)tiocb;
	if (!err)
		request->vd->written = true;
	vd_finish(request, err);
}

/* ---- the first bitmap of a fresh block ----------------------------------------------------------
 */

static void
saved(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_block *block = arg;

	(void)tiocb;
	block->saving = false;
	block->saved = !err;
	block->save_err = err;
	/* Whoever waits has it pinned. */
	if (block->pins)
		vd_block_wake(block, err);
	else
		vd_unmap_if_empty(block);
}

static void
save_first(struct vd_block *block, struct vd_request *leader)
{
	struct vd_state *vd = block->vd;

	leader->leads = true;
	block->saving = true;
	memcpy(block->shadow, block->bits, vd->bitmap_bytes);
	vhd_bits_set_range(block->shadow, vd_first_of(leader), (uint32_t)leader->treq.secs);
	td_prep_write(&block->tiocb, vd->file.fd, (char *)block->shadow, vd->bitmap_bytes,
		      (long long)vhd_bitmap_offset(~vd->map[block->index].inverted), saved, block);
	vd_queue_tiocb(vd, &block->tiocb);
}

void
vd_save_bits(struct vd_block *block, struct vd_request *request)
{
	request->block = block;
	block->pins++;
	if (block->fresh && !block->saved && !block->saving)
		save_first(block, request);
}

/* ---- the way of a part --------------------------------------------------------------------------
 */

uint64_t
vd_offset_of(const struct vd_request *request)
{
	const struct vd_state *vd = request->vd;
	const struct vd_entry *entry = &vd->map[request->treq.sec >> vd->spb_shift];

	return vhd_data_offset(&vd->image.layout, ~entry->inverted) +
	       ((uint64_t)vd_first_of(request) << VHD_SECTOR_SHIFT);
}

/*
 * The block of a part, allocated and with its bits in memory: 0 with *block (NULL: all of its bits
 * are set for good), VD_WAITS when go is called again later, or -errno.
 */
int
vd_find_block(struct vd_request *request, struct vd_block **block)
{
	struct vd_state *vd = request->vd;
	uint32_t index = (uint32_t)(request->treq.sec >> vd->spb_shift);
	struct vd_entry *entry = &vd->map[index];
	int err;

	*block = NULL;
	if (!entry->inverted) {
		err = vd_allocate(vd, index, request);
		if (err)
			return err;
	}
	if (entry->slot == VD_SLOT_FULL)
		return 0;
	*block = vd_block_get(vd, index);
	if (!*block)
		return -EBUSY;
	if (entry->slot & VD_SLOT_NOT_READY) {
		vd_block_wait(*block, request);
		return VD_WAITS;
	}
	return 0;
}

static void
write_go(struct vd_request *request, int err)
{
	struct vd_block *block;

	if (!err)
		err = vd_find_block(request, &block);
	if (err == VD_WAITS)
		return;
	if (err) {
		vd_finish(request, err);
		return;
	}
	if (!block ||
	    vhd_bits_all(block->bits, vd_first_of(request), (uint32_t)request->treq.secs)) {
		vd_transfer(request, vd_offset_of(request), write_done);
		return;
	}
	vd_save_bits(block, request);
	vd_transfer(request, vd_offset_of(request), vd_block_write_done);
}

static void
write_part(struct vd_state *vd, const td_request_t *part)
{
	struct vd_request *request = vd_take_request(vd, part);

	if (!request) {
		td_complete_request(*part, -EBUSY);
		return;
	}
	vd->changed = true;
	request->go = write_go;
	if (vd->is_fixed)
		vd_transfer(request, part->sec << SECTOR_SHIFT, write_done);
	else
		write_go(request, 0);
}

int
vd_part_secs(const struct vd_state *vd, const td_request_t *treq)
{
	uint32_t left;

	if (vd->is_fixed)
		return treq->secs;
	left = vd->image.layout.spb - ((uint32_t)treq->sec & (vd->image.layout.spb - 1));
	return (uint32_t)treq->secs < left ? treq->secs : (int)left;
}

void
vd_queue_write(td_driver_t *driver, td_request_t treq)
{
	struct vd_state *vd = driver->data;
	td_request_t part = treq;
	int left = treq.secs;

	for (; left; left -= part.secs) {
		part.secs = left;
		part.secs = vd_part_secs(vd, &part);
		write_part(vd, &part);
		part.sec += (td_sector_t)part.secs;
		part.buf += (size_t)part.secs << SECTOR_SHIFT;
	}
}
