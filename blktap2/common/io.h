/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a format library reads and writes: a file, a device, or in tests a recorder or a failing
 * disk in memory.
 *
 * Synchronous, for tools and for the opening of images.  Nothing is ever done in part: an operation
 * returns 0 when all of it is done, else -errno.
 */
#ifndef COMMON_IO_H
#define COMMON_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;

struct io_ops {
	/* bytes at offset at; -ENODATA when the file ends before. */
	int (*read_at)(struct io *io, void *buf, size_t bytes, uint64_t at);
	/* Writing behind the end of a regular file extends it. */
	int (*write_at)(struct io *io, const void *buf, size_t bytes, uint64_t at);
	/* What has been written is on stable storage. */
	int (*sync)(struct io *io);
	/* The size of the file or of the device in bytes. */
	int (*size)(struct io *io, uint64_t *bytes);
	/* A regular file gets this size; what is added reads as zeros.  Devices: -EOPNOTSUPP. */
	int (*truncate)(struct io *io, uint64_t bytes);
	/* A range inside the file or device reads as zeros from now on; its storage may be given
	 * back. */
	int (*zero)(struct io *io, uint64_t at, uint64_t bytes);
	/*
	 * Of a range inside the file or device: the first *run bytes hold data (*is_data), or are a
	 * hole that reads as zeros.  NULL: it is all data.
	 */
	int (*data_run)(struct io *io, uint64_t at, uint64_t bytes, uint64_t *run, bool *is_data);
	/* Ends the use of io.  What was not synced may be lost. */
	void (*close)(struct io *io);
};

struct io {
	const struct io_ops *ops;
	bool is_device; /* it cannot grow, and is as large as it is */
};

static inline int
io_read_at(struct io *io, void *buf, size_t bytes, uint64_t at)
{
	return io->ops->read_at(io, buf, bytes, at);
}

static inline int
io_write_at(struct io *io, const void *buf, size_t bytes, uint64_t at)
{
	return io->ops->write_at(io, buf, bytes, at);
}

static inline int
io_sync(struct io *io)
{
	return io->ops->sync(io);
}

static inline int
io_size(struct io *io, uint64_t *bytes)
{
	return io->ops->size(io, bytes);
}

static inline int
io_truncate(struct io *io, uint64_t bytes)
{
	return io->ops->truncate(io, bytes);
}

static inline int
io_zero(struct io *io, uint64_t at, uint64_t bytes)
{
	return io->ops->zero(io, at, bytes);
}

static inline int
io_data_run(struct io *io, uint64_t at, uint64_t bytes, uint64_t *run, bool *is_data)
{
	*run = bytes;
	*is_data = true;
	return io->ops->data_run ? io->ops->data_run(io, at, bytes, run, is_data) : 0;
}

static inline void
io_close(struct io *io)
{
	if (io)
		io->ops->close(io);
}

/* ---- files and devices --------------------------------------------------------------------------
 */

#define IO_WRITE 0x01u     /* else only reading */
#define IO_CREATE 0x02u    /* make the file, or empty it; a device stays as it is */
#define IO_EXCLUSIVE 0x04u /* with IO_CREATE: -EEXIST if there is something */
#define IO_DIRECT 0x08u    /* past the page cache where the file allows it, else through it */
#define IO_DSYNC 0x10u     /* each write is on stable storage when it returns */

/*
 * Open a regular file or a block device; anything else is -EISDIR or -EINVAL.  New files get mode
 * 0644 less the umask.  Returns 0 with *io, to be closed by the caller, or -errno.
 */
int io_file_open(const char *path, unsigned flags, struct io **io);

/* The descriptor of an io_file_open(); borrowed. */
int io_file_fd(const struct io *io);

/*
 * What is called path is found again after a power cut: the entry in its folder is on stable
 * storage.  The content is a matter of io_sync().  0 or -errno.
 */
int io_file_sync_name(const char *path);

#endif
