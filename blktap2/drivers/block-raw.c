/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and block devices as disks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/block-raw.h"

#define STATUS_SEEKS 64 /* of a worker before others have their turn */

/* ---- open -------------------------------------------------------------------------------------
 */

/* The alignment that direct I/O on fd needs, in bytes; 0: not known. */
static unsigned
direct_alignment(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx file;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &file) == 0 &&
	    file.stx_mask & STATX_DIOALIGN)
		return file.stx_dio_offset_align;
#endif
	(void)fd;
	return 0;
}

/* A descriptor, or -errno.  Page cache where the file system has no direct I/O of whole sectors. */
static int
open_path(td_driver_t *driver, const char *name, td_flag_t flags, bool direct)
{
	int how = (flags & TD_OPEN_RDONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;
	struct stat file;
	int fd;

	if (!direct || flags & TD_OPEN_NO_O_DIRECT) {
		fd = open(name, how);
		return fd < 0 ? -errno : fd;
	}
	fd = open(name, how | O_DIRECT);
	if (fd < 0 && errno != EINVAL)
		return -errno;
	if (fd >= 0 && (fstat(fd, &file) || !S_ISREG(file.st_mode) ||
			direct_alignment(fd) <= DEFAULT_SECTOR_SIZE))
		return fd;
	if (fd >= 0)
		close(fd);
	td_log(driver, LOG_NOTICE,
	       "%s: no direct I/O of 512-byte sectors here: the page cache is used", name);
	fd = open(name, how);
	return fd < 0 ? -errno : fd;
}

/* A read-only device lets itself be opened for writing, and refuses the writes. */
static int
device_info(const td_driver_t *driver, int fd, td_disk_info_t *info)
{
	unsigned physical = 0;
	int logical, read_only;
	uint64_t bytes;

	if (!(driver->state & TD_DRIVER_RDONLY) && ioctl(fd, BLKROGET, &read_only) == 0 &&
	    read_only)
		return -EROFS;

	if (ioctl(fd, BLKGETSIZE64, &bytes) || ioctl(fd, BLKSSZGET, &logical))
		return -errno;
	if (!bytes)
		return -ENOMEDIUM;
	ioctl(fd, BLKPBSZGET, &physical);
	info->size = bytes >> SECTOR_SHIFT;
	info->sector_size = (uint64_t)logical;
	info->phys_sector_size = physical;
	info->discard_granularity = (uint32_t)logical;
	return 0;
}

/* A file that ends within a sector is refused: its last bytes would be out of the guest's reach. */
static int
file_info(const struct stat *file, td_disk_info_t *info)
{
	if (!file->st_size || file->st_size % DEFAULT_SECTOR_SIZE)
		return -EINVAL;
	info->size = (uint64_t)file->st_size >> SECTOR_SHIFT;
	info->sector_size = DEFAULT_SECTOR_SIZE;
	info->phys_sector_size = (uint32_t)file->st_blksize;
	info->discard_granularity = 4096;
	return 0;
}

static int
read_info(td_driver_t *driver, struct raw_file *raw)
{
	struct stat file;

	if (fstat(raw->fd, &file))
		return -errno;
	raw->is_device = S_ISBLK(file.st_mode);
	if (raw->is_device)
		return device_info(driver, raw->fd, &driver->info);
	return S_ISREG(file.st_mode) ? file_info(&file, &driver->info) : -EINVAL;
}

int
raw_open_file(td_driver_t *driver, const char *name, td_flag_t flags, bool direct,
	      struct raw_file *file)
{
	struct stat found;

	/* Opening a pipe would wait for its other end, and a tape would be wound. */
	if (stat(name, &found))
		return -errno;
	if (!S_ISREG(found.st_mode) && !S_ISBLK(found.st_mode))
		return -EINVAL;
	file->fd = open_path(driver, name, flags, direct);
	if (file->fd < 0)
		return file->fd;
	file->is_device = S_ISBLK(found.st_mode);
	file->is_writable = !(flags & TD_OPEN_RDONLY);
	return 0;
}

int
raw_open(td_driver_t *driver, const char *name, td_flag_t flags, bool direct, struct raw_file *file)
{
	int err = raw_open_file(driver, name, flags, direct, file);

	if (err)
		return err;
	err = read_info(driver, file);
	if (err)
		close(file->fd);
	return err;
}

int
raw_close(struct raw_file *file)
{
	int err = file->is_writable && fdatasync(file->fd) ? -errno : 0;

	close(file->fd);
	return err;
}

int
raw_resize(td_driver_t *driver, struct raw_file *file, td_sector_t size)
{
	if (size) {
		if (file->is_device)
			return -EOPNOTSUPP;
		if (ftruncate(file->fd, (off_t)(size << SECTOR_SHIFT)))
			return -errno;
	}
	return read_info(driver, file);
}

/* ---- changes: on workers ----------------------------------------------------------------------
 */

/* ENOTTY and EINVAL are how devices and old file systems say it. */
static int
unsupported(int err)
{
	return err == EOPNOTSUPP || err == ENOTTY || err == EINVAL || err == ENOSYS ? -EOPNOTSUPP
										    : -err;
}

static int
change_range(const struct raw_file *file, const td_request_t *treq, unsigned long device_call,
	     int file_mode)
{
	uint64_t range[2] = { treq->sec << SECTOR_SHIFT, (uint64_t)treq->secs << SECTOR_SHIFT };
	int failed;

	if (file->is_device)
		failed = ioctl(file->fd, device_call, range);
	else
		failed = fallocate(file->fd, file_mode | FALLOC_FL_KEEP_SIZE, (off_t)range[0],
				   (off_t)range[1]);
	return failed ? unsupported(errno) : 0;
}

int
raw_discard(const struct raw_file *file, const td_request_t *treq)
{
	return change_range(file, treq, BLKDISCARD, FALLOC_FL_PUNCH_HOLE);
}

int
raw_write_zeroes(const struct raw_file *file, const td_request_t *treq)
{
	bool keep = treq->flags & TD_REQ_NO_UNMAP;

	return change_range(file, treq, BLKZEROOUT,
			    keep ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);
}

/* ---- requests that a worker does ---------------------------------------------------------------
 */

/* Part of an answer to a block status request. */
struct raw_piece {
	int secs;
	int status;
};

/* One request while a worker has it. */
struct raw_job {
	td_driver_t *driver;
	struct raw_file *file;
	td_request_t treq;
	struct raw_piece pieces[STATUS_SEEKS];
	int piece_count;
};

static void
add_piece(struct raw_job *job, off_t from, off_t to, int status)
{
	job->pieces[job->piece_count++] =
		(struct raw_piece){ .secs = (int)((to - from) >> SECTOR_SHIFT), .status = status };
}

/* Where data begin (or a hole, by whence) at or after from, rounded outwards to sectors; at most
 * end. */
static off_t
seek_to(int fd, off_t from, off_t end, int whence)
{
	const off_t mask = DEFAULT_SECTOR_SIZE - 1;
	off_t at = lseek(fd, from, whence);

	if (at < 0)
		return errno == ENXIO ? end : -1;
	at = whence == SEEK_DATA ? at & ~mask : (at + mask) & ~mask;
	return at < end ? at : end;
}

/* The first pieces of the range, at least one; what cannot be told is data. */
static void
find_pieces(struct raw_job *job)
{
	off_t from = (off_t)(job->treq.sec << SECTOR_SHIFT);
	off_t end = from + ((off_t)job->treq.secs << SECTOR_SHIFT);
	bool data = false;
	int seeks;
	off_t to;

	job->piece_count = 0;
	for (seeks = 0; from < end && seeks < STATUS_SEEKS; seeks++) {
		to = seek_to(job->file->fd, from, end, data ? SEEK_HOLE : SEEK_DATA);
		if (to < 0)
			break;
		if (to > from)
			add_piece(job, from, to, data ? TD_BLOCK_STATE_NONE : TD_BLOCK_STATE_HOLE);
		from = to;
		data = !data;
	}
	if (!job->piece_count)
		add_piece(job, from, end, TD_BLOCK_STATE_NONE);
}

static int
job_work(void *arg)
{
	struct raw_job *job = arg;

	switch (job->treq.op) {
	case TD_OP_DISCARD:
		return raw_discard(job->file, &job->treq);
	case TD_OP_WRITE_ZEROES:
		return raw_write_zeroes(job->file, &job->treq);
	default:
		find_pieces(job);
		return 0;
	}
}

static void start_job(struct raw_job *job);

/* Complete what was found, and have the rest of the range looked at. */
static void
complete_pieces(struct raw_job *job)
{
	td_request_t treq = job->treq;
	int i, left = treq.secs;

	for (i = 0; i < job->piece_count; i++) {
		treq.secs = job->pieces[i].secs;
		treq.status = job->pieces[i].status;
		td_complete_request(treq, 0);
		treq.sec += (td_sector_t)treq.secs;
		left -= treq.secs;
	}
	if (!left) {
		free(job);
		return;
	}
	job->treq.sec = treq.sec;
	job->treq.secs = left;
	start_job(job);
}

static void
job_done(void *arg, int result)
{
	struct raw_job *job = arg;
	td_request_t treq = job->treq;

	if (treq.op == TD_OP_BLOCK_STATUS) {
		complete_pieces(job);
		return;
	}
	if (result == -EOPNOTSUPP && treq.op == TD_OP_DISCARD)
		job->file->no_discard = true;
	free(job);
	td_complete_request(treq, result);
}

static void
start_job(struct raw_job *job)
{
	td_request_t treq = job->treq;

	if (td_work(job->driver, job_work, job_done, job) == 0)
		return;
	free(job);
	td_complete_request(treq, -EBUSY);
}

void
raw_queue_work(td_driver_t *driver, struct raw_file *file, td_request_t treq)
{
	struct raw_job *job;

	if (treq.op == TD_OP_DISCARD && file->no_discard) {
		td_complete_request(treq, -EOPNOTSUPP);
		return;
	}
	job = malloc(sizeof(*job));
	if (!job) {
		td_complete_request(treq, -EBUSY);
		return;
	}
	job->driver = driver;
	job->file = file;
	job->treq = treq;
	start_job(job);
}

void
raw_queue_block_status(td_driver_t *driver, struct raw_file *file, td_request_t treq)
{
	if (!file->is_device) {
		raw_queue_work(driver, file, treq);
		return;
	}
	treq.status = TD_BLOCK_STATE_NONE;
	td_complete_request(treq, 0);
}
