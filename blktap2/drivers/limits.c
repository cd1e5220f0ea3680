/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk server that is swapped out, or killed for its memory, may be what the memory is waiting
 * for.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/tlog.h"
#include "drivers/limits.h"

static void
raise_descriptors(struct tlog *log)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit))
			tlog(log, LOG_INFO, "limit on descriptors not raised: %s", strerror(errno));
	}
}

/* On fault: what is never touched costs nothing. */
static void
lock_memory(struct tlog *log)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &all) || mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		tlog(log, LOG_INFO, "memory is not locked: %s", strerror(errno));
}

static void
avoid_oom_killer(void)
{
	AUTO_CLOSE int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t unused;

	if (fd < 0)
		return;
	unused = write(fd, "-1000", 5);
	(void)unused; /* only root may, and nothing depends on it */
}

void
limits_raise(struct tlog *log)
{
	raise_descriptors(log);
	lock_memory(log);
	avoid_oom_killer();
}
