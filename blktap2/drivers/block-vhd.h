/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: images of Virtual PC and its heirs, fixed, dynamic and differencing.  The inside of the
 * driver, for the block-vhd-*.c files, each of which is one of its subjects.
 *
 * What is known of each block of the disk is one vd_entry: where it is in the file, and how to find
 * its bitmap.  Bitmaps live in a cache of vd_blocks.  Writes change bitmaps and BAT in memory and
 * are acknowledged when their data are written; a commit (block-vhd-commit.c) brings both to the
 * file in an order that a power cut may interrupt anywhere.
 */
#ifndef DRIVERS_BLOCK_VHD_H
#define DRIVERS_BLOCK_VHD_H

#include <stdbool.h>
#include <sys/queue.h>

#include <tapdisk.h>

#include "drivers/block-raw.h"
#include "common/io.h"
#include "vhd/lib/bits.h"
#include "vhd/lib/crypt.h"
#include "vhd/lib/image.h"

#define VD_CACHE_KEY "vhd-bitmap-cache"
#define VD_CACHE_BYTES (2u << 20)      /* of bitmaps, per image, unless the key says otherwise */
#define VD_CACHE_BYTES_MAX (64u << 20) /* whatever it says */
#define VD_CACHE_MIN 32                /* blocks */
#define VD_BAT_WRITES 64               /* sectors of the BAT on their way at a time */
#define VD_BAT_SECTOR_ENTRIES (VHD_SECTOR_SIZE / 4)
#define VD_COMMIT_MS 1000 /* changes wait no longer for a flush */
#define VD_CLONES 8       /* of a key that are kept for workers */

/* ---- the map ------------------------------------------------------------------------------------
 */

/*
 * One block.  All zero for one that is not in the file, so that the map of an empty image takes no
 * memory.
 */
struct vd_entry {
	uint32_t inverted; /* ~ of the entry in the BAT */
	uint32_t slot;     /* VD_SLOT_*, or the number of its vd_block */
};

#define VD_SLOT_NONE 0u               /* the bitmap is not in memory */
#define VD_SLOT_FULL 0xFFFFFFFFu      /* every sector is there, and a bitmap in the file says so */
#define VD_SLOT_NOT_READY 0x80000000u /* flag: its vd_block has no valid bits yet */

/*
 * What a bitmap says of the 32 parts of its block (64 KiB each of a block of 2 MiB): which have
 * some, and which have all of their sectors.  Most questions are answered here: the bitmaps of a
 * long chain are more than the cache of a processor holds.
 */
struct vd_parts {
	uint32_t some;
	uint32_t all;
};

/* A block whose bitmap is in memory, or on its way. */
struct vd_block {
	struct vd_state *vd;
	uint32_t index; /* of the block */
	uint32_t slot;
	unsigned pins; /* requests that will set bits */
	bool in_use;
	bool fresh;  /* no commit has brought it to the BAT in the file yet */
	bool named;  /* the BAT in the file may name it; a commit that failed may have got so far */
	bool saved;  /* fresh: a bitmap has been written, so its room is certain */
	bool saving; /* fresh: that is being done */
	bool resaved;    /* fresh: a commit has written another one since */
	int save_err;    /* fresh: why it is not saved */
	bool dirty;      /* the bits differ from the file's */
	bool listed;     /* in vd->changed */
	bool committing; /* in vd->commit.blocks */
	bool writes;     /* committing: its bitmap is part of it */
	uint8_t *bits;
	uint8_t *shadow; /* what is being written; only in images that are */
	struct tiocb tiocb;
	struct vd_request *waiters; /* until it is ready, or saved; first come first */
	struct vd_request **last_waiter;
	TAILQ_ENTRY(vd_block) link;        /* in changed_blocks */
	TAILQ_ENTRY(vd_block) commit_link; /* in commit.blocks */
	struct vd_block *next_free;
};
TAILQ_HEAD(vd_blocks, vd_block);

/* ---- requests -----------------------------------------------------------------------------------
 */

