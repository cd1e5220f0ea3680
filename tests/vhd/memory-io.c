/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "tests/vhd/memory-io.h"

#define BYTES_MAX (64u << 20)

struct memory {
	struct io io;
	struct memory_disk *disk;
};

static struct memory_disk *
disk_of(struct io *io)
{
	return ((struct memory *)io)->disk;
}

static int
count(struct memory_disk *disk)
{
	disk->calls++;
	if (!disk->fail_at)
		return 0;
	if (disk->calls == disk->fail_at || (disk->stays_down && disk->calls > disk->fail_at))
		return -EIO;
	return 0;
}

void
memory_disk_resize(struct memory_disk *disk, size_t bytes)
{
	if (bytes > disk->room) {
		disk->at = realloc(disk->at, bytes);
		memset(disk->at + disk->room, 0, bytes - disk->room);
		disk->room = bytes;
	}
	if (bytes < disk->bytes)
		memset(disk->at + bytes, 0, disk->bytes - bytes);
	disk->bytes = bytes;
}

void
memory_disk_copy(struct memory_disk *to, const struct memory_disk *from)
{
	to->is_device = from->is_device;
	memory_disk_resize(to, from->bytes);
	memcpy(to->at, from->at, from->bytes);
}

void
memory_disk_free(struct memory_disk *disk)
{
	free(disk->at);
	memset(disk, 0, sizeof(*disk));
}

static int
memory_read(struct io *io, void *buf, size_t bytes, uint64_t at)
{
	struct memory_disk *disk = disk_of(io);
	int err = disk->writes_only ? 0 : count(disk);

	if (!err && !range_fits(at, bytes, disk->bytes))
		err = -ENODATA;
	if (!err)
		memcpy(buf, disk->at + at, bytes);
	return err;
}

static int
memory_truncate(struct io *io, uint64_t bytes)
{
	struct memory_disk *disk = disk_of(io);
	int err = count(disk);

	if (!err && disk->is_device)
		err = -EOPNOTSUPP;
	if (!err && bytes > BYTES_MAX)
		err = -ENOSPC;
	if (!err)
		memory_disk_resize(disk, bytes);
	return err;
}

static int
memory_write(struct io *io, const void *buf, size_t bytes, uint64_t at)
{
	struct memory_disk *disk = disk_of(io);
	int err = count(disk);

	if (!err && !range_fits(at, bytes, disk->is_device ? disk->bytes : BYTES_MAX))
		err = -ENOSPC;
	if (err)
		return err;
	if (at + bytes > disk->bytes)
		memory_disk_resize(disk, at + bytes);
	memcpy(disk->at + at, buf, bytes);
	return 0;
}

static int
memory_sync(struct io *io)
{
	return count(disk_of(io));
}

static int
memory_size(struct io *io, uint64_t *bytes)
{
	struct memory_disk *disk = disk_of(io);

	*bytes = disk->bytes;
	return disk->writes_only ? 0 : count(disk);
}

static int
memory_zero(struct io *io, uint64_t at, uint64_t bytes)
{
	struct memory_disk *disk = disk_of(io);
	int err = count(disk);

	if (!err && !range_fits(at, bytes, disk->bytes))
		err = -EINVAL;
	if (!err)
		memset(disk->at + at, 0, bytes);
	return err;
}

static void
memory_close(struct io *io)
{
	free(io);
}

struct io *
memory_io(struct memory_disk *disk)
{
	static const struct io_ops ops = {
		.read_at = memory_read,
		.write_at = memory_write,
		.sync = memory_sync,
		.size = memory_size,
		.truncate = memory_truncate,
		.zero = memory_zero,
		.close = memory_close,
	};
	struct memory *memory = calloc(1, sizeof(*memory));

	memory->io.ops = &ops;
	memory->io.is_device = disk->is_device;
	memory->disk = disk;
	return &memory->io;
}
