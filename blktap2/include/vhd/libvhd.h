/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libvhd: VHD images for tools.
 *
 * Every function returns 0 or -errno unless it says otherwise.  Nothing prints and nothing exits,
 * but for what <vhd/commands.h> declares.
 * One context is for one thread at a time; different contexts know nothing of each other.  Buffers
 * have any alignment.  What a function hands out through a pointer to a pointer belongs to the
 * caller, who frees it with free(); results are not touched by a failure.
 *
 * Foreign images are not believed: whatever is read is checked before it is used, and -EINVAL means
 * that the image is not sound (or that the call makes no sense for an image of its type).
 *
 * An image is consistent at every instant, so that a power cut needs no repair beyond rewriting a
 * trailing footer from its copy; but what has been written is on stable storage only after
 * vhd_sync() or vhd_close().
 */
#ifndef VHD_LIBVHD_H
#define VHD_LIBVHD_H

#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include <vhd/vhd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- flags of vhd_open --------------------------------------------------------------------------
 */

#define VHD_OPEN_RDONLY 0x01
#define VHD_OPEN_RDWR 0x02
#define VHD_OPEN_FAST 0x04   /* of footer copy and header only; batmap and locators are not read */
#define VHD_OPEN_STRICT 0x08 /* the trailing footer must be valid, and go with its copy */
#define VHD_OPEN_IGNORE_DISABLED 0x10 /* although a resize is under way */
#define VHD_OPEN_CACHED 0x20          /* devices, too, through the page cache */
#define VHD_OPEN_IO_WRITE_SPARSE 0x40 /* zeros into what reads as zeros take no space */
#define VHD_OPEN_USE_BKP_FOOTER 0x80  /* the copy at offset 0 counts */

/* ---- flags of vhd_create and vhd_snapshot -------------------------------------------------------
 */

#define VHD_FLAG_CREAT_FILE_SIZE_FIXED 0x1 /* it is a block device; accepted for old callers */
#define VHD_FLAG_CREAT_PARENT_RAW 0x2
#define VHD_FLAG_CREAT_KEEP_EMPTY_PARENT 0x4 /* link to the parent even if it holds nothing */

/* ---- types --------------------------------------------------------------------------------------
 */

typedef struct vhd_bat {
	uint32_t spb; /* sectors in a block */
	uint32_t entries;
	uint32_t *bat; /* file sectors, VHD_BLOCK_UNUSED */
} vhd_bat_t;

typedef struct vhd_batmap {
	vhd_batmap_header_t header;
	char *map; /* header.batmap_size sectors */
} vhd_batmap_t;

/* Zeroed or opened; members are for reading, unless a function says that it writes one. */
typedef struct vhd_context {
	int fd;     /* -1: not a file */
	char *file; /* as given to vhd_open */
	int oflags; /* VHD_OPEN_* */
	int is_block;
	uint32_t spb;     /* sectors of data in a block; 0: fixed */
	uint32_t bm_secs; /* of its bitmap */
	vhd_header_t header;
	vhd_footer_t footer;
	vhd_bat_t bat;       /* bat.bat is NULL until vhd_get_bat() */
	vhd_batmap_t batmap; /* map is NULL until vhd_get_batmap() */
	char *custom_parent;
	struct vhd_private *priv;
} vhd_context_t;

/* ---- life ---------------------------------------------------------------------------------------
 */

/*
 * Open an image: VHD_OPEN_RDONLY or VHD_OPEN_RDWR, and others of the flags.  Opened for writing, an
 * image without trailing footer, with a short one or without its copy gets what it lacks.
 */
int vhd_open(vhd_context_t *ctx, const char *file, int flags);

/* Write what is due, make it durable, close; the context is zeroed whatever is returned. */
int vhd_close(vhd_context_t *ctx);

/* All that has been written so far is on stable storage. */
int vhd_sync(vhd_context_t *ctx);

/*
 * Make an image of a type other than differencing.  mbytes (MiB, 0: as bytes) is the size up to
 * which it can be enlarged by vhd_set_virt_size().  A file is emptied first, and removed after a
 * failure.
 */
int vhd_create(const char *name, uint64_t bytes, int type, uint64_t mbytes, uint32_t flags);

/*
 * Make a child of parent; bytes is 0 for the parent's size, and not smaller.  -ELOOP: the chain is
 * as long as chains may be.
 */