/* A part of a request: at most one block, one run of sectors, one tiocb. */
struct vd_request {
	td_request_t treq;
	struct tiocb tiocb;
	struct vd_state *vd;
	struct vd_block *block;                           /* pinned; NULL: no bits will change */
	void (*go)(struct vd_request *request, int err);  /* what follows the wait */
	void (*end)(struct vd_request *request, int err); /* of the part */
	int left;                 /* sectors of a range that follow the part */
	bool leads;               /* its bits are in the first bitmap of a fresh block */
	uint8_t era;              /* see vd_places */
	uint32_t place;           /* of the block in which a hole is being made */
	td_queue_callback_t done; /* encrypted images: after decryption */
	struct vhd_crypt *clone;  /* lent: a worker has it */
	uint64_t offset;          /* in the file, bytes; of what it encrypts */
	uint8_t *bounce;          /* owned: encrypted data on their way */
	size_t bounce_bytes;
	struct vd_request *next;
};

struct vd_pool {
	struct vd_pool *next;
	struct vd_request requests[TAPDISK_DATA_REQUESTS];
};

/* A queue of requests. */
struct vd_queue {
	struct vd_request *first;
	struct vd_request **last;
};

/* ---- the state of an image ----------------------------------------------------------------------
 */

/* A sector of the BAT on its way. */
struct vd_bat_write {
	struct tiocb tiocb;
	struct vd_state *vd;
	uint8_t *raw;
	struct vd_bat_write *next;
};

enum vd_commit_stage {
	VD_COMMIT_IDLE,
	VD_COMMIT_BITMAPS, /* of blocks that are not exposed yet */
	VD_COMMIT_SYNC_DATA,
	VD_COMMIT_EXPOSE, /* bitmaps of the other blocks, BAT, footers */
	VD_COMMIT_SYNC_META,
};

struct vd_commit {
	enum vd_commit_stage stage;
	int err;
	unsigned pending;        /* operations */
	struct vd_blocks blocks; /* in this commit, by commit_link */
	struct vd_queue flushes; /* wait for this one */
	struct vd_queue later;   /* came while it was running */
	bool exposes;            /* something was written in EXPOSE */
	uint8_t *bat_dirty;      /* owned; bit map: sectors of the BAT to be written */
	uint32_t bat_next;       /* where the search in it goes on */
	struct vd_bat_write *bat_free;
	struct vd_bat_write bat_writes[VD_BAT_WRITES];
	uint8_t *bat_memory; /* owned */
	struct tiocb sync;
	int owed; /* -errno of a sync that no flush has been told of */
	struct tiocb footers[2];
	bool writes_footers;
	uint8_t *footer_raw;
};

enum vd_growth_stage {
	VD_GROWTH_IDLE,
	VD_GROWTH_COPY,
	VD_GROWTH_SYNC,
	VD_GROWTH_CUT,
	VD_GROWTH_EXTEND,
};

/* Room for blocks in a regular file. */
struct vd_growth {
	enum vd_growth_stage stage;
	int err;
	unsigned pending;
	bool begun;          /* since open: the trailing footer is ours */
	uint32_t ahead;      /* blocks to make room for at a time */
	uint64_t room_end;   /* bytes; blocks must end here: the trailing footer follows */
	uint64_t target;     /* the next room_end */
	uint64_t cut_at;     /* bytes */
	uint8_t *footer_raw; /* owned */
	struct vd_queue waiters;
	struct tiocb tiocbs[2];
};

struct vd_place {
	uint32_t entry; /* as in the BAT */
	uint32_t index; /* of the block that had it last */
};

/*
 * Places that no block has any more, or never had, in the order in which they are used again: a
 * ring, with numbers that only mean their differences.  A place goes from last to first:
 *
 *	taken .. last     the BAT in the file may name it
 *	durable .. taken  the running commit changes that
 *	ready .. durable  requests that began before that may still use it
 *	first .. ready    free
 */
struct vd_places {
	struct vd_place *ring; /* owned; NULL before the first */
	uint32_t room;         /* of the ring */
	uint64_t first, ready, durable, taken, last;
	/* A request belongs to the era in which it began.  An old one ends with its last request.
	 */
	unsigned era;
	unsigned in_era[2];
	bool is_ending;   /* the other era, which makes ready what was durable when it was left */
	uint64_t settles; /* the next ready */
	enum { VD_GAPS_UNKNOWN, VD_GAPS_SOUGHT, VD_GAPS_KNOWN } gaps;
	struct vd_queue waiters; /* until the search has ended */
};

