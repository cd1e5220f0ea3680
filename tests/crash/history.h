/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was done to files, and what a power cut may leave of it.
 *
 * Every operation has two moments: when it began and when it had ended.  A sync makes durable what
 * had ended when it began, once it has ended itself.  After a cut everything durable is there; of
 * the rest any part may be, sector by sector, and in any order.
 */
#ifndef TESTS_CRASH_HISTORY_H
#define TESTS_CRASH_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_FILES 8
#define HISTORY_NEVER UINT64_MAX
#define SECTOR_BYTES 512u

enum history_kind {
	HISTORY_WRITE,
	HISTORY_ZERO, /* a range reads as zeroes; the file becomes as long as it says */
	HISTORY_SIZE, /* the file is cut off, or extended */
};

struct history_op {
	enum history_kind kind;
	int file;
	uint64_t begin, end; /* moments */
	uint64_t durable;    /* moment; HISTORY_NEVER: it never was */
	uint64_t at, bytes;  /* HISTORY_SIZE: bytes is the new size */
	bool keeps_size;
	bool failed;   /* never durable; before its end it may have got anywhere */
	uint8_t *data; /* owned; of a write */
};

struct history_sync {
	int file;
	uint64_t begin, end;
};

struct history {
	uint64_t now;   /* the next moment */
	uint64_t first; /* before it, everything was as it was, durably */
	struct history_op *ops;
	size_t op_count, op_room;
	struct history_sync *syncs;
	size_t sync_count, sync_room;
	char *files[HISTORY_FILES]; /* owned paths */
	int file_count;
};

void history_free(struct history *history);

/* All operations are forgotten; the files, and the time, stay. */
void history_forget(struct history *history);

/* The file of that path; it is added when it is new, and *is_new (if not NULL) set. */
int history_file(struct history *history, const char *path, bool *is_new);

/* What the file holds now has always been there. */
void history_base(struct history *history, int file);

/* An operation begins; its number.  Data are copied. */
size_t history_write(struct history *history, int file, uint64_t at, const void *data,
		     uint64_t bytes);
size_t history_zero(struct history *history, int file, uint64_t at, uint64_t bytes,
		    bool keeps_size);
size_t history_size(struct history *history, int file, uint64_t bytes);
void history_end(struct history *history, size_t op); /* well */
void history_fail(struct history *history, size_t op);

size_t history_sync(struct history *history, int file);
void history_sync_end(struct history *history, size_t sync);

/* No more is added: puts the operations in the order of their ends, and says when each is durable.
 */
void history_close(struct history *history);

/* ---- after a cut ------------------------------------------------------------------------------
 */

/* How much is left of what was not durable. */
enum survival { SURVIVE_NONE, SURVIVE_ALL, SURVIVE_MASK, SURVIVE_RANDOM };

struct cut {
	uint64_t moment; /* what began before it may be there */
	enum survival survival;
	uint64_t mask; /* SURVIVE_MASK: bit n is the n-th operation that was not durable */
	unsigned seed; /* SURVIVE_RANDOM */
};

/* How many operations on any file were not durable at that moment. */
unsigned history_open_ops(const struct history *history, uint64_t moment);

/*
 * The files after the cut, under other names: path[i] for file i; NULL: not wanted.  The same cut
 * makes the same files.
 */
void history_replay(const struct history *history, const struct cut *cut,
		    const char *const path[HISTORY_FILES]);

#endif
