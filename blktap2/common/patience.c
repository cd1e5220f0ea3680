/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flock has no time-out of its own, so it is asked now and then.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/file.h>

#include "common/patience.h"

#define TRIES 1000
#define TRY_MS 10

int
lock_with_patience(int fd)
{
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		poll(NULL, 0, TRY_MS);
	}
	return -ETIMEDOUT;
}
