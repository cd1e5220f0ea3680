/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the queue of tiocbs to the engine.  Private to this directory.
 */
#ifndef IO_BATCH_H
#define IO_BATCH_H

#include <stddef.h>

struct ioengine;

/* What one turn may still do by itself. */
struct batch_budget {
	unsigned copies;
	size_t bytes;
};

/* Hand the queue over, in order, until the engine is full or the budget is used up. */
void batch_submit(struct ioengine *io, struct batch_budget *budget);

#endif
