/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver interface of tapdisk2: everything a driver sees, and all it may use.
 *
 * A driver for an image format is one C file that fills in a struct tap_disk, and one entry in
 * disktypes.h (blktap2/README is the guide).  Sizes called "sectors" count 512 bytes, always, also
 * on disks with larger logical sectors.  Errors are 0 or a negative errno.
 *
 * All functions of one open driver, its callbacks and its events run on one thread: a driver needs
 * no locks.  Nothing but td_open and td_close may block.
 */
#ifndef TAPDISK_H
#define TAPDISK_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SECTOR_SHIFT 9
#define DEFAULT_SECTOR_SIZE 512
#define MAX_SEGMENTS_PER_REQ 11
#define MAX_REQUESTS 32
#define TAPDISK_DATA_REQUESTS (MAX_REQUESTS * MAX_SEGMENTS_PER_REQ)
#define TAPDISK_TIOCBS (TAPDISK_DATA_REQUESTS + 50)
#define MAX_RAMDISK_SIZE 1024000 /* sectors */
#define MAX_NAME_LEN 1000        /* bytes of an image name */
#define TD_NO_PARENT 1
#define TD_MAX_REQUEST_SECS 256      /* per read or write, unless TD_DISK_BIG_REQUESTS */
#define TD_MAX_RANGE_SECS 0x7FFFFFF8 /* per discard, write-zeroes, block status */

/* td_request_t.op */
#define TD_OP_READ 0
#define TD_OP_WRITE 1
#define TD_OP_BLOCK_STATUS 2
#define TD_OP_FLUSH 3
#define TD_OP_DISCARD 4
#define TD_OP_WRITE_ZEROES 5

/* td_request_t.status, the answer to TD_OP_BLOCK_STATUS */
#define TD_BLOCK_STATE_NONE 0 /* data */
#define TD_BLOCK_STATE_HOLE 1 /* not allocated; reads as zero */
#define TD_BLOCK_STATE_ZERO 2 /* allocated; reads as zero */

/* td_request_t.flags */
#define TD_REQ_FUA 0x1      /* complete only when the data are durable */
#define TD_REQ_NO_UNMAP 0x2 /* write-zeroes: the range stays allocated */
#define TD_REQ_FILL 0x4     /* a cache fill, not a guest write */
#define TD_REQ_JOB 0x8      /* background work, not a guest request */

/* td_driver_t.state */
#define TD_DRIVER_OPEN 0x0001
#define TD_DRIVER_RDONLY 0x0002

/* Open flags: test single bits, never the whole word. */
#define TD_OPEN_QUIET 0x0001 /* log nothing */
#define TD_OPEN_QUERY 0x0002 /* metadata only, no side effect on the file */
#define TD_OPEN_RDONLY 0x0004
#define TD_OPEN_STRICT 0x0008    /* validate everything first */
#define TD_OPEN_SHAREABLE 0x0010 /* several disks may use one instance */
#define TD_OPEN_ADD_CACHE 0x0020
#define TD_OPEN_VHD_INDEX 0x0040
#define TD_OPEN_ADD_LOG 0x0080
#define TD_OPEN_LOG_DIRTY TD_OPEN_ADD_LOG
#define TD_OPEN_LOCAL_CACHE 0x0100
#define TD_OPEN_REUSE_PARENT 0x0200
#define TD_OPEN_SECONDARY 0x0400
#define TD_OPEN_STANDBY 0x0800
#define TD_IGNORE_ENOSPC 0x1000
#define TD_OPEN_NO_O_DIRECT 0x2000 /* use the host's page cache */

/* struct tap_disk.flags: what a driver wants to be treated specially for */
#define TD_DISK_FILTER 0x1         /* no data of its own: sits on another image */
#define TD_DISK_PER_NAME 0x2       /* singleton: one instance per name, not per type */
#define TD_DISK_BIG_REQUESTS 0x4   /* reads and writes may exceed TD_MAX_REQUEST_SECS */
#define TD_DISK_DISCARD_ZEROES 0x8 /* discarded sectors read as zero */
#define TD_DISK_CHANGE_LOG 0x10    /* the filter that TD_OPEN_ADD_LOG puts on top of a disk */

/* The name that it is then opened with: this and the path of the file, or the name of the leaf. */
#define TD_CHANGE_LOG_FILE "cbt="