int vhd_snapshot(const char *name, uint64_t bytes, const char *parent, uint64_t mbytes,
		 uint32_t flags);

/* Above 0: why something failed also goes to syslog.  For the process. */
void libvhd_set_log_level(int level);

/* Why the last call failed, in words; "" if there is nothing to say.  Borrowed: until the next
 * call. */
const char *vhd_error(const vhd_context_t *ctx);

/* ---- byte order, checksums, soundness -----------------------------------------------------------
 */

/* From the order of the disk to the host's (in), and back (out), in place. */
void vhd_footer_in(vhd_footer_t *footer);
void vhd_footer_out(vhd_footer_t *footer);
void vhd_header_in(vhd_header_t *header);
void vhd_header_out(vhd_header_t *header);
void vhd_bat_in(vhd_bat_t *bat);
void vhd_bat_out(vhd_bat_t *bat);
void vhd_batmap_header_in(vhd_batmap_t *batmap);
void vhd_batmap_header_out(vhd_batmap_t *batmap);

/* Return the checksum that belongs into the structure. */
uint32_t vhd_checksum_footer(const vhd_footer_t *footer);
uint32_t vhd_checksum_header(const vhd_header_t *header);
uint32_t vhd_checksum_batmap(const vhd_context_t *ctx, const vhd_batmap_t *batmap);

int vhd_validate_footer(const vhd_footer_t *footer);
int vhd_validate_header(const vhd_header_t *header);
int vhd_validate_batmap_header(const vhd_batmap_t *batmap);
int vhd_validate_batmap(const vhd_context_t *ctx, const vhd_batmap_t *batmap);
int vhd_validate_platform_code(uint32_t code);

/* ---- metadata -----------------------------------------------------------------------------------
 */

/* Into the context; the BAT is checked, and -EINVAL when entries are not sound. */
int vhd_get_footer(vhd_context_t *ctx);
int vhd_get_header(vhd_context_t *ctx);
int vhd_get_bat(vhd_context_t *ctx);
int vhd_get_batmap(vhd_context_t *ctx);
void vhd_put_footer(vhd_context_t *ctx);
void vhd_put_header(vhd_context_t *ctx);
void vhd_put_bat(vhd_context_t *ctx);
void vhd_put_batmap(vhd_context_t *ctx);

/* Fresh from the image.  bat->bat and batmap->map belong to the caller; the BAT is not checked. */
int vhd_read_footer(vhd_context_t *ctx, vhd_footer_t *footer, int use_backup);
int vhd_read_footer_at(vhd_context_t *ctx, vhd_footer_t *footer, off_t offset);
int vhd_read_footer_strict(vhd_context_t *ctx, vhd_footer_t *footer);
int vhd_read_header(vhd_context_t *ctx, vhd_header_t *header);
int vhd_read_header_at(vhd_context_t *ctx, vhd_header_t *header, off_t offset);
int vhd_read_bat(vhd_context_t *ctx, vhd_bat_t *bat);
int vhd_read_batmap(vhd_context_t *ctx, vhd_batmap_t *batmap);

/* -ENODATA: the block is not allocated. */
int vhd_read_bitmap(vhd_context_t *ctx, uint32_t block, char **bitmap);
int vhd_read_block(vhd_context_t *ctx, uint32_t block, char **data);

/* Sectors of the data of a block that is allocated, whatever its bitmap says. */
int vhd_read_at(vhd_context_t *ctx, uint32_t block, uint32_t from, uint32_t sectors, void *buf);

/* The footer, to both places, with its checksum; a new trailing one of a file is its end. */
int vhd_write_footer(vhd_context_t *ctx, vhd_footer_t *footer);
int vhd_write_footer_at(vhd_context_t *ctx, vhd_footer_t *footer, off_t offset);
int vhd_write_header(vhd_context_t *ctx, vhd_header_t *header);
int vhd_write_header_at(vhd_context_t *ctx, vhd_header_t *header, off_t offset);
int vhd_write_bat(vhd_context_t *ctx, const vhd_bat_t *bat);
int vhd_write_batmap(vhd_context_t *ctx, vhd_batmap_t *batmap);
int vhd_write_bitmap(vhd_context_t *ctx, uint32_t block, const char *bitmap);
int vhd_write_block(vhd_context_t *ctx, uint32_t block, const char *data);

