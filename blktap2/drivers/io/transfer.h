/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a transfer, the same for all engines: short ones are continued, the end of a file is
 * what loop.h says it is, and neighbours are joined into one vectored operation.
 */
#ifndef IO_TRANSFER_H
#define IO_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include <tapdisk.h>

#include "drivers/io/tiocb-list.h"

struct ioengine;

#define GROUP_VECTORS 64 /* tiocbs in one operation */
#define GROUPS_MAX 32    /* operations of more than one tiocb at a time */

/* Bytes in one operation: joining saves calls, but the first of a group waits for the last. */
#define GROUP_BYTES (256u * 1024)

/* Bytes of a tiocb per call; below what Linux cuts off by itself. */
#define TRANSFER_MAX (1u << 30)

/* tiocbs that are one operation: the first one's group; the others follow it by their next. */
struct tiocb_group {
	struct tiocb_group *next; /* while unused */
	int count;
	struct iovec iov[GROUP_VECTORS];
};

struct transfer_groups {
	struct tiocb_group *unused;
	unsigned made;
};

void transfer_groups_free(struct transfer_groups *groups);

static inline bool
is_transfer(const struct tiocb *tiocb)
{
	return tiocb->op == TIOCB_READ || tiocb->op == TIOCB_WRITE;
}

/* Join to tiocb what follows it in batch and continues it on the same descriptor. */
void transfer_join(struct ioengine *io, struct tiocb *tiocb, struct tiocb_list *batch);

/* Undo it: what was joined goes back to the head of batch. */
void transfer_part(struct ioengine *io, struct tiocb *tiocb, struct tiocb_list *batch);

/* What is left of tiocb, up to TRANSFER_MAX, in *count vectors; single is the space for one. */
const struct iovec *transfer_vectors(const struct tiocb *tiocb, struct iovec *single, int *count);

/* Where the next transfer of tiocb begins, in bytes. */
static inline long long
transfer_offset(const struct tiocb *tiocb)
{
	return tiocb->offset + (long long)tiocb->done;
}

/* Do it here and now, in this thread: bytes, 0 or -errno.  A lone transfer is cut off at limit. */
long transfer_execute(const struct tiocb *tiocb, size_t limit);

/* Do a read or write only if it need not wait: else -EAGAIN; -EOPNOTSUPP: the file cannot say. */
long transfer_try(const struct tiocb *tiocb);

/*
 * The kernel answered res, bytes or -errno, for what was left of tiocb: it is complete, or the rest
 * is queued again.
 */
void ioengine_settle(struct ioengine *io, struct tiocb *tiocb, long res);

#endif
