/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images and the driver instances below them, as the engine sees them.
 *
 * A td_image_t is one element of one disk's chain; a td_driver_t is one open instance of a driver,
 * which several images may share (read-only parents, singletons).
 */
#ifndef CORE_IMAGE_H
#define CORE_IMAGE_H

#include <stdbool.h>
#include <sys/types.h>

#include <tapdisk.h>

#include "drivers/core/server.h"
#include "drivers/core/tlog.h"

#define DRIVER_DIRTY_FDS 8 /* descriptors; a driver with more needs its own td_queue_flush */

/* An event that a driver registered; armed once the driver is open. */
struct driver_event {
	int id;
	unsigned mode;
	int fd;
	int timeout_ms;
	td_event_callback_t cb;
	void *arg;
	struct driver_event *next;
	struct driver_armed *armed; /* owned; NULL until the driver is open */
};

struct td_driver_core {
	struct tapdisk_server *server; /* borrowed */
	struct tlog_limit limit;
	bool quiet;         /* TD_OPEN_QUIET */
	uint64_t eof_zero;  /* bytes */
	const uint8_t *key; /* borrowed from the disk that opens it */
	size_t key_len;

	/* Descriptors that were ever written to: what the default flush syncs. */
	int dirty[DRIVER_DIRTY_FDS];
	unsigned dirty_count;
	bool dirty_lost; /* there were more */

	struct driver_event *events; /* owned list */
	int next_event;
	unsigned served; /* disks that use it now; while there are any, its events are live */

	/* Identity, for sharing; used under the server's driver lock only. */
	dev_t dev;
	ino_t ino;
	bool has_inode;
	bool shared;
	bool opening;

	int lock_fd; /* image lock, -1: none */
	char *why;   /* owned: of an open that fails; NULL: the error says it all */
};

struct td_image_core {
	struct tapdisk_server *server; /* borrowed */
	td_image_t *below;             /* borrowed; NULL: the bottom */
	bool no_write_zeroes;          /* answered -EOPNOTSUPP once */
	char *why;                     /* owned: why it could not be opened; or NULL */
	uint64_t hits[2];              /* sectors served: read, written */
	uint64_t fail[2];
};

/* A new image that is not open.  name is copied.  NULL: memory is short. */
td_image_t *td_image_new(struct tapdisk_server *server, int type, const char *name,
			 td_flag_t flags);
void td_image_free(td_image_t *image); /* closed before; NULL is fine */

/*
 * Open image's driver, or join an open instance that it may share: a singleton, or with
 * TD_OPEN_SHAREABLE and without a key the same file.  seed is the info of the image below, or NULL;
 * key is borrowed for the life of the driver.  0 or -errno.  Blocks; any thread.
 */
int td_open(td_image_t *image, const td_disk_info_t *seed, const uint8_t *key, size_t key_len);

/* Let go of the driver; the last user closes it.  0, the driver's -errno, -ENODEV.  Blocks. */
int td_close(td_image_t *image);

int td_get_parent_id(td_image_t *image, td_disk_id_t *id);
int td_validate_parent(td_image_t *image, td_image_t *parent);
void td_debug(td_image_t *image);

/* On the loop: a disk more is served by the open driver, whose events may fire from now on. */
void td_driver_arm(td_driver_t *driver);

/* Check the request against the image and give it to the driver, or to the default behaviour. */
void td_queue_read(td_image_t *image, td_request_t treq);
void td_queue_write(td_image_t *image, td_request_t treq);
void td_queue_flush(td_image_t *image, td_request_t treq);
void td_queue_discard(td_image_t *image, td_request_t treq);
void td_queue_write_zeroes(td_image_t *image, td_request_t treq);
void td_queue_block_status(td_image_t *image, td_request_t treq);

/* Any of them, by treq.op. */
void td_queue_request(td_image_t *image, td_request_t treq);

/* ---- for the default behaviour (defaults.c) ---------------------------------------------------
 */

void td_default_flush(td_image_t *image, td_request_t treq);
void td_default_write_zeroes(td_image_t *image, td_request_t treq);

/* Pass write-zeroes to the driver, and write the zeroes should it answer -EOPNOTSUPP. */
void td_try_write_zeroes(td_image_t *image, td_request_t treq);

#endif
