/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the control server: connections (control-server.c), the two protocols
 * (control-legacy.c, control-frame.c), and what is asked for (control-verbs.c).
 */
#ifndef DRIVERS_CONTROL_INTERNAL_H
#define DRIVERS_CONTROL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <tapdisk-message.h>
#include <tapdisk.h>

#include "drivers/control-server.h"
#include "drivers/core/loop.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd.h"

#define CONTROL_CONNECTIONS 32
#define CONTROL_EXCLUSIVE 24      /* connections that may wait for an exclusive request */
#define CONTROL_QUEUE 16          /* exclusive requests waiting for one minor */
#define CONTROL_OUTPUT (4u << 20) /* bytes */
#define CONTROL_LEAVE_MS 10000

/* What can be asked, in either protocol: the frame types, and what only legacy has. */
enum { VERB_LIST_MINORS = 0x100 };

TAILQ_HEAD(connections, connection);
TAILQ_HEAD(control_ops, control_op);

/* A growing run of bytes. */
struct bytes {
	uint8_t *at; /* owned */
	size_t from, length, room;
};

struct json_object;
struct protocol;

struct connection {
	struct control_server *control;  /* borrowed */
	const struct protocol *protocol; /* NULL until the first four bytes are here */
	int fd;
	pid_t peer;
	struct loop_watch *watch;
	struct loop_timer timer;
	uint64_t message_begun; /* loop microseconds; 0: between messages */
	struct bytes in;
	struct bytes out;
	int passed_fd; /* -1: none */
	bool passed_many;
	bool greeted; /* versioned: HELLO is done */
	bool subscribed;
	uint32_t subject; /* minor of the subscription, or TAPDISK_FRAME_NO_MINOR */
	bool closing;     /* once the output is sent */
	bool dead;        /* to be freed by the reaper */
	unsigned outstanding;
	struct control_ops ops;
	TAILQ_ENTRY(connection) link;
};

/* One request while it is being served; it outlives its connection. */
struct control_op {
	struct control_server *control;
	struct connection *connection; /* NULL: the asker has gone */
	const struct protocol *protocol;
	unsigned verb;  /* TAPDISK_FRAME_* or VERB_* */
	unsigned type;  /* as it came, for the answer */
	uint32_t minor; /* TAPDISK_FRAME_NO_MINOR: none */
	uint64_t id;    /* request_id */
	uint64_t begun; /* loop microseconds */

	/* What came with it; all owned. */
	struct vbd_options options;
	char *params, *secondary, *log_path, *name, *purpose;
	uint8_t key[TAPDISK_MESSAGE_MAX_KEY];
	uint32_t version_min, version_max;
	uint64_t features, target_id, sectors;
	uint32_t timeout_ms;
	bool force, has_params, has_sectors, has_timeout;
	struct loop_timer timer; /* timeout_ms */

	bool running;
	bool exclusive;
	bool ended;                         /* the answer is being sent */
	TAILQ_ENTRY(control_op) link;       /* of the connection */
	TAILQ_ENTRY(control_op) queue_link; /* of exclusive requests */
};

struct control_server {
	struct control_config config;
	struct loop *loop;
	struct tlog *log;
	char *path; /* owned */
	int fd;
	struct loop_watch *watch;
	struct connections connections;
	unsigned connection_count;
	struct control_ops exclusive; /* running and waiting, in order of arrival */
	struct loop_task reaper;
	struct loop_timer leave;
	struct loop_timer accept_again;
	struct tlog_limit limit;
	bool leaving;
};

/* How a protocol reads requests and writes answers. */
struct protocol {
	/*
	 * Take one request from the input.  Returns 1 and sets *need to the bytes wanted before the
	 * next call; 0 when more bytes are wanted first (*need in all); or -errno: close.
	 */
	int (*take)(struct connection *connection, size_t *need);

	/* Answer op: err is 0 or -errno with a sentence. */
	void (*answer)(struct control_op *op, int err, const char *why);
};

extern const struct protocol control_legacy;
extern const struct protocol control_frames;

/* ---- connections (control-server.c) -----------------------------------------------------------
 */

/* Append to the output; a connection that owes too much is closed. */
void connection_send(struct connection *connection, const void *data, size_t length);

/* No more requests; closed when everything is sent. */
void connection_finish(struct connection *connection);

/* Exactly one descriptor, now the caller's, or -EINVAL; whatever came is consumed. */
int connection_take_fd(struct connection *connection);

/* ---- requests (control-verbs.c) ---------------------------------------------------------------
 */

struct control_op *control_op_new(struct connection *connection, unsigned verb, unsigned type,
				  uint32_t minor);
void control_op_free(struct control_op *op);

/* Serve op: answered now or later, then freed. */
void control_op_start(struct control_op *op);

/* The asker has gone: a pause is withdrawn, everything else goes on unheard. */
void control_op_orphan(struct control_op *op);

/* End a request of the same connection early: 0 or -ENOENT. */
int control_op_cancel(struct connection *connection, uint64_t id);

/* The statistics that op asks for: owned by the caller (control-legacy.c). */
struct json_object *control_stats(struct control_op *op);

/* How statistics are written: one line, with the spaces that readers know. */
#define CONTROL_JSON (JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

/* TAPDISK_MESSAGE_FLAG_* as TD_OPEN_*. */
td_flag_t control_open_flags(uint32_t flags);

/* An event for a subscriber (control-frame.c). */
void control_frame_event(struct connection *connection, struct vbd *vbd, unsigned kind);

#endif
