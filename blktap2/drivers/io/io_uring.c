/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine on io_uring: polls and transfers are requests of one ring, so a busy turn is one
 * system call that submits and waits.
 *
 * A poll is one-shot and set up again after each call, which makes it level-triggered.  The memory
 * of a watch stays until its poll has come back, so that no answer can meet a successor.
 */
#include "config.h"

#if HAVE_URING

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

#include "drivers/io/backend.h"

#define SQ_ENTRIES 256
#define CQ_ENTRIES 1024
#define MAX_INFLIGHT 512 /* transfers; the rest of the completion queue is for polls */

/* user_data: a tiocb, or a watch with this bit; 0: nobody waits for the answer. */
#define TAG_WATCH 1u

struct uring {
	struct ioengine io;
	struct io_uring ring;
	unsigned inflight;                /* transfers */
	unsigned zombies;                 /* dead watches whose poll is in the kernel */
	struct ioengine_watch_list dirty; /* watches whose poll needs a change */
};

static struct uring *
uring_of(struct ioengine *io)
{
	return (struct uring *)io;
}

/* ---- start and end ---- */

static bool
has_operations(struct io_uring *ring)
{
	static const int needed[] = {
		IORING_OP_READ,      IORING_OP_WRITE,    IORING_OP_FSYNC,
		IORING_OP_FALLOCATE, IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE
	};
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool all = probe;
	size_t i;

	for (i = 0; all && i < sizeof(needed) / sizeof(needed[0]); i++)
		all = io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	return all;
}

/* The newest way of running completions that this kernel knows. */
static int
setup_ring(struct io_uring *ring)
{
	static const unsigned ways[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int err = -ENOSYS;
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct io_uring_params params = { .flags = ways[i] | IORING_SETUP_CQSIZE,
						  .cq_entries = CQ_ENTRIES };

		err = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
		if (err != -EINVAL)
			break;
	}
	if (err)
		return err;
	if (!(ring->features & IORING_FEAT_EXT_ARG) || !(ring->features & IORING_FEAT_NODROP) ||
	    !has_operations(ring)) {
		io_uring_queue_exit(ring);
		return -ENOSYS;
	}
	return 0;
}

static int
uring_open(struct ioengine **io)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int err;

	if (!uring)
		return -ENOMEM;
	err = setup_ring(&uring->ring);
	if (err) {
		free(uring);
		return err;
	}
	TAILQ_INIT(&uring->dirty);
	*io = &uring->io;
	return 0;
}

/* ---- polls ---- */

static uint64_t
watch_tag(const struct ioengine_watch *watch)
{
	return (uintptr_t)watch | TAG_WATCH;
}

/* A free entry; a full queue is handed to the kernel first.  NULL: the kernel takes no more now. */
static struct io_uring_sqe *
get_sqe(struct uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (!sqe && io_uring_submit(&uring->ring) > 0)
		sqe = io_uring_get_sqe(&uring->ring);
	return sqe;
}

static unsigned
poll_mask(unsigned ways)
{
	return (ways & IO_READ ? POLLIN : 0) | (ways & IO_WRITE ? POLLOUT : 0);
}

/*
 * A poll for more than is wanted now is left alone: what it finds is not called for.  One for less
 * is called back and set up anew.
 */
static bool
needs_change(const struct ioengine_watch *watch)
{
	if (watch->is_cancelling)
		return false;
	if (watch->armed)
		return watch->is_dead || (watch->wanted & ~watch->armed);
	return watch->wanted && !watch->is_dead;
}

static void
note_change(struct ioengine_watch *watch)
{
	struct uring *uring = uring_of(watch->io);

	if (watch->is_dirty || !needs_change(watch))
		return;
	TAILQ_INSERT_TAIL(&uring->dirty, watch, dirty_link);
	watch->is_dirty = true;
}

static void
prepare_polls(struct uring *uring)
{
	struct io_uring_sqe *sqe;
	struct ioengine_watch *watch;

	while ((watch = TAILQ_FIRST(&uring->dirty))) {
		if (needs_change(watch)) {
			sqe = get_sqe(uring);
			if (!sqe)
				return;
			if (watch->armed) {
				io_uring_prep_poll_remove(sqe, watch_tag(watch));
				io_uring_sqe_set_data64(sqe, 0);
				watch->is_cancelling = true;
			} else {
				io_uring_prep_poll_add(sqe, watch->fd, poll_mask(watch->wanted));
				io_uring_sqe_set_data64(sqe, watch_tag(watch));
				watch->armed = watch->wanted;
			}
		}
		TAILQ_REMOVE(&uring->dirty, watch, dirty_link);
		watch->is_dirty = false;
	}
}

static int
uring_watch(struct ioengine *io, struct ioengine_watch *watch)
{
	(void)io;
	note_change(watch);
	return 0;
}

static void
uring_watch_set(struct ioengine_watch *watch)
{
	note_change(watch);
}

static void
uring_unwatch(struct ioengine_watch *watch)
{
	struct uring *uring = uring_of(watch->io);

	watch->is_dead = true;
	if (watch->armed) {
		uring->zombies++;
		note_change(watch);
		return;
	}
	if (watch->is_dirty)
		TAILQ_REMOVE(&uring->dirty, watch, dirty_link);
	free(watch);
}

