/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations with their moments, and files made from a choice of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/crash/history.h"

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(99);
}

/* Room for one more element of so many bytes. */
static void *
grown(void *array, size_t count, size_t *room, size_t bytes)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 64;
	array = reallocarray(array, *room, bytes);
	must(array != NULL, "history");
	return array;
}

/* ---- writing it -------------------------------------------------------------------------------
 */

void
history_forget(struct history *history)
{
	size_t i;

	for (i = 0; i < history->op_count; i++)
		free(history->ops[i].data);
	history->op_count = history->sync_count = 0;
}

void
history_free(struct history *history)
{
	history_forget(history);
	while (history->file_count > 0)
		free(history->files[--history->file_count]);
	free(history->ops);
	free(history->syncs);
	*history = (struct history){ 0 };
}

int
history_file(struct history *history, const char *path, bool *is_new)
{
	int i;

	for (i = 0; i < history->file_count; i++)
		if (strcmp(history->files[i], path) == 0)
			return i;
	must(i < HISTORY_FILES, "too many files");
	history->files[i] = strdup(path);
	must(history->files[i] != NULL, "history");
	history->file_count++;
	if (is_new)
		*is_new = true;
	return i;
}

static size_t
add_op(struct history *history, const struct history_op *op)
{
	history->ops =
		grown(history->ops, history->op_count, &history->op_room, sizeof(history->ops[0]));
	history->ops[history->op_count] = *op;
	history->ops[history->op_count].begin = history->now++;
	history->ops[history->op_count].end = HISTORY_NEVER;
	return history->op_count++;
}

size_t
history_write(struct history *history, int file, uint64_t at, const void *data, uint64_t bytes)
{
	struct history_op op = { .kind = HISTORY_WRITE, .file = file, .at = at, .bytes = bytes };

	op.data = malloc(bytes ? bytes : 1);
	must(op.data != NULL, "history");
	memcpy(op.data, data, bytes);
	return add_op(history, &op);
}

size_t
history_zero(struct history *history, int file, uint64_t at, uint64_t bytes, bool keeps_size)
{
	const struct history_op op = { .kind = HISTORY_ZERO,
				       .file = file,
				       .at = at,
				       .bytes = bytes,
				       .keeps_size = keeps_size };

	return add_op(history, &op);
}

size_t
history_size(struct history *history, int file, uint64_t bytes)
{
	const struct history_op op = { .kind = HISTORY_SIZE, .file = file, .bytes = bytes };

	return add_op(history, &op);
}

void
history_end(struct history *history, size_t op)
{
	history->ops[op].end = history->now++;
}

void
history_fail(struct history *history, size_t op)
{
	history->ops[op].failed = true;
	history_end(history, op);
}

size_t
history_sync(struct history *history, int file)
{
	history->syncs = grown(history->syncs, history->sync_count, &history->sync_room,
			       sizeof(history->syncs[0]));
	history->syncs[history->sync_count] = (struct history_sync){ .file = file,
								     .begin = history->now++,
								     .end = HISTORY_NEVER };
	return history->sync_count++;
}

void
history_sync_end(struct history *history, size_t sync)
{
	history->syncs[sync].end = history->now++;
}

void
history_base(struct history *history, int file)
{
	int fd = open(history->files[file], O_RDONLY | O_CLOEXEC);
	off_t at = 0, hole, end;
	uint8_t *data;

	must(fd >= 0, history->files[file]);
	end = lseek(fd, 0, SEEK_END);
	history_end(history, history_size(history, file, (uint64_t)end));
	while (at < end && (at = lseek(fd, at, SEEK_DATA)) >= 0) {
		hole = lseek(fd, at, SEEK_HOLE);
		data = malloc((size_t)(hole - at));
		must(data && pread(fd, data, (size_t)(hole - at), at) == hole - at, "base");
		history_end(history, history_write(history, file, (uint64_t)at, data,
						   (uint64_t)(hole - at)));
		free(data);
		at = hole;
	}
	close(fd);
	history_sync_end(history, history_sync(history, file));
}

static int
by_end(const void *a, const void *b)
{
	const struct history_op *first = a, *second = b;

	if (first->end != second->end)
		return first->end < second->end ? -1 : 1;
	return first->begin < second->begin ? -1 : 1;
}

