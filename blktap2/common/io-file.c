/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and block devices behind struct io.
 *
 * Buffers of callers have any alignment; where the page cache is avoided they go through an aligned
 * one, in sectors.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/io.h"
#include "common/whole.h"

#define SECTOR 512
#define BOUNCE_BYTES (256u << 10)
#define BOUNCE_ALIGNMENT 4096

struct io_file {
	struct io io;
	int fd;       /* owned */
	void *bounce; /* owned; NULL: through the page cache */
};

static struct io_file *
file_of(struct io *io)
{
	return (struct io_file *)io;
}

/* ---- through the aligned buffer -----------------------------------------------------------------
 */

static bool
is_aligned(const void *buf, size_t bytes, uint64_t at)
{
	return ((uintptr_t)buf | bytes | at) % SECTOR == 0;
}

/* The file or device wants larger units than sectors: go through the page cache from now on. */
static bool
gave_up_direct(struct io_file *file, int err)
{
	int flags;

	if (err != -EINVAL || !file->bounce)
		return false;
	flags = fcntl(file->fd, F_GETFL);
	if (flags < 0 || fcntl(file->fd, F_SETFL, flags & ~O_DIRECT))
		return false;
	free(file->bounce);
	file->bounce = NULL;
	return true;
}

/* The sectors that hold a part of the transfer which begins in the first of them. */
struct window {
	uint64_t at;   /* bytes, a multiple of SECTOR */
	size_t skip;   /* bytes before the part */
	size_t part;   /* bytes of the part */
	size_t length; /* bytes, a multiple of SECTOR */
	size_t there;  /* bytes that the file has of it, at least, once it was read */
};

static struct window
window_at(uint64_t at, size_t bytes)
{
	struct window window = { .at = at - at % SECTOR, .skip = at % SECTOR, .part = bytes };

	if (window.part > BOUNCE_BYTES - window.skip)
		window.part = BOUNCE_BYTES - window.skip;
	window.length = (window.skip + window.part + SECTOR - 1) / SECTOR * SECTOR;
	return window;
}

/*
 * Read at least so many bytes of the window; what the file does not have is zeroed.  The last
 * sector of a file may be cut.
 */
static int
read_window(struct io_file *file, struct window *window, size_t wanted)
{
	char *to = file->bounce;
	size_t done = 0;
	ssize_t got;

	do {
		got = pread(file->fd, to + done, window->length - done, (off_t)(window->at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		done += (size_t)got;
	} while (done < wanted && got && done % SECTOR == 0);
	memset(to + done, 0, window->length - done);
	window->there = done;
	return done < wanted ? -ENODATA : 0;
}

static int
read_bounced(struct io_file *file, void *buf, size_t bytes, uint64_t at)
{
	struct window window;
	char *to = buf;
	int err;

	for (; bytes; to += window.part, at += window.part, bytes -= window.part) {
		window = window_at(at, bytes);
		err = read_window(file, &window, window.skip + window.part);
		if (err)
			return err;
		memcpy(to, (char *)file->bounce + window.skip, window.part);
	}
	return 0;
}

/* Whole sectors were written: a file ends where it did, or where the part does. */
static int
trim_window(const struct io_file *file, const struct window *window)
{
	size_t end = window->skip + window->part;

	if (window->there == window->length || file->io.is_device)
		return 0;
	if (end < window->there)
		end = window->there;
	return ftruncate(file->fd, (off_t)(window->at + end)) ? -errno : 0;
}

static int
write_window(struct io_file *file, struct window *window, const char *from)
{
	bool whole = window->skip == 0 && window->part == window->length;
	int err = whole ? 0 : read_window(file, window, window->length);

	if (err && err != -ENODATA)
		return err;
	memcpy((char *)file->bounce + window->skip, from, window->part);
	err = whole_write(file->fd, file->bounce, window->length, window->at);
	return err || whole ? err : trim_window(file, window);
}

static int
write_bounced(struct io_file *file, const void *buf, size_t bytes, uint64_t at)
{
	struct window window;
	const char *from = buf;
	int err;

	for (; bytes; from += window.part, at += window.part, bytes -= window.part) {
		window = window_at(at, bytes);
		err = write_window(file, &window, from);
		if (err)
			return err;
	}
	return 0;
}

/* ---- operations ---------------------------------------------------------------------------------
 */

static int
check_range(size_t bytes, uint64_t at)
{
	return range_fits(at, bytes, INT64_MAX) ? 0 : -EINVAL;
}

static int
file_read_at(struct io *io, void *buf, size_t bytes, uint64_t at)
{
	struct io_file *file = file_of(io);
	int err = check_range(bytes, at);

	if (err)
		return err;
	if (file->bounce && !is_aligned(buf, bytes, at))
		err = read_bounced(file, buf, bytes, at);
	else
		err = whole_read(file->fd, buf, bytes, at);
	return gave_up_direct(file, err) ? file_read_at(io, buf, bytes, at) : err;
}

static int
file_write_at(struct io *io, const void *buf, size_t bytes, uint64_t at)
{
	struct io_file *file = file_of(io);
	int err = check_range(bytes, at);

	if (err)
		return err;
	if (file->bounce && !is_aligned(buf, bytes, at))
		err = write_bounced(file, buf, bytes, at);
	else
		err = whole_write(file->fd, buf, bytes, at);
	return gave_up_direct(file, err) ? file_write_at(io, buf, bytes, at) : err;
}

static int
file_sync(struct io *io)
{
	return fdatasync(file_of(io)->fd) ? -errno : 0;
}

static int
file_size(struct io *io, uint64_t *bytes)
{
	struct stat found;

	if (io->is_device)
		return ioctl(file_of(io)->fd, BLKGETSIZE64, bytes) ? -errno : 0;
	if (fstat(file_of(io)->fd, &found))
		return -errno;
	*bytes = (uint64_t)found.st_size;
	return 0;
}

static int
file_truncate(struct io *io, uint64_t bytes)
{
	if (io->is_device)
		return -EOPNOTSUPP;
	if (bytes > INT64_MAX)
		return -EFBIG;
	return ftruncate(file_of(io)->fd, (off_t)bytes) ? -errno : 0;
}

static int
write_zeros(struct io *io, uint64_t at, uint64_t bytes)
{
	AUTO_FREE char *zeros = NULL;
	size_t part;
	int err;

	if (posix_memalign((void **)&zeros, BOUNCE_ALIGNMENT, BOUNCE_BYTES))
		return -ENOMEM;
	memset(zeros, 0, BOUNCE_BYTES);
	for (; bytes; at += part, bytes -= part) {
		part = bytes < BOUNCE_BYTES ? (size_t)bytes : BOUNCE_BYTES;
		err = file_write_at(io, zeros, part, at);
		if (err)
			return err;
	}
	return 0;
}

static int
file_zero(struct io *io, uint64_t at, uint64_t bytes)
{
	uint64_t range[2] = { at, bytes };
	int fd = file_of(io)->fd;

	if (!bytes)
		return 0;
	if (!range_fits(at, bytes, INT64_MAX))
		return -EINVAL;
	if (io->is_device && !ioctl(fd, BLKZEROOUT, range))
		return 0;
	if (!io->is_device &&
	    !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)bytes))
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != ENOTTY && errno != EINVAL)
		return -errno;
	return write_zeros(io, at, bytes);
}

