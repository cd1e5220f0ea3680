/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all engines share: the choice of one, the descriptors that are ready, and the calls back.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/io/backend.h"
#include "drivers/io/batch.h"

#define ROUNDS_PER_TURN 8 /* of "done on the spot, and its callback queued more" */

/* Copies in one turn: the other descriptors wait for so long. */
#define COPIES_PER_TURN 256
#define COPIED_BYTES_PER_TURN (1u << 18) /* sent while they are still in the cache */

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
	(*io)->files.tells_direct = backend->knows_no_cache;
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
	if (!io)
		return;
	transfer_groups_free(&io->groups);
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

void
ioengine_forget_files(struct ioengine *io)
{
	io_files_forget(&io->files);
}

/* ---- turns ---- */

unsigned
ioengine_pending(const struct ioengine *io)
{
	return io->pending;
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
ioengine_submit(struct ioengine *io)
{
	struct batch_budget budget = { COPIES_PER_TURN, COPIED_BYTES_PER_TURN };
	int round;

	for (round = 0; round < ROUNDS_PER_TURN; round++) {
		batch_submit(io, &budget);
		if (!io->done.first)
			break;
		call_tiocbs(io);
	}
}

int
ioengine_wait(struct ioengine *io, int64_t timeout_us)
{
	struct batch_budget budget = { COPIES_PER_TURN, COPIED_BYTES_PER_TURN };

	io->files.turn++;
	batch_submit(io, &budget);
	if (io->done.first || (io->queued.first && !io->is_full))
		timeout_us = 0;
	return io->backend->wait(io, timeout_us);
}

bool
ioengine_has_events(const struct ioengine *io)
{
	return io->done.first || !TAILQ_EMPTY(&io->ready);
}

void
ioengine_dispatch(struct ioengine *io)
{
	call_watches(io);
	call_tiocbs(io);
}
