/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: commits, which bring bitmaps and BAT to the file.
 *
 * Whatever moment the power fails at, the file must show nothing that was not written, and all that
 * was flushed.  So in this order:
 *
 *	BITMAPS    of fresh blocks, which nothing names yet
 *	SYNC_DATA  data and those bitmaps are durable
 *	EXPOSE     bitmaps of the other blocks, and the sectors of the BAT that name fresh ones
 *	SYNC_META  all of it is durable
 *
 * What the BAT in the file may name is never written before SYNC_DATA, even if a commit has failed
 * and the next one tries again: the BAT of the failed one may have got there.
 *
 * A commit takes the blocks that have changed when it begins, with their bits of that moment: what
 * changes later is for the next one.  Flushes that come while one is running share the next one.
 * Without changes a flush is SYNC_DATA alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/block-vhd.h"

static void commit_on(struct vd_state *vd);

bool
vd_commit_is_running(const struct vd_state *vd)
{
	return vd->commit.stage != VD_COMMIT_IDLE;
}

bool
vd_commit_is_due(const struct vd_state *vd)
{
	return vd->changed_count || vd->footer_dirty || vd_places_wait(vd);
}

void
vd_commit_owe(struct vd_state *vd, int err)
{
	if (err && vd->written && !vd->commit.owed)
		vd->commit.owed = err;
}

/* ---- operations ---------------------------------------------------------------------------------
 */

static void
step_done(struct vd_state *vd, int err)
{
	struct vd_commit *commit = &vd->commit;

	if (err && !commit->err)
		commit->err = err;
	if (!--commit->pending)
		commit_on(vd);
}

static void
operation_done(void *arg, struct tiocb *tiocb, int err)
{
	(void)tiocb;
	step_done(arg, err);
}

static void
synced(void *arg, struct tiocb *tiocb, int err)
{
	(void)tiocb;
	vd_commit_owe(arg, err);
	step_done(arg, err);
}

static void
start_sync(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;

	commit->pending++;
	td_prep_fsync(&commit->sync, vd->file.fd, synced, vd);
	vd_queue_tiocb(vd, &commit->sync);
}

static void
write_bitmap(struct vd_state *vd, struct vd_block *block)
{
	vd->commit.pending++;
	td_prep_write(&block->tiocb, vd->file.fd, (char *)block->shadow, vd->bitmap_bytes,
		      (long long)vhd_bitmap_offset(~vd->map[block->index].inverted), operation_done,
		      vd);
	vd_queue_tiocb(vd, &block->tiocb);
}

/* The bitmaps of this commit whose blocks the BAT in the file may name, or does not. */
static void
write_bitmaps(struct vd_state *vd, bool named)
{
	struct vd_block *block;

	TAILQ_FOREACH (block, &vd->commit.blocks, commit_link)
		if (block->writes && block->named == named)
			write_bitmap(vd, block);
}

/* ---- the BAT ------------------------------------------------------------------------------------
 */

/* What the BAT in the file may say of a block once this commit is through. */
static uint32_t
exposed_entry(const struct vd_state *vd, uint32_t index)
{
	const struct vd_entry *entry;
	const struct vd_block *block;

	if (index >= vd->image.layout.entries || !vd->map[index].inverted)
		return VHD_BLOCK_UNUSED;
	entry = &vd->map[index];
	if (entry->slot != VD_SLOT_NONE && entry->slot != VD_SLOT_FULL) {
		block = vd_block_at(vd, entry->slot);
		if (block->fresh && !block->committing)
			return VHD_BLOCK_UNUSED;
	}
	return ~entry->inverted;
}

static void write_bat(struct vd_state *vd);

static void
bat_written(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_bat_write *write = arg;
	struct vd_state *vd = write->vd;

	(void)tiocb;
	write->next = vd->commit.bat_free;
	vd->commit.bat_free = write;
	write_bat(vd);
	step_done(vd, err);
}

