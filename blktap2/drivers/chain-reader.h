/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images read from beginning to end by a program, through the engine and its drivers.
 */
#ifndef DRIVERS_CHAIN_READER_H
#define DRIVERS_CHAIN_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/reason.h"

struct chain_reader;

/* A part of the disk.  data is borrowed until the next call. */
struct chain_piece {
	uint64_t sector; /* of 512 bytes */
	uint32_t sectors;
	const uint8_t *data;
	bool is_zero; /* known without reading; data has the zeroes */
};

/* Open params ("type:path", or a stack) read-only.  0, or -errno and *why. */
int chain_reader_open(const char *params, struct chain_reader **reader, struct reason *why);
void chain_reader_close(struct chain_reader *reader); /* NULL is fine */

uint64_t chain_reader_sectors(const struct chain_reader *reader);

/* The next pieces are those of [first, end), which is inside the disk, in order. */
void chain_reader_seek(struct chain_reader *reader, uint64_t first, uint64_t end);

/*
 * The next piece, while those behind it are being read.  Returns 1, 0 at the end, or -errno with
 * piece->sector telling where.
 */
int chain_reader_next(struct chain_reader *reader, struct chain_piece *piece);

#endif
