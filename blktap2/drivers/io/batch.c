/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the queue of tiocbs to the engine: neighbours are joined, and what is no more than a copy in
 * memory is done on the spot.
 *
 * tmpfs and its like have no non-blocking path in the kernel, so io_uring hands each of their
 * transfers to a kernel thread, and io_submit does it in place.  The copy itself is cheaper than
 * that, and cannot wait for a device.
 */
#include <errno.h>

#include "drivers/io/backend.h"
#include "drivers/io/batch.h"

/* Buffered files, in engines that cannot queue them: what is in the page cache need not wait. */
static bool
try_page_cache(struct ioengine *io, struct tiocb *tiocb, struct io_file *file)
{
	bool *is_useless = tiocb->op == TIOCB_READ ? &file->no_nowait_read : &file->no_nowait_write;
	long res;

	if (*is_useless)
		return false;
	res = transfer_try(tiocb);
	if (res < 0) {
		*is_useless = res == -EOPNOTSUPP;
		return false;
	}
	ioengine_settle(io, tiocb, res);
	return true;
}

/* True when tiocb was settled; of a single one no more than limit bytes are copied. */
static bool
try_now(struct ioengine *io, struct tiocb *tiocb, size_t limit)
{
	struct io_file *file;

	if (!is_transfer(tiocb) && tiocb->op != TIOCB_FSYNC)
		return false;
	file = io_files_find(&io->files, tiocb->fd);
	if (file->kind == IO_FILE_MEMORY) {
		ioengine_settle(io, tiocb, transfer_execute(tiocb, limit));
		return true;
	}
	if (file->kind == IO_FILE_BUFFERED && is_transfer(tiocb) && io->backend->knows_no_cache)
		return try_page_cache(io, tiocb, file);
	return false;
}

static size_t
size_of(const struct tiocb *tiocb)
{
	const struct iovec *iov;
	struct iovec single;
	size_t bytes = 0;
	int count;

	if (!is_transfer(tiocb))
		return 0;
	iov = transfer_vectors(tiocb, &single, &count);
	while (count)
		bytes += iov[--count].iov_len;
	return bytes;
}

static void
spend(struct batch_budget *budget, size_t bytes)
{
	budget->copies--;
	budget->bytes -= bytes < budget->bytes ? bytes : budget->bytes;
}

void
batch_submit(struct ioengine *io, struct batch_budget *budget)
{
	struct tiocb_list batch = io->queued;
	struct tiocb *tiocb;
	size_t bytes;

	if (!batch.first)
		return;
	tiocb_list_init(&io->queued);
	while (budget->copies && budget->bytes && (tiocb = tiocb_list_take(&batch))) {
		transfer_join(io, tiocb, &batch);
		bytes = size_of(tiocb);
		if (try_now(io, tiocb, budget->bytes)) {
			spend(budget, bytes);
			continue;
		}
		if (!io->backend->submit(io, tiocb)) {
			io->is_full = true;
			transfer_part(io, tiocb, &batch);
			tiocb_list_push(&batch, tiocb);
			break;
		}
	}
	io->backend->flush(io);
	if (batch.first)
		tiocb_list_prepend(&io->queued, &batch);
}
