/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A loop without a kernel below it: operations take random times and end in random order, the n-th
 * one can be made to fail, and what was written but not yet synced is known.  With the same seed
 * everything happens the same way again.
 */
#ifndef TESTS_DRIVER_KIT_FAKE_LOOP_H
#define TESTS_DRIVER_KIT_FAKE_LOOP_H

#include <stdbool.h>

struct loop;
struct tiocb;

struct fake_control {
	unsigned seed;
	int max_delay;   /* turns that an operation may take; 0: the next turn */
	long fail_at;    /* the n-th operation from now fails; 0: none */
	int fail_with;   /* -errno */
	long hold_at;    /* the n-th operation from now takes very long; 0: none */
	int hold_turns;  /* so long */
	long queued;     /* operations queued so far */
	long unsynced;   /* writes that ended since the last fsync of any descriptor */
	int out_of_work; /* so many loop_work calls are refused */
	long works;      /* those that were not, so far */
	long forgotten;  /* calls of loop_forget_files */

	/* Told of each operation when it is queued, and when it was performed.  May be NULL. */
	void (*on_queued)(void *arg, const struct tiocb *tiocb);
	void (*on_performed)(void *arg, const struct tiocb *tiocb, int err);
	void *arg;
	bool performing; /* the loop is making the calls of an operation */
};

struct fake_control *fake_control(struct loop *loop);

#endif
