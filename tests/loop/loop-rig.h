/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the loop share.  Each test runs once per I/O engine.
 */
#ifndef TESTS_LOOP_RIG_H
#define TESTS_LOOP_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include <tapdisk.h>

#include "drivers/core/loop.h"

#define RIG_ENGINES 3
#define RIG_KINDS 3 /* of files: in memory, buffered, direct */

extern const char *const rig_engines[RIG_ENGINES];

/* A loop on engine i; NULL when this machine does not offer it: the test has nothing to say. */
struct loop *rig_loop(int i);

/* Turn until *done; fails when the loop sleeps too long, or turns in vain. */
void rig_until(struct loop *loop, const bool *done);

/* Turn until no tiocb is pending. */
void rig_drain(struct loop *loop);

/* An empty file of the given kind without a name; -1 when the file system has no such thing. */
int rig_file(int kind);

/* Descriptors of this process. */
unsigned rig_count_fds(void);

/* The number of the seed: of the environment variable SEED, or new; it is printed. */
unsigned rig_seed(void);

/* A tiocb that remembers how it ended. */
struct rig_io {
	struct tiocb tiocb;
	struct loop *loop;
	unsigned calls;
	int err;
};

void rig_read(struct rig_io *io, struct loop *loop, int fd, void *buf, size_t bytes, long long at,
	      uint64_t eof_zero);
void rig_write(struct rig_io *io, struct loop *loop, int fd, const void *buf, size_t bytes,
	       long long at);
void rig_fsync(struct rig_io *io, struct loop *loop, int fd);
void rig_fallocate(struct rig_io *io, struct loop *loop, int fd, int mode, long long at,
		   long long bytes);

/* Run a suite of one case, given per engine; the exit status of main. */
int rig_run(const char *name, const TTest *const *tests, size_t count);

#endif
