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

#define STATUS_PIECES 64 /* per request; what follows is reported as data */

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
raw_open(td_driver_t *driver, const char *name, td_flag_t flags, bool direct, struct raw_file *file)
{
	struct stat found;
	int err;

	/* Opening a pipe would wait for its other end, and a tape would be wound. */
	if (stat(name, &found))
		return -errno;
	if (!S_ISREG(found.st_mode) && !S_ISBLK(found.st_mode))
		return -EINVAL;
	file->fd = open_path(driver, name, flags, direct);
	if (file->fd < 0)
		return file->fd;
	err = read_info(driver, file);
	if (err)
		raw_close(file);
	return err;
}

void
raw_close(struct raw_file *file)
{
	close(file->fd);
	file->fd = -1;
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

/* ---- requests on workers ----------------------------------------------------------------------
 */

/* One request while a worker has it. */
struct raw_job {
	td_driver_t *driver;
	struct raw_file *file;
	td_request_t treq;
	int (*work)(struct raw_job *job);
	struct {
		int secs;
		int status;
	} pieces[STATUS_PIECES + 1];
	int piece_count;
};

static int
job_work(void *arg)
{
	struct raw_job *job = arg;

	return job->work(job);
}

static void
complete_pieces(const struct raw_job *job)
{
	td_request_t treq = job->treq;
	int i;

	for (i = 0; i < job->piece_count; i++) {
		treq.secs = job->pieces[i].secs;
		treq.status = job->pieces[i].status;
		td_complete_request(treq, 0);
		treq.sec += (td_sector_t)treq.secs;
	}
}

static void
job_done(void *arg, int result)
{
	struct raw_job *job = arg;

	if (result == -EOPNOTSUPP && job->treq.op == TD_OP_DISCARD)
		job->file->no_discard = true;
	if (!result && job->piece_count)
		complete_pieces(job);
	else
		td_complete_request(job->treq, result);
	free(job);
}

static void
start_job(td_driver_t *driver, struct raw_file *file, td_request_t treq,
	  int (*work)(struct raw_job *job))
{
	struct raw_job *job = calloc(1, sizeof(*job));

	if (job)
		*job = (struct raw_job){
			.driver = driver, .file = file, .treq = treq, .work = work
		};
	if (!job || td_work(driver, job_work, job_done, job)) {
		free(job);
		td_complete_request(treq, -EBUSY);
	}
}

/* ENOTTY and EINVAL are how devices and old file systems say it. */
static int
unsupported(int err)
{
	return err == EOPNOTSUPP || err == ENOTTY || err == EINVAL || err == ENOSYS ? -EOPNOTSUPP
										    : -err;
}

static int
change_range(const struct raw_job *job, unsigned long device_call, int file_mode)
{
	uint64_t range[2] = { job->treq.sec << SECTOR_SHIFT,
			      (uint64_t)job->treq.secs << SECTOR_SHIFT };
	int failed;

	if (job->file->is_device)
		failed = ioctl(job->file->fd, device_call, range);
	else
		failed = fallocate(job->file->fd, file_mode | FALLOC_FL_KEEP_SIZE, (off_t)range[0],
				   (off_t)range[1]);
	return failed ? unsupported(errno) : 0;
}

static int
discard(struct raw_job *job)
{
	return change_range(job, BLKDISCARD, FALLOC_FL_PUNCH_HOLE);
}

static int
write_zeroes(struct raw_job *job)
{
	bool keep = job->treq.flags & TD_REQ_NO_UNMAP;

	return change_range(job, BLKZEROOUT, keep ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);
}

static void
add_piece(struct raw_job *job, off_t from, off_t to, int status)
{
	job->pieces[job->piece_count].secs = (int)((to - from) >> SECTOR_SHIFT);
	job->pieces[job->piece_count].status = status;
	job->piece_count++;
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

static int
find_pieces(struct raw_job *job)
{
	off_t from = (off_t)(job->treq.sec << SECTOR_SHIFT);
	off_t end = from + ((off_t)job->treq.secs << SECTOR_SHIFT);
	off_t to;
	bool data = false;

	while (from < end && job->piece_count < STATUS_PIECES) {
		to = seek_to(job->file->fd, from, end, data ? SEEK_HOLE : SEEK_DATA);
		if (to < 0)
			break;
		if (to > from)
			add_piece(job, from, to, data ? TD_BLOCK_STATE_NONE : TD_BLOCK_STATE_HOLE);
		from = to;
		data = !data;
	}
	if (from < end)
		add_piece(job, from, end, TD_BLOCK_STATE_NONE);
	return 0;
}

void
raw_queue_discard(td_driver_t *driver, struct raw_file *file, td_request_t treq)
{
	if (file->no_discard)
		td_complete_request(treq, -EOPNOTSUPP);
	else
		start_job(driver, file, treq, discard);
}

void
raw_queue_write_zeroes(td_driver_t *driver, struct raw_file *file, td_request_t treq)
{
	start_job(driver, file, treq, write_zeroes);
}

void
raw_queue_block_status(td_driver_t *driver, struct raw_file *file, td_request_t treq)
{
	if (!file->is_device) {
		start_job(driver, file, treq, find_pieces);
		return;
	}
	treq.status = TD_BLOCK_STATE_NONE;
	td_complete_request(treq, 0);
}
