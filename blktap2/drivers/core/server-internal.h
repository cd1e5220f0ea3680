/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the server, for the files of this room only.
 */
#ifndef CORE_SERVER_INTERNAL_H
#define CORE_SERVER_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>

#include <tapdisk.h>

#include "drivers/core/loop.h"
#include "drivers/core/server.h"

#define COMPLETION_DEPTH 8 /* completions nested on the stack before they are deferred */

/* A completion that waits for the stack to unwind. */
struct completion {
	td_request_t treq;
	int res;
};

struct completions {
	unsigned depth;
	struct completion *at; /* owned */
	size_t first, count, room;
	struct loop *loop;
	struct loop_task task;
};

void completions_init(struct completions *completions, struct loop *loop);
void completions_free(struct completions *completions);

/* Queue a completion for the end of the turn: 0 or -ENOMEM. */
int completions_defer(struct completions *completions, const td_request_t *treq, int res);

TAILQ_HEAD(vbd_list, vbd);

struct tapdisk_server {
	struct tapdisk_config config;
	char *control_dir; /* owned */
	struct loop *loop;
	struct buffers *buffers;
	struct completions completions;

	struct vbd_list vbds;
	size_t vbd_count;
	bool leaving;
	bool shutting_down;
	struct loop_timer idle;

	struct shm_stats *shm; /* owned; NULL: statistics pages are off */

	/* Drivers that are open or being opened; opens run on workers, hence the lock. */
	pthread_mutex_t driver_lock;
	pthread_cond_t driver_opened;
	struct list_head drivers;
};

/* The row of a type number, or NULL. */
const struct tapdisk_type *tapdisk_server_type(const struct tapdisk_server *server, int number);

/* The row of a name, or NULL. */
const struct tapdisk_type *tapdisk_server_type_named(const struct tapdisk_server *server,
						     const char *name, size_t length);

/* The row of the driver that logs changes (TD_DISK_CHANGE_LOG), or NULL. */
const struct tapdisk_type *tapdisk_server_log_type(const struct tapdisk_server *server);

#endif
