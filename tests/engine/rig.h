/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server in a temporary control directory, with drivers that do as a test tells them.
 */
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include <tapdisk.h>

#include "drivers/core/vbd.h"

struct tapdisk_server;
struct tlog;

#define PROBE_SECTORS 4096
#define PROBE_HELD 1024

/* Types of the rig. */
enum { TYPE_PROBE, TYPE_FILTER, TYPE_SINGLE, TYPE_CHILD, TYPE_UNBUILT, TYPE_BIG, TYPE_HOLES };

/*
 * What the probe driver is told, and what it saw.  One per process: each test runs in a process of
 * its own.
 */
struct probe {
	uint64_t sectors;     /* of the image; 0: PROBE_SECTORS */
	uint32_t sector_size; /* 0: 512 */
	bool hold;            /* keep requests until probe_release */
	bool hold_flushes;    /* likewise */
	int room;             /* hold no more than so many: -EBUSY; 0: all there is room for */
	bool split;           /* complete in random pieces */
	int busy;             /* answer -EBUSY so many times */
	int transient;        /* answer -EAGAIN so many times */
	int fail_after;       /* 1: the next part fails, 2: the one after it, ... */
	int fail_with;        /* -errno */
	bool complete_twice;
	int open_err;
	int close_err;
	int flush_err;
	int zeroes_err;
	int discard_err;    /* of TYPE_HOLES */
	bool works;         /* it is busy, and must not be closed */
	int gate;           /* a descriptor from which a byte comes before it closes; 0: none */
	const char *parent; /* of TYPE_CHILD */
	uint64_t parent_sectors; /* size of a probe that is opened as a parent; 0: the same */

	int opens, closes, reads, writes, flushes, zeroes, discards;
	size_t key_len; /* of the last that was opened */
	int largest;    /* sectors in one part */
	td_request_t held[PROBE_HELD];
	int held_count;
	char store[PROBE_SECTORS << SECTOR_SHIFT];
};

extern struct probe probe;

/* Complete what is held, last first; res for all of them. */
void probe_release(int res);

struct rig {
	struct tapdisk_server *server;
	struct vbd *vbd;
	int minor;
	char dir[64];
	struct tlog *log;     /* set before rig_setup; NULL: nothing is logged */
	const char *shm_root; /* set before rig_setup; NULL: where everybody's is */
	/* Set before rig_setup: told of what the server tells.  May be NULL. */
	void (*event)(void *arg, struct vbd *vbd, const char *kind);
	int (*opened)(void *arg, struct vbd *vbd, const char **why);
	void *event_arg;
};

/* A server with one attached disk. */
void rig_setup(struct rig *rig);
void rig_teardown(struct rig *rig);

/* The end of an operation. */
struct outcome {
	bool ended;
	int times;
	int err;
	char why[512];
};

void outcome_done(void *arg, int err, const char *why);

/* Turn the loop until *flag; fails the test when nothing happens for long. */
void rig_until(struct rig *rig, const bool *flag);
void rig_turn(struct rig *rig); /* one turn that does not wait */

int rig_open(struct rig *rig, const char *params, td_flag_t flags); /* and wait for it */
int rig_close(struct rig *rig);

/* One disk more, attached, and opened as options say; and gone again. */
struct vbd *rig_open_other(struct rig *rig, const struct vbd_options *options, int *err);
void rig_drop_other(struct rig *rig, struct vbd *other);

/* A request with its outcome. */
struct ask {
	struct vbd_request req;
	struct iovec iov;
	bool ended, expired;
	int times;
	int err;
};

void ask_start(struct rig *rig, struct ask *ask, int op, uint64_t sector, uint64_t sectors,
	       void *buf);
int ask_wait(struct rig *rig, struct ask *ask);
int ask_run(struct rig *rig, int op, uint64_t sector, uint64_t sectors, void *buf);

/* Run the tests of a suite: what main returns. */
int rig_run(Suite *suite);

#endif
