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

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tapdisk-message.h>

struct control_server;
struct tapdisk_server;
struct vbd;

/* How patient the server is, in milliseconds.  0: the default. */
struct control_limits {
	unsigned first_byte_ms; /* 10000 */
	unsigned progress_ms;   /* 2000: without a byte of a message that has begun */
	unsigned message_ms;    /* 10000: for the whole of it */
	unsigned send_ms;       /* 10000: without a byte of an answer taken */
	unsigned idle_ms;       /* 300000: versioned, with neither request nor subscription */
	unsigned accept_ms;     /* 100: before the next try, when descriptors are short */
	unsigned leave_ms;      /* 10000: to send what is owed before the process ends */
};

/* ---- guest rings, as far as the control protocol knows them -----------------------------------
 */

#define CONTROL_RING_PAGES (1u << TAPDISK_RING_MAX_ORDER)

struct control_ring_queue {
	uint32_t order; /* 1 << order pages */
	uint32_t port;
	uint32_t gref[CONTROL_RING_PAGES];
};

struct control_ring {
	uint32_t domid;
	uint32_t devid;
	uint32_t proto;    /* 1 native, 2 x86_32, 3 x86_64 */
	uint32_t flags;    /* TAPDISK_RING_READ_ONLY, ... */
	uint64_t features; /* offered to the guest; 0: nothing was said */
	uint32_t poll_us;
	uint32_t poll_idle; /* percent */
	uint32_t indirect_max;
	unsigned queue_count;
	const struct control_ring_queue *queues;
};

/* Who serves rings.  All on the loop; none may block. */
struct control_rings {
	unsigned max_rings;
	unsigned max_queues; /* of one ring */

	/*
	 * Serve a ring of an open disk; ring is copied as needed.  0, -EALREADY this (domid, devid)
	 * is served, or -errno; *why (static text) may be set.
	 */
	int (*connect)(void *arg, struct vbd *vbd, const struct control_ring *ring,
		       const char **why);

	/*
	 * Take no further request of the ring, and let go of its memory once nothing is in flight,
	 * or at once by force.  0, or -ENODEV no such ring.  After 0, unmapped (unless NULL) is
	 * called once when the memory is gone, perhaps before this returns.
	 */
	int (*disconnect)(void *arg, uint32_t domid, uint32_t devid, bool force,
			  void (*unmapped)(void *unmapped_arg), void *unmapped_arg);

	/* Call each for every ring of vbd, with a state of TAPDISK_RING_*. */
	void (*list)(void *arg, struct vbd *vbd,
		     void (*each)(void *each_arg, const struct control_ring *ring, unsigned state),
		     void *each_arg);
	void *arg;
};

/* ---- block devices of the host ----------------------------------------------------------------
 */

/* Who makes them, of disks that are to have one.  All on the loop; done is called once, and its why
 * is a static text. */
struct control_devices {
	/* The disk was opened; an error closes it again. */
	void (*add)(void *arg, struct vbd *vbd,
		    void (*done)(void *done_arg, int err, const char *why), void *done_arg);

	/* The disk is to be closed; an error leaves it open. */
	void (*remove)(void *arg, struct vbd *vbd, bool force,
		       void (*done)(void *done_arg, int err, const char *why), void *done_arg);
	void *arg;
};

/* ---- the server -------------------------------------------------------------------------------
 */

struct control_config {
	struct tapdisk_server *server; /* borrowed */
	struct control_limits limits;

	/* Besides root and our own user, the members of this group may connect. */
	bool has_group;
	gid_t group;

	/*
	 * A descriptor was passed for purpose ("nbd-client", ...) under name.  Takes fd.  0 or
	 * -errno. NULL: none are accepted.
	 */
	int (*pass_fd)(void *arg, const char *purpose, const char *name, int minor, int fd);
	void *arg;

	const struct control_rings *rings;     /* borrowed; NULL: there are none on this host */
	const struct control_devices *devices; /* borrowed; NULL: there are none on this host */
};

/* Listen.  Returns 0, or -errno and what failed in *why (static text). */
int control_server_new(struct control_server **control, const struct control_config *config,
		       const char **why);

/*
 * Close all connections and remove the socket.  Operations of disks that are still under way must
 * not be ended by the engine afterwards.  NULL is fine.
 */
void control_server_free(struct control_server *control);

const char *control_server_path(const struct control_server *control); /* borrowed */

/*
 * Tell subscribers what happened to a disk; to be called by the engine's event callback, always:
 * requests that wait for a disk go on by it.  "leaving": no more connections are accepted, and once
 * all answers are sent, or have not been taken for long, the loop is stopped.
 */
void control_server_event(struct control_server *control, struct vbd *vbd, const char *kind);

#endif
