/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the control server, for its files only:
 *
 *	control-server.c	the socket: who may connect, events, leaving
 *	control-connection.c	bytes of one connection, in and out, and its time limits
 *	control-legacy.c	the legacy protocol
 *	control-frames.c	requests of the versioned protocol
 *	control-replies.c	answers of the versioned protocol
 *	control-queue.c		which request may run when
 *	control-verbs.c		what requests do
 *	control-rings.c		what requests about guest rings do
 */
#ifndef DRIVERS_CONTROL_INTERNAL_H
#define DRIVERS_CONTROL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <syslog.h>

#include <tapdisk-message.h>
#include <tapdisk.h>

#include "drivers/control-server.h"
#include "drivers/core/loop.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd.h"

#define CONTROL_CONNECTIONS 32
#define CONTROL_HOLDERS 24        /* connections with an exclusive request: questions get through */
#define CONTROL_QUEUE 16          /* exclusive requests waiting for one minor */
#define CONTROL_OUTPUT (4u << 20) /* bytes owed to one connection */

/* What can be asked: the frame types, and what only the legacy protocol has. */
enum { VERB_LIST_MINORS = TAPDISK_FRAME_CANCEL + 1, VERB_COUNT };

TAILQ_HEAD(connections, connection);
TAILQ_HEAD(control_ops, control_op);

struct frame_attr;
struct json_object;
struct protocol;
struct control_op;

/* ---- connections (control-connection.c) -------------------------------------------------------
 */

/* One message on its way in.  at is secret memory: keys pass through. */
struct inbox {
	uint8_t *at;
	size_t length, room;
};

/* Answers on their way out. */
struct outbox {
	uint8_t *at;
	size_t from, length, room;
};

struct connection {
	struct control_server *control;  /* borrowed */
	const struct protocol *protocol; /* NULL until the first four bytes are here */
	int fd;
	pid_t peer_pid;
	uid_t peer_uid;
	struct loop_watch *watch;
	struct loop_task flush;
	struct loop_timer timer;
	uint64_t timer_at; /* the deadline it was set for, in loop microseconds */
	struct inbox in;
	struct outbox out;
	uint64_t begun_at;    /* loop microseconds: first byte of the message in the inbox */
	uint64_t received_at; /* last byte of it */
	uint64_t sent_at;     /* last progress of the outbox */
	uint64_t idle_at;     /* when there was last something to do */
	int passed_fd;        /* -1: none */
	bool passed_many;
	bool greeted;     /* versioned: HELLO is done */
	bool subscribed;  /* to events */
	uint32_t subject; /* of the subscription: a minor, or TAPDISK_FRAME_NO_MINOR */
	bool closing;     /* once the outbox is empty */
	bool dead;        /* freed at the end of the turn */
	unsigned outstanding;
	struct control_ops ops;
	TAILQ_ENTRY(connection) link;
};

/* Serve a connected socket, which is the connection's after success: 0 or -errno. */
int control_connection_new(struct control_server *control, int fd, pid_t pid, uid_t uid);
void control_connection_free(struct connection *connection);

/* Read and serve what has come, without waiting. */
void connection_read(struct connection *connection);

/* Append to the output, sent at the end of the turn; a connection that owes too much is closed. */
void connection_send(struct connection *connection, const void *data, size_t length);

/* No more requests; closed when everything is sent. */
void connection_finish(struct connection *connection);

/* Closed at once; freed at the end of the turn. */
void connection_kill(struct connection *connection);

/* There may be room for another request, or nothing left to wait for. */
void connection_update(struct connection *connection);

/* Exactly one descriptor, now the caller's, or -EINVAL; whatever came is consumed. */
int connection_take_fd(struct connection *connection);

/* ---- protocols (control-legacy.c, control-frames.c, control-replies.c) ------------------------
 */

/* How a protocol reads requests and writes answers. */
struct protocol {
	/*
	 * Serve the request in the inbox.  Returns 1 when it was whole and is done with, 0 when
	 * *need bytes are wanted in all, or -errno: close.
	 */
	int (*take)(struct connection *connection, size_t *need);

	/* Answer op: err is 0 or -errno with a sentence. */
	void (*answer)(struct control_op *op, int err, const char *why);
};

extern const struct protocol control_legacy;
extern const struct protocol control_frames;

/* The answer of the versioned protocol (control-replies.c). */
void control_frames_answer(struct control_op *op, int err, const char *why);

/* Tell a subscriber (control-replies.c). */
void control_frames_event(struct connection *connection, struct vbd *vbd, unsigned kind);

/* ---- requests (control-verbs.c) ---------------------------------------------------------------
 */

enum control_class {
	CLASS_QUESTION,  /* answered at once, in any state */
	CLASS_EXCLUSIVE, /* one at a time per minor */
	CLASS_RING,      /* one at a time per (domid, devid) */
};

struct control_verb {
	const char *name; /* NULL: not a request */
	enum control_class class;
	uint64_t attrs; /* 1 << tag of each attribute that it understands */
	void (*run)(struct control_op *op);
};

