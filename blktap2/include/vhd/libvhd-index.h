/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Indexes of VHD chains: for each sector of a disk, which file of its chain has it, and where.
 *
 * Who reads through an index looks at one table, however many images the chain has.  An index tells
 * where data were when it was made.  Images may be written to afterwards (what is new is not seen
 * through the index) but not resized, coalesced or replaced: then vhdi_add() is due again.  An
 * image with another unique id than the one that was indexed is refused.
 *
 * An index has a name, and two files: NAME.index has blocks of entries, NAME.files has the paths.
 * Many images may share both; IMAGE.bat, beside each image that is indexed, says which blocks are
 * its own.  The files have the same bytes on every host: integers are big-endian.
 *
 * NAME.index: 512 bytes of "vhdindex", u32 version 0x00010000, u32 bytes of a block (2 MiB), u32
 * checksum of these 512 bytes, zeros.  Then any number of blocks: 4096 entries of u32 file id, u32
 * offset.  Id 0: the sector is nowhere and reads as zeros, and the offset is 0; else the offset is
 * in sectors of that file.
 *
 * NAME.files: 512 bytes of "vhdifile", u32 version, u32 number of files, u32 checksum of the whole
 * file, zeros.  Then 1536 bytes for each file, whose ids are 1, 2, ...: u32 kind (1 VHD, 2 raw),
 * u32 bytes of the path, 16 bytes of unique id (raw: zeros), the path, which is absolute, zeros.
 *
 * IMAGE.bat: 1536 bytes of "vhdi-bat", u32 version, u32 bytes of a block, u32 checksum of the whole
 * file, u32 id of the image, u64 bytes of the disk, u32 number of entries, u32 bytes of NAME, 16
 * bytes of the image's unique id, zeros; from 512 on NAME, which is absolute, zeros.  Then an u32
 * for each 2 MiB of the disk: the sector of NAME.index where its block is, or 0xFFFFFFFF: all of it
 * is nowhere.  0xFF up to a multiple of 512.
 *
 * Checksums are those of VHD footers: the ones' complement of the sum of all bytes, those of the
 * checksum itself as 0.
 *
 * Returns, threads and ownership are as everywhere in libvhd.  -EIO means that an index is damaged:
 * every id and every offset is checked before it is used.
 */
#ifndef VHD_LIBVHD_INDEX_H
#define VHD_LIBVHD_INDEX_H

#include <stdint.h>

#include <vhd/libvhd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VHDI_NOWHERE 0u          /* a file id */
#define VHDI_UNUSED 0xFFFFFFFFu  /* an entry of a bat */
#define VHDI_BLOCK_ENTRIES 4096u /* sectors of a block */
#define VHDI_MAX_FILES 4096u     /* that an index may name */

typedef struct vhdi_entry {
	uint32_t file_id; /* or VHDI_NOWHERE */
	uint32_t offset;  /* sectors */
} vhdi_entry_t;

/* Where the sectors of a block are. */
typedef struct vhdi_block {
	uint32_t entries; /* VHDI_BLOCK_ENTRIES */
	vhdi_entry_t *table;
} vhdi_block_t;

typedef struct vhdi_file {
	uint32_t id;
	int is_raw;
	vhd_uuid_t uuid; /* raw: all zero */
	char *path;      /* absolute */
} vhdi_file_t;

/* One image that is indexed. */
typedef struct vhdi_bat {
	uint32_t file_id;
	vhd_uuid_t uuid;
	uint64_t bytes;   /* of the disk */
	uint32_t entries; /* blocks of the disk */
	uint32_t *table;  /* sectors of NAME.index, or VHDI_UNUSED */
} vhdi_bat_t;

/* Zeroed or opened. */
typedef struct vhdi_context {
	char *name;     /* absolute, without .index */
	uint32_t files; /* that it names; their ids are 1 to files */
	struct vhdi_private *priv;
} vhdi_context_t;

/* Make an index without images: -EEXIST when there is one. */
int vhdi_create(const char *name);

/*
 * Open an index: VHD_OPEN_RDONLY, or VHD_OPEN_RDWR to add images: -EBUSY when somebody else does.
 */
int vhdi_open(vhdi_context_t *ctx, const char *name, int flags);
int vhdi_close(vhdi_context_t *ctx);

/* Why the last call failed, in words; borrowed until the next call. */
const char *vhdi_error(const vhdi_context_t *ctx);

/*
 * Index an image with its chain, and write IMAGE.bat; durable when this returns.  An image that is
 * indexed already is indexed anew.  A failure, or a power cut, leaves the IMAGE.bat that there was.
 * Blocks that are the same as in the index of its parent take no room.  -EOPNOTSUPP: the chain is
 * encrypted.
 */
int vhdi_add(vhdi_context_t *ctx, const char *image);

/* *file is borrowed until the next vhdi_add(), or the end.  -ENOENT: there is no such id. */
int vhdi_get_file(vhdi_context_t *ctx, uint32_t id, const vhdi_file_t **file);
int vhdi_find_file(vhdi_context_t *ctx, const char *path, const vhdi_file_t **file);

/* IMAGE.bat, with which vhdi_free_bat() is due.  -EINVAL: it is of another index. */
int vhdi_read_bat(vhdi_context_t *ctx, const char *image, vhdi_bat_t *bat);
void vhdi_free_bat(vhdi_bat_t *bat);

/*
 * The block at a sector of NAME.index, with which vhdi_free_block() is due.  The ids are known, and
 * the offsets are inside of their files.
 */
int vhdi_read_block(vhdi_context_t *ctx, uint32_t sector, vhdi_block_t *block);
void vhdi_free_block(vhdi_block_t *block);

/* The disk that bat describes. */
int vhdi_io_read(vhdi_context_t *ctx, const vhdi_bat_t *bat, void *buf, uint64_t sector,
		 uint32_t sectors);

#ifdef __cplusplus
}
#endif

#endif
