/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "tests/vhd/failing-io.h"

#define MOST (64u << 20) /* bytes that a test may take */

static struct failing_io *
memory_of(struct io *io)
{
	return (struct failing_io *)io;
}

static int
count(struct failing_io *memory, bool changes)
{
	if (memory->writes_only && !changes)
		return 0;
	return ++memory->calls == memory->fail_at ? -EIO : 0;
}

static int
resize(struct failing_io *memory, uint64_t bytes)
{
	uint8_t *at;

	if (bytes > MOST)
		return -ENOSPC;
	at = realloc(memory->at, bytes + 1);
	if (!at)
		return -ENOMEM;
	if (bytes > memory->bytes)
		memset(at + memory->bytes, 0, bytes - memory->bytes);
	memory->at = at;
	memory->bytes = bytes;
	return 0;
}

static int
memory_read_at(struct io *io, void *buf, size_t bytes, uint64_t at)
{
	struct failing_io *memory = memory_of(io);
	int err = count(memory, false);

	if (!err && !range_fits(at, bytes, memory->bytes))
		err = -ENODATA;
	if (!err)
		memcpy(buf, memory->at + at, bytes);
	return err;
}

static int
memory_write_at(struct io *io, const void *buf, size_t bytes, uint64_t at)
{
	struct failing_io *memory = memory_of(io);
	int err = count(memory, true);

	if (!err && !range_fits(at, bytes, memory->bytes))
		err = resize(memory, at + bytes);
	if (!err)
		memcpy(memory->at + at, buf, bytes);
	return err;
}

static int
memory_sync(struct io *io)
{
	return count(memory_of(io), true);
}

static int
memory_size(struct io *io, uint64_t *bytes)
{
	*bytes = memory_of(io)->bytes;
	return count(memory_of(io), false);
}

static int
memory_truncate(struct io *io, uint64_t bytes)
{
	int err = count(memory_of(io), true);

	return err ? err : resize(memory_of(io), bytes);
}

static int
memory_zero(struct io *io, uint64_t at, uint64_t bytes)
{
	struct failing_io *memory = memory_of(io);
	int err = count(memory, true);

	if (!err && !range_fits(at, bytes, memory->bytes))
		err = -EINVAL;
	if (!err)
		memset(memory->at + at, 0, bytes);
	return err;
}

static void
memory_close(struct io *io)
{
	memory_of(io)->closed = 1;
}

static const struct io_ops memory_ops = {
	.read_at = memory_read_at,
	.write_at = memory_write_at,
	.sync = memory_sync,
	.size = memory_size,
	.truncate = memory_truncate,
	.zero = memory_zero,
	.close = memory_close,
};

void
failing_io_init(struct failing_io *memory)
{
	*memory = (struct failing_io){ .io = { .ops = &memory_ops } };
}

void
failing_io_free(struct failing_io *memory)
{
	free(memory->at);
}