/* What the batmap in the file says. */
enum vd_batmap_state {
	VD_BATMAP_EMPTY,    /* nothing, or nothing that anybody believes */
	VD_BATMAP_PROMISES, /* that some blocks are full */
	VD_BATMAP_CLEARING, /* that is being taken back */
	VD_BATMAP_SYNC,
};

/* Taking back what it says. */
struct vd_batmap {
	enum vd_batmap_state state;
	int err;
	unsigned pending;
	uint8_t *raw; /* owned: its header, then the map */
	struct vd_queue waiters;
	struct tiocb tiocbs[2];
};

struct vd_counters {
	uint64_t misses;      /* bitmaps that had to be read */
	uint64_t allocations; /* since open */
	uint64_t reused;      /* of these, in places that were free */
	uint64_t unmapped;    /* blocks whose last sector was discarded */
	uint64_t commits;
};

struct vd_state {
	/* What every read looks at, close together: a long chain has many of these. */
	struct vd_entry *map;   /* owned */
	struct vd_parts *parts; /* owned, by slot */
	uint8_t *bits;          /* owned, by slot */
	uint8_t *used;          /* owned, by slot: looked at since the hand came by */
	size_t bitmap_bytes;
	uint64_t data_limit; /* bytes; what lies beyond reads as zero */
	uint64_t hits;       /* requests, or parts, whose bitmap was at hand */
	uint32_t spb_shift;
	uint32_t spb_mask;
	uint32_t part_shift; /* log2 of the sectors of a part */
	bool is_fixed;
	bool evicts; /* every slot has been taken: what is used is noted from now on */

	td_driver_t *driver; /* borrowed */
	struct raw_file file;
	bool is_writable;
	bool has_parent;
	bool changed;                        /* a write has begun since open */
	bool written;                        /* one has succeeded */
	struct vhd_crypt *crypt;             /* owned; NULL: data are clear */
	struct vhd_crypt *clones[VD_CLONES]; /* owned; of it, for workers, those not lent */
	int clone_count;
	bool at_once; /* nobody is left to wait: operations are done at once */

	struct vhd_image image;
	struct io *io;         /* owned; for what blocks; NULL unless writable */
	bool footer_dirty;     /* both in the file are out of date */
	bool copy_is_lost;     /* the one at offset 0 has to be written before it is needed */
	bool tail_is_lost;     /* the trailing one has to be written at the end of data */
	uint8_t *zeroes;       /* one sector */
	uint8_t *sectors;      /* owned; zeroes, and all footers on their way */
	uint64_t end_of_data;  /* bytes; blocks that are not exposed included */
	uint64_t device_limit; /* bytes; UINT64_MAX for a file */
	uint32_t bat_sectors;
	uint32_t needed;    /* entries that the size needs */
	uint32_t allocated; /* blocks */

	/* The map and the cache. */
	struct vd_block *blocks; /* owned, by slot */
	uint32_t slot_max;
	uint32_t slot_count; /* in use so far; slot 0 never is */
	uint32_t hand;
	struct vd_block *free_blocks;
	struct vd_blocks changed_blocks;
	uint32_t changed_count;
	int timer; /* event; -1: none */

	struct vd_commit commit;
	struct vd_growth growth;
	struct vd_places places;
	struct vd_batmap batmap;

	struct vd_pool *pools;
	struct vd_request *free;
	int max, pending;
	struct tiocb *once_first, **once_last;
	struct vd_counters counters;
};

/* ---- block-vhd.c: requests ----------------------------------------------------------------------
 */

/* For one part; NULL: memory is short. */
struct vd_request *vd_take_request(struct vd_state *vd, const td_request_t *part);
void vd_give_request(struct vd_request *request);
/* The request is as if it had begun now: it knows of no place any more. */
void vd_renew_request(struct vd_request *request);
void vd_finish(struct vd_request *request, int err); /* gives back, then completes */