/* The classic name of two members is a word of C++. */
#ifdef __cplusplus
#define TD_MEMBER_PRIVATE private_
#else
#define TD_MEMBER_PRIVATE private
#endif

#define td_flag_set(word, flag) ((word) |= (flag))
#define td_flag_clear(word, flag) ((word) &= ~(flag))
#define td_flag_test(word, flag) ((word) & (flag))

struct list_head {
	struct list_head *next, *prev;
};

typedef uint16_t td_uuid_t;
typedef uint32_t td_flag_t;
typedef uint64_t td_sector_t;

struct tap_disk;
struct tiocb;
struct tiocb_group;
struct td_driver_core; /* the engine's part of a driver and of an image */
struct td_image_core;

/* The name and type of a parent image. */
typedef struct td_disk_id {
	char *name; /* malloc'd by td_get_parent_id, freed by the engine */
	int drivertype;
	td_flag_t flags;
} td_disk_id_t;

/* What an open image is like; filled by td_open. */
typedef struct td_disk_info {
	td_sector_t size;     /* 512-byte sectors */
	uint64_t sector_size; /* logical sector in bytes: a power of two, 512..4096 */
	uint32_t info;
	uint32_t phys_sector_size;    /* bytes, 0: as sector_size */
	uint32_t discard_granularity; /* bytes, 0: no discard */
} td_disk_info_t;

/* One open instance of a driver. */
typedef struct td_driver_handle {
	int type;
	char *name;
	int storage;
	int refcnt;
	td_flag_t state;
	td_disk_info_t info;
	void *data; /* private_data_size bytes, zeroed before td_open */
	const struct tap_disk *ops;
	struct list_head next;
	struct td_driver_core *core;
} td_driver_t;

/* One image of one virtual disk; several images may share a driver instance. */
typedef struct td_image_handle {
	int type;
	char *name;
	uint16_t memshr_id;
	td_flag_t flags;
	int storage;
	td_driver_t *driver;
	td_disk_info_t info;
	void *TD_MEMBER_PRIVATE; /* the virtual disk; not for drivers */
	struct list_head next;
	struct td_image_core *core;
} td_image_t;

/*
 * A request, passed by value: a driver may copy it, and split it by narrowing buf, sec and secs of
 * the copies together.  The number of sectors is its reference count: each sector is completed or
 * forwarded exactly once.
 */
typedef struct td_request {
	int op;
	char *buf; /* secs * 512 bytes; read-only when op is TD_OP_WRITE */
	td_sector_t sec;
	int secs;
	uint8_t blocked; /* the driver needs its own completions before it can take more */
	td_image_t *image;
	void (*cb)(struct td_request, int); /* td_callback_t */
	void *cb_data;
	uint64_t id;
	int sidx;
	void *TD_MEMBER_PRIVATE;
	uint32_t flags;
	int status; /* TD_BLOCK_STATE_*: set before completing a block status */
	void *vreq;
} td_request_t;

typedef void (*td_callback_t)(td_request_t, int);
typedef void (*td_queue_callback_t)(void *arg, struct tiocb *tiocb, int err);

/* One asynchronous operation on a descriptor.  The driver owns it; td_prep_* fills it in. */
struct tiocb {
	td_queue_callback_t cb;
	void *arg;

	/* The engine's, from td_prep_* on. */
	td_driver_t *driver;
	int op; /* enum tiocb_op */
	int fd;
	int mode;
	char *buf;
	size_t bytes;
	long long offset;
	size_t done;
	long result;
	struct tiocb_group *group; /* joined operations, of which this is the first */

	struct tiocb *next;
};

enum tiocb_op { TIOCB_READ, TIOCB_WRITE, TIOCB_FSYNC, TIOCB_FALLOCATE };

/* Collects the fields of a driver's "status" object. */
typedef struct td_stats td_stats_t;

/*
 * A driver.  Simple ones leave flags 0 and everything after td_debug NULL.
 */
struct tap_disk {
	const char *disk_type;
	td_flag_t flags;       /* TD_DISK_* */
	int private_data_size; /* bytes of driver->data */