void
history_close(struct history *history)
{
	const struct history_sync *sync;
	struct history_op *op;
	size_t i, j;

	qsort(history->ops, history->op_count, sizeof(history->ops[0]), by_end);
	for (i = 0; i < history->op_count; i++) {
		op = &history->ops[i];
		op->durable = HISTORY_NEVER;
		if (op->failed)
			continue;
		for (j = 0; j < history->sync_count && op->end != HISTORY_NEVER; j++) {
			sync = &history->syncs[j];
			if (sync->file == op->file && sync->begin > op->end &&
			    sync->end < op->durable)
				op->durable = sync->end;
		}
	}
}

/* ---- after a cut ------------------------------------------------------------------------------
 */

static bool
is_open(const struct history_op *op, uint64_t moment)
{
	return op->begin < moment && op->durable >= moment;
}

unsigned
history_open_ops(const struct history *history, uint64_t moment)
{
	unsigned count = 0;
	size_t i;

	for (i = 0; i < history->op_count; i++)
		count += is_open(&history->ops[i], moment);
	return count;
}

static void
put(int fd, const uint8_t *data, uint64_t bytes, uint64_t at)
{
	ssize_t put;

	while (bytes) {
		put = pwrite(fd, data, bytes, (off_t)at);
		must(put > 0, "replay");
		data += put;
		at += (uint64_t)put;
		bytes -= (uint64_t)put;
	}
}

static void
apply_all(int fd, const struct history_op *op)
{
	struct stat file;
	off_t end = (off_t)(op->at + op->bytes);

	switch (op->kind) {
	case HISTORY_WRITE:
		put(fd, op->data, op->bytes, op->at);
		return;
	case HISTORY_SIZE:
		must(ftruncate(fd, (off_t)op->bytes) == 0, "replay");
		return;
	case HISTORY_ZERO:
		must(fstat(fd, &file) == 0, "replay");
		if (!op->keeps_size && file.st_size < end)
			must(ftruncate(fd, end) == 0, "replay");
		must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)op->at,
			       (off_t)op->bytes) == 0,
		     "replay");
		return;
	}
}

/* Some sectors of a write: from its beginning, up to its end, or here and there. */
static void
apply_some(int fd, const struct history_op *op, unsigned *seed)
{
	const uint64_t sectors = (op->bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;
	const uint64_t bound = (uint64_t)rand_r(seed) % (sectors + 1);
	const int way = rand_r(seed) % 3;
	uint64_t i, from, bytes;

	for (i = 0; i < sectors; i++) {
		if (way == 0 ? i >= bound : way == 1 ? i < bound : rand_r(seed) % 2)
			continue;
		from = i * SECTOR_BYTES;
		bytes = op->bytes - from < SECTOR_BYTES ? op->bytes - from : SECTOR_BYTES;
		put(fd, op->data + from, bytes, op->at + from);
	}
}

static void
apply_open(int fd, const struct history_op *op, const struct cut *cut, unsigned number,
	   unsigned *seed)
{
	switch (cut->survival) {
	case SURVIVE_NONE:
		return;
	case SURVIVE_ALL:
		apply_all(fd, op);
		return;
	case SURVIVE_MASK:
		if (number < 64 && cut->mask >> number & 1)
			apply_all(fd, op);
		return;
	case SURVIVE_RANDOM:
		switch (rand_r(seed) % 3) {
		case 0:
			return;
		case 1:
			apply_all(fd, op);
			return;
		default:
			if (op->kind == HISTORY_WRITE)
				apply_some(fd, op, seed);
			return;
		}
	}
}

void
history_replay(const struct history *history, const struct cut *cut,
	       const char *const path[HISTORY_FILES])
{
	int fds[HISTORY_FILES], file;
	unsigned seed = cut->seed, number = 0;
	size_t i;

	for (file = 0; file < history->file_count; file++) {
		fds[file] = path[file]
				    ? open(path[file], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
				    : -1;
		must(!path[file] || fds[file] >= 0, "replay");
	}
	for (i = 0; i < history->op_count; i++) {
		const struct history_op *op = &history->ops[i];

		if (op->begin >= cut->moment)
			continue;
		if (!is_open(op, cut->moment)) {
			if (fds[op->file] >= 0)
				apply_all(fds[op->file], op);
			continue;
		}
		if (fds[op->file] >= 0)
			apply_open(fds[op->file], op, cut, number, &seed);
		number++;
	}
	for (file = 0; file < history->file_count; file++)
		if (fds[file] >= 0)
			close(fds[file]);
}
