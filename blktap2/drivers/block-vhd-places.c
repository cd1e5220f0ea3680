/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: places that blocks had, and have no more.
 *
 * In memory a block is gone at once: who reads it next sees zeroes, who writes it next gets another
 * place.  The old place must wait, because three parties may still believe in it:
 *
 *	the file     whose BAT names it until a commit is through: after a power cut the block is
 *	             back, with what it had, and that must be nobody else's data
 *	requests     that looked the block up before, and read or write there now
 *	the batmap   in the file, which may call the block full; block-vhd-batmap.c has taken that
 *	             back before the first bit was cleared
 *
 * So a place is taken by the next commit, is durable when that has succeeded, and ready when all
 * requests of that time have ended.  These are not counted one by one: each belongs to one of two
 * eras, and when places become durable a new one begins.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/block-vhd.h"
#include "vhd/lib/layout.h"

static struct vd_place *
place_at(struct vd_places *places, uint64_t number)
{
	return &places->ring[number % places->room];
}

/*
 * All blocks may have gone while there is a free place for each.  Should there be more, blocks stay
 * without bits; nothing lacks room then.  The numbers begin where they can also go down.
 */
static void
make_ring(struct vd_places *places, uint32_t entries)
{
	uint32_t room = 2 * entries;

	places->ring = calloc(room, sizeof(places->ring[0]));
	if (!places->ring)
		return;
	places->room = room;
	places->first = places->ready = places->durable = places->taken = places->last = room;
}

bool
vd_places_have_room(struct vd_state *vd)
{
	struct vd_places *places = &vd->places;

	if (!places->ring)
		make_ring(places, vd->image.layout.entries);
	return places->ring && places->last - places->first < places->room;
}

void
vd_places_free(struct vd_state *vd)
{
	free(vd->places.ring);
}

/* ---- unmapping ----------------------------------------------------------------------------------
 */

static void
release_place(struct vd_state *vd, uint32_t index)
{
	struct vd_places *places = &vd->places;

	*place_at(places, places->last++) =
		(struct vd_place){ .entry = ~vd->map[index].inverted, .index = index };
	vd_commit_later(vd);
}

bool
vd_unmap(struct vd_state *vd, uint32_t index)
{
	struct vd_entry *entry = &vd->map[index];
	struct vd_block *block;

	if (!vd_places_have_room(vd))
		return false;
	release_place(vd, index);
	if (entry->slot != VD_SLOT_NONE && entry->slot != VD_SLOT_FULL) {
		block = vd_block_at(vd, entry->slot);
		vd_block_forget_changes(block);
		vd_block_drop(block, VD_SLOT_NONE);
	}
	*entry = (struct vd_entry){ .inverted = 0, .slot = VD_SLOT_NONE };
	vd->allocated--;
	vd->counters.unmapped++;
	return true;
}

/* Sectors of a block that are the disk's. */
static uint32_t
secs_of(const struct vd_state *vd, uint32_t index)
{
	uint64_t left = vd->image.sectors - ((uint64_t)index << vd->spb_shift);

	return left < vd->image.layout.spb ? (uint32_t)left : vd->image.layout.spb;
}

bool
vd_unmap_if_empty(struct vd_block *block)
{
	struct vd_state *vd = block->vd;

	if (block->pins || block->saving || block->committing ||
	    vd->map[block->index].slot & VD_SLOT_NOT_READY)
		return false;
	/* A block without bits shows the parent, as does none: but only the BAT may say "none". */
	if (vd->has_parent && !block->fresh)
		return false;
	return vhd_bits_none(block->bits, 0, secs_of(vd, block->index)) &&
	       vd_unmap(vd, block->index);
}

/* ---- commits ------------------------------------------------------------------------------------
 */

void
vd_places_take(struct vd_state *vd)
{
	struct vd_places *places = &vd->places;
	uint64_t number;

	for (number = places->durable; number != places->last; number++)
		vhd_bits_set(vd->commit.bat_dirty,
			     place_at(places, number)->index / VD_BAT_SECTOR_ENTRIES);
	places->taken = places->last;
}

static void
end_era(struct vd_state *vd)
{
	struct vd_places *places = &vd->places;

	if (places->is_ending || places->ready == places->durable)
		return;
	places->is_ending = true;
	places->settles = places->durable;
	places->era = !places->era;
	if (!places->in_era[!places->era])
		vd_places_settle(vd);
}

void
vd_places_settle(struct vd_state *vd)
{
	vd->places.is_ending = false;
	vd->places.ready = vd->places.settles;
	end_era(vd);
}

void
vd_places_taken(struct vd_state *vd, int err)
{
	struct vd_places *places = &vd->places;

	if (err) {
		places->taken = places->durable;
		return;
	}
	places->durable = places->taken;
	end_era(vd);
}

/* ---- use ----------------------------------------------------------------------------------------
 */

bool
vd_place_find(struct vd_state *vd, uint32_t *entry)
{
	struct vd_places *places = &vd->places;

	if (places->first == places->ready) {
		vd_gaps_seek(vd, false);
		return false;
	}
	*entry = place_at(places, places->first)->entry;
	return true;
}

void
vd_place_use(struct vd_state *vd)
{
	vd->places.first++;
	vd->counters.reused++;
}

bool
vd_place_will_come(struct vd_state *vd)
{
	const struct vd_places *places = &vd->places;

	if (vd_places_wait(vd))
		vd_commit_start(vd);
	vd_gaps_seek(vd, true);
	return places->first != places->last || places->gaps == VD_GAPS_SOUGHT;
}
