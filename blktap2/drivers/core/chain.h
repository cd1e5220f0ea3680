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
	bool read_only; /* asked for, or all that the storage allows */
};

struct chain_spec {
	struct tapdisk_server *server;
	const char *params;
	td_flag_t flags;    /* TD_OPEN_* */
	const uint8_t *key; /* outlives the chain; NULL: none */
	size_t key_len;
};

/*
 * Open what spec names, with all parents.  Returns 0, or -errno and *why, with nothing left open.
 * Blocks: for workers.
 */
int chain_open(struct chain **chain, const struct chain_spec *spec, struct reason *why);

/* Close all images, leaf first.  Returns 0 or the first -errno, with *why; the chain is freed. */
int chain_close(struct chain *chain, struct reason *why);

/* On the loop: after chain_open, and before chain_close. */
void chain_arm(struct chain *chain);
void chain_disarm(struct chain *chain);

static inline td_image_t *
chain_leaf(const struct chain *chain)
{
	return chain->images[0];
}

#endif
