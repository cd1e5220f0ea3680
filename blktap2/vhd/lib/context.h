/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an open image of libvhd has behind its public members, and what the tools of this tree may
 * do with it besides the public functions.
 */
#ifndef VHD_LIB_CONTEXT_H
#define VHD_LIB_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/libvhd.h>

#include "common/io.h"
#include "common/reason.h"
#include "vhd/lib/crypt.h"
#include "vhd/lib/image.h"

#define VHD_CHAIN_MAX 64 /* images */

/* Places where a test lets a tool fail; a hook that returns an error stops the operation there. */
enum vhd_point {
	VHD_POINT_REPARENT_BEGIN,
	VHD_POINT_REPARENT_LOCATOR,
	VHD_POINT_REPARENT_END,
	VHD_POINT_RESIZE_BEGIN,
	VHD_POINT_RESIZE_DATA_MOVED,
	VHD_POINT_RESIZE_METADATA_MOVED,
	VHD_POINT_RESIZE_END,
};

struct vhd_hooks {
	int (*at)(void *arg, enum vhd_point point); /* NULL: nothing happens */
	void *arg;
};

/* What lies below an image of a chain: nothing, another image, or a raw file. */
struct vhd_lower {
	bool is_known;      /* it has been looked for */
	vhd_context_t *vhd; /* owned */
	struct io *raw;     /* owned */
	char *path;         /* owned; NULL: nothing */
	uint64_t raw_bytes;
};

struct vhd_private {
	struct io *io; /* owned */
	struct vhd_image image;
	struct reason why;
	struct vhd_hooks hooks;
	off_t position; /* of vhd_read and vhd_write */
	struct vhd_lower lower;
	const vhd_context_t *child; /* borrowed; whose parent this was opened as */
	struct vhd_crypt *crypt;    /* owned; NULL: no key */
	bool is_encrypted;          /* valid once keyhash_known */
	bool keyhash_known;

	/* The bitmap of one block, the last one that was used. */
	uint8_t *bitmap;       /* owned; bm_secs sectors */
	uint32_t bitmap_block; /* VHD_BLOCK_UNUSED: none */
	bool bitmap_dirty;

	/*
	 * Allocations that are in memory only: blocks whose entries vhd_sync() will write after
	 * their data are durable.
	 */
	uint8_t *pending; /* owned; a bit for each block; NULL: none yet */
	uint32_t pending_count;
	uint64_t end_of_data; /* bytes; 0: not known yet */
	bool grows;           /* the trailing footer is gone until the next vhd_sync() */
	bool batmap_dirty;
	bool unsynced;
};

/* Set the reason; returns err.  Also to syslog, if libvhd_set_log_level() said so. */
int __attribute__((format(printf, 3, 4)))
vhd_fail(vhd_context_t *ctx, int err, const char *format, ...);

/* The same for a reason that is in priv->why already; err may be 0. */
int vhd_told(const vhd_context_t *ctx, int err);

/* vhd_open() that says why it failed. */
int vhd_open_told(vhd_context_t *ctx, const char *file, int flags, struct reason *why);

/*
 * A flag for vhd_open_io(): images of version 0.1 are accepted, too, for vhd_update(); their
 * bitmaps are not what others of these functions take them for.
 */
#define VHD_OPEN_OBSOLETE 0x100

/* The same on any struct io, which is taken: closed with the context, or by a failure. */
int vhd_open_io(vhd_context_t *ctx, struct io *io_taken, const char *name, int flags,
		struct reason *why);

/* The same without a look at the image, which may be in any state: for raw I/O on it alone. */
int vhd_open_unread(vhd_context_t *ctx, struct io *io_taken, const char *name, int flags);

/* The context may write: 0, or -EROFS, or -EBUSY while a resize is under way. */
int vhd_may_write(vhd_context_t *ctx);

/*
 * The key of an encrypted image, for reads and writes of the disk.  0, -EKEYREJECTED when it is not
 * the image's or the image is not encrypted, -ENOSYS.  Parents that are encrypted use the same
 * bytes.
 */
int vhd_context_set_key(vhd_context_t *ctx, const uint8_t *key, size_t bytes);

/* Of vhd_change_parent() and the resize; the hooks are copied. */
void vhd_context_set_hooks(vhd_context_t *ctx, const struct vhd_hooks *hooks);
int vhd_context_at(vhd_context_t *ctx, enum vhd_point point);

/* ---- tables -------------------------------------------------------------------------------------
 */

/* vhd_get_bat() and vhd_get_batmap(), once; without a batmap that can be believed map stays NULL.
 */
int vhd_need_bat(vhd_context_t *ctx);
int vhd_need_batmap(vhd_context_t *ctx);

/* No block has been allocated, as far as the BAT says. */
bool vhd_bat_is_empty(const vhd_bat_t *bat);

/* Sector number n of the BAT; the entries must be those of the image. */
int vhd_bat_write_sector(vhd_context_t *ctx, const vhd_bat_t *bat, uint32_t sector);

/* The header of the batmap as it is, durably; and in the context. */
int vhd_batmap_write_header(vhd_context_t *ctx, const vhd_batmap_header_t *header);

/* Where the trailing footer belongs now, in bytes. */
int vhd_footer_place(vhd_context_t *ctx, uint64_t *at);

/* ---- blocks -------------------------------------------------------------------------------------
 */

/* The bitmap of an allocated block, in the cache; *bitmap is borrowed until the next call. */
int vhd_block_bitmap(vhd_context_t *ctx, uint32_t block, uint8_t **bitmap);

/* A place for a block that has none; its bitmap is all 0 and its data read as zeros. */
int vhd_block_allocate(vhd_context_t *ctx, uint32_t block);

/* A place behind all blocks, of so many bytes (a multiple of 512): no block will come to lie there
 * as long as this context is open, nor later if a locator is there.  -ENOSPC. */
int vhd_append(vhd_context_t *ctx, uint64_t bytes, uint64_t *at);

/* Bits of an allocated block become 1; they count once the data before them are durable. */
int vhd_block_mark(vhd_context_t *ctx, uint32_t block, uint32_t from, uint32_t sectors);

/* Write a bitmap that has changed, after its data. */
int vhd_block_put_bitmap(vhd_context_t *ctx);

/* Metadata of allocations to the image, in the order that a power cut wants. */
int vhd_blocks_commit(vhd_context_t *ctx);

/*
 * Sectors of one block into its data, as they are in the file: encrypted ones stay encrypted.  The
 * block is allocated if need be.  The sectors must not leave the block.
 */
int vhd_block_write(vhd_context_t *ctx, uint32_t block, uint32_t from, uint32_t sectors,
		    const void *buf);

/* ---- chains -------------------------------------------------------------------------------------
 */

/* Look for what is below, once: 0 (also when there is nothing), or why it cannot be opened. */
int vhd_need_lower(vhd_context_t *ctx);
void vhd_put_lower(vhd_context_t *ctx);

/*
 * vhd_io_read() and vhd_io_write() of one image alone, with sectors as they are in the file.  The
 * read tells how much of the range it is about: from the start on, *run sectors are present in this
 * image, and have been read, or are not, and nothing has.
 */
int vhd_image_run(vhd_context_t *ctx, uint64_t sector, uint32_t sectors, uint32_t *run,
		  bool *present, uint64_t *file_offset);

/*
 * The same of a whole chain, and nothing is read: the next *run sectors are in none of its images,
 * so that they read as zeros, or *present: they may be anything.
 */
int vhd_chain_run(vhd_context_t *ctx, uint64_t sector, uint32_t sectors, uint32_t *run,
		  bool *present);

#endif
