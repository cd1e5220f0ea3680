/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest has done to its disk, and what it may find there after a power cut: of each sector
 * the last content that a flush has confirmed, or a later one; never anything else.
 *
 * Each write has a number, and each of its sectors says of itself which write it is from and where
 * it belongs.  Number 0 is zeroes.
 */
#ifndef TESTS_CRASH_GUEST_H
#define TESTS_CRASH_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_WRITES 4096
#define GUEST_NEVER UINT64_MAX

struct guest_write {
	uint64_t begin, end; /* moments of the history */
	uint64_t sector, sectors;
	uint32_t number;   /* of what the sectors hold now */
	bool may_be_older; /* a discard: what was there before may come back */
	bool is_durable;   /* as soon as it has ended */
};

struct guest_flush {
	uint64_t begin, end;
};

struct guest {
	struct guest_write writes[GUEST_WRITES];
	size_t write_count;
	struct guest_flush flushes[GUEST_WRITES];
	size_t flush_count;
	uint32_t next_number;
	char why[1024]; /* of a mismatch */
};

/* The guest begins anew, with a disk that holds what is in buf.  False: that is not its own. */
bool guest_restart(struct guest *guest, uint64_t *now, uint64_t sectors, const uint8_t *buf);

/* Fill a buffer with the sectors of write number. */
void guest_fill(uint8_t *buf, uint64_t sector, uint64_t sectors, uint32_t number);

/* Is sectors of the disk, read into buf, what the guest may find after a cut at that moment? */
bool guest_allows(struct guest *guest, uint64_t moment, uint64_t sector, uint64_t sectors,
		  const uint8_t *buf);

#endif