	/*
	 * Open the image called name; fill driver->info.
	 *
	 * Required.  May block.  On failure it releases everything itself: td_close is not called.
	 * Returns 0 or -errno.
	 */
	int (*td_open)(td_driver_t *, const char *name, td_flag_t flags);

	/*
	 * Make everything durable and release it.  Also called when a disk is paused; td_open
	 * follows when it is resumed.
	 *
	 * Required.  May block.  Called once for each successful td_open, with no request pending.
	 * Returns 0 or -errno; the driver is closed either way.
	 */
	int (*td_close)(td_driver_t *);

	/*
	 * Name the image this one is based on.
	 *
	 * Required.  Returns 0 with *id filled (id->name is malloc'd, the caller frees it),
	 * TD_NO_PARENT for a root, -EINVAL for a filter, another -errno to fail the open.
	 */
	int (*td_get_parent_id)(td_driver_t *, td_disk_id_t *id);

	/*
	 * Say whether parent is the image that td_get_parent_id meant.
	 *
	 * Required.  Called for every adjacent pair.  Returns 0 or -EINVAL; drivers without parents
	 * return -EINVAL.
	 */
	int (*td_validate_parent)(td_driver_t *child, td_driver_t *parent, td_flag_t flags);

	/*
	 * Read, or write, treq.secs sectors from treq.sec on.
	 *
	 * Required; a read-only filter completes writes with -EPERM.  Must not block.  For every
	 * sector exactly one of: td_complete_request, td_forward_request, or td_prep_* and
	 * td_queue_tiocb whose callback does one of these.  The engine guarantees that the driver
	 * is open (for writing), that the range is inside info.size and a multiple of sector_size,
	 * secs <= TD_MAX_REQUEST_SECS unless TD_DISK_BIG_REQUESTS, and a buf aligned at least to
	 * sector_size.
	 */
	void (*td_queue_read)(td_driver_t *, td_request_t treq);
	void (*td_queue_write)(td_driver_t *, td_request_t treq);

	/* Write the driver's state to the log with td_log.  Optional. */
	void (*td_debug)(td_driver_t *);

	/*
	 * Make every write that has completed so far survive a power cut.  sec and secs are 0.
	 *
	 * Optional.  Missing: filters forward; for others the engine calls fdatasync on every
	 * descriptor that tiocbs have written to since the last flush.
	 */
	void (*td_queue_flush)(td_driver_t *, td_request_t treq);

	/*
	 * The content of the range is no longer needed: it becomes undefined, or zero with
	 * TD_DISK_DISCARD_ZEROES.  Up to TD_MAX_RANGE_SECS.
	 *
	 * Optional.  Missing: filters forward, others complete -EOPNOTSUPP.
	 */
	void (*td_queue_discard)(td_driver_t *, td_request_t treq);

	/*
	 * The range reads as zero afterwards; with TD_REQ_NO_UNMAP it stays allocated.
	 *
	 * Optional.  Missing, or completed with -EOPNOTSUPP: the engine writes zeroes through
	 * td_queue_write.
	 */
	void (*td_queue_write_zeroes)(td_driver_t *, td_request_t treq);

	/*
	 * Report where data, zeroes and holes are: complete the range in ascending pieces, each
	 * with its status.
	 *
	 * Optional.  Missing: filters forward, others are all data.
	 */
	void (*td_queue_block_status)(td_driver_t *, td_request_t treq);

	/* Add the fields of the "status" object of the statistics.  Optional: null. */
	void (*td_stats)(td_driver_t *, td_stats_t *);

	/*
	 * Grow to size sectors; 0: take the size from the storage again.  Updates driver->info.
	 * A filter is told when the image below has grown to size sectors, and follows.
	 *
	 * Optional.  Missing: -EOPNOTSUPP.
	 */
	int (*td_resize)(td_driver_t *, td_sector_t size);

	/*
	 * Is I/O under way that no request waits for?  The engine closes the driver only when not.
	 *
	 * Optional.  Missing: no.
	 */
	int (*td_is_busy)(td_driver_t *);

	/*
	 * Would a read of these sectors (inside info.size) be forwarded as a whole?  Answers at
	 * once, from what is in memory; "no" is always right.  With it a read finds its way down a
	 * long chain without being handed from driver to driver.
	 *
	 * Optional.  Missing: no.
	 */
	int (*td_lacks)(td_driver_t *, td_sector_t sec, int secs);
};

