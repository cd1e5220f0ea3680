/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: the cache of bitmaps.
 *
 * Its room is set aside at open, but takes memory only where it has been used.  When it is full it
 * gives up what has not been looked at since the hand of a clock came by last.  What is changed,
 * pinned or on its way stays.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "common/conf.h"
#include "drivers/block-vhd.h"

/* So many blocks as the host's settings say, or as fit into the usual room. */
static uint32_t
room_for(struct vd_state *vd)
{
	uint32_t blocks = VD_CACHE_BYTES / (uint32_t)vd->bitmap_bytes;
	uint32_t most = VD_CACHE_BYTES_MAX / (uint32_t)vd->bitmap_bytes;

	if (conf_number(VD_CACHE_KEY, UINT32_MAX, &blocks) == -EINVAL)
		td_log(vd->driver, LOG_WARNING, "%s: " VD_CACHE_KEY ": not a number of blocks",
		       vd->driver->name);
	if (blocks > most)
		blocks = most;
	return blocks < VD_CACHE_MIN ? VD_CACHE_MIN : blocks;
}

int
vd_cache_init(struct vd_state *vd)
{
	uint32_t blocks = room_for(vd) + 1; /* and slot 0 */
	void *bits;

	vd->slot_max = blocks;
	vd->slot_count = 1; /* 0 is VD_SLOT_NONE */
	vd->hand = 1;
	TAILQ_INIT(&vd->changed_blocks);
	vd->blocks = calloc(blocks, sizeof(vd->blocks[0]));
	vd->used = calloc(blocks, 1);
	vd->parts = calloc(blocks, sizeof(vd->parts[0]));
	vd->part_shift = vd->spb_shift > 5 ? vd->spb_shift - 5 : 0;
	/* The bits of all blocks; behind them, in images that are written, what is being written.
	 */
	if (posix_memalign(&bits, 4096, (vd->is_writable ? 2 : 1) * blocks * vd->bitmap_bytes))
		return -ENOMEM;
	vd->bits = bits;
	return vd->blocks && vd->used && vd->parts ? 0 : -ENOMEM;
}

void
vd_cache_free(struct vd_state *vd)
{
	free(vd->blocks);
	free(vd->used);
	free(vd->parts);
	free(vd->bits);
}

/* ---- slots --------------------------------------------------------------------------------------
 */

static void
give_block(struct vd_block *block)
{
	block->in_use = false;
	block->next_free = block->vd->free_blocks;
	block->vd->free_blocks = block;
}

static void
add_block(struct vd_state *vd)
{
	uint32_t slot = vd->slot_count++;
	struct vd_block *block = &vd->blocks[slot];

	block->vd = vd;
	block->slot = slot;
	vd->evicts = vd->slot_count == vd->slot_max;
	block->bits = vd->bits + slot * vd->bitmap_bytes;
	if (vd->is_writable)
		block->shadow = block->bits + vd->slot_max * vd->bitmap_bytes;
	give_block(block);
}

static bool
is_evictable(const struct vd_state *vd, const struct vd_block *block)
{
	if (!block->in_use || vd->map[block->index].slot & VD_SLOT_NOT_READY)
		return false;
	return !block->pins && !block->fresh && !block->dirty && !block->listed &&
	       !block->committing;
}

/* Give up something that was not looked at for a whole round of the hand. */
static void
evict(struct vd_state *vd)
{
	uint32_t steps, slot;

	for (steps = 2 * vd->slot_count; steps; steps--) {
		slot = vd->hand;
		vd->hand = slot + 1 < vd->slot_count ? slot + 1 : 1;
		if (vd->used[slot]) {
			vd->used[slot] = 0;
		} else if (is_evictable(vd, vd_block_at(vd, slot))) {
			vd_block_drop(vd_block_at(vd, slot), VD_SLOT_NONE);
			return;
		}
	}
}

static struct vd_block *
take_block(struct vd_state *vd)
{
	struct vd_block *block;

	if (!vd->free_blocks && vd->slot_count < vd->slot_max)
		add_block(vd);
	if (!vd->free_blocks)
		evict(vd);
	block = vd->free_blocks;
	if (block)
		vd->free_blocks = block->next_free;
	return block;
}

/* ---- bits ---------------------------------------------------------------------------------------
 */