static void
write_bat_sector(struct vd_state *vd, struct vd_bat_write *write, uint32_t sector)
{
	uint32_t entries[VD_BAT_SECTOR_ENTRIES], i;

	for (i = 0; i < VD_BAT_SECTOR_ENTRIES; i++)
		entries[i] = exposed_entry(vd, sector * VD_BAT_SECTOR_ENTRIES + i);
	vhd_bat_pack_sector(entries, VD_BAT_SECTOR_ENTRIES, write->raw);
	vd->commit.pending++;
	td_prep_write(
		&write->tiocb, vd->file.fd, (char *)write->raw, VHD_SECTOR_SIZE,
		(long long)(vd->image.layout.table_offset + (uint64_t)sector * VHD_SECTOR_SIZE),
		bat_written, write);
	vd_queue_tiocb(vd, &write->tiocb);
}

/* As many sectors as there are buffers for; the rest follows as they come back. */
static void
write_bat(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;
	struct vd_bat_write *write;

	for (; commit->bat_next < vd->bat_sectors && commit->bat_free; commit->bat_next++) {
		if (!vhd_bits_test(commit->bat_dirty, commit->bat_next))
			continue;
		vhd_bits_clear(commit->bat_dirty, commit->bat_next);
		write = commit->bat_free;
		commit->bat_free = write->next;
		write_bat_sector(vd, write, commit->bat_next);
	}
}

/* ---- the stages ---------------------------------------------------------------------------------
 */

/* Take what has changed, as it is now. */
static void
take_changes(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;
	struct vd_block *block, *next;

	for (block = TAILQ_FIRST(&vd->changed_blocks); block; block = next) {
		next = TAILQ_NEXT(block, link);
		/* Nothing of it has been acknowledged. */
		if (block->fresh && !block->saved)
			continue;
		TAILQ_REMOVE(&vd->changed_blocks, block, link);
		vd->changed_count--;
		block->listed = false;
		block->committing = true;
		block->writes = block->dirty;
		block->dirty = false;
		if (block->writes) {
			memcpy(block->shadow, block->bits, vd->bitmap_bytes);
			block->resaved = true;
		}
		if (block->fresh)
			vhd_bits_set(commit->bat_dirty, block->index / VD_BAT_SECTOR_ENTRIES);
		TAILQ_INSERT_TAIL(&commit->blocks, block, commit_link);
	}
	vd_places_take(vd);
	commit->bat_next = 0;
	commit->writes_footers = vd->footer_dirty;
}

static void
write_footers(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;
	uint64_t at[2] = { 0, vd->growth.room_end };
	int i;

	vd->footer_dirty = false;
	vhd_footer_encode(&vd->image.footer, commit->footer_raw);
	/* While a file grows, its trailing footer is being written anyway. */
	for (i = vd->is_fixed; i < (vd->growth.stage == VD_GROWTH_IDLE ? 2 : 1); i++) {
		commit->pending++;
		td_prep_write(&commit->footers[i], vd->file.fd, (char *)commit->footer_raw,
			      VHD_SECTOR_SIZE, (long long)at[i], operation_done, vd);
		vd_queue_tiocb(vd, &commit->footers[i]);
	}
}

static void
start_expose(struct vd_state *vd)
{
	struct vd_block *block;

	write_bitmaps(vd, true);
	/* From now on, even if this commit fails. */
	TAILQ_FOREACH (block, &vd->commit.blocks, commit_link)
		block->named = true;
	write_bat(vd);
	if (vd->commit.writes_footers)
		write_footers(vd);
}

/* A bitmap that is full in the file, and stays so, needs no memory. */
static void
let_go(struct vd_block *block)
{
	const struct vd_state *vd = block->vd;

	if (!block->pins && !block->dirty && !block->listed &&
	    vhd_bits_all(block->bits, 0, vd->image.layout.spb))
		vd_block_drop(block, VD_SLOT_FULL);
}

static void
release_block(struct vd_block *block, int err)
{
	block->committing = false;
	if (err) {
		block->dirty = block->dirty || block->writes;
		vd_block_changed(block);
		return;
	}
	block->fresh = false;
	if (!vd_unmap_if_empty(block))
		let_go(block);
}

static void
complete_flushes(struct vd_state *vd, struct vd_request *request, int err)
{
	struct vd_request *next;

	if (request) {
		err = err ? err : vd->commit.owed;
		vd->commit.owed = 0;
	}
	for (; request; request = next) {
		next = request->next;
		vd_finish(request, err);
	}
}