/* Where the file system knows nothing of holes, all is data. */
static int
file_data_run(struct io *io, uint64_t at, uint64_t bytes, uint64_t *run, bool *is_data)
{
	int fd = file_of(io)->fd;
	off_t next;

	if (io->is_device || !bytes)
		return 0;
	if (!range_fits(at, bytes, INT64_MAX))
		return -EINVAL;
	next = lseek(fd, (off_t)at, SEEK_DATA);
	if (next < 0 && errno != ENXIO)
		return errno == EINVAL ? 0 : -errno;
	*is_data = next == (off_t)at;
	if (*is_data)
		next = lseek(fd, (off_t)at, SEEK_HOLE);
	/* No data, or no hole, any more. */
	if (next < 0 || (uint64_t)next - at > bytes)
		return 0;
	*run = (uint64_t)next - at;
	return 0;
}

static void
file_close(struct io *io)
{
	close(file_of(io)->fd);
	free(file_of(io)->bounce);
	free(file_of(io));
}

static const struct io_ops file_ops = {
	.read_at = file_read_at,
	.write_at = file_write_at,
	.sync = file_sync,
	.size = file_size,
	.truncate = file_truncate,
	.zero = file_zero,
	.data_run = file_data_run,
	.close = file_close,
};

/* ---- opening ------------------------------------------------------------------------------------
 */

static int
open_flags(unsigned flags)
{
	int result = O_CLOEXEC | O_NOCTTY | O_NONBLOCK; /* a FIFO must not stop us */

	result |= flags & IO_WRITE ? O_RDWR : O_RDONLY;
	if (flags & IO_CREATE)
		result |= O_CREAT | (flags & IO_EXCLUSIVE ? O_EXCL : O_TRUNC);
	if (flags & IO_DSYNC)
		result |= O_DSYNC;
	return result;
}

static int
check_kind(int fd, bool *is_device)
{
	struct stat found;

	if (fstat(fd, &found))
		return -errno;
	if (S_ISDIR(found.st_mode))
		return -EISDIR;
	if (!S_ISREG(found.st_mode) && !S_ISBLK(found.st_mode))
		return -EINVAL;
	*is_device = S_ISBLK(found.st_mode);
	return 0;
}

/* A file that cannot do it, a tmpfs for one, refuses with EINVAL: it goes through the page cache.
 */
static int
try_direct(struct io_file *file)
{
	int flags = fcntl(file->fd, F_GETFL);

	if (flags < 0 || fcntl(file->fd, F_SETFL, flags | O_DIRECT))
		return 0;
	if (!posix_memalign(&file->bounce, BOUNCE_ALIGNMENT, BOUNCE_BYTES))
		return 0;
	file->bounce = NULL;
	return -ENOMEM;
}

int
io_file_open(const char *path, unsigned flags, struct io **io)
{
	AUTO_CLOSE int fd = open(path, open_flags(flags), 0644);
	struct io_file *file;
	bool is_device = false;
	int err;

	if (fd < 0)
		return -errno;
	err = check_kind(fd, &is_device);
	if (err)
		return err;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->io = (struct io){ .ops = &file_ops, .is_device = is_device };
	file->fd = steal_fd(&fd);
	err = flags & IO_DIRECT ? try_direct(file) : 0;
	if (err) {
		file_close(&file->io);
		return err;
	}
	*io = &file->io;
	return 0;
}

int
io_file_fd(const struct io *io)
{
	return ((const struct io_file *)io)->fd;
}

int
io_file_sync_name(const char *path)
{
	AUTO_FREE char *folder = strdup(path);
	AUTO_CLOSE int fd = -1;
	char *slash;

	if (!folder)
		return -ENOMEM;
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Some file systems have nothing to sync in a folder. */
	return fsync(fd) && errno != EINVAL ? -errno : 0;
}
