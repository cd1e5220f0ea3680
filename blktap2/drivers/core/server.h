/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process: its loop, its disks, its drivers, and what they share.  Made in main, passed down.
 */
#ifndef CORE_SERVER_H
#define CORE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <tapdisk.h>

struct loop;
struct buffers;
struct shm_stats;
struct tlog;
struct vbd;
struct tapdisk_server;

/* One row of the table of drivers, as the program passes it in. */
struct tapdisk_type {
	int number;         /* DISK_TYPE_*, the index in disktypes.h */
	const char *handle; /* "aio" */
	bool singleton;
	const struct tap_disk *ops; /* NULL: the name is known, but not built */
};

struct tapdisk_config {
	const char *io_engine;            /* NULL: the best one */
	const char *control_dir;          /* absolute; NULL: nobody else is to see the disks */
	const char *shm_root;             /* of statistics; borrowed; NULL: /dev/shm */
	const struct tapdisk_type *types; /* ended by a NULL handle; borrowed */
	struct tlog *log;                 /* borrowed */
	unsigned idle_timeout_s; /* leave when no disk was attached for so long; 0: never */
	size_t max_vbds;

	/* A disk has been opened: make its endpoints.  0 or -errno, and *why for people. */
	int (*opened)(void *arg, struct vbd *vbd, const char **why);

	/*
	 * For subscribers of events: "state", "dead", "stalled", "request-timeout", "resized",
	 * "log-failed", and with vbd NULL "leaving".  May be NULL.
	 */
	void (*event)(void *arg, struct vbd *vbd, const char *kind);
	void *arg;
};

int tapdisk_server_new(struct tapdisk_server **server, const struct tapdisk_config *config);
void tapdisk_server_free(struct tapdisk_server *server);

struct loop *tapdisk_server_loop(struct tapdisk_server *server);
struct buffers *tapdisk_server_buffers(struct tapdisk_server *server);
struct tlog *tapdisk_server_log(struct tapdisk_server *server);
struct shm_stats *tapdisk_server_shm(struct tapdisk_server *server); /* NULL: no statistics pages */
const char *tapdisk_server_control_dir(const struct tapdisk_server *server);
void *tapdisk_server_arg(const struct tapdisk_server *server); /* config.arg */

/* Tell the subscribers of events about a disk; vbd may be NULL. */
void tapdisk_server_event(struct tapdisk_server *server, struct vbd *vbd, const char *kind);

/* ---- disks ------------------------------------------------------------------------------------
 */

/*
 * Bring minor, whose marker exists, under this process; without a control directory there are no
 * markers.  Returns 0, -EEXIST attached already,
 * -EINVAL bad number, -ENOENT no marker, -EBUSY marker locked by another, -EAGAIN too many or
 * leaving.
 */
int tapdisk_server_attach(struct tapdisk_server *server, int minor, struct vbd **vbd);

/* Let go of a disk without an open image: 0 or -EBUSY.  After the last one the process is to leave.
 */
int tapdisk_server_detach(struct tapdisk_server *server, struct vbd *vbd);

struct vbd *tapdisk_server_find(struct tapdisk_server *server, int minor); /* NULL: not attached */

/* The disks in the order they were attached; NULL starts, NULL ends. */
struct vbd *tapdisk_server_next(struct tapdisk_server *server, struct vbd *vbd);
size_t tapdisk_server_count(const struct tapdisk_server *server);

/*
 * The process is to leave: the last disk was detached, or nothing was attached for the idle time.
 * The control server sees it, sends what it owes, and stops the loop.
 */
bool tapdisk_server_is_leaving(const struct tapdisk_server *server);

/* Close every disk (in order or by force), then leave.  A second call forces. */
void tapdisk_server_shutdown(struct tapdisk_server *server, bool force);

#endif