/* The row of a number below VERB_COUNT, or NULL. */
const struct control_verb *control_verb(unsigned verb);

/* One request while it is served; it may outlive its connection. */
struct control_op {
	struct control_server *control;
	struct connection *connection; /* NULL: the asker has gone */
	const struct protocol *protocol;
	const struct control_verb *row;
	unsigned verb;  /* TAPDISK_FRAME_* or VERB_* */
	unsigned type;  /* as it came, for the answer */
	uint32_t minor; /* TAPDISK_FRAME_NO_MINOR: none */
	uint64_t id;    /* request_id */
	pid_t peer_pid;
	uid_t peer_uid;
	uint64_t begun; /* loop microseconds */

	/* What came with it; all owned. */
	char *params, *secondary, *log_path, *name, *purpose;
	uint8_t *key; /* secret, TAPDISK_MESSAGE_MAX_KEY bytes; NULL: none */
	size_t key_len;
	uint32_t flags; /* TAPDISK_MESSAGE_FLAG_* */
	uint32_t parent_minor;
	uint32_t timeout_s;
	uint32_t version_min, version_max;
	uint64_t target_id, sectors;
	uint32_t timeout_ms;
	uint32_t log_level;
	uint64_t attrs; /* 1 << tag of each attribute that came */
	bool force;
	struct control_ring ring;
	struct control_ring_queue *queues; /* owned */

	int device_err; /* why the disk has no block device; device_why is static text */
	const char *device_why;

	bool running;
	bool queued;                        /* in a list of the server */
	bool ended;                         /* its answer is being written */
	bool expired;                       /* timeout_ms have passed */
	struct loop_timer timer;            /* of timeout_ms */
	TAILQ_ENTRY(control_op) link;       /* of the connection */
	TAILQ_ENTRY(control_op) queue_link; /* of the server */
};

/* A request that has begun to arrive, with nothing in it; NULL: memory is short. */
struct control_op *control_op_new(struct connection *connection, unsigned verb, unsigned type,
				  uint32_t minor);
void control_op_free(struct control_op *op);

/* Keep a key: 0, or -EINVAL, -ENOMEM. */
int control_op_set_key(struct control_op *op, const uint8_t *key, size_t length);

/* The disk of op, or NULL. */
struct vbd *control_op_disk(const struct control_op *op);

/* Answer, and forget op.  err is 0 or -errno; why may be NULL. */
void control_op_end(struct control_op *op, int err, const char *why);

/* The statistics that op asks for: owned by the caller. */
struct json_object *control_stats(const struct control_op *op);

/* How statistics are written: one line, with the spaces that readers know. */
#define CONTROL_JSON (JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

/* ---- order (control-queue.c) ------------------------------------------------------------------
 */

/* Serve op: answered now or later, then freed. */
void control_queue_start(struct control_op *op);

/* Let those go on that may: at the end of this turn. */
void control_queue_kick(struct control_server *control);

/* op leaves the lists of the server. */
void control_queue_remove(struct control_op *op);

/* The asker has gone: a pause is withdrawn, everything else goes on unheard. */
void control_queue_orphan(struct control_op *op);

/*
 * End a request of the same connection early.  Returns 0, -ENOENT no such request, -EBUSY it has
 * begun and cannot be stopped.
 */
int control_queue_cancel(struct connection *connection, uint64_t id);

void control_queue_init(struct control_server *control);
void control_queue_free(struct control_server *control);

/* ---- rings (control-rings.c) ------------------------------------------------------------------
 */

/* Read a QUEUE attribute: 0, -EINVAL, -ENOMEM. */
int control_ring_take_queue(struct control_op *op, const struct frame_attr *attr);

/* Copy the ring of a legacy message: 0, -EINVAL, -ENOMEM. */
int control_ring_decode(struct control_op *op, const tapdisk_message_blkif_t *blkif);

void control_ring_connect(struct control_op *op);
void control_ring_disconnect(struct control_op *op);
void control_ring_list(struct control_op *op);

/* Call each for every ring that op asks for. */
void control_ring_each(struct control_op *op,
		       void (*each)(void *arg, struct vbd *vbd, const struct control_ring *ring,
				    unsigned state),
		       void *arg);

/* ---- the server (control-server.c) ------------------------------------------------------------
 */

struct control_server {
	struct control_config config;
	struct loop *loop;
	struct tlog *log;
	char *path; /* owned */
	int fd;     /* -1: the door is closed */
	struct loop_watch *watch;
	struct connections connections;
	unsigned connection_count;
	struct control_ops exclusive; /* running and waiting, in order of arrival */
	struct control_ops rings;     /* the same, of guest rings */
	struct loop_task schedule;
	struct loop_task reaper;
	struct loop_timer leave;
	struct loop_timer accept_again;
	struct tlog_limit limit;    /* of troubles with connections */
	struct tlog_limit failures; /* of requests that failed */
	bool leaving;
};

#endif
