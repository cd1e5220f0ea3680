/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who does the work: one engine watches descriptors and runs tiocbs, and has one place to wait for
 * both.  The loop stands on it; nothing else uses it.
 *
 * All functions belong to one thread, the one that called ioengine_new.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include <stdbool.h>
#include <stdint.h>

#include <tapdisk.h>

struct ioengine;
struct ioengine_watch;

#define IO_READ 0x1
#define IO_WRITE 0x2

/*
 * Start the engine called name ("io_uring", "libaio", "threads"); NULL: the first that the kernel
 * really offers.  Returns 0; -EINVAL for an unknown name; -errno of a named engine that is refused.
 */
int ioengine_new(struct ioengine **io, const char *name);
void ioengine_free(struct ioengine *io); /* no tiocb may be pending; NULL is fine */

const char *ioengine_name(const struct ioengine *io); /* borrowed */

typedef void (*ioengine_ready_fn)(void *arg, unsigned events); /* IO_* that are ready, never 0 */

/*
 * Call fn, level-triggered, while fd is ready in a way of events; hang-up and error count as
 * whatever is watched.  fd is borrowed: ioengine_unwatch comes before close.  Returns 0 or -errno,
 * -EPERM for a file, which is always ready.
 */
int ioengine_watch(struct ioengine *io, int fd, unsigned events, ioengine_ready_fn fn, void *arg,
		   struct ioengine_watch **watch);

/* From now on for these events; 0: keep, but do not call. */
void ioengine_watch_set(struct ioengine_watch *watch, unsigned events);

/* In any callback; fn is not called again.  NULL is fine. */
void ioengine_unwatch(struct ioengine_watch *watch);

/*
 * Queue an operation for the next ioengine_submit or ioengine_wait.  Its callback comes from
 * ioengine_submit or ioengine_dispatch.  Reads that end at or below byte eof_zero may find the file
 * shorter: zeroes.
 */
void ioengine_queue(struct ioengine *io, struct tiocb *tiocb, uint64_t eof_zero);

/* Descriptors of operations have been closed and opened: what was known of their files is void. */
void ioengine_forget_files(struct ioengine *io);

/* tiocbs queued whose callback was not called yet. */
unsigned ioengine_pending(const struct ioengine *io);

/*
 * Start what is queued, then sleep until something is ready or complete, at most timeout_us
 * microseconds (-1: no limit); not at all when there is work already.  Calls nothing back.
 * Returns 0 or -errno.
 */
int ioengine_wait(struct ioengine *io, int64_t timeout_us);

/* Has ioengine_wait found anything to be called back for? */
bool ioengine_has_events(const struct ioengine *io);

/* Call back for every descriptor and every tiocb that ioengine_wait found. */
void ioengine_dispatch(struct ioengine *io);

/* Start what is queued, and call back for what could be done on the spot. */
void ioengine_submit(struct ioengine *io);

#endif
