/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual disk: what frontends ask, and what the control side opens, pauses and closes.
 *
 * The vbd keeps the order, the accounting, the retries and the time-outs of requests; below it is a
 * chain of images.  Everything runs on the server's loop.
 */
#ifndef CORE_VBD_H
#define CORE_VBD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include <tapdisk.h>

struct vbd;
struct tapdisk_server;
struct json_object;
struct shm_tally;

#define VBD_MAX_MINOR 16383

/* ---- requests ---------------------------------------------------------------------------------
 */

/* One piece of the answer to a block status request, in 512-byte sectors. */
struct vbd_extent {
	uint64_t sector;
	uint64_t sectors;
	int status; /* TD_BLOCK_STATE_* */
};

/* Grows as needed; extents.at is owned by whoever zeroed the struct: free() it. */
struct vbd_extents {
	struct vbd_extent *at;
	size_t count;
	size_t room;
};

/*
 * A request of a frontend, which owns the memory: nothing is allocated for it.  Zero it, fill in
 * the first part, submit it; it and its buffers belong to the vbd until done is called, exactly
 * once.
 */
struct vbd_request {
	int op;           /* TD_OP_* */
	uint32_t flags;   /* TD_REQ_FUA, TD_REQ_NO_UNMAP */
	uint64_t sector;  /* 512-byte sectors */
	uint64_t sectors; /* 0 for a flush */
	const struct iovec
		*iov; /* reads and writes: adds up to sectors; each a multiple of 512 bytes */
	int iovcnt;
	bool taken; /* before its source was masked: a pause lets it through (see is_busy) */
	struct vbd_extents *extents; /* block status: filled with ascending, merged pieces */
	void (*done)(struct vbd_request *req, int err); /* 0 or the first -errno of any part */

	/*
	 * The request time-out has passed while drivers still hold the buffers: the peer may be
	 * told -ETIMEDOUT now.  done follows when the buffers are free.  May be NULL.
	 */
	void (*expired)(struct vbd_request *req);
	void *arg;
	struct shm_tally *tally; /* the asker's own statistics: counted there, too; NULL: none */

	/* The vbd's. */
	struct vbd *vbd;
	uint64_t submitted; /* loop microseconds */
	uint64_t deadline;
	uint64_t left; /* sectors not yet completed */
	int err;
	int retries;
	int slot;
	uint8_t state;
	TAILQ_ENTRY(vbd_request) link;
};

/*
 * Serve req.  Range, alignment and permission are checked here: -EINVAL, -EPERM come back through
 * done like any other error.  done may be called before this returns.
 */
void vbd_submit(struct vbd *vbd, struct vbd_request *req);

/* ---- what a frontend may know -----------------------------------------------------------------
 */

int vbd_minor(const struct vbd *vbd);
struct tapdisk_server *vbd_server(const struct vbd *vbd);
uint64_t vbd_sectors(const struct vbd *vbd);     /* 512-byte sectors; 0 while never opened */
uint32_t vbd_sector_size(const struct vbd *vbd); /* bytes */
bool vbd_read_only(const struct vbd *vbd);
bool vbd_can_discard(const struct vbd *vbd);
bool vbd_can_fast_zero(const struct vbd *vbd); /* write-zeroes without writing */

/* ---- sources: the frontends of a vbd ----------------------------------------------------------
 */

struct vbd_source;

struct vbd_source_ops {
	/* Take no further request from the peer (true), or go on (false): pause and unpause. */
	void (*mask)(struct vbd_source *source, bool masked);

	/*
	 * Is there a request that was taken and not answered, be it here or still on its way here?
	 * A pause waits until there is none: call vbd_source_idle then.  May be NULL: what comes
	 * after a pause was asked for waits until the disk runs again.
	 */
	bool (*is_busy)(struct vbd_source *source);

	/* The disk is about to close: take no more requests; what is in flight is still answered.
	 */
	void (*shutdown)(struct vbd_source *source);

	/*
	 * It closes by force: nothing in flight is to be answered any more, and what is the peer's
	 * is let go of now.  After shutdown, perhaps long after.  May be NULL.
	 */
	void (*force)(struct vbd_source *source);

	/* Nothing is in flight any more: drop peers and endpoints, vbd_source_del, free the source.
	 */
	void (*release)(struct vbd_source *source);

	/* Add to the vbd's statistics.  May be NULL. */
	void (*stats)(struct vbd_source *source, struct json_object *object);

