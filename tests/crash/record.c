/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recorder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <tapdisk.h>

#include "tests/crash/record.h"
#include "tests/driver-kit/fake-loop.h"

#define FLIGHT_MAX 4096
#define PATH_MAX_BYTES 512

/* An operation of the loop on its way. */
struct flight {
	const struct tiocb *tiocb; /* NULL: free */
	size_t number;
	bool is_sync;
};

static struct {
	struct history *history; /* NULL: nothing is recorded */
	char folder[PATH_MAX_BYTES];
	const struct fake_control *control;
	struct flight flights[FLIGHT_MAX];
} record;

/* ---- which file ------------------------------------------------------------------------------
 */

/* The file of a descriptor, or -1 when it is none of ours. */
static int
file_of(int fd)
{
	char link[64], path[PATH_MAX_BYTES];
	size_t folder = strlen(record.folder);
	ssize_t length;

	if (!record.history)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return -1;
	path[length] = '\0';
	if (strncmp(path, record.folder, folder) != 0 || path[folder] != '/')
		return -1;
	return history_file(record.history, path, NULL);
}

/* The same for calls that the fake loop does not make: its operations are known already. */
static int
file_of_call(int fd)
{
	if (record.control && record.control->performing)
		return -1;
	return file_of(fd);
}

/* ---- calls ------------------------------------------------------------------------------------
 */

/* A call has returned: it has ended, unless it failed. */
static void
ended(size_t number, bool well)
{
	if (well)
		history_end(record.history, number);
}

ssize_t
pwrite(int fd, const void *buf, size_t count, off_t at)
{
	int file = file_of_call(fd);
	size_t number =
		file < 0 ? 0 : history_write(record.history, file, (uint64_t)at, buf, count);
	ssize_t put = syscall(SYS_pwrite64, fd, buf, count, at);

	if (file >= 0)
		ended(number, put == (ssize_t)count);
	return put;
}

int
ftruncate(int fd, off_t bytes)
{
	int file = file_of_call(fd);
	size_t number = file < 0 ? 0 : history_size(record.history, file, (uint64_t)bytes);
	int err = (int)syscall(SYS_ftruncate, fd, bytes);

	if (file >= 0)
		ended(number, !err);
	return err;
}

/* Whatever the mode, what was not written reads as zeroes afterwards. */
int
fallocate(int fd, int mode, off_t at, off_t bytes)
{
	int file = file_of_call(fd);
	bool zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	bool keeps = mode & FALLOC_FL_KEEP_SIZE;
	int err = (int)syscall(SYS_fallocate, fd, mode, at, bytes);
	struct stat now;

	if (file < 0 || err || (!zeroes && keeps))
		return err;
	if (zeroes)
		ended(history_zero(record.history, file, (uint64_t)at, (uint64_t)bytes, keeps),
		      true);
	else if (fstat(fd, &now) == 0)
		ended(history_size(record.history, file, (uint64_t)now.st_size), true);
	return err;
}

/* No power is cut for real: it is enough to know of it. */
static int
sync_file(int fd)
{
	int file = file_of_call(fd);

	if (fcntl(fd, F_GETFD) < 0)
		return -1;
	if (file >= 0)
		history_sync_end(record.history, history_sync(record.history, file));
	return 0;
}

int
fdatasync(int fd)
{
	return sync_file(fd);
}

int
fsync(int fd)
{
	return sync_file(fd);
}

/* ---- the fake loop ----------------------------------------------------------------------------
 */

static struct flight *
flight_of(const struct tiocb *tiocb)
{
	int i;

	for (i = 0; i < FLIGHT_MAX; i++)
		if (record.flights[i].tiocb == tiocb)
			return &record.flights[i];
	return NULL;
}

static void
queued(void *arg, const struct tiocb *tiocb)
{
	int file = tiocb->op == TIOCB_READ ? -1 : file_of(tiocb->fd);
	struct history *history = record.history;
	const uint64_t at = (uint64_t)tiocb->offset;
	struct flight *flight;

	(void)arg;
	if (file < 0)
		return;
	flight = flight_of(NULL);
	if (!flight)
		exit(99);
	flight->tiocb = tiocb;
	flight->is_sync = tiocb->op == TIOCB_FSYNC;
	if (flight->is_sync)
		flight->number = history_sync(history, file);
	else if (tiocb->op == TIOCB_WRITE)
		flight->number = history_write(history, file, at, tiocb->buf, tiocb->bytes);
	else
		flight->number = history_zero(history, file, at, tiocb->bytes,
					      tiocb->mode & FALLOC_FL_KEEP_SIZE);
}

static void
performed(void *arg, const struct tiocb *tiocb, int err)
{
	struct flight *flight = flight_of(tiocb);

	(void)arg;
	if (!flight)
		return;
	flight->tiocb = NULL;
	if (!record.history)
		return;
	if (!flight->is_sync && err)
		history_fail(record.history, flight->number);
	else if (!flight->is_sync)
		history_end(record.history, flight->number);
	else if (!err)
		history_sync_end(record.history, flight->number);
}

void
record_loop(struct fake_control *control)
{
	control->on_queued = queued;
	control->on_performed = performed;
	record.control = control;
}

/* ---- start and end ----------------------------------------------------------------------------
 */

void
record_start(struct history *history, const char *folder)
{
	DIR *list = opendir(folder);
	char path[PATH_MAX_BYTES];
	struct dirent *entry;
	struct stat file;

	memset(&record, 0, sizeof(record));
	snprintf(record.folder, sizeof(record.folder), "%s", folder);
	while (list && (entry = readdir(list))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (stat(path, &file) == 0 && S_ISREG(file.st_mode))
			history_base(history, history_file(history, path, NULL));
	}
	if (list)
		closedir(list);
	record.history = history;
	history->first = history->now;
}

void
record_stop(void)
{
	record.history = NULL;
}
