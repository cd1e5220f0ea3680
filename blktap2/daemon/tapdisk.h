/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections to tapdisks: one for each process, shared by all of its disks.
 *
 * Calls are answered later, from the loop; none of them waits.  A tapdisk that has died is noticed
 * by the end of its connection.
 */
#ifndef DAEMON_TAPDISK_H
#define DAEMON_TAPDISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/frame.h"
#include "daemon/log.h"
#include "daemon/loop.h"

struct tapdisk;
struct tapdisk_call;

/* All connections of this process. */
struct tapdisks {
	struct tb_loop *loop;     /* borrowed */
	const struct tb_log *log; /* borrowed */
	const char *dir;          /* borrowed; the control directory */
	LIST_HEAD(, tapdisk) list;
};

/* Somebody who needs a tapdisk.  Embedded by its owner; zeroed before the first use. */
struct tapdisk_user {
	/*
	 * The connection has failed, or could not be made: -ECONNREFUSED, -ENOENT nobody is there;
	 * -EIO it has ended; -ETIMEDOUT no answer; -EPROTO.  The user is not joined any more.
	 */
	void (*lost)(void *arg, int err);
	/* Something happened to a disk: enum tapdisk_event. */
	void (*event)(void *arg, uint32_t minor, uint32_t kind);
	void *arg;
	struct tapdisk *tapdisk; /* NULL: not joined */
	LIST_ENTRY(tapdisk_user) link;
};

/* Close all connections.  Nobody is joined any more. */
void tapdisks_free(struct tapdisks *all);

/* Connect to the tapdisk, unless that has been done: 0 or -errno.  lost is never called here. */
int tapdisk_join(struct tapdisks *all, pid_t pid, struct tapdisk_user *user);

/* Not joined is fine.  The last user to leave closes the connection. */
void tapdisk_leave(struct tapdisk_user *user);

pid_t tapdisk_pid(const struct tapdisk *tapdisk);

/* Queues that the tapdisk can serve for one ring; 0: it serves none. */
uint32_t tapdisk_max_queues(const struct tapdisk *tapdisk);

/* It lists no rings, tells no events, and serves rings of one queue of at most 8 pages. */
bool tapdisk_is_legacy(const struct tapdisk *tapdisk);

/*
 * An answer: err is 0, or -errno and why.  Answers in several frames come one by one, the last one
 * without TAPDISK_FRAME_MORE in its flags.  Without any answer frame is NULL.
 */
typedef void tapdisk_answer_fn(void *arg, int err, const char *why, const struct frame *frame,
			       const uint8_t *payload);

/* A request to be filled with frame_put_*. */
void tapdisk_begin(struct tapdisk *tapdisk, struct frame_writer *writer, unsigned type,
		   uint32_t minor);

/*
 * Send it; writer is freed.  Returns a handle for tapdisk_forget, or NULL: memory is short.  fn is
 * called once more than there are frames with MORE, and never from here.
 */
struct tapdisk_call *tapdisk_send(struct tapdisk *tapdisk, struct frame_writer *writer,
				  unsigned patience_ms, tapdisk_answer_fn *fn, void *arg);

/* The answer is of no interest any more.  NULL is fine. */
void tapdisk_forget(struct tapdisk_call *call);

#endif