/* ---- attributes ---------------------------------------------------------------------------------
 */

int vhd_hidden(vhd_context_t *ctx, int *hidden);
int vhd_set_hidden(vhd_context_t *ctx, int hidden);

/* 1: no parent.  A raw parent counts, too. */
int vhd_chain_depth(vhd_context_t *ctx, int *depth);

/* In the header of the batmap, else in extended attributes of the file. */
int vhd_marker(vhd_context_t *ctx, char *marker);
int vhd_set_marker(vhd_context_t *ctx, char marker);
int vhd_get_keyhash(vhd_context_t *ctx, struct vhd_keyhash *keyhash);
/* -EBUSY: there are blocks already. */
int vhd_set_keyhash(vhd_context_t *ctx, const struct vhd_keyhash *keyhash);

/* ---- sizes and places, in bytes -----------------------------------------------------------------
 */

/* Returns 1 when the image cannot grow as a file does, else 0. */
int vhd_file_size_fixed(vhd_context_t *ctx);
int vhd_get_phys_size(vhd_context_t *ctx, off_t *size);
/* Move the trailing footer to a new end: of a device that has grown, or of a file. */
int vhd_set_phys_size(vhd_context_t *ctx, off_t size);
/* The size of the disk in both footers; -ENOSPC: larger than the BAT allows. */
int vhd_set_virt_size(vhd_context_t *ctx, uint64_t size);
/* The largest size for vhd_set_virt_size(). */
int vhd_max_virt_size(vhd_context_t *ctx, uint64_t *size);
int vhd_end_of_headers(vhd_context_t *ctx, off_t *end);
int vhd_end_of_data(vhd_context_t *ctx, off_t *end);
int vhd_batmap_header_offset(vhd_context_t *ctx, off_t *offset);
/* The file sector of a sector of the disk; VHD_BLOCK_UNUSED: it is not allocated. */
int vhd_offset(vhd_context_t *ctx, uint64_t sector, uint32_t *offset);

uint32_t vhd_chs(uint64_t bytes); /* returns a geometry */
uint32_t vhd_time(time_t when);   /* returns a time stamp */
/* "Sat Jan  1 00:00:00 2000" in UTC, into at least 26 bytes. */
void vhd_time_to_string(uint32_t timestamp, char *text);
/* *is_fixed: the file is a block device. */
int vhd_test_file_fixed(const char *file, int *is_fixed);

/* ---- bits ---------------------------------------------------------------------------------------
 */

/* These return 0 or 1; what is out of range is 0. */
int vhd_has_batmap(vhd_context_t *ctx);
int vhd_batmap_test(vhd_context_t *ctx, const vhd_batmap_t *batmap, uint32_t block);
void vhd_batmap_set(vhd_context_t *ctx, vhd_batmap_t *batmap, uint32_t block);
void vhd_batmap_clear(vhd_context_t *ctx, vhd_batmap_t *batmap, uint32_t block);
int vhd_bitmap_test(vhd_context_t *ctx, const char *bitmap, uint32_t sector);
void vhd_bitmap_set(vhd_context_t *ctx, char *bitmap, uint32_t sector);
void vhd_bitmap_clear(vhd_context_t *ctx, char *bitmap, uint32_t sector);

/* ---- parents ------------------------------------------------------------------------------------
 */

/* Returns how many entries of the header are used. */
int vhd_parent_locator_count(vhd_context_t *ctx);
/* The path of the parent that was found; -ENOENT when none of the places has it. */
int vhd_parent_locator_get(vhd_context_t *ctx, char **parent);
/* The first path that is recorded; nothing is looked for. */
int vhd_parent_locator_unresolved_get(vhd_context_t *ctx, char **parent);
int vhd_parent_locator_read(vhd_context_t *ctx, const vhd_parent_locator_t *locator, char **parent);
/* The data for one code at an offset with so much room; *locator is what the header needs. */
int vhd_parent_locator_write_at(vhd_context_t *ctx, const char *parent, off_t offset, uint32_t code,
				size_t room, vhd_parent_locator_t *locator);
/* The data of all three locators, and the header in memory; vhd_write_header() is up to the caller.
 */
