/* SPDX-License-Identifier: BSD-2-Clause */
/* A listening Unix stream socket at a path, for its owner only. */
#ifndef FRONTEND_LISTENER_H
#define FRONTEND_LISTENER_H

#include <stdbool.h>

struct listener;
struct loop;

/* A peer has connected; fd is the callee's, non-blocking and close-on-exec. */
typedef void (*listener_fn)(void *arg, int fd);

/*
 * Listen at path with mode 0600.  A socket that a dead process left there is replaced.  Returns 0
 * or -errno: -EADDRINUSE when somebody listens there or it is no socket, -ENAMETOOLONG, ...
 */
int listener_new(struct listener **listener, struct loop *loop, const char *path, int backlog,
		 listener_fn fn, void *arg);

/* Close, and remove the path if it is still ours.  NULL is fine. */
void listener_free(struct listener *listener);

/* Leave peers waiting (true), or accept them again. */
void listener_mask(struct listener *listener, bool masked);

#endif
