/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: places for blocks, and room for them in the file.
 *
 * A place is taken at once, in memory; nothing in the file names it before the next commit.  One
 * that another block had (block-vhd-places.c) comes before a new one at the end of data.  A
 * regular file is extended by many blocks at a time: its trailing footer is written again that far
 * ahead, so that everything before it reads as zeroes.  The footer that was there is wiped out
 * first, since a block will lie over it.  All that time the copy at the start of the file is the
 * one that counts.
 */
#include <errno.h>
#include <linux/falloc.h>

#include "drivers/block-vhd.h"

#define AHEAD_FIRST 8 /* blocks */
#define AHEAD_MOST 256

/* ---- places -------------------------------------------------------------------------------------
 */

static void
prepared(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_block *block = arg;
	struct vd_state *vd = block->vd;

	(void)tiocb;
	vd->map[block->index].slot = block->slot;
	if (err == -EOPNOTSUPP || err == -EINVAL)
		err = 0;
	/* Those who wait give up; whoever comes next tries another place. */
	if (err)
		vd_unmap_if_empty(block);
	vd_block_wake(block, err);
}

/* Whoever reads the file without its bitmaps would take the old bytes of a place for data. */
static void
prepare_place(struct vd_block *block)
{
	struct vd_state *vd = block->vd;
	struct vd_entry *entry = &vd->map[block->index];
	int how = vd->file.is_device ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE;

	entry->slot |= VD_SLOT_NOT_READY;
	td_prep_fallocate(&block->tiocb, vd->file.fd, how | FALLOC_FL_KEEP_SIZE,
			  (long long)vhd_data_offset(&vd->image.layout, ~entry->inverted),
			  (long long)vd->image.layout.spb << VHD_SECTOR_SHIFT, prepared, block);
	vd_queue_tiocb(vd, &block->tiocb);
}

static bool
is_short_of_room(const struct vd_state *vd)
{
	const struct vd_growth *growth = &vd->growth;
	uint64_t left = growth->room_end - vd->end_of_data;
	uint64_t blocks = vd->needed > vd->allocated ? vd->needed - vd->allocated : 0;

	if (blocks > growth->ahead / 2)
		blocks = growth->ahead / 2;
	return !vd->file.is_device && growth->stage == VD_GROWTH_IDLE &&
	       left < blocks * vd->image.layout.block_secs << VHD_SECTOR_SHIFT;
}

/* The block has that place from now on, and no bits. */
static int
take_place(struct vd_state *vd, uint32_t index, uint32_t entry, bool is_used)
{
	struct vd_block *block = vd_block_new(vd, index);

	if (!block)
		return -EBUSY;
	block->fresh = true;
	block->named = false;
	vd->map[index].inverted = ~entry;
	vd->allocated++;
	vd->counters.allocations++;
	if ((is_used || vd->file.is_device) && !vd->has_parent)
		prepare_place(block);
	return 0;
}

/* Behind all others. */
static int
allocate_at_end(struct vd_state *vd, uint32_t index, struct vd_request *request)
{
	uint32_t entry;
	uint64_t end;
	int err;

	err = vhd_layout_place(&vd->image.layout, vd->end_of_data, vd->device_limit, &entry);
	if (err)
		return err == -ENOSPC && vd_place_will_come(vd) ? -EBUSY : err;
	end = ((uint64_t)entry + vd->image.layout.block_secs) << VHD_SECTOR_SHIFT;
	if (!vd->file.is_device && (!vd->growth.begun || end > vd->growth.room_end)) {
		vd_queue_add(&vd->growth.waiters, request);
		vd_grow(vd);
		return VD_WAITS;
	}
	err = take_place(vd, index, entry, false);
	if (err)
		return err;
	vd->end_of_data = end;
	if (is_short_of_room(vd))
		vd_grow(vd);
	return 0;
}

int
vd_allocate(struct vd_state *vd, uint32_t index, struct vd_request *request)
{
	uint32_t entry;
	int err;

	if (!vd_place_find(vd, &entry)) {
		if (vd->places.gaps == VD_GAPS_SOUGHT) {
			vd_queue_add(&vd->places.waiters, request);
			return VD_WAITS;
		}
		return allocate_at_end(vd, index, request);
	}
	err = take_place(vd, index, entry, true);
	if (!err)
		vd_place_use(vd);
	return err;
}

/* ---- room ---------------------------------------------------------------------------------------
 */

static void grow_on(struct vd_state *vd);

static void
end_growth(struct vd_state *vd, int err)
{
	struct vd_request *request = vd_queue_take(&vd->growth.waiters), *next;

	vd->growth.stage = VD_GROWTH_IDLE;
	for (; request; request = next) {
		next = request->next;
		request->go(request, err);
	}
}

