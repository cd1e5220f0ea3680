/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Xenstore: values with a bound, transactions, watches.
 *
 * Functions return 0 or -errno.  -ENOENT: there is no such node.  -EPIPE: the connection is lost;
 * close it and begin anew.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_PATH_MAX 256 /* bytes of the paths that we make or take, with the NUL */
#define STORE_NO_TX 0

struct store;
typedef uint32_t store_tx;

/* -ENOENT, -ECONNREFUSED, ...: there is no xenstored yet. */
int store_open(struct store **out);
void store_close(struct store *store); /* NULL is fine */

/* Ask for something: does anybody answer? */
bool store_is_alive(struct store *store);

/* Readable when there are events, but not when the connection has ended. */
int store_fd(struct store *store);

/*
 * The value of a node.  -EMSGSIZE: longer than size - 1 bytes.  -EINVAL: a NUL is in it.  value is
 * untouched then.
 */
int store_read(struct store *store, store_tx tx, const char *path, char *value, size_t size);
int store_write(struct store *store, store_tx tx, const char *path, const char *value);
int store_remove(struct store *store, store_tx tx, const char *path);

/* Write only what is not there already. */
int store_set(struct store *store, store_tx tx, const char *path, const char *value);

/* The names in a directory: *names is one block, owned by the caller. */
int store_list(struct store *store, const char *path, char ***names, unsigned *count);

int store_begin(struct store *store, store_tx *tx);
int store_commit(struct store *store, store_tx tx); /* -EAGAIN: something changed, do it again */
void store_abort(struct store *store, store_tx tx);

int store_watch(struct store *store, const char *path, const char *token);
void store_unwatch(struct store *store, const char *path, const char *token);

struct store_event {
	char path[STORE_PATH_MAX];
	char token[STORE_PATH_MAX];
};

/* The next event: 1, 0 there is none now, or -errno.  Events with longer paths are left out. */
int store_next(struct store *store, struct store_event *event);

/* True unless the domain is known to be gone. */
bool store_has_domain(struct store *store, uint32_t domid);

#endif
