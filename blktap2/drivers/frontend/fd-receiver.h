/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes descriptors that other processes pass over a Unix socket: each connection brings one
 * message, a name of 1..16384 bytes with exactly one descriptor.
 */
#ifndef FRONTEND_FD_RECEIVER_H
#define FRONTEND_FD_RECEIVER_H

#include <stddef.h>

struct fd_receiver;
struct loop;
struct tlog;

#define FD_RECEIVER_NAME_MAX 16384 /* bytes */

/* The callee takes fd, close-on-exec; name is borrowed, length bytes, and may hold anything. */
typedef void (*fd_receiver_fn)(void *arg, int fd, const char *name, size_t length);

/* Listen at path.  0, or -errno as of listener_new. */
int fd_receiver_new(struct fd_receiver **receiver, struct loop *loop, struct tlog *log,
		    const char *path, fd_receiver_fn fn, void *arg);
void fd_receiver_free(struct fd_receiver *receiver); /* NULL is fine */

#endif