static void
grown(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_state *vd = arg;
	struct vd_growth *growth = &vd->growth;

	(void)tiocb;
	if (growth->stage == VD_GROWTH_SYNC)
		vd_commit_owe(vd, err);
	if (err && !growth->err)
		growth->err = err;
	if (--growth->pending)
		return;
	if (growth->err) {
		end_growth(vd, growth->err);
		return;
	}
	grow_on(vd);
}

static void
write_sector(struct vd_state *vd, struct tiocb *tiocb, uint8_t *raw, uint64_t offset)
{
	vd->growth.pending++;
	td_prep_write(tiocb, vd->file.fd, (char *)raw, VHD_SECTOR_SIZE, (long long)offset, grown,
		      vd);
	vd_queue_tiocb(vd, tiocb);
}

static void
start_copy(struct vd_state *vd)
{
	vd->growth.stage = VD_GROWTH_COPY;
	write_sector(vd, &vd->growth.tiocbs[0], vd->growth.footer_raw, 0);
}

static void
start_sync(struct vd_state *vd)
{
	struct vd_growth *growth = &vd->growth;

	growth->stage = VD_GROWTH_SYNC;
	growth->pending++;
	td_prep_fsync(&growth->tiocbs[0], vd->file.fd, grown, vd);
	vd_queue_tiocb(vd, &growth->tiocbs[0]);
}

static int
cut_work(void *arg)
{
	struct vd_state *vd = arg;

	return io_truncate(vd->io, vd->growth.cut_at);
}

static void
cut_done(void *arg, int err)
{
	grown(arg, NULL, err);
}

/* What lies behind the last block is a footer, and whatever a crash has left. */
static void
start_cut(struct vd_state *vd)
{
	struct vd_growth *growth = &vd->growth;
	int err;

	growth->stage = VD_GROWTH_CUT;
	growth->cut_at = vd->end_of_data;
	growth->pending++;
	vd->tail_is_lost = true;
	if (vd->at_once) {
		cut_done(vd, cut_work(vd));
		return;
	}
	err = td_work(vd->driver, cut_work, cut_done, vd);
	if (err)
		cut_done(vd, err);
}

static uint64_t
next_target(const struct vd_state *vd)
{
	const uint64_t stride = ((uint64_t)vd->image.layout.block_secs + 7) << VHD_SECTOR_SHIFT;
	uint64_t blocks = vd->needed > vd->allocated ? vd->needed - vd->allocated : 1;

	if (blocks > vd->growth.ahead)
		blocks = vd->growth.ahead;
	return vd->end_of_data + blocks * stride;
}

static void
start_extend(struct vd_state *vd)
{
	struct vd_growth *growth = &vd->growth;
	uint64_t old = growth->room_end;

	growth->stage = VD_GROWTH_EXTEND;
	growth->target = next_target(vd);
	/* The first to end must not be the last. */
	growth->pending++;
	if (growth->begun)
		write_sector(vd, &growth->tiocbs[1], vd->zeroes, old);
	write_sector(vd, &growth->tiocbs[0], growth->footer_raw, growth->target);
	growth->pending--;
}

static void
extended(struct vd_state *vd)
{
	struct vd_growth *growth = &vd->growth;

	growth->begun = true;
	growth->room_end = growth->target;
	vd->data_limit = UINT64_MAX;
	if (growth->ahead < AHEAD_MOST)
		growth->ahead *= 2;
	end_growth(vd, 0);
}

/* The stage that follows the one that has ended. */
static void
grow_on(struct vd_state *vd)
{
	struct vd_growth *growth = &vd->growth;

	switch (growth->stage) {
	case VD_GROWTH_IDLE:
		if (vd->copy_is_lost)
			start_copy(vd);
		else
			start_sync(vd);
		break;
	case VD_GROWTH_COPY:
		vd->copy_is_lost = false;
		start_sync(vd);
		break;
	case VD_GROWTH_SYNC:
		start_cut(vd);
		break;
	case VD_GROWTH_CUT:
		start_extend(vd);
		break;
	case VD_GROWTH_EXTEND:
		extended(vd);
		break;
	}
}

void
vd_grow(struct vd_state *vd)
{
	struct vd_growth *growth = &vd->growth;

	/* A commit that writes footers calls again. */
	if (growth->stage != VD_GROWTH_IDLE || vd->commit.writes_footers)
		return;
	growth->err = 0;
	if (!growth->ahead)
		growth->ahead = AHEAD_FIRST;
	vhd_footer_encode(&vd->image.footer, growth->footer_raw);
	/* Copy, sync and cut are for the first time only. */
	if (growth->begun)
		growth->stage = VD_GROWTH_CUT;
	grow_on(vd);
}
