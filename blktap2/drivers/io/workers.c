/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads for what would block: see workers.h.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "drivers/io/workers.h"

#define STACK_BYTES (256u * 1024)

enum worker_state { WORKER_NONE, WORKER_RUNS, WORKER_LEFT };

struct worker {
	struct workers *workers;
	pthread_t thread;
	enum worker_state state;
};

STAILQ_HEAD(jobs, worker_job);

struct workers {
	int fd; /* eventfd */
	unsigned max;
	unsigned idle_ms;
	pthread_attr_t attr;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t more;  /* something to run, or leaving */
	struct jobs todo;
	struct jobs ran;
	unsigned waiting; /* jobs in todo */
	unsigned running; /* threads */
	unsigned idle;    /* of these: waiting for more */
	bool leaving;
	struct worker worker[WORKERS_MAX];
};

/* The counter cannot overflow: it grows by one per batch that the owner has not reaped. */
static void
tell_owner(struct workers *workers)
{
	uint64_t one = 1;

	while (write(workers->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- the threads ---- */

/* Wait for a job; NULL: leave.  The lock is held. */
static struct worker_job *
next_job(struct workers *workers)
{
	struct worker_job *job;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += workers->idle_ms / 1000;
	until.tv_nsec += workers->idle_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	workers->idle++;
	while (STAILQ_EMPTY(&workers->todo) && !workers->leaving && !err)
		err = pthread_cond_timedwait(&workers->more, &workers->lock, &until);
	workers->idle--;
	job = STAILQ_FIRST(&workers->todo);
	if (job) {
		STAILQ_REMOVE_HEAD(&workers->todo, link);
		workers->waiting--;
	}
	return job;
}

static void *
worker_main(void *arg)
{
	struct worker *worker = arg;
	struct workers *workers = worker->workers;
	struct worker_job *job;
	bool was_empty;

	pthread_mutex_lock(&workers->lock);
	while ((job = next_job(workers))) {
		pthread_mutex_unlock(&workers->lock);
		job->run(job);
		pthread_mutex_lock(&workers->lock);
		was_empty = STAILQ_EMPTY(&workers->ran);
		STAILQ_INSERT_TAIL(&workers->ran, job, link);
		if (was_empty)
			tell_owner(workers);
	}
	worker->state = WORKER_LEFT;
	workers->running--;
	tell_owner(workers);
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* Signals are the owner's, but for those that a thread brings upon itself. */
static void
block_signals(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

/* Join the threads that have left.  They hold no lock any more but this one, which is held. */
static void
join_left(struct workers *workers)
{
	struct worker *worker;
	pthread_t thread;
	unsigned i;

	for (i = 0; i < workers->max; i++) {
		worker = &workers->worker[i];
		if (worker->state != WORKER_LEFT)
			continue;
		thread = worker->thread;
		worker->state = WORKER_NONE;
		pthread_mutex_unlock(&workers->lock);
		pthread_join(thread, NULL);
		pthread_mutex_lock(&workers->lock);
	}
}

/* The lock is held. */
static int
start_worker(struct workers *workers)
{
	struct worker *worker = NULL;
	sigset_t before;
	unsigned i;
	int err;

	for (i = 0; i < workers->max && !worker; i++) {
		if (workers->worker[i].state == WORKER_NONE)
			worker = &workers->worker[i];
	}
	if (!worker)
		return -EAGAIN;
	worker->workers = workers;
	block_signals(&before);
	err = pthread_create(&worker->thread, &workers->attr, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -EAGAIN;
	worker->state = WORKER_RUNS;
	workers->running++;
	return 0;
}

/* ---- the owner ---- */

int
workers_new(struct workers **out, unsigned max, unsigned idle_ms)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	pthread_condattr_t monotonic;
	int err;

	if (!workers)
		return -ENOMEM;
	workers->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (workers->fd < 0) {
		err = -errno;
		free(workers);
		return err;
	}
	workers->max = max < WORKERS_MAX ? max : WORKERS_MAX;
	workers->idle_ms = idle_ms;
	STAILQ_INIT(&workers->todo);
	STAILQ_INIT(&workers->ran);
	pthread_attr_init(&workers->attr);
	pthread_attr_setstacksize(&workers->attr, STACK_BYTES);
	pthread_mutex_init(&workers->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&workers->more, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = workers;
	return 0;
}

static void
join(struct workers *workers, struct worker *worker)
{
	enum worker_state state;

	pthread_mutex_lock(&workers->lock);
	state = worker->state;
	pthread_mutex_unlock(&workers->lock);
	if (state != WORKER_NONE)
		pthread_join(worker->thread, NULL);
}

void
workers_free(struct workers *workers)
{
	unsigned i;

	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	workers->leaving = true;
	pthread_cond_broadcast(&workers->more);
	pthread_mutex_unlock(&workers->lock);
	for (i = 0; i < workers->max; i++)
		join(workers, &workers->worker[i]);
	pthread_cond_destroy(&workers->more);
	pthread_mutex_destroy(&workers->lock);
	pthread_attr_destroy(&workers->attr);
	close(workers->fd);
	free(workers);
}

int
workers_fd(const struct workers *workers)
{
	return workers->fd;
}

int
workers_add(struct workers *workers, struct worker_job *job)
{
	int err = 0;

	pthread_mutex_lock(&workers->lock);
	if (workers->idle <= workers->waiting) {
		join_left(workers);
		err = start_worker(workers);
	}
	/* Those who run will come to it. */
	if (workers->running)
		err = 0;
	if (!err) {
		STAILQ_INSERT_TAIL(&workers->todo, job, link);
		workers->waiting++;
		pthread_cond_signal(&workers->more);
	}
	pthread_mutex_unlock(&workers->lock);
	return err;
}

void
workers_reap(struct workers *workers)
{
	struct jobs ran = STAILQ_HEAD_INITIALIZER(ran);
	struct worker_job *job;

	pthread_mutex_lock(&workers->lock);
	STAILQ_CONCAT(&ran, &workers->ran);
	join_left(workers);
	pthread_mutex_unlock(&workers->lock);

	while ((job = STAILQ_FIRST(&ran))) {
		STAILQ_REMOVE_HEAD(&ran, link);
		job->done(job);
	}
}

unsigned
workers_running(struct workers *workers)
{
	unsigned running;

	pthread_mutex_lock(&workers->lock);
	running = workers->running;
	pthread_mutex_unlock(&workers->lock);
	return running;
}