	/* Of a guest's ring: its own statistics, a new object.  NULL: the source is no ring. */
	struct json_object *(*ring_stats)(struct vbd_source *source, bool *connected);
};

/* Embedded in the frontend. */
struct vbd_source {
	const struct vbd_source_ops *ops;
	struct vbd *vbd;
	TAILQ_ENTRY(vbd_source) link;
};

void vbd_source_add(struct vbd *vbd, struct vbd_source *source);
void vbd_source_del(struct vbd_source *source);
void vbd_source_idle(struct vbd_source *source); /* a masked one has ended what it took */

/* ---- states (spec of the bits: tapdisk2(8)) ----------------------------------------------------
 */

#define VBD_DEAD 0x001
#define VBD_CLOSED 0x002
#define VBD_QUIESCE_REQUESTED 0x004
#define VBD_QUIESCED 0x008
#define VBD_PAUSE_REQUESTED 0x010
#define VBD_PAUSED 0x020
#define VBD_SHUTDOWN_REQUESTED 0x040
#define VBD_LOCKING 0x080
#define VBD_LOG_DROPPED 0x100
#define VBD_RESUME_FAILED 0x200

unsigned vbd_state(const struct vbd *vbd);
bool vbd_is_open(const struct vbd *vbd);       /* an image is open, or paused */
bool vbd_is_busy(const struct vbd *vbd);       /* an open, close, pause or resume is under way */
const char *vbd_params(const struct vbd *vbd); /* "type:path" as given at open; NULL when closed */
const struct td_disk_info *vbd_info(const struct vbd *vbd); /* last known */

/* ---- life -------------------------------------------------------------------------------------
 */

/* How a disk is opened; strings are copied. */
struct vbd_options {
	const char *params; /* "type:path", or a stack "type:arg|type:path", or "x-chain:/file" */
	td_flag_t flags;    /* TD_OPEN_RDONLY, _NO_O_DIRECT, _SECONDARY, _STANDBY, _ADD_LOG, ... */
	const char *secondary; /* NULL: none */
	const char *log_path;  /* NULL: none */
	int parent_minor;      /* for TD_OPEN_REUSE_PARENT; -1 */
	unsigned timeout_s;    /* request time-out; 0: default */
	const uint8_t *key;    /* 32 or 64 bytes, or NULL; wiped by the caller */
	size_t key_len;
};

/* The end of an operation: 0 or -errno, and for an error one sentence that says what and why. */
typedef void (*vbd_done_fn)(void *arg, int err, const char *why);

/*
 * Each starts an operation and returns; done is called once, later or at once.  One operation at a
 * time: a second is refused with -EBUSY, but for the joins and overtakings named here.
 *
 * vbd_open: attached or closed disks; -EALREADY when open.
 * vbd_close: drains, flushes, closes; forced: awaits only I/O that was submitted.  A closed disk
 *   succeeds.  A close joins a running close; a forced one overtakes a running pause or resume,
 * which ends with -ECANCELED. vbd_pause: drains, flushes and closes the images; requests wait.  A
 * paused disk succeeds; a pause joins a running pause; -EINVAL when not open. vbd_resume: opens
 * again, with options->params if not NULL; -EMEDIUMTYPE when the disk is another. On failure still
 * paused.  -EINVAL when not paused.
 */
void vbd_open(struct vbd *vbd, const struct vbd_options *options, vbd_done_fn done, void *arg);
void vbd_close(struct vbd *vbd, bool force, vbd_done_fn done, void *arg);
void vbd_pause(struct vbd *vbd, vbd_done_fn done, void *arg);
void vbd_resume(struct vbd *vbd, const struct vbd_options *options, vbd_done_fn done, void *arg);

/* Withdraw a pause whose asker has gone: done is called with -ECANCELED, the disk runs again. */
void vbd_pause_cancel(struct vbd *vbd, void *arg);

/* Re-read the size of the leaf (0), or grow it to sectors.  0 or -errno. */
int vbd_resize(struct vbd *vbd, uint64_t sectors);

/* Change the request time-out, in seconds. */
void vbd_set_timeout(struct vbd *vbd, unsigned seconds);

/* The statistics of the disk: a new object, owned by the caller. */
struct json_object *vbd_stats(struct vbd *vbd);

/* The images, leaf first: calls fn with "type:path" of each. */
void vbd_chain(struct vbd *vbd, void (*fn)(void *arg, const char *image), void *arg);

/* Write the disk's state to the log. */
void vbd_debug(struct vbd *vbd);

#endif
