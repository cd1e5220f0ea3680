/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bitmap of sectors in pieces.  A piece that is clean, or dirty as a whole, takes no memory.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/block-log-map.h"

#define PIECE_BYTES 4096
#define PIECE_SECTORS (PIECE_BYTES * 8ull) /* 16 MiB of the disk */

/* Stands for every piece that is dirty as a whole. */
static const uint8_t all_dirty[PIECE_BYTES] = { [0 ... PIECE_BYTES - 1] = 0xff };

struct dirty_map {
	uint64_t sectors;
	uint64_t pieces;
	const uint8_t **at; /* owned, and what they point to but for all_dirty; NULL: clean */
};

static void
free_piece(struct dirty_map *map, uint64_t piece)
{
	if (map->at[piece] != all_dirty)
		free((uint8_t *)map->at[piece]);
	map->at[piece] = NULL;
}

/* A piece that may be written to; NULL: memory is short. */
static uint8_t *
own_piece(struct dirty_map *map, uint64_t piece)
{
	const uint8_t *was = map->at[piece];
	uint8_t *bits;

	if (was && was != all_dirty)
		return (uint8_t *)was;
	bits = malloc(PIECE_BYTES);
	if (!bits)
		return NULL;
	memset(bits, was ? 0xff : 0, PIECE_BYTES);
	map->at[piece] = bits;
	return bits;
}

static void
change_bits(uint8_t *bits, uint64_t first, uint64_t count, bool set)
{
	uint64_t end = first + count;

	while (first < end) {
		if (first % 8 == 0 && end - first >= 8) {
			memset(bits + first / 8, set ? 0xff : 0, (end - first) / 8);
			first += (end - first) / 8 * 8;
			continue;
		}
		if (set)
			bits[first / 8] |= (uint8_t)(1u << first % 8);
		else
			bits[first / 8] &= (uint8_t) ~(1u << first % 8);
		first++;
	}
}

static void
change_piece(struct dirty_map *map, uint64_t piece, uint64_t first, uint64_t count, bool set)
{
	uint8_t *bits;

	if (set && map->at[piece] == all_dirty)
		return;
	if (!set && !map->at[piece])
		return;
	bits = count == PIECE_SECTORS ? NULL : own_piece(map, piece);
	if (bits) {
		change_bits(bits, first, count, set);
	} else if (set) {
		free_piece(map, piece);
		map->at[piece] = all_dirty;
	} else if (count == PIECE_SECTORS) {
		free_piece(map, piece);
	}
}

static void
change(struct dirty_map *map, uint64_t sector, uint64_t count, bool set)
{
	uint64_t first, part;

	for (; count; sector += part, count -= part) {
		first = sector % PIECE_SECTORS;
		part = PIECE_SECTORS - first < count ? PIECE_SECTORS - first : count;
		change_piece(map, sector / PIECE_SECTORS, first, part, set);
	}
}

void
dirty_map_set(struct dirty_map *map, uint64_t sector, uint64_t count)
{
	change(map, sector, count, true);
}

void
dirty_map_clear(struct dirty_map *map, uint64_t sector, uint64_t count)
{
	change(map, sector, count, false);
}

void
dirty_map_clear_all(struct dirty_map *map)
{
	uint64_t piece;

	for (piece = 0; piece < map->pieces; piece++)
		free_piece(map, piece);
}

/* ---- searching --------------------------------------------------------------------------------
 */

/* The first sector at or behind sector that is dirty (or clean), or the end of the map. */
static uint64_t
find(const struct dirty_map *map, uint64_t sector, bool dirty)
{
	const uint8_t nothing = dirty ? 0 : 0xff;

	while (sector < map->sectors) {
		const uint8_t *bits = map->at[sector / PIECE_SECTORS];
		uint64_t bit = sector % PIECE_SECTORS;

		if (!bits || bits == all_dirty) {
			if ((bits != NULL) == dirty)
				return sector;
			sector += PIECE_SECTORS - bit;
		} else if (bit % 8 == 0 && bits[bit / 8] == nothing) {
			sector += 8;
		} else if ((bits[bit / 8] >> bit % 8 & 1) == dirty) {
			return sector;
		} else {
			sector++;
		}
	}
	return map->sectors;
}

bool
dirty_map_next(const struct dirty_map *map, uint64_t *sector, uint64_t *count)
{
	*sector = find(map, *sector, true);
	if (*sector == map->sectors)
		return false;
	*count = find(map, *sector, false) - *sector;
	return true;
}

/* ---- birth and death --------------------------------------------------------------------------
 */

int
dirty_map_grow(struct dirty_map *map, uint64_t sectors)
{
	const uint64_t pieces = sectors / PIECE_SECTORS + (sectors % PIECE_SECTORS != 0);
	const uint8_t **at;

	if (sectors <= map->sectors)
		return 0;
	if (pieces > map->pieces) {
		at = reallocarray(map->at, pieces, sizeof(*at));
		if (!at)
			return -ENOMEM;
		memset(at + map->pieces, 0, (pieces - map->pieces) * sizeof(*at));
		map->at = at;
		map->pieces = pieces;
	}
	map->sectors = sectors;
	return 0;
}

int
dirty_map_new(uint64_t sectors, struct dirty_map **out)
{
	struct dirty_map *map = calloc(1, sizeof(*map));
	int err = map ? dirty_map_grow(map, sectors) : -ENOMEM;

	if (err)
		free(map);
	else
		*out = map;
	return err;
}

void
dirty_map_free(struct dirty_map *map)
{
	if (!map)
		return;
	dirty_map_clear_all(map);
	free(map->at);
	free(map);
}
