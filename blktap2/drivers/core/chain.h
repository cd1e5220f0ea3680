/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The images of one disk, leaf first: opened as a whole or not at all.
 */
#ifndef CORE_CHAIN_H
#define CORE_CHAIN_H

#include <tapdisk.h>

#include "common/reason.h"
#include "drivers/core/server.h"

#define CHAIN_MAX 64 /* images */

struct chain {
	struct tapdisk_server *server; /* borrowed */
	td_image_t *images[CHAIN_MAX]; /* owned; leaf first */
	int count;
	bool read_only;   /* asked for, or all that the storage allows */
	bool log_refused; /* it was the log that could not be opened, not an image */
	bool armed;
};

struct chain_spec {
	struct tapdisk_server *server;
	const char *params;
	td_flag_t flags;      /* TD_OPEN_* */
	const char *log_path; /* for TD_OPEN_ADD_LOG; NULL: the log is kept in memory */
	const uint8_t *key;   /* outlives the chain; NULL: none */
	size_t key_len;
};

/*
 * Open what spec names, with all parents.  Returns 0, or -errno and *why, with nothing left open.
 * Blocks: for workers.
 */
int chain_open(struct chain **chain, const struct chain_spec *spec, struct reason *why);

/* Close all images, leaf first.  Returns 0 or the first -errno, with *why; the chain is freed. */
int chain_close(struct chain *chain, struct reason *why);

/* The largest read or write, in sectors, that every image takes. */
int chain_max_secs(const struct chain *chain);

/* The place of the topmost image that is no filter. */
int chain_data(const struct chain *chain);

/*
 * Grow the image that holds the data to sectors (0: take its size from the storage again), and let
 * the filters above it follow.  0 or -errno, -EOPNOTSUPP.
 */
int chain_resize(struct chain *chain, td_sector_t sectors);

/* On the loop: after chain_open, and before chain_close.  Twice is once. */
void chain_arm(struct chain *chain);
void chain_disarm(struct chain *chain);

/* It is disarmed, but I/O that no request waits for is under way in an image that no other disk
 * has. */
bool chain_is_busy(const struct chain *chain);

static inline td_image_t *
chain_leaf(const struct chain *chain)
{
	return chain->images[0];
}

#endif
