/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a tapdisk: ctl<pid> in the control directory, speaking both protocols of
 * tapdisk-message.h.
 *
 * Every connection is a state machine of its own on the loop; none can hold up another, or the
 * disks.
 */
#ifndef DRIVERS_CONTROL_SERVER_H
#define DRIVERS_CONTROL_SERVER_H

struct control_server;
struct tapdisk_server;
struct vbd;

/* How patient the server is, in milliseconds. */
struct control_limits {
	unsigned first_byte_ms;
	unsigned progress_ms; /* without a byte of a message that has begun */
	unsigned message_ms;  /* for the whole of it */
	unsigned send_ms;     /* without a byte of an answer taken */
	unsigned idle_ms;     /* versioned connections without a request or a subscription */
};

struct control_config {
	struct tapdisk_server *server; /* borrowed */
	struct control_limits limits;  /* zeroes: the defaults */

	/*
	 * A descriptor was passed for purpose ("nbd-client", ...) under name.  Takes fd.  0 or
	 * -errno. NULL: none are accepted.
	 */
	int (*pass_fd)(void *arg, const char *purpose, const char *name, int minor, int fd);
	void *arg;
};

/* Listen.  Returns 0, or -errno and what failed in *why (static text). */
int control_server_new(struct control_server **control, const struct control_config *config,
		       const char **why);

/* Close all connections and remove the socket.  NULL is fine. */
void control_server_free(struct control_server *control);

const char *control_server_path(const struct control_server *control); /* borrowed */

/*
 * Tell subscribers what happened to a disk, as the engine's event callback does.  "leaving": once
 * all answers are sent, or have not been taken for long, the loop is stopped.
 */
void control_server_event(struct control_server *control, struct vbd *vbd, const char *kind);

#endif