/* ---- requests ------------------------------------------------------------------------------- */

/* The part of a request that treq describes is done: res is 0 or -errno, -EBUSY means "later". */
void td_complete_request(td_request_t treq, int res);

/*
 * Hand the part that treq describes to the next image below.  Below the last image reads return
 * zeroes, block status answers HOLE, flush and discard succeed, writes fail with -EIO.
 */
void td_forward_request(td_request_t treq);

/* ---- asynchronous operations on descriptors ---------------------------------------------------
 */

/*
 * Describe an operation; td_queue_tiocb starts it.  The callback's err is 0 or -errno: short
 * transfers are continued by the engine.  A read at the end of the file fails with -EIO, unless
 * td_set_eof_zero allows zeroes there.  Sizes and offsets are in bytes.
 */
void td_prep_read(struct tiocb *tiocb, int fd, char *buf, size_t bytes, long long offset,
		  td_queue_callback_t cb, void *arg);
void td_prep_write(struct tiocb *tiocb, int fd, char *buf, size_t bytes, long long offset,
		   td_queue_callback_t cb, void *arg);
void td_prep_fsync(struct tiocb *tiocb, int fd, td_queue_callback_t cb, void *arg);
void td_prep_fallocate(struct tiocb *tiocb, int fd, int mode, long long offset, long long bytes,
		       td_queue_callback_t cb, void *arg);

/* Submit with the batch of this turn.  The callback comes from the loop, never from in here. */
void td_queue_tiocb(td_driver_t *driver, struct tiocb *tiocb);

/* Reads of this driver that end at or before byte end may find the file shorter: zeroes. */
void td_set_eof_zero(td_driver_t *driver, uint64_t end);

/* ---- the loop ---------------------------------------------------------------------------------
 */

/*
 * Run fn(arg) on a worker thread, then done(arg, what fn returned) on the driver's thread.  Returns
 * 0 or -ENOMEM, with nothing started.
 */
int td_work(td_driver_t *driver, int (*fn)(void *arg), void (*done)(void *arg, int result),
	    void *arg);

#define TD_EVENT_READ 0x1
#define TD_EVENT_WRITE 0x2
#define TD_EVENT_TIMEOUT 0x4

typedef void (*td_event_callback_t)(void *arg, int id, unsigned mode);

/*
 * Call cb when fd (or -1) is ready in one of the ways of mode, or timeout_ms after the last call
 * with TD_EVENT_TIMEOUT.  Returns an id >= 0, or -errno.
 */
int td_register_event(td_driver_t *driver, unsigned mode, int fd, int timeout_ms,
		      td_event_callback_t cb, void *arg);
void td_unregister_event(td_driver_t *driver, int id);

/* ---- the rest ---------------------------------------------------------------------------------
 */

/* The encryption key of the disk this driver serves, *len bytes, or NULL.  Borrowed. */
const uint8_t *td_driver_key(td_driver_t *driver, size_t *len);

/* One line, no newline, into the log; rate-limited per driver.  Levels as in syslog(3). */
void td_log(td_driver_t *driver, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Tell those who listen for events of the disks that use this driver; kind is one of the engine's
 * ("log-failed").  On the driver's thread.
 */
void td_event(td_driver_t *driver, const char *kind);

/*
 * Say in one sentence why td_open or td_get_parent_id fails: whoever asked for the disk will read
 * it, after the name of the image.  Returns err.
 */
int td_reason(td_driver_t *driver, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The macros of classic drivers. */
#define DPRINTF(...) syslog(LOG_INFO, __VA_ARGS__)
#define EPRINTF(...) syslog(LOG_ERR, __VA_ARGS__)

void td_stats_number(td_stats_t *stats, const char *key, int64_t value);
void td_stats_text(td_stats_t *stats, const char *key, const char *value);
void td_stats_pair(td_stats_t *stats, const char *key, int64_t first, int64_t second);
void td_stats_enter(td_stats_t *stats, const char *key); /* a nested object begins ... */
void td_stats_leave(td_stats_t *stats);                  /* ... and ends */

/* "reqs": { "max": max, "pending": pending }, which every driver reports. */
void td_stats_reqs(td_stats_t *stats, int64_t max, int64_t pending);

#ifdef __cplusplus
}
#endif

#endif
