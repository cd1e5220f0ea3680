/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: discard, write-zeroes and block status.
 *
 * Ranges may be huge, so each is worked through block by block, with one vd_request.  Discarded and
 * zeroed data become holes.  Over a parent their bits stay as they are: one that is taken back
 * would show the parent's sectors again.  Without a parent they are cleared, and a block that has
 * none left is unmapped; block-vhd-places.c says when its place is used again.
 *
 * The hole comes first, then the bits: between the two, and after a power cut, the sectors are what
 * they were, or zeroes.  A write of the same sectors that is under way meanwhile may come before or
 * after; one that follows comes after, since the guest hears of the end of both steps.
 */
#include <errno.h>
#include <linux/falloc.h>

#include "drivers/block-vhd.h"

#define STATUS_RUNS 512 /* before other requests have their turn */

/* ---- discard and write-zeroes -------------------------------------------------------------------
 */

static void next_change(struct vd_request *request, int err);

/* The part is done, and the rest of the range follows; or err says why all that is left is not. */
static void
end_part(struct vd_request *request, int err)
{
	td_request_t part = request->treq;

	/* Devices refuse holes that their sectors do not divide. */
	if (err == -EINVAL)
		err = -EOPNOTSUPP;
	if (err || !request->left) {
		request->treq.secs += request->left;
		vd_finish(request, err);
		return;
	}
	request->block = NULL;
	request->leads = false;
	vd_renew_request(request);
	request->treq.sec += (td_sector_t)part.secs;
	request->treq.secs = request->left;
	request->left = 0;
	td_complete_request(part, err);
	next_change(request, 0);
}

static uint32_t
index_of(const struct vd_request *request)
{
	return (uint32_t)(request->treq.sec >> request->vd->spb_shift);
}

static void
hole_made(void *arg, struct tiocb *tiocb, int err)
{
	(void)tiocb;
	end_part(arg, err);
}

/* Is there nothing to be done for the block?  What it shows is zeroes then, or may be anything. */
static bool
is_untouched(const struct vd_request *request)
{
	const struct vd_state *vd = request->vd;
	const struct vd_entry *entry = &vd->map[index_of(request)];
	int secs = vd_part_secs(vd, &request->treq);

	if (!entry->inverted)
		return !vd->has_parent || request->treq.op == TD_OP_DISCARD;
	/* Sectors without bits are zeroes already. */
	return !vd->has_parent && entry->slot != VD_SLOT_NONE && entry->slot != VD_SLOT_FULL &&
	       !(entry->slot & VD_SLOT_NOT_READY) &&
	       vhd_bits_none(vd_block_at(vd, entry->slot)->bits, vd_first_of(request),
			     (uint32_t)secs);
}

/* ---- images without a parent: bits are cleared --------------------------------------------------
 */

/* Does the part cover all of its block that is in the disk? */
static bool
is_whole_block(const struct vd_request *request)
{
	const struct vd_state *vd = request->vd;
	const td_request_t *treq = &request->treq;

	return !vd_first_of(request) && (treq->secs == (int)vd->image.layout.spb ||
					 treq->sec + (td_sector_t)treq->secs == vd->image.sectors);
}

/* A full block, whose bits are to be in memory again.  NULL: the cache is in use. */
static struct vd_block *
block_of_full(struct vd_state *vd, uint32_t index)
{
	struct vd_block *block = vd_block_new(vd, index);

	if (block)
		vd_block_set_bits(block, 0, vd->image.layout.spb);
	return block;
}

static void
clear_bits(struct vd_block *block, const struct vd_request *request)
{
	vd_block_clear_bits(block, vd_first_of(request), (uint32_t)request->treq.secs);
	if (vd_unmap_if_empty(block))
		return;
	block->dirty = true;
	vd_block_changed(block);
}