static unsigned
ways_of(const struct ioengine_watch *watch, int res)
{
	/* A poll that fails finds its descriptor in error. */
	if (res < 0 || res & (POLLERR | POLLHUP | POLLNVAL))
		return watch->armed;
	return (res & POLLIN ? IO_READ : 0) | (res & POLLOUT ? IO_WRITE : 0);
}

static void
poll_came_back(struct uring *uring, struct ioengine_watch *watch, int res)
{
	unsigned ways = res == -ECANCELED ? 0 : ways_of(watch, res);

	watch->armed = 0;
	watch->is_cancelling = false;
	if (watch->is_dead) {
		if (watch->is_dirty)
			TAILQ_REMOVE(&uring->dirty, watch, dirty_link);
		uring->zombies--;
		free(watch);
		return;
	}
	ioengine_watch_ready(watch, ways);
	note_change(watch);
}

/* ---- transfers ---- */

static void
prepare(struct io_uring_sqe *sqe, const struct tiocb *tiocb)
{
	uint64_t at = (uint64_t)transfer_offset(tiocb);
	struct iovec single;
	const struct iovec *iov;
	int count;

	iov = transfer_vectors(tiocb, &single, &count);
	switch (tiocb->op) {
	case TIOCB_READ:
		if (tiocb->group)
			io_uring_prep_readv(sqe, tiocb->fd, iov, (unsigned)count, at);
		else
			io_uring_prep_read(sqe, tiocb->fd, iov->iov_base, (unsigned)iov->iov_len,
					   at);
		break;
	case TIOCB_WRITE:
		if (tiocb->group)
			io_uring_prep_writev(sqe, tiocb->fd, iov, (unsigned)count, at);
		else
			io_uring_prep_write(sqe, tiocb->fd, iov->iov_base, (unsigned)iov->iov_len,
					    at);
		break;
	case TIOCB_FSYNC:
		io_uring_prep_fsync(sqe, tiocb->fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		io_uring_prep_fallocate(sqe, tiocb->fd, tiocb->mode, tiocb->offset,
					(off_t)tiocb->bytes);
		break;
	}
}

static bool
uring_submit(struct ioengine *io, struct tiocb *tiocb)
{
	struct uring *uring = uring_of(io);
	struct io_uring_sqe *sqe;

	if (uring->inflight >= MAX_INFLIGHT)
		return false;
	sqe = get_sqe(uring);
	if (!sqe) {
		/* With nothing in flight there is no completion to wait for. */
		if (uring->inflight)
			return false;
		ioengine_settle(io, tiocb, -EAGAIN);
		return true;
	}
	prepare(sqe, tiocb);
	io_uring_sqe_set_data(sqe, tiocb);
	uring->inflight++;
	return true;
}

/* The entries go to the kernel with the next wait. */
static void
uring_flush(struct ioengine *io)
{
	(void)io;
}

/* ---- the wait ---- */

static void
reap(struct uring *uring)
{
	struct io_uring_cqe *cqe;
	unsigned count = 0;
	unsigned head;
	uint64_t data;

	io_uring_for_each_cqe(&uring->ring, head, cqe)
	{
		data = cqe->user_data;
		count++;
		if (data & TAG_WATCH) {
			data &= ~(uint64_t)TAG_WATCH;
			poll_came_back(uring, (struct ioengine_watch *)(uintptr_t)data, cqe->res);
		} else if (data) {
			uring->inflight--;
			ioengine_settle(&uring->io, (struct tiocb *)(uintptr_t)data, cqe->res);
		}
	}
	io_uring_cq_advance(&uring->ring, count);
}

static int
submit_and_wait(struct uring *uring, int64_t timeout_us)
{
	struct __kernel_timespec limit = { timeout_us / 1000000, timeout_us % 1000000 * 1000 };
	struct io_uring_cqe *cqe;

	if (!timeout_us || io_uring_cq_ready(&uring->ring))
		return io_uring_submit_and_get_events(&uring->ring);
	if (timeout_us < 0)
		return io_uring_submit_and_wait(&uring->ring, 1);
	return io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1, &limit, NULL);
}

static int
uring_wait(struct ioengine *io, int64_t timeout_us)
{
	struct uring *uring = uring_of(io);
	int res;

	prepare_polls(uring);
	/* A change that found no room is tried again at once. */
	if (!TAILQ_EMPTY(&uring->dirty))
		timeout_us = 0;
	res = submit_and_wait(uring, timeout_us);
	reap(uring);

	/* -EBUSY: completions had overflowed; -EAGAIN: short of memory.  The next turn goes on. */
	if (res >= 0 || res == -ETIME || res == -EINTR || res == -EBUSY || res == -EAGAIN)
		return 0;
	return res;
}

/*
 * The kernel lets go of a descriptor when its poll has come back; a ring that is closed with polls
 * in it does so only some time later.
 */
static void
uring_close(struct ioengine *io)
{
	struct uring *uring = uring_of(io);

	while (uring->zombies && !uring_wait(io, -1))
		;
	io_uring_queue_exit(&uring->ring);
	free(uring);
}

const struct ioengine_backend ioengine_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.watch = uring_watch,
	.watch_set = uring_watch_set,
	.unwatch = uring_unwatch,
	.submit = uring_submit,
	.flush = uring_flush,
	.wait = uring_wait,
};

#endif
