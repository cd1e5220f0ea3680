/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a transfer: see transfer.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/checked.h"
#include "drivers/io/backend.h"

#define MAX_ATTEMPTS 16 /* of one transfer that meets EINTR or EAGAIN */

/* tiocb.mode of a read: what the end of the file means. */
#define EOF_IS_ERROR 0
#define EOF_IS_ZERO 1

static size_t
min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
finish(struct ioengine *io, struct tiocb *tiocb, int err)
{
	tiocb->result = err;
	tiocb_list_add(&io->done, tiocb);
}

/* While a tiocb is on its way, its result counts the attempts that moved nothing. */
void
ioengine_queue(struct ioengine *io, struct tiocb *tiocb, uint64_t eof_zero)
{
	io->pending++;
	tiocb->done = 0;
	tiocb->result = 0;
	tiocb->group = NULL;
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

const struct iovec *
transfer_vectors(const struct tiocb *tiocb, struct iovec *single, int *count)
{
	if (tiocb->group) {
		*count = tiocb->group->count;
		return tiocb->group->iov;
	}
	*count = 0;
	if (!is_transfer(tiocb))
		return single;
	single->iov_base = tiocb->buf + tiocb->done;
	single->iov_len = min_size(tiocb->bytes - tiocb->done, TRANSFER_MAX);
	*count = 1;
	return single;
}

long
transfer_try(const struct tiocb *tiocb)
{
	const struct iovec *iov;
	struct iovec single;
	ssize_t res;
	int count;

	iov = transfer_vectors(tiocb, &single, &count);
	if (tiocb->op == TIOCB_READ)
		res = preadv2(tiocb->fd, iov, count, transfer_offset(tiocb), RWF_NOWAIT);
	else
		res = pwritev2(tiocb->fd, iov, count, transfer_offset(tiocb), RWF_NOWAIT);
	return res < 0 ? -errno : res;
}

/* A lone buffer is spared the vector, which the kernel would have to fetch. */
static ssize_t
move(const struct tiocb *tiocb, size_t limit)
{
	const struct iovec *iov;
	struct iovec single;
	size_t bytes;
	int count;

	iov = transfer_vectors(tiocb, &single, &count);
	if (count > 1 && tiocb->op == TIOCB_READ)
		return preadv(tiocb->fd, iov, count, transfer_offset(tiocb));
	if (count > 1)
		return pwritev(tiocb->fd, iov, count, transfer_offset(tiocb));
	bytes = min_size(iov->iov_len, limit);
	if (tiocb->op == TIOCB_READ)
		return pread(tiocb->fd, iov->iov_base, bytes, transfer_offset(tiocb));
	return pwrite(tiocb->fd, iov->iov_base, bytes, transfer_offset(tiocb));
}

long
transfer_execute(const struct tiocb *tiocb, size_t limit)
{
	long res;

	switch (tiocb->op) {
	case TIOCB_READ:
	case TIOCB_WRITE:
		res = move(tiocb, limit);
		break;
	case TIOCB_FSYNC:
		res = fdatasync(tiocb->fd);
		break;
	case TIOCB_FALLOCATE:
		res = fallocate(tiocb->fd, tiocb->mode, tiocb->offset, (off_t)tiocb->bytes);
		break;
	default:
		return -EINVAL;
	}
	return res < 0 ? -errno : res;
}

/* ---- what the kernel answered ---- */

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

static void
settle_one(struct ioengine *io, struct tiocb *tiocb, long res)
{
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

/* ---- groups ---- */

void
transfer_groups_free(struct transfer_groups *groups)
{
	struct tiocb_group *group;

	while ((group = groups->unused)) {
		groups->unused = group->next;
		free(group);
	}
}

static struct tiocb_group *
group_get(struct transfer_groups *groups)
{
	struct tiocb_group *group = groups->unused;

	if (group) {
		groups->unused = group->next;
		return group;
	}
	if (groups->made == GROUPS_MAX)
		return NULL;
	group = malloc(sizeof(*group));
	if (group)
		groups->made++;
	return group;
}

static void
group_put(struct ioengine *io, struct tiocb *tiocb)
{
	tiocb->group->next = io->groups.unused;
	io->groups.unused = tiocb->group;
	tiocb->group = NULL;
}

/* Only what is tried for the first time: a group that fails is taken apart and each is tried alone.
 */
static bool
is_fresh(const struct tiocb *tiocb)
{
	return is_transfer(tiocb) && !tiocb->done && !tiocb->result;
}

static bool
continues(const struct tiocb *next, const struct tiocb *last, size_t bytes)
{
	return next && is_fresh(next) && next->op == last->op && next->fd == last->fd &&
	       next->bytes <= GROUP_BYTES - bytes &&
	       next->offset - last->offset == (long long)last->bytes;
}

void
transfer_join(struct ioengine *io, struct tiocb *tiocb, struct tiocb_list *batch)
{
	struct tiocb *last = tiocb;
	size_t bytes = tiocb->bytes;
	struct tiocb_group *group;

	if (!is_fresh(tiocb) || bytes > GROUP_BYTES || !continues(batch->first, tiocb, bytes))
		return;
	group = group_get(&io->groups);
	if (!group)
		return;
	group->iov[0] = (struct iovec){ tiocb->buf, tiocb->bytes };
	group->count = 1;
	while (group->count < GROUP_VECTORS && continues(batch->first, last, bytes)) {
		last->next = tiocb_list_take(batch);
		last = last->next;
		bytes += last->bytes;
		group->iov[group->count++] = (struct iovec){ last->buf, last->bytes };
	}
	tiocb->group = group;
}

void
transfer_part(struct ioengine *io, struct tiocb *tiocb, struct tiocb_list *batch)
{
	struct tiocb_list joined;
	struct tiocb *next;

	if (!tiocb->group)
		return;
	group_put(io, tiocb);
	tiocb_list_init(&joined);
	for (tiocb = tiocb->next; tiocb; tiocb = next) {
		next = tiocb->next;
		tiocb_list_add(&joined, tiocb);
	}
	tiocb_list_prepend(batch, &joined);
}

/* Each member has what of res falls to it; who got only a part, or nothing, goes on alone. */
static void
settle_group(struct ioengine *io, struct tiocb *tiocb, long res)
{
	size_t moved = res > 0 ? (size_t)res : 0;
	struct tiocb *next;

	group_put(io, tiocb);
	for (; tiocb; tiocb = next) {
		next = tiocb->next;
		tiocb->next = NULL;
		tiocb->done = min_size(tiocb->bytes, moved);
		moved -= tiocb->done;
		if (tiocb->done == tiocb->bytes) {
			finish(io, tiocb, 0);
			continue;
		}
		tiocb->result = 1;
		tiocb_list_add(&io->queued, tiocb);
	}
}

void
ioengine_settle(struct ioengine *io, struct tiocb *tiocb, long res)
{
	io->is_full = false;
	if (tiocb->group)
		settle_group(io, tiocb, res);
	else
		settle_one(io, tiocb, res);
}
