/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One recorded run of a disk, and the power cuts through it.
 *
 * CRASH_SEED repeats a run, CRASH_STATES is how many states after a cut are looked at.
 */
#ifndef TESTS_CRASH_CRASH_RUN_H
#define TESTS_CRASH_CRASH_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/guest.h"
#include "tests/crash/history.h"
#include "tests/driver-kit/kit.h"

struct crash_run {
	struct kit kit;
	struct history history;
	struct guest guest;
	unsigned seed;
	char images[128]; /* the folder that is recorded */
	char after[128];  /* and the one of what is left after a cut: files of the same names */
	uint64_t sectors; /* of the disk */
	int states;       /* that were looked at */
	bool was_cut;     /* by crash_run_after_cut */
};

/* handle: the type that the kit is made for. */
void crash_run_begin(struct crash_run *run, const char *handle);
void crash_run_end(struct crash_run *run);

/* What random guests do, besides reading, writing and flushing. */
struct crash_work {
	int steps;
	uint64_t largest; /* sectors of a write */
	bool discards, zeroes, pauses, fua;
	uint64_t block; /* sectors; not 0: many discards are of whole blocks of so many */
	bool errors;    /* operations on files fail now and then, and well the next time */
};

/* The disk holds sectors of this write (number 0: nothing) before anything is recorded. */
void crash_run_holds(struct crash_run *run, uint64_t sector, uint64_t sectors, uint32_t number);

/* The same, and they are written: to params, which is opened and closed for it. */
bool crash_run_prepare(struct crash_run *run, const char *params, uint64_t sector, uint64_t sectors,
		       uint32_t number);

/*
 * Open params, as a cut has left it and for writing, read the whole disk, close: is it what the
 * guest may find?  False with kit.why.
 */
bool crash_run_reads(struct crash_run *run, const char *params, uint64_t moment);

/*
 * Open params, let a guest work, close, all of it recorded.  False when a request fails, which
 * none should.
 */
bool crash_run_work(struct crash_run *run, const char *params, const struct crash_work *work);

/* Record what fn does to the images: its result. */
int crash_run_record(struct crash_run *run, int (*fn)(struct crash_run *run));

/*
 * Choose a cut, take what it leaves in the place of the images, and forget the run: the guest goes
 * on from there, with the disk as params (a file of run->after) reads it.
 */
bool crash_run_after_cut(struct crash_run *run, const char *params);

/*
 * Cut everywhere, and let check look at run->after; it returns NULL, or what is wrong.  Returns
 * true, or tells which cut it was.
 */
bool crash_run_cuts(struct crash_run *run,
		    const char *(*check)(struct crash_run *run, uint64_t moment, bool chosen));

#endif
