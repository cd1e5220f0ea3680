/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tapdisk's side of a device: which process serves the disk, what the disk is like, and the
 * guest's ring there.
 */
#ifndef DAEMON_ATTACH_H
#define DAEMON_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/ring.h"
#include "daemon/state.h"
#include "daemon/tapdisk.h"

struct device;

enum disk_state {
	DISK_NONE,   /* nobody has said where it is */
	DISK_ASKING, /* the tapdisk is being asked */
	DISK_READY,  /* it is open there */
	DISK_ABSENT, /* no image is open there, or the tapdisk does not answer */
	DISK_GONE,   /* the tapdisk has no such disk */
	DISK_DEAD,   /* there is no such process any more */
};

/* It will not come back by itself: what comes there is another one. */
static inline bool
disk_has_gone(enum disk_state disk)
{
	return disk == DISK_GONE || disk == DISK_DEAD;
}

#define DISK_PARAMS_MAX 256 /* bytes that are kept, with the NUL */

/* As the tapdisk describes it. */
struct disk_info {
	uint64_t sectors; /* 512 bytes each */
	uint32_t sector_size, phys_sector_size;
	uint32_t info; /* VDISK_* */
	uint64_t capabilities;
	char params[DISK_PARAMS_MAX]; /* type:path; empty: not known, or longer */
	bool is_open;
};

/* What the toolstack wants of the disk, and the guest. */
struct device_wish {
	bool writable;
	bool cdrom;
	bool discard;
	bool persistent; /* the guest uses its grants again, as was offered */
	uint32_t poll_us;
	uint32_t poll_idle; /* percent */
};

struct attach {
	enum disk_state disk;
	uint32_t pid, minor; /* unless DISK_NONE */
	struct disk_info info;
	struct tapdisk_user user;
	struct tapdisk_call *call;  /* borrowed; the one that is under way, or NULL */
	bool ask_after;             /* the disk, when the call is over */
	bool lets_go;               /* RING_BUSY: being disconnected, without force */
	unsigned retries;           /* of looking for the disk, in vain */
	uint64_t ask_at;            /* loop milliseconds: not before */
	enum ring_state ring_state; /* RING_CONNECTED: as in ring; never RING_OTHER */
	struct ring ring;
	bool listed;             /* a ring of the device is in the list that is being received */
	bool is_dying;           /* ring: it serves no more, and waits for what is in flight */
	bool is_hidden;          /* RING_CONNECTED: perhaps; the tapdisk cannot say */
	struct ring wanted;      /* while it is being connected */
	uint64_t connect_at;     /* loop milliseconds: not before */
	struct device_wish wish; /* of the last ring that was to be connected */
};

/* What is offered to guests. */
#define ATTACH_INDIRECT_SEGMENTS 256

/* VDISK_* of blkif */
#define DISK_INFO_CDROM 1
#define DISK_INFO_READ_ONLY 4

void attach_init(struct device *device);

/* Let go of the tapdisk; the ring stays as it is. */
void attach_free(struct device *device);

/*
 * The disk is said to be there; nobody says where it is.  Nothing happens before the tapdisk where
 * it was is known to have no ring of the device any more.
 */
void attach_found(struct device *device, uint32_t pid, uint32_t minor);
void attach_lost(struct device *device);

/* What a ring may have of the tapdisk, as far as that is known: at most what is given. */
void attach_limit(const struct device *device, uint32_t *queues, uint32_t *order);

/* The tapdisk is known to be one that lists no rings, and serves simple ones: see tapdisk.h. */
bool attach_is_legacy(const struct device *device);

/* A line in the log about the ring: what has happened to it, and what it is like. */
void attach_tell(struct device *device, const char *what);

/* Where the last answer was no: ask again, if it is time, or now. */
void attach_again(struct device *device, bool now);

/* Connect the ring; the device is looked at when that is done. */
void attach_connect(struct device *device, const struct ring *ring, const struct device_wish *wish);
void attach_disconnect(struct device *device, bool force);

#endif
