/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU time that processes have used, of all their threads, living and dead.
 */
#ifndef BENCH_CPUTIME_H
#define BENCH_CPUTIME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * User and system time of the given processes together, in nanoseconds.  This is the sum that
 * /proc/PID/stat gives as utime and stime in clock ticks of 10 ms, without the rounding; threads
 * that the kernel runs for io_uring inside the process are part of it.
 *
 * 0, or -ESRCH when one of them does not exist.
 */
int cputime_of(const pid_t *pids, size_t count, uint64_t *ns);

/* The same of this process. */
uint64_t cputime_own(void);

#endif
