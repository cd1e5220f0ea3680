/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tiocbs done by worker threads: all of them in the engine "threads", in the other ones those that
 * would block.  Private to this directory.
 */
#ifndef IO_OFFLOAD_H
#define IO_OFFLOAD_H

#include <stdbool.h>

#include "drivers/io/backend.h"
#include "drivers/io/workers.h"

#define OFFLOAD_SLOTS 64 /* in flight */

struct offload;

struct offload_slot {
	struct worker_job job; /* first */
	struct ioengine *io;
	struct offload *offload;
	struct tiocb *tiocb;
	long res;
	struct offload_slot *next;
};

struct offload {
	struct workers *workers;
	struct offload_slot *free;
	struct offload_slot slots[OFFLOAD_SLOTS];
};

/* io is told of the results by ioengine_settle, from workers_reap.  0 or -errno. */
int offload_open(struct offload *offload, struct ioengine *io);
void offload_close(struct offload *offload);

/* As ioengine_backend.submit. */
bool offload_submit(struct offload *offload, struct tiocb *tiocb);

#endif
