/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes that are done as a whole.
 */
#include <errno.h>
#include <unistd.h>

#include "common/whole.h"

int
whole_read(int fd, void *buf, size_t bytes, uint64_t at)
{
	char *to = buf;
	ssize_t got;

	while (bytes) {
		got = pread(fd, to, bytes, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -ENODATA;
		to += got;
		at += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return 0;
}

int
whole_write(int fd, const void *buf, size_t bytes, uint64_t at)
{
	const char *from = buf;
	ssize_t put;

	while (bytes) {
		put = pwrite(fd, from, bytes, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (!put)
			return -EIO;
		from += put;
		at += (uint64_t)put;
		bytes -= (size_t)put;
	}
	return 0;
}
