/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which sectors of a disk are dirty: one bit each, with memory for those parts only where some are.
 */
#ifndef DRIVERS_BLOCK_LOG_MAP_H
#define DRIVERS_BLOCK_LOG_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct dirty_map;

/* A map of sectors that are all clean: 0 or -ENOMEM. */
int dirty_map_new(uint64_t sectors, struct dirty_map **map);
void dirty_map_free(struct dirty_map *map); /* NULL is fine */

/* Follow a disk that has grown: 0 or -ENOMEM. */
int dirty_map_grow(struct dirty_map *map, uint64_t sectors);

/* [sector, sector + count) is inside the map.  Without memory more than that becomes dirty. */
void dirty_map_set(struct dirty_map *map, uint64_t sector, uint64_t count);

/* Without memory some of it stays dirty. */
void dirty_map_clear(struct dirty_map *map, uint64_t sector, uint64_t count);
void dirty_map_clear_all(struct dirty_map *map);

/* The first dirty sectors at or behind *sector: false when there are none. */
bool dirty_map_next(const struct dirty_map *map, uint64_t *sector, uint64_t *count);

#endif