static inline void
vd_queue_init(struct vd_queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static inline void
vd_queue_add(struct vd_queue *queue, struct vd_request *request)
{
	request->next = NULL;
	*queue->last = request;
	queue->last = &request->next;
}

/* Empty the queue: its requests, joined by next. */
static inline struct vd_request *
vd_queue_take(struct vd_queue *queue)
{
	struct vd_request *first = queue->first;

	vd_queue_init(queue);
	return first;
}

/* Queue an operation, or do it at once while the image is being closed. */
void vd_queue_tiocb(struct vd_state *vd, struct tiocb *tiocb);

/* Do all operations that have been queued while vd->at_once, and those that follow from them. */
void vd_run_at_once(struct vd_state *vd);

/* Transfer the data of a part, at that offset of the file (bytes). */
void vd_transfer(struct vd_request *request, uint64_t offset, td_queue_callback_t done);

/* ---- block-vhd-open.c ---------------------------------------------------------------------------
 */

/* Open the file and read all of its metadata that matter.  On failure everything is released. */
int vd_open_image(struct vd_state *vd, const char *name, td_flag_t flags);

/* Bring everything to the file, and release it.  Blocks. */
int vd_close_image(struct vd_state *vd);

/* Release everything that vd_open_image() has made. */
void vd_free(struct vd_state *vd);

/* ---- block-vhd-cache.c --------------------------------------------------------------------------
 */

int vd_cache_init(struct vd_state *vd);
void vd_cache_free(struct vd_state *vd);

static inline struct vd_block *
vd_block_at(const struct vd_state *vd, uint32_t slot)
{
	return &vd->blocks[slot & ~VD_SLOT_NOT_READY];
}

/*
 * The bits of an allocated block whose entry names a slot, or VD_SLOT_NONE: ready, or being read
 * (its entry says VD_SLOT_NOT_READY).  NULL: all of the cache is in use, try again later.
 */
struct vd_block *vd_block_get(struct vd_state *vd, uint32_t index);

/* A new block in the cache, with no bit set, and named by the BAT.  NULL as above. */
struct vd_block *vd_block_new(struct vd_state *vd, uint32_t index);

/* These sectors are there now. */
void vd_block_set_bits(struct vd_block *block, uint32_t first, uint32_t count);

/* They are gone. */
void vd_block_clear_bits(struct vd_block *block, uint32_t first, uint32_t count);

/* Call request->go when the block is ready. */
void vd_block_wait(struct vd_block *block, struct vd_request *request);

/* Call go of all that wait. */
void vd_block_wake(struct vd_block *block, int err);

/* Take the block out of the cache; its entry gets that slot. */
void vd_block_drop(struct vd_block *block, uint32_t slot);

/* The bits of the block have changed; or a fresh one has some now. */
void vd_block_changed(struct vd_block *block);

/* Nothing of the block is left for a commit. */
void vd_block_forget_changes(struct vd_block *block);

/* ---- block-vhd-map.c ----------------------------------------------------------------------------
 */

enum vd_kind {
	VD_ABSENT,  /* not in this image */
	VD_DATA,    /* at *offset */
	VD_ZERO,    /* in the image, but cut off */
	VD_UNKNOWN, /* the bitmap is not in memory */
};

/* Is none of these sectors in the image, so far as that can be told at once? */
int vd_lacks(td_driver_t *driver, td_sector_t sec, int secs);

/* What the sectors from sec on are, and how many of them (at most *secs) are the same. */
enum vd_kind vd_lookup(struct vd_state *vd, td_sector_t sec, int *secs, uint64_t *offset);

/* ---- block-vhd-crypt.c --------------------------------------------------------------------------
 */

/* The key of the disk, or its absence, suits the image: vd->crypt is set, or not.  0 or -errno. */
int vd_crypt_init(struct vd_state *vd, td_flag_t flags, struct reason *why);

void vd_crypt_free(struct vd_state *vd);

/* vd_transfer() for encrypted images. */
void vd_crypt_transfer(struct vd_request *request, uint64_t offset, td_queue_callback_t done);

/* ---- block-vhd-parent.c -------------------------------------------------------------------------
 */

int vd_get_parent_id(td_driver_t *driver, td_disk_id_t *id);
int vd_validate_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags);

/* ---- reads, writes, and the rest ----------------------------------------------------------------
 */

void vd_queue_read(td_driver_t *driver, td_request_t treq);
void vd_queue_write(td_driver_t *driver, td_request_t treq);
void vd_queue_discard(td_driver_t *driver, td_request_t treq);
void vd_queue_write_zeroes(td_driver_t *driver, td_request_t treq);
void vd_queue_block_status(td_driver_t *driver, td_request_t treq);

