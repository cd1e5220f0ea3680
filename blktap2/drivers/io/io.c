/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all engines share: the choice of one, the queue of tiocbs, the rules of a transfer (short
 * ones are continued, the end of a file is what loop.h says), and the calls back.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/checked.h"
#include "drivers/io/backend.h"

#define TRANSFER_MAX (1u << 30) /* bytes per call; below what Linux cuts off by itself */
#define MAX_ATTEMPTS 16         /* of one transfer that meets EINTR or EAGAIN */
#define ROUNDS_PER_TURN 8       /* of "done on the spot, and its callback queued more" */

/* Copies in one turn: the other descriptors wait for so long. */
#define COPIES_PER_TURN 256
#define COPIED_BYTES_PER_TURN (1u << 20)

/* tiocb.mode of a read: what the end of the file means. */
#define EOF_IS_ERROR 0
#define EOF_IS_ZERO 1

/* In order of preference. */
static const struct ioengine_backend *const backends[] = {
#if HAVE_URING
	&ioengine_uring,
#endif
	&ioengine_libaio,
	&ioengine_threads,
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

int
ioengine_new_on(struct ioengine **io, const struct ioengine_backend *backend)
{
	int err = backend->open(io);

	if (err)
		return err;
	(*io)->backend = backend;
	tiocb_list_init(&(*io)->queued);
	tiocb_list_init(&(*io)->done);
	TAILQ_INIT(&(*io)->ready);
	return 0;
}

int
ioengine_new(struct ioengine **io, const char *name)
{
	int err = -EINVAL;
	size_t i;

	for (i = 0; i < N_BACKENDS; i++) {
		if (name && strcmp(name, backends[i]->name) != 0)
			continue;
		err = ioengine_new_on(io, backends[i]);
		if (name || !err)
			break;
	}
	return err;
}

void
ioengine_free(struct ioengine *io)
{
	if (io)
		io->backend->close(io);
}

const char *
ioengine_name(const struct ioengine *io)
{
	return io->backend->name;
}

/* ---- descriptors ---- */

/* Engines differ in what they say to these, so they never see them. */
static int
refuse_unpollable(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? -EPERM : 0;
}

int
ioengine_watch(struct ioengine *io, int fd, unsigned events, ioengine_ready_fn fn, void *arg,
	       struct ioengine_watch **watch)
{
	struct ioengine_watch *new;
	int err;

	err = refuse_unpollable(fd);
	if (err)
		return err;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->io = io;
	new->fd = fd;
	new->wanted = events &(IO_READ | IO_WRITE);
	new->fn = fn;
	new->arg = arg;
	err = io->backend->watch(io, new);
	if (err) {
		free(new);
		return err;
	}
	*watch = new;
	return 0;
}

void
ioengine_watch_set(struct ioengine_watch *watch, unsigned events)
{
	events &= IO_READ | IO_WRITE;
	if (watch->wanted == events)
		return;
	watch->wanted = events;
	watch->io->backend->watch_set(watch);
}

void
ioengine_unwatch(struct ioengine_watch *watch)
{
	if (!watch)
		return;
	if (watch->ready)
		TAILQ_REMOVE(&watch->io->ready, watch, ready_link);
	watch->ready = 0;
	watch->wanted = 0;
	watch->io->backend->unwatch(watch);
}

void
ioengine_watch_ready(struct ioengine_watch *watch, unsigned ways)
{
	ways &= watch->wanted;
	if (!ways)
		return;
	if (!watch->ready)
		TAILQ_INSERT_TAIL(&watch->io->ready, watch, ready_link);
	watch->ready |= ways;
}

/* A watch that is masked meanwhile is dropped here: its event stays pending in the kernel. */
static void
call_watches(struct ioengine *io)
{
	struct ioengine_watch *watch;
	unsigned events;

	while ((watch = TAILQ_FIRST(&io->ready))) {
		TAILQ_REMOVE(&io->ready, watch, ready_link);
		events = watch->ready & watch->wanted;
		watch->ready = 0;
		if (events)
			watch->fn(watch->arg, events);
	}
}

/* ---- transfers ---- */

static bool
is_transfer(const struct tiocb *tiocb)
{
	return tiocb->op == TIOCB_READ || tiocb->op == TIOCB_WRITE;
}

static void
finish(struct ioengine *io, struct tiocb *tiocb, int err)
{
	tiocb->result = err;
	tiocb_list_add(&io->done, tiocb);
}

void
ioengine_queue(struct ioengine *io, struct tiocb *tiocb, uint64_t eof_zero)
{
	io->pending++;
	tiocb->done = 0;
	tiocb->result = 0;
	if (is_transfer(tiocb)) {
		/* io_uring takes offset -1 for "the current position". */
		if (tiocb->offset < 0) {
			finish(io, tiocb, -EINVAL);
			return;
		}
		if (!tiocb->bytes) {
			finish(io, tiocb, 0);
			return;
		}
		tiocb->mode = EOF_IS_ERROR;
		if (range_fits((uint64_t)tiocb->offset, tiocb->bytes, eof_zero))
			tiocb->mode = EOF_IS_ZERO;
	}
	tiocb_list_add(&io->queued, tiocb);
}

unsigned
ioengine_pending(const struct ioengine *io)
{
	return io->pending;
}

size_t
ioengine_left(const struct tiocb *tiocb)
{
	size_t left = tiocb->bytes - tiocb->done;

	return left < TRANSFER_MAX ? left : TRANSFER_MAX;
}

long
ioengine_execute(const struct tiocb *tiocb)
{
	off_t at = tiocb->offset + (off_t)tiocb->done;
	long res = -EINVAL;

	switch (tiocb->op) {
	case TIOCB_READ:
		res = pread(tiocb->fd, tiocb->buf + tiocb->done, ioengine_left(tiocb), at);
		break;
	case TIOCB_WRITE:
		res = pwrite(tiocb->fd, tiocb->buf + tiocb->done, ioengine_left(tiocb), at);
		break;
	case TIOCB_FSYNC:
		res = fdatasync(tiocb->fd);
		break;
	case TIOCB_FALLOCATE:
		res = fallocate(tiocb->fd, tiocb->mode, tiocb->offset, (off_t)tiocb->bytes);
		break;
	default:
		return res;
	}
	return res < 0 ? -errno : res;
}

static void
settle_end_of_file(struct ioengine *io, struct tiocb *tiocb)
{
	if (tiocb->mode != EOF_IS_ZERO) {
		finish(io, tiocb, -EIO);
		return;
	}
	memset(tiocb->buf + tiocb->done, 0, tiocb->bytes - tiocb->done);
	finish(io, tiocb, 0);
}

/*
 * With O_DIRECT a read stops in the middle of a sector only where the file ends there; going on
 * from such an offset is then refused instead of answered with 0.
 */
static bool
is_end_of_direct_file(const struct tiocb *tiocb, long res)
{
	return res == -EINVAL && tiocb->op == TIOCB_READ && tiocb->done % DEFAULT_SECTOR_SIZE;
}

void
ioengine_settle(struct ioengine *io, struct tiocb *tiocb, long res)
{
	io->is_full = false;
	if ((res == -EINTR || res == -EAGAIN) && ++tiocb->result < MAX_ATTEMPTS) {
		tiocb_list_add(&io->queued, tiocb);
		return;
	}
	if (is_end_of_direct_file(tiocb, res))
		res = 0;
	if (res < 0 || !is_transfer(tiocb)) {
		finish(io, tiocb, (int)res);
		return;
	}
	if (res == 0) {
		if (tiocb->op == TIOCB_READ)
			settle_end_of_file(io, tiocb);
		else
			finish(io, tiocb, -EIO);
		return;
	}
	tiocb->done += (size_t)res;
	tiocb->result = 0;
	if (tiocb->done < tiocb->bytes)
		tiocb_list_add(&io->queued, tiocb);
	else
		finish(io, tiocb, 0);
}

/* ---- the batch ---- */

/* What one turn may still copy by itself. */
struct budget {
	unsigned copies;
	size_t bytes;
};

/* Do a transfer that is at most a copy in memory: true when it was settled. */
static bool
try_now(struct ioengine *io, struct tiocb *tiocb, struct budget *budget)
{
	struct iovec iov = { tiocb->buf + tiocb->done, ioengine_left(tiocb) };
	struct io_file *file;
	bool *unknown;
	long res;

	if (tiocb->op == TIOCB_FALLOCATE)
		return false;
	file = io_files_find(&io->files, tiocb->fd);
	if (!file)
		return false;
	if (file->kind == IO_FILE_MEMORY) {
		ioengine_settle(io, tiocb, ioengine_execute(tiocb));
	} else if (file->kind == IO_FILE_BUFFERED && io->backend->tries_buffered &&
		   is_transfer(tiocb)) {
		unknown = tiocb->op == TIOCB_READ ? &file->no_nowait_read : &file->no_nowait_write;
		if (*unknown)
			return false;
		res = tiocb->op == TIOCB_READ
			      ? preadv2(tiocb->fd, &iov, 1, tiocb->offset + (off_t)tiocb->done,
					RWF_NOWAIT)
			      : pwritev2(tiocb->fd, &iov, 1, tiocb->offset + (off_t)tiocb->done,
					 RWF_NOWAIT);
		if (res < 0) {
			*unknown = errno != EAGAIN;
			return false;
		}
		ioengine_settle(io, tiocb, res);
	} else {
		return false;
	}
	budget->copies--;
	budget->bytes -= iov.iov_len < budget->bytes ? iov.iov_len : budget->bytes;
	return true;
}

/* Hand the queue over, in order, until the engine is full or the turn has copied enough. */
static void
submit_round(struct ioengine *io, struct budget *budget)
{
	struct tiocb_list batch = io->queued;
	struct tiocb *tiocb;

	if (!batch.first)
		return;
	tiocb_list_init(&io->queued);
	while (budget->copies && budget->bytes && (tiocb = tiocb_list_take(&batch))) {
		if (try_now(io, tiocb, budget))
			continue;
		if (!io->backend->submit(io, tiocb)) {
			io->is_full = true;
			tiocb_list_push(&batch, tiocb);
			break;
		}
	}
	io->backend->flush(io);
	if (batch.first)
		tiocb_list_prepend(&io->queued, &batch);
}

static void
call_tiocbs(struct ioengine *io)
{
	struct tiocb_list batch = io->done;
	struct tiocb *tiocb;

	if (!batch.first)
		return;
	tiocb_list_init(&io->done);
	while ((tiocb = tiocb_list_take(&batch))) {
		io->pending--;
		tiocb->cb(tiocb->arg, tiocb, (int)tiocb->result);
	}
}

void
ioengine_submit_queued(struct ioengine *io)
{
	struct budget budget = { COPIES_PER_TURN, COPIED_BYTES_PER_TURN };
	int round;

	for (round = 0; round < ROUNDS_PER_TURN; round++) {
		submit_round(io, &budget);
		if (!io->done.first)
			break;
		call_tiocbs(io);
	}
}

int
ioengine_wait(struct ioengine *io, int64_t timeout_us)
{
	io->files.turn++;
	if (io->done.first || (io->queued.first && !io->is_full))
		timeout_us = 0;
	return io->backend->wait(io, timeout_us);
}

void
ioengine_dispatch(struct ioengine *io)
{
	call_watches(io);
	call_tiocbs(io);
}
