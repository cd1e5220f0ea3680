/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads for what would block: started on demand up to a bound, gone when idle.
 */
#ifndef IO_WORKERS_H
#define IO_WORKERS_H

#include <sys/queue.h>

struct workers;

/* Embedded in its owner, who keeps it until done was called. */
struct worker_job {
	void (*run)(struct worker_job *job);  /* on a worker */
	void (*done)(struct worker_job *job); /* on the owner's thread, from workers_reap */
	STAILQ_ENTRY(worker_job) link;
};

#define WORKERS_MAX 16
#define WORKERS_IDLE_MS 10000

/*
 * At most max (1..WORKERS_MAX) threads, each of which leaves when it had nothing to do for idle_ms;
 * none is started yet.  0 or -errno.
 */
int workers_new(struct workers **workers, unsigned max, unsigned idle_ms);
void workers_free(struct workers *workers); /* no job may be pending; NULL is fine */

/* An eventfd to which is written when there is something for workers_reap.  Borrowed. */
int workers_fd(const struct workers *workers);

/* Take job.  -EAGAIN: there is no thread, and none can be started. */
int workers_add(struct workers *workers, struct worker_job *job);

/* Call done of every job that has run. */
void workers_reap(struct workers *workers);

unsigned workers_running(struct workers *workers); /* threads */

#endif
