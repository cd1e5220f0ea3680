/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU time through the CPU clock that every process has.
 */
#include <errno.h>
#include <time.h>

#include "bench/cputime.h"

static uint64_t
nanoseconds(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * 1000000000u + (uint64_t)ts->tv_nsec;
}

int
cputime_of(const pid_t *pids, size_t count, uint64_t *ns)
{
	uint64_t sum = 0;
	struct timespec ts;
	clockid_t clock;
	size_t i;

	for (i = 0; i < count; i++) {
		if (clock_getcpuclockid(pids[i], &clock) || clock_gettime(clock, &ts))
			return -ESRCH;
		sum += nanoseconds(&ts);
	}
	*ns = sum;
	return 0;
}

uint64_t
cputime_own(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return nanoseconds(&ts);
}