int vhd_write_parent_locators(vhd_context_t *ctx, const char *parent);
int vhd_initialize_header_parent_name(vhd_context_t *ctx, const char *parent);
int vhd_header_decode_parent(vhd_context_t *ctx, const vhd_header_t *header, char **name);
/* A path as a locator or a header has it, looked for as those of this image are. */
int vhd_find_parent(vhd_context_t *ctx, const char *parent, char **path);
int vhd_change_parent(vhd_context_t *ctx, const char *parent, int raw);
/* This is the parent, whatever the image says; its unique id is not compared. */
int vhd_custom_parent_set(vhd_context_t *ctx, const char *parent);
int vhd_macx_encode_location(const char *name, char **data, size_t *bytes);
int vhd_w2u_encode_location(const char *name, char **data, size_t *bytes);

/* ---- raw I/O, at a position of the context ------------------------------------------------------
 */

int vhd_seek(vhd_context_t *ctx, off_t offset, int whence);
off_t vhd_position(vhd_context_t *ctx); /* returns it */
int vhd_read(vhd_context_t *ctx, void *buf, size_t bytes);
int vhd_write(vhd_context_t *ctx, const void *buf, size_t bytes);

/* ---- the disk, through all its parents ----------------------------------------------------------
 */

int vhd_io_read(vhd_context_t *ctx, void *buf, uint64_t sector, uint32_t sectors);
int vhd_io_write(vhd_context_t *ctx, const void *buf, uint64_t sector, uint32_t sectors);
int vhd_io_read_bytes(vhd_context_t *ctx, void *buf, size_t bytes, uint64_t offset);
int vhd_io_write_bytes(vhd_context_t *ctx, const void *buf, size_t bytes, uint64_t offset);

/* ---- unique ids ---------------------------------------------------------------------------------
 */

int vhd_uuid_is_nil(const vhd_uuid_t *uuid); /* returns 0 or 1 */
void vhd_uuid_generate(vhd_uuid_t *uuid);
void vhd_uuid_to_string(const vhd_uuid_t *uuid, char *text, size_t room); /* 37 bytes */
int vhd_uuid_from_string(vhd_uuid_t *uuid, const char *text);
void vhd_uuid_copy(vhd_uuid_t *to, const vhd_uuid_t *from);
void vhd_uuid_clear(vhd_uuid_t *uuid);
int vhd_uuid_compare(const vhd_uuid_t *a, const vhd_uuid_t *b); /* returns as memcmp */

/* ---- small helpers ------------------------------------------------------------------------------
 */

static inline uint64_t
secs_round_up(uint64_t bytes)
{
	return (bytes >> VHD_SECTOR_SHIFT) + (bytes % VHD_SECTOR_SIZE ? 1 : 0);
}

static inline uint64_t
secs_round_up_no_zero(uint64_t bytes)
{
	uint64_t sectors = secs_round_up(bytes);

	return sectors ? sectors : 1;
}

static inline uint64_t
vhd_sectors_to_bytes(uint64_t sectors)
{
	return sectors << VHD_SECTOR_SHIFT;
}

static inline uint64_t
vhd_bytes_padded(uint64_t bytes)
{
	return vhd_sectors_to_bytes(secs_round_up_no_zero(bytes));
}

static inline int
vhd_type_dynamic(const vhd_context_t *ctx)
{
	return ctx->footer.type == VHD_TYPE_DYNAMIC || ctx->footer.type == VHD_TYPE_DIFFERENCING;
}

static inline int
vhd_creator_tapdisk(const vhd_context_t *ctx)
{
	return memcmp(ctx->footer.creator, "tap", 3) == 0;
}

static inline int
vhd_disabled(const vhd_context_t *ctx)
{
	return memcmp(ctx->footer.cookie, VHD_POISON_COOKIE, 8) == 0;
}

static inline size_t
vhd_parent_locator_size(const vhd_parent_locator_t *locator)
{
	if (locator->data_space < VHD_SECTOR_SIZE)
		return (size_t)locator->data_space * VHD_SECTOR_SIZE;
	return locator->data_space % VHD_SECTOR_SIZE ? 0 : locator->data_space;
}

static inline int
vhd_parent_raw(const vhd_context_t *ctx)
{
	static const vhd_uuid_t nil = { { 0 } };

	return ctx->footer.type == VHD_TYPE_DIFFERENCING &&
	       memcmp(&ctx->header.parent_uuid, &nil, sizeof(nil)) == 0;
}

#ifdef __cplusplus
}
#endif

#endif
