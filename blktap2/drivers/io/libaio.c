/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine on Linux AIO: direct transfers are queued in the kernel, which tells of their end
 * through an eventfd; descriptors are on epoll.  io_submit would block on buffered files, and knows
 * no fallocate: these go to worker threads.
 */
#include <errno.h>
#include <libaio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "drivers/io/offload.h"
#include "drivers/io/poll.h"

/* The system's sum over all processes is bounded (fs.aio-max-nr, 65536 by default). */
#define SLOTS 128

struct libaio {
	struct ioengine io;
	struct poll poll;
	struct offload offload;
	io_context_t context;
	int fd;              /* eventfd */
	struct iocb *free;   /* linked by data */
	unsigned inflight;   /* in the kernel */
	unsigned n_prepared; /* not yet there */
	struct iocb *prepared[SLOTS];
	struct iocb slots[SLOTS];
};

static struct libaio *
libaio_of(struct ioengine *io)
{
	return (struct libaio *)io;
}

static void
slot_put(struct libaio *aio, struct iocb *slot)
{
	slot->data = aio->free;
	aio->free = slot;
}

static void
settle(struct libaio *aio, struct iocb *slot, long res)
{
	struct tiocb *tiocb = slot->data;

	slot_put(aio, slot);
	ioengine_settle(&aio->io, tiocb, res);
}

/* Transfers that ended: without a system call when there are none. */
static void
reap_transfers(struct ioengine *io)
{
	static const struct timespec at_once = { 0, 0 };
	struct libaio *aio = libaio_of(io);
	struct io_event events[SLOTS];
	struct timespec timeout = at_once;
	int n, i;

	if (!aio->inflight)
		return;
	n = io_getevents(aio->context, 0, SLOTS, events, &timeout);
	for (i = 0; i < n; i++) {
		aio->inflight--;
		settle(aio, events[i].obj, (long)events[i].res);
	}
}

static void
reap_workers(struct ioengine *io)
{
	workers_reap(libaio_of(io)->offload.workers);
}

/* ---- start and end ---- */

static int
open_context(struct libaio *aio)
{
	int err;

	aio->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (aio->fd < 0)
		return -errno;
	err = io_setup(SLOTS, &aio->context);
	if (!err)
		err = poll_add_source(&aio->poll, aio->fd, reap_transfers);
	if (err) {
		if (aio->context)
			io_destroy(aio->context);
		close(aio->fd);
	}
	return err;
}

static int
libaio_open(struct ioengine **io)
{
	struct libaio *aio = calloc(1, sizeof(*aio));
	unsigned i;
	int err;

	if (!aio)
		return -ENOMEM;
	for (i = 0; i < SLOTS; i++)
		slot_put(aio, &aio->slots[i]);
	err = poll_open(&aio->poll);
	if (err)
		goto out_free;
	err = offload_open(&aio->offload, &aio->io);
	if (err)
		goto out_poll;
	err = poll_add_source(&aio->poll, workers_fd(aio->offload.workers), reap_workers);
	if (err)
		goto out_offload;
	err = open_context(aio);
	if (err)
		goto out_offload;
	*io = &aio->io;
	return 0;

out_offload:
	offload_close(&aio->offload);
out_poll:
	poll_close(&aio->poll);
out_free:
	free(aio);
	return err;
}

static void
libaio_close(struct ioengine *io)
{
	struct libaio *aio = libaio_of(io);

	io_destroy(aio->context);
	close(aio->fd);
	offload_close(&aio->offload);
	poll_close(&aio->poll);
	free(aio);
}

/* ---- descriptors ---- */

static int
libaio_watch(struct ioengine *io, struct ioengine_watch *watch)
{
	return poll_watch(&libaio_of(io)->poll, watch);
}

static void
libaio_watch_set(struct ioengine_watch *watch)
{
	poll_watch_set(&libaio_of(watch->io)->poll, watch);
}

static void
libaio_unwatch(struct ioengine_watch *watch)
{
	poll_unwatch(&libaio_of(watch->io)->poll, watch);
	free(watch);
}

/* ---- transfers ---- */

static bool
is_queued_by_kernel(struct ioengine *io, const struct tiocb *tiocb)
{
	return is_transfer(tiocb) && io_files_find(&io->files, tiocb->fd)->kind == IO_FILE_DIRECT;
}

static void
prepare(struct iocb *slot, const struct tiocb *tiocb)
{
	long long at = transfer_offset(tiocb);
	struct iovec single;
	const struct iovec *iov;
	int count;

	iov = transfer_vectors(tiocb, &single, &count);
	if (tiocb->op == TIOCB_READ && tiocb->group)
		io_prep_preadv(slot, tiocb->fd, iov, count, at);
	else if (tiocb->op == TIOCB_READ)
		io_prep_pread(slot, tiocb->fd, iov->iov_base, iov->iov_len, at);
	else if (tiocb->group)
		io_prep_pwritev(slot, tiocb->fd, iov, count, at);
	else
		io_prep_pwrite(slot, tiocb->fd, iov->iov_base, iov->iov_len, at);
}

static bool
libaio_submit(struct ioengine *io, struct tiocb *tiocb)
{
	struct libaio *aio = libaio_of(io);
	struct iocb *slot;

	if (!is_queued_by_kernel(io, tiocb))
		return offload_submit(&aio->offload, tiocb);
	slot = aio->free;
	if (!slot)
		return false;
	aio->free = slot->data;
	prepare(slot, tiocb);
	io_set_eventfd(slot, aio->fd);
	slot->data = tiocb;
	aio->prepared[aio->n_prepared++] = slot;
	return true;
}

/*
 * The kernel takes a first part of what it is given, or refuses the first of all.  Short of memory
 * it is asked again when something has come back.
 */
static void
libaio_flush(struct ioengine *io)
{
	struct libaio *aio = libaio_of(io);
	struct iocb **at = aio->prepared;
	unsigned left = aio->n_prepared;
	unsigned i;
	int n;

	while (left) {
		n = io_submit(aio->context, left, at);
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN && aio->inflight)
			break;
		if (n > 0) {
			aio->inflight += (unsigned)n;
		} else {
			settle(aio, *at, n ? n : -EIO);
			n = 1;
		}
		at += n;
		left -= (unsigned)n;
	}
	for (i = 0; i < left; i++)
		aio->prepared[i] = at[i];
	aio->n_prepared = left;
	/* Some file systems do a transfer while it is submitted. */
	reap_transfers(io);
}

static int
libaio_wait(struct ioengine *io, int64_t timeout_us)
{
	struct libaio *aio = libaio_of(io);

	if (aio->n_prepared)
		libaio_flush(io);
	if (io->done.first)
		timeout_us = 0;
	return poll_wait(&aio->poll, io, timeout_us);
}

const struct ioengine_backend ioengine_libaio = {
	.name = "libaio",
	.open = libaio_open,
	.close = libaio_close,
	.watch = libaio_watch,
	.watch_set = libaio_watch_set,
	.unwatch = libaio_unwatch,
	.submit = libaio_submit,
	.flush = libaio_flush,
	.wait = libaio_wait,
	.knows_no_cache = true,
};
