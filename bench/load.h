/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load: a number of requests kept in flight on one NBD connection, at the least cost.
 *
 * All requests that can go out in one turn go out in one send, all replies that are there come in
 * with one receive: the generator must never be what a measurement measures.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/reason.h"

#include "bench/histogram.h"

#define LOAD_DEPTH_MAX 512
#define LOAD_BLOCK_MAX (32u * 1024 * 1024)

enum load_kind { LOAD_READ, LOAD_WRITE, LOAD_FLUSH, LOAD_KINDS };

struct load_spec {
	uint32_t block;        /* bytes of a read or write, 1 to LOAD_BLOCK_MAX */
	unsigned depth;        /* requests in flight, 1 to LOAD_DEPTH_MAX */
	bool sequential;       /* else every offset is drawn, a multiple of block */
	unsigned read_percent; /* of reads among reads and writes */
	unsigned flush_every;  /* one flush after so many reads and writes; 0: never */
	bool polling;          /* never sleep for a reply: needs a CPU of its own */
	bool only_flush;       /* nothing but flushes */
	uint64_t seed;         /* the same seed draws the same requests */
};

struct load_result {
	uint64_t elapsed_ns;                  /* first request to last reply */
	uint64_t bytes;                       /* read and written */
	struct histogram latency[LOAD_KINDS]; /* nanoseconds */
};

struct load;

/*
 * Prepare loads on a connection in its transmission phase with simple replies.  fd is borrowed;
 * size is that of the export in bytes.  0, or -errno and why; *load is for load_free().
 */
int load_new(int fd, uint64_t size, const struct load_spec *spec, struct load **load,
	     struct reason *why);
void load_free(struct load *load);

/* When to stop; at least one is not 0. */
struct load_stop {
	uint64_t requests;
	uint64_t ns;
};

/*
 * Run until a stop is reached and every request is answered.  May be called again, to go on where
 * it stopped.  *result is overwritten.  0, or -errno and why: the connection is then of no more
 * use.
 */
int load_run(struct load *load, const struct load_stop *stop, struct load_result *result,
	     struct reason *why);

#endif