static void
end_commit(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;
	struct vd_request *flushes = vd_queue_take(&commit->flushes);
	struct vd_block *block;
	int err = commit->err;

	/* Still running: what changes again must not start another one in here. */
	while ((block = TAILQ_FIRST(&commit->blocks))) {
		TAILQ_REMOVE(&commit->blocks, block, commit_link);
		release_block(block, err);
	}
	if (err && commit->writes_footers)
		vd->footer_dirty = true;
	commit->writes_footers = false;
	if (err && commit->bat_dirty)
		memset(commit->bat_dirty, 0, (vd->bat_sectors + 7) / 8);
	vd_places_taken(vd, err);
	commit->stage = VD_COMMIT_IDLE;
	vd->counters.commits++;
	if (vd->growth.waiters.first)
		vd_grow(vd);
	if (commit->later.first)
		vd_commit_start(vd);
	complete_flushes(vd, flushes, err);
}

/* The stage that follows the one that has ended; stages without operations are passed through. */
static void
commit_on(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;

	while (!commit->pending && commit->stage != VD_COMMIT_IDLE) {
		if (commit->err || commit->stage == VD_COMMIT_SYNC_META) {
			end_commit(vd);
			return;
		}
		commit->pending++; /* the first to end must not be the last */
		switch (++commit->stage) {
		case VD_COMMIT_SYNC_DATA:
			start_sync(vd);
			break;
		case VD_COMMIT_EXPOSE:
			start_expose(vd);
			commit->exposes = commit->pending > 1;
			break;
		default:
			if (commit->exposes)
				start_sync(vd);
			break;
		}
		commit->pending--;
	}
}

void
vd_commit_start(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;

	if (commit->stage != VD_COMMIT_IDLE)
		return;
	commit->stage = VD_COMMIT_BITMAPS;
	commit->err = 0;
	if (commit->later.first) {
		commit->flushes = commit->later;
		vd_queue_init(&commit->later);
	}
	take_changes(vd);
	commit->pending++;
	write_bitmaps(vd, false);
	commit->pending--;
	commit_on(vd);
}

void
vd_queue_flush(td_driver_t *driver, td_request_t treq)
{
	struct vd_state *vd = driver->data;
	struct vd_request *request = vd_take_request(vd, &treq);

	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	vd_queue_add(&vd->commit.later, request);
	vd_commit_start(vd);
}

/* ---- without a flush ----------------------------------------------------------------------------
 */

static void
time_is_up(void *arg, int id, unsigned mode)
{
	struct vd_state *vd = arg;

	(void)mode;
	if (vd_commit_is_due(vd)) {
		vd_commit_start(vd);
		return;
	}
	td_unregister_event(vd->driver, id);
	vd->timer = -1;
}

void
vd_commit_later(struct vd_state *vd)
{
	int id;

	if (vd->timer >= 0 || vd->at_once)
		return;
	id = td_register_event(vd->driver, TD_EVENT_TIMEOUT, -1, VD_COMMIT_MS, time_is_up, vd);
	if (id >= 0)
		vd->timer = id;
}

/* ---- birth and death ----------------------------------------------------------------------------
 */

int
vd_commit_init(struct vd_state *vd)
{
	struct vd_commit *commit = &vd->commit;
	void *memory;
	int i;

	TAILQ_INIT(&commit->blocks);
	vd_queue_init(&commit->flushes);
	vd_queue_init(&commit->later);
	if (vd->is_fixed || !vd->is_writable)
		return 0;
	vd->bat_sectors =
		(vd->image.layout.entries + VD_BAT_SECTOR_ENTRIES - 1) / VD_BAT_SECTOR_ENTRIES;
	commit->bat_dirty = calloc(1, (vd->bat_sectors + 7) / 8);
	if (!commit->bat_dirty ||
	    posix_memalign(&memory, 4096, (size_t)VD_BAT_WRITES * VHD_SECTOR_SIZE))
		return -ENOMEM;
	commit->bat_memory = memory;
	for (i = 0; i < VD_BAT_WRITES; i++) {
		commit->bat_writes[i].vd = vd;
		commit->bat_writes[i].raw = commit->bat_memory + (size_t)i * VHD_SECTOR_SIZE;
		commit->bat_writes[i].next = commit->bat_free;
		commit->bat_free = &commit->bat_writes[i];
	}
	return 0;
}

void
vd_commit_free(struct vd_state *vd)
{
	free(vd->commit.bat_dirty);
	free(vd->commit.bat_memory);
}
