/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a client reads the dirty map of a disk that is logged in memory ("log:NAME|type:path").
 *
 * The client connects to TAPDISK_LOG_DIR/log_X.ctl, where X is NAME from its last "/" on with each
 * "/" and ":" replaced by "_".  It sends messages of TAPDISK_LOG_MESSAGE_BYTES, a word of four
 * characters and nothing, one after the answer to the other:
 *
 *	shmp	TAPDISK_LOG_SHMP_BYTES: a u32 with the length of the name of a POSIX shared memory
 *		object, and the name with a NUL; its first word is TAPDISK_LOG_MAGIC until extents
 *		are written there
 *	peek	the dirty extents are written to the shared memory; "done"
 *	getw	the same, and what was written is clean from now on; "done"
 *	clrw	everything is clean from now on; "done"
 *	kick	requests of the ring were answered in the ring; "kick"
 *
 * Anything else closes the connection.  All integers are those of the host.
 */
#ifndef TAPDISK_LOG_H
#define TAPDISK_LOG_H

#include <stdint.h>

#define TAPDISK_LOG_DIR "/var/run/tap"
#define TAPDISK_LOG_MESSAGE_BYTES 20
#define TAPDISK_LOG_SHMP_BYTES 256
#define TAPDISK_LOG_MAGIC 0xdeadbeef

/* The shared memory: extents in the first half, a ring in the first page of the second. */
#define TAPDISK_LOG_SHM_BYTES (8u << 20)
#define TAPDISK_LOG_EXTENTS (TAPDISK_LOG_SHM_BYTES / 2 / sizeof(struct tapdisk_log_extent))
#define TAPDISK_LOG_RING_AT (TAPDISK_LOG_SHM_BYTES / 2)
#define TAPDISK_LOG_RING_BYTES 4096
#define TAPDISK_LOG_DATA_BYTES (TAPDISK_LOG_SHM_BYTES / 2 - TAPDISK_LOG_RING_BYTES)

/* The list ends with an extent of zeroes.  What does not fit stays dirty. */
struct tapdisk_log_extent {
	uint64_t sector; /* of 512 bytes */
	uint32_t count;  /* sectors */
	uint32_t padding;
};

/*
 * A request of the ring, and its answer: the same, with count 0 when the range is not one of the
 * disk, or the offset not one of the data behind the ring.
 */
struct tapdisk_log_entry {
	uint64_t sector;
	uint32_t count;  /* sectors */
	uint32_t offset; /* bytes into the data */
};

#define TAPDISK_LOG_RING_ENTRIES 128

/* The ring as Xen lays it out: free-running indexes, then the entries. */
struct tapdisk_log_ring {
	uint32_t req_prod; /* the client's */
	uint32_t req_event;
	uint32_t rsp_prod; /* the tapdisk's */
	uint32_t rsp_event;
	uint8_t padding[48];
	struct tapdisk_log_entry entries[TAPDISK_LOG_RING_ENTRIES];
};

#endif
