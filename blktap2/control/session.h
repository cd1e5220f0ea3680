/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection in the versioned protocol.
 */
#ifndef CONTROL_SESSION_H
#define CONTROL_SESSION_H

#include "common/frame.h"
#include "control/ipc.h"

struct session {
	struct ctl *ctl; /* borrowed */
	int fd;
	uint64_t next_id;
};

/* An answer or an event; payload is owned: session_reply_free. */
struct session_reply {
	struct frame frame;
	uint8_t *payload;
};

/* Connect and agree on a version.  -EPROTONOSUPPORT: the tapdisk speaks legacy only. */
int session_open(struct ctl *ctl, int id, struct session *session);
void session_close(struct session *session);

/* A request to be filled with frame_put_*. */
void session_begin(struct session *session, struct frame_writer *writer, unsigned type, int minor);

/* Send it; writer is freed. */
int session_send(struct session *session, struct frame_writer *writer,
		 const struct deadline *deadline);

/* The next frame, as it is: for lists and events. */
int session_receive(struct session *session, struct session_reply *reply,
		    const struct deadline *deadline);
void session_reply_free(struct session_reply *reply);

/* The error that a reply carries, with its words in ctl->why: 0 or -errno. */
int session_error(struct session *session, const struct session_reply *reply);

/* Send writer, and receive its one answer.  reply may be NULL. */
int session_call(struct session *session, struct frame_writer *writer, int default_ms,
		 struct session_reply *reply);

/* OPEN or RESUME with names of any length. */
int session_open_disk(struct ctl *ctl, int id, int minor, bool resume, const char *params,
		      const struct tap_ctl_opts *opts);

/* A request without attributes, in a session of its own. */
int session_simple(struct ctl *ctl, int id, unsigned type, int minor, int default_ms);

#endif
