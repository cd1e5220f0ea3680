/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tapdisk that knows only the legacy protocol, one message of 544 bytes per connection, behind
 * the frames that the others understand.
 *
 * What such a tapdisk cannot do is answered with -EOPNOTSUPP: it lists no rings, and tells no
 * events. Its rings have one queue of at most 8 pages.
 */
#ifndef DAEMON_LEGACY_H
#define DAEMON_LEGACY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/frame.h"
#include "daemon/loop.h"

struct legacy;

/* Called from the loop, never from a function of legacy.  Neither may free the legacy. */
struct legacy_user {
	/* One frame for each that was sent, with its request_id; that of PING has PID and LIMITS.
	 */
	void (*answer)(void *arg, const struct frame *frame, const uint8_t *payload);
	/* The process has ended, or nobody is at its socket: -ECONNREFUSED, -ENOENT; or -errno. */
	void (*lost)(void *arg, int err);
	void *arg;
};

/* user and path, its socket, are copied.  0 or -errno. */
int legacy_new(struct legacy **out, struct tb_loop *loop, const char *path, pid_t pid,
	       const struct legacy_user *user);
void legacy_free(struct legacy *legacy); /* NULL is fine; what has been sent is not answered */

/* Have a whole frame, as frame_end left it, answered: 0 or -ENOMEM. */
int legacy_send(struct legacy *legacy, const uint8_t *bytes, size_t length);

#endif