/* The bits of these sectors have changed. */
static void
sum_up(struct vd_block *block, uint32_t first, uint32_t count)
{
	const struct vd_state *vd = block->vd;
	const uint32_t secs = 1u << vd->part_shift, end = (first + count - 1) >> vd->part_shift;
	struct vd_parts *parts = &vd->parts[block->slot];
	uint32_t part, there;

	for (part = first >> vd->part_shift; part <= end; part++) {
		there = vhd_bits_count(block->bits, part << vd->part_shift, secs);
		parts->some &= ~(1u << part);
		parts->all &= ~(1u << part);
		if (there)
			parts->some |= 1u << part;
		if (there == secs)
			parts->all |= 1u << part;
	}
}

void
vd_block_set_bits(struct vd_block *block, uint32_t first, uint32_t count)
{
	vhd_bits_set_range(block->bits, first, count);
	sum_up(block, first, count);
}

void
vd_block_clear_bits(struct vd_block *block, uint32_t first, uint32_t count)
{
	vhd_bits_clear_range(block->bits, first, count);
	sum_up(block, first, count);
}

/* ---- blocks -------------------------------------------------------------------------------------
 */

static struct vd_block *
block_init(struct vd_state *vd, uint32_t index)
{
	struct vd_block *block = take_block(vd);

	if (!block) {
		/* What has changed can go once it is in the file. */
		if (vd->changed_count)
			vd_commit_start(vd);
		return NULL;
	}
	block->index = index;
	block->in_use = true;
	block->fresh = block->saved = block->saving = block->resaved = false;
	block->named = true;
	block->dirty = false;
	block->waiters = NULL;
	block->last_waiter = &block->waiters;
	vd->used[block->slot] = 1;
	vd->parts[block->slot] = (struct vd_parts){ 0, 0 };
	return block;
}

struct vd_block *
vd_block_new(struct vd_state *vd, uint32_t index)
{
	struct vd_block *block = block_init(vd, index);

	if (!block)
		return NULL;
	memset(block->bits, 0, vd->bitmap_bytes);
	vd->map[index].slot = block->slot;
	return block;
}

static void
loaded(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_block *block = arg;
	struct vd_state *vd = block->vd;
	bool full;

	(void)tiocb;
	full = !err && vhd_bits_all(block->bits, 0, vd->image.layout.spb);
	vd->map[block->index].slot = block->slot;
	/* Those who wait find out by looking again; the block must not live on for a moment only.
	 */
	if (err)
		vd_block_drop(block, VD_SLOT_NONE);
	else if (full)
		vd_block_drop(block, VD_SLOT_FULL);
	else
		sum_up(block, 0, vd->image.layout.spb);
	vd_block_wake(block, err);
}

struct vd_block *
vd_block_get(struct vd_state *vd, uint32_t index)
{
	struct vd_entry *entry = &vd->map[index];
	struct vd_block *block;

	if (entry->slot != VD_SLOT_NONE) {
		block = vd_block_at(vd, entry->slot);
		vd->used[block->slot] = 1;
		return block;
	}
	block = block_init(vd, index);
	if (!block)
		return NULL;
	vd->counters.misses++;
	entry->slot = block->slot | VD_SLOT_NOT_READY;
	td_prep_read(&block->tiocb, vd->file.fd, (char *)block->bits, vd->bitmap_bytes,
		     (long long)vhd_bitmap_offset(~entry->inverted), loaded, block);
	vd_queue_tiocb(vd, &block->tiocb);
	return block;
}

void
vd_block_wait(struct vd_block *block, struct vd_request *request)
{
	request->next = NULL;
	*block->last_waiter = request;
	block->last_waiter = &request->next;
}

void
vd_block_wake(struct vd_block *block, int err)
{
	struct vd_request *request = block->waiters, *next;

	block->waiters = NULL;
	block->last_waiter = &block->waiters;
	for (; request; request = next) {
		next = request->next;
		request->go(request, err);
	}
}

void
vd_block_drop(struct vd_block *block, uint32_t slot)
{
	block->vd->map[block->index].slot = slot;
	give_block(block);
}

void
vd_block_forget_changes(struct vd_block *block)
{
	struct vd_state *vd = block->vd;

	block->dirty = false;
	if (!block->listed)
		return;
	block->listed = false;
	TAILQ_REMOVE(&vd->changed_blocks, block, link);
	vd->changed_count--;
}

void
vd_block_changed(struct vd_block *block)
{
	struct vd_state *vd = block->vd;

	if (block->listed)
		return;
	block->listed = true;
	TAILQ_INSERT_TAIL(&vd->changed_blocks, block, link);
	vd->changed_count++;
	/* Half of the cache may be waiting for a flush; the other half is for what goes on. */
	if (vd->changed_count >= vd->slot_max / 2)
		vd_commit_start(vd);
	else
		vd_commit_later(vd);
}
