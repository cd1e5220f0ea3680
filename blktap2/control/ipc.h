/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Talking to a tapdisk: connections with deadlines, legacy messages, and what every call shares.
 */
#ifndef CONTROL_IPC_H
#define CONTROL_IPC_H

#include <stdbool.h>
#include <stdint.h>

#include <tap-ctl.h>
#include <tapdisk-message.h>

#include "common/reason.h"

/* Default patience, in milliseconds. */
#define IPC_CONNECT_MS 5000
#define IPC_PID_MS 2000
#define IPC_LIST_MS 5000
#define IPC_QUERY_MS 10000  /* statistics, information, jobs */
#define IPC_ATTACH_MS 30000 /* attach, detach */
#define IPC_CLOSE_MS 120000
#define IPC_OPEN_MS 180000 /* open, pause, unpause: the request time-out, and some more */

/* What a series of calls shares. */
struct ctl {
	char *dir;         /* owned; the control directory */
	int cancel_fd;     /* readable: give up with -ECANCELED; -1: none */
	int timeout_ms;    /* overrides every default; 0: no limit; -1: the defaults */
	struct reason why; /* of the last failure, if the tapdisk said more than a number */
};

/* Returns 0 or -errno; ctl_free in any case. */
int ctl_init(struct ctl *ctl);
void ctl_free(struct ctl *ctl);

/* "<dir>/<kind><id>", owned by the caller; NULL: memory is short. */
char *ctl_path(const struct ctl *ctl, const char *kind, int id);

/* A point in time until which something may take. */
struct deadline {
	uint64_t at; /* monotonic milliseconds; 0: none */
	int cancel_fd;
};

struct deadline deadline_in(const struct ctl *ctl, int default_ms);

/* Milliseconds until then, as poll(2) wants them: -1 for ever. */
int deadline_left(const struct deadline *deadline);

/* Wait for fd: 0, -ETIMEDOUT, -ECANCELED, or -errno.  events as for poll(2). */
int ipc_wait(int fd, short events, const struct deadline *deadline);

int ipc_connect(const char *path, const struct deadline *deadline, int *fd);

/* All bytes, or -errno; the end of the stream before that is -EIO. */
int ipc_send(int fd, const void *data, size_t length, const struct deadline *deadline);
int ipc_receive(int fd, void *data, size_t length, const struct deadline *deadline);

/*
 * One legacy request with its trailing bytes: connect, send, receive the answer into *message.  An
 * answer that is an error is returned as -errno, its words in ctl->why.  *fd, when not NULL, is the
 * open connection, for answers with more; the caller closes it.  -ESRCH: the tapdisk has died.
 */
int ipc_ask(struct ctl *ctl, int id, tapdisk_message_t *message, const void *trailing,
	    size_t trailing_length, int default_ms, int *fd);

/* A message without content for minor (-1: none). */
tapdisk_message_t ipc_message(unsigned type, int minor);

#endif