/* The hole is there; now for the bits. */
static void
take_bits(struct vd_request *request, int err)
{
	struct vd_state *vd = request->vd;
	uint32_t index = index_of(request);
	struct vd_entry *entry = &vd->map[index];
	struct vd_block *block;

	/* Unmapped meanwhile; if it has another place, what is there was written after that. */
	if (err || !entry->inverted || ~entry->inverted != request->place) {
		end_part(request, err);
		return;
	}
	if ((entry->slot == VD_SLOT_NONE || entry->slot == VD_SLOT_FULL) &&
	    is_whole_block(request) && vd_unmap(vd, index)) {
		end_part(request, 0);
		return;
	}
	block = entry->slot == VD_SLOT_FULL ? block_of_full(vd, index) : vd_block_get(vd, index);
	if (!block) {
		end_part(request, -EBUSY);
	} else if (entry->slot & VD_SLOT_NOT_READY) {
		vd_block_wait(block, request);
	} else {
		clear_bits(block, request);
		end_part(request, 0);
	}
}

/*
 * Devices that make no holes keep the sectors of a part of a block: for a discard that is good
 * enough, zeroes have to be written.  A whole block goes anyway.
 */
static void
hole_made_for_good(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_request *request = arg;
	bool is_kept = (err == -EOPNOTSUPP || err == -EINVAL) && request->vd->file.is_device;

	(void)tiocb;
	request->go = take_bits;
	if (is_kept && is_whole_block(request))
		take_bits(request, 0);
	else if (is_kept && request->treq.op == TD_OP_DISCARD)
		end_part(request, 0);
	else
		take_bits(request, err);
}

/* ---- all images ---------------------------------------------------------------------------------
 */

/* Narrow the request to its first part: all blocks that need nothing, or one. */
static void
narrow(struct vd_request *request)
{
	td_request_t *treq = &request->treq;
	const struct vd_state *vd = request->vd;
	int all = treq->secs, secs = 0;
	td_sector_t sec = treq->sec;

	while (secs < all && is_untouched(request)) {
		treq->secs = all - secs;
		secs += vd_part_secs(vd, treq);
		treq->sec = sec + (td_sector_t)secs;
	}
	treq->sec = sec;
	treq->secs = secs ? secs : vd_part_secs(vd, treq);
	request->left = all - treq->secs;
}

static void
make_hole(struct vd_request *request, td_queue_callback_t done)
{
	struct vd_state *vd = request->vd;
	const td_request_t *treq = &request->treq;

	request->place = ~vd->map[index_of(request)].inverted;
	td_prep_fallocate(&request->tiocb, vd->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (long long)vd_offset_of(request), (long long)treq->secs << SECTOR_SHIFT,
			  done, request);
	vd_queue_tiocb(vd, &request->tiocb);
}

/* A hole whose bits will be set, or stay as they are. */
static void
change_over_parent(struct vd_request *request)
{
	struct vd_block *block = NULL;
	int err = 0;

	if (request->treq.op == TD_OP_WRITE_ZEROES)
		err = vd_find_block(request, &block);
	if (err == VD_WAITS)
		return;
	if (err) {
		end_part(request, err);
		return;
	}
	if (block)
		vd_save_bits(block, request);
	make_hole(request, block ? vd_block_write_done : hole_made);
}

/* A hole whose bits will be cleared. */
static void
change_without_parent(struct vd_request *request)
{
	int err = vd_batmap_take_back(request->vd, request);

	if (err == VD_WAITS)
		return;
	if (err)
		end_part(request, err);
	else
		make_hole(request, hole_made_for_good);
}

/* Nothing is in the way any more. */
static void
change_block(struct vd_request *request, int err)
{
	if (err || (!request->vd->has_parent && is_untouched(request)))
		end_part(request, err);
	else if (request->vd->has_parent)
		change_over_parent(request);
	else
		change_without_parent(request);
}

static void
next_change(struct vd_request *request, int err)
{
	if (err) {
		end_part(request, err);
		return;
	}
	narrow(request);
	request->go = change_block;
	if (is_untouched(request))
		end_part(request, 0);
	else
		change_block(request, 0);
}

