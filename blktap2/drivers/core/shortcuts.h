/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far down a chain a read went the last time.
 *
 * Read-only parents do not change while they are open: an image that once had nothing for a page of
 * the disk has nothing for it ever, and the next read of that page begins where the last one ended.
 * A table of fixed size; what it has forgotten is only looked for again.
 */
#ifndef CORE_SHORTCUTS_H
#define CORE_SHORTCUTS_H

#include <tapdisk.h>

#define SHORTCUT_SECS 8 /* sectors of a page */

struct shortcuts;

/* An empty table, whose memory is taken page by page as it fills.  NULL: memory is short. */
struct shortcuts *shortcuts_new(void);
void shortcuts_free(struct shortcuts *shortcuts); /* NULL is fine */

/* The image that a read of the page went to; NULL: not known.  page counts SHORTCUT_SECS sectors.
 */
td_image_t *shortcuts_find(const struct shortcuts *shortcuts, td_sector_t page);

/* All images above this one have nothing for the page. */
void shortcuts_note(struct shortcuts *shortcuts, td_sector_t page, td_image_t *image);

#endif