/* How much of a request is in one block. */
int vd_part_secs(const struct vd_state *vd, const td_request_t *treq);

/* The first sector of a part, in its block. */
static inline uint32_t
vd_first_of(const struct vd_request *request)
{
	return (uint32_t)request->treq.sec & request->vd->spb_mask;
}

/* See block-vhd-write.c. */
int vd_find_block(struct vd_request *request, struct vd_block **block);
uint64_t vd_offset_of(const struct vd_request *request); /* bytes; of an allocated block */
void vd_block_write_done(void *arg, struct tiocb *tiocb, int err);
void vd_save_bits(struct vd_block *block, struct vd_request *request);

/* ---- block-vhd-alloc.c --------------------------------------------------------------------------
 */

#define VD_WAITS 1 /* request->go follows */

/*
 * Give the block a place in the file.  Returns 0, VD_WAITS, -EBUSY, -ENOSPC.
 */
int vd_allocate(struct vd_state *vd, uint32_t index, struct vd_request *request);

/* Make room in a regular file for at least one more block; wakes vd->growth.waiters at the end. */
void vd_grow(struct vd_state *vd);

/* ---- block-vhd-places.c -------------------------------------------------------------------------
 */

void vd_places_free(struct vd_state *vd);

/* Can one more be remembered?  False: there are too many, or memory is short. */
bool vd_places_have_room(struct vd_state *vd);

/*
 * The block is in the image no more: its place is for others, as soon as that is safe.  False, with
 * nothing done: that cannot be remembered.
 */
bool vd_unmap(struct vd_state *vd, uint32_t index);

/* The same if it has no bits, and nobody is about to change that. */
bool vd_unmap_if_empty(struct vd_block *block);

/* A free place, which stays free until vd_place_use().  False: there is none at the moment. */
bool vd_place_find(struct vd_state *vd, uint32_t *entry);
void vd_place_use(struct vd_state *vd);

/* The end is reached: will there be a free place soon?  Sees to it. */
bool vd_place_will_come(struct vd_state *vd);

/* Is anything of it left for a commit? */
static inline bool
vd_places_wait(const struct vd_state *vd)
{
	return vd->places.taken != vd->places.last;
}

/* A commit begins, with all places that wait for one: marks the sectors of the BAT; and ends. */
void vd_places_take(struct vd_state *vd);
void vd_places_taken(struct vd_state *vd, int err);

/* The last request of the era that is ending has ended. */
void vd_places_settle(struct vd_state *vd);

/* ---- block-vhd-gaps.c ---------------------------------------------------------------------------
 */

/* Look for places between the blocks, if there seem to be any, or the device is full. */
void vd_gaps_seek(struct vd_state *vd, bool is_full);

/* ---- block-vhd-batmap.c -------------------------------------------------------------------------
 */

/* Read it: blocks that it calls full are.  Without one that can be believed, none is. */
int vd_batmap_read(struct vd_state *vd, struct io *io);

/* Write it anew.  What it says of blocks has to be durable.  Blocks. */
int vd_batmap_write(struct vd_state *vd);

/*
 * Bits are going to be cleared, or blocks unmapped: the batmap in the file must not say that these
 * are full.  Returns 0 when it does not; or VD_WAITS.
 */
int vd_batmap_take_back(struct vd_state *vd, struct vd_request *request);

static inline bool
vd_batmap_is_busy(const struct vd_state *vd)
{
	return vd->batmap.state >= VD_BATMAP_CLEARING;
}

/* ---- block-vhd-commit.c -------------------------------------------------------------------------
 */

int vd_commit_init(struct vd_state *vd);
void vd_commit_free(struct vd_state *vd);
void vd_queue_flush(td_driver_t *driver, td_request_t treq);

/* Begin a commit unless one is running. */
void vd_commit_start(struct vd_state *vd);

/* Begin one soon, should no flush come. */
void vd_commit_later(struct vd_state *vd);
bool vd_commit_is_running(const struct vd_state *vd);

/* Is there anything for it to do? */
bool vd_commit_is_due(const struct vd_state *vd);

/* A sync has failed, and what was written before it may be lost: the next flush says so. */
void vd_commit_owe(struct vd_state *vd, int err);

#endif