static void
queue_change(td_driver_t *driver, td_request_t treq)
{
	struct vd_state *vd = driver->data;
	struct vd_request *request;

	/* What has to be in the file has to be written; and a hole decrypts to noise. */
	if (vd->crypt || (!vd->is_fixed && treq.flags & TD_REQ_NO_UNMAP)) {
		td_complete_request(treq, -EOPNOTSUPP);
		return;
	}
	vd->changed = true;
	if (vd->is_fixed) {
		raw_queue_work(driver, &vd->file, treq);
		return;
	}
	request = vd_take_request(vd, &treq);
	if (!request) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	request->end = end_part;
	next_change(request, 0);
}

void
vd_queue_discard(td_driver_t *driver, td_request_t treq)
{
	queue_change(driver, treq);
}

void
vd_queue_write_zeroes(td_driver_t *driver, td_request_t treq)
{
	queue_change(driver, treq);
}

/* ---- block status -------------------------------------------------------------------------------
 */

static void report(struct vd_request *request, int err);

static int
rest(void *arg)
{
	(void)arg;
	return 0;
}

static void
rested(void *arg, int result)
{
	(void)result;
	report(arg, 0);
}

/* The bitmap of the first block is missing. */
static void
wait_for_bitmap(struct vd_request *request)
{
	struct vd_state *vd = request->vd;
	struct vd_block *block = vd_block_get(vd, (uint32_t)(request->treq.sec >> vd->spb_shift));

	if (!block) {
		vd_finish(request, -EBUSY);
		return;
	}
	request->go = report;
	vd_block_wait(block, request);
}

/* Report one run at the start of the request, and take it off. */
static void
report_run(struct vd_request *request, enum vd_kind kind, int secs)
{
	td_request_t run = request->treq;

	run.secs = secs;
	request->treq.sec += (td_sector_t)secs;
	request->treq.secs -= secs;
	if (kind == VD_ABSENT) {
		td_forward_request(run);
		return;
	}
	run.status = kind == VD_ZERO ? TD_BLOCK_STATE_ZERO : TD_BLOCK_STATE_NONE;
	td_complete_request(run, 0);
}

/* Sectors at the start of the request that are alike, over as many blocks as that may be. */
static enum vd_kind
first_run(struct vd_request *request, int *secs)
{
	struct vd_state *vd = request->vd;
	td_request_t at = request->treq;
	enum vd_kind kind = VD_UNKNOWN, next;
	uint64_t offset;

	*secs = 0;
	while (at.secs) {
		int more = at.secs;

		next = vd_lookup(vd, at.sec, &more, &offset);
		if (*secs && next != kind)
			break;
		kind = next;
		if (kind == VD_UNKNOWN)
			break;
		*secs += more;
		at.sec += (td_sector_t)more;
		at.secs -= more;
	}
	return kind;
}

static void
report(struct vd_request *request, int err)
{
	struct vd_state *vd = request->vd;
	int runs, secs;
	enum vd_kind kind;

	if (err) {
		vd_finish(request, err);
		return;
	}
	for (runs = 0; request->treq.secs; runs++) {
		kind = first_run(request, &secs);
		if (kind == VD_UNKNOWN) {
			wait_for_bitmap(request);
			return;
		}
		if (runs == STATUS_RUNS && td_work(vd->driver, rest, rested, request) == 0)
			return;
		report_run(request, kind, secs);
	}
	vd_give_request(request);
}

void
vd_queue_block_status(td_driver_t *driver, td_request_t treq)
{
	struct vd_state *vd = driver->data;
	struct vd_request *request;

	if (vd->is_fixed && !vd->crypt) {
		raw_queue_block_status(driver, &vd->file, treq);
		return;
	}
	request = vd_take_request(vd, &treq);
	if (request)
		report(request, 0);
	else
		td_complete_request(treq, -EBUSY);
}
