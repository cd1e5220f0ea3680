/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of changed blocks: which 64 KiB blocks of a disk were changed since its parent was taken.
 *
 *	at 0	16 bytes	uuid of the parent
 *	16	16 bytes	uuid of the child
 *	32	4 bytes		1: consistent, the bits can be trusted; 0: they cannot
 *	36	4 bytes		nothing
 *	40	8 bytes		size of the disk in bytes
 *	48			the bitmap: block n is bit n % 8, counted from the lowest, of byte n
 * /
 *8
 *
 * Integers are little-endian.  A file may be longer than its bitmap (a device always is), never
 * shorter.  All functions return 0 or -errno.
 */
#ifndef CBT_LIB_CBT_H
#define CBT_LIB_CBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CBT_BLOCK_SHIFT 16 /* 64 KiB */
#define CBT_HEADER_BYTES 48
#define CBT_UUID_BYTES 16
#define CBT_CONSISTENT_AT 32
#define CBT_SIZE_MAX INT64_MAX /* bytes of a disk */

struct cbt_header {
	uint8_t parent[CBT_UUID_BYTES];
	uint8_t child[CBT_UUID_BYTES];
	bool consistent;
	uint64_t size; /* bytes of the disk */
};

/* ---- bytes ------------------------------------------------------------------------------------
 */

void cbt_encode(const struct cbt_header *header, uint8_t raw[CBT_HEADER_BYTES]);

/* -EINVAL: this is no header of such a file, and *header is untouched. */
int cbt_decode(const uint8_t raw[CBT_HEADER_BYTES], struct cbt_header *header);

uint64_t cbt_blocks(uint64_t size);       /* of a disk of size bytes */
uint64_t cbt_bitmap_bytes(uint64_t size); /* that they need */

/* Set bits [first, first + count), or ask whether all of them are set. */
void cbt_bits_set(uint8_t *bits, uint64_t first, uint64_t count);
bool cbt_bits_all_set(const uint8_t *bits, uint64_t first, uint64_t count);

/* ---- files ------------------------------------------------------------------------------------
 */

/*
 * Open path: -EINVAL when it is neither a regular file nor a block device.  *fd is the caller's.
 */
int cbt_open(const char *path, bool writable, int *fd);

/* -EINVAL: the file is too short, for a header or for the bitmap of which it speaks. */
int cbt_read_header(int fd, struct cbt_header *header);

/* In one write, inside one sector: the old header or the new one. */
int cbt_write_header(int fd, const struct cbt_header *header);

/* Say that the bits cannot be trusted, and touch nothing else. */
int cbt_write_inconsistent(int fd);

/* Bytes [at, at + count) of the bitmap.  -EINVAL: the file has become shorter. */
int cbt_read_bits(int fd, uint64_t at, void *buf, size_t count);
int cbt_write_bits(int fd, uint64_t at, const void *buf, size_t count);

/* Is the file still as long as the bitmap of a disk of size bytes needs?  -EINVAL: no. */
int cbt_check_length(int fd, uint64_t size);

#endif
