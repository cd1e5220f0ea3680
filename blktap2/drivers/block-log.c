/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log: a filter that notes what is changed on the image below.
 *
 * "cbt=/path" notes it in a file of changed blocks, for backups; a name with a "/" in it notes it
 * in memory, sector by sector, for a client on a socket (<tapdisk-log.h>).  The note is made before
 * the change goes down; everything else just goes down.
 */
#include <errno.h>
#include <string.h>

#include <tapdisk.h>

#include "drivers/block-log-cbt.h"
#include "drivers/block-log-map.h"
#include "drivers/block-log-socket.h"

/* Either a file, or a map and its socket. */
struct log_state {
	struct cbt_log *cbt;
	struct dirty_map *map;
	struct log_socket *socket;
};

/* ---- open and close ---------------------------------------------------------------------------
 */

static int
open_map(td_driver_t *driver, const char *name, struct log_state *log)
{
	int err = dirty_map_new(driver->info.size, &log->map);

	if (err)
		return err;
	err = log_socket_open(driver, name, log->map, &log->socket);
	if (err)
		dirty_map_free(log->map);
	return err;
}

/* What the disk is like was filled in from the image below. */
static int
log_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	const size_t prefix = strlen(TD_CHANGE_LOG_FILE);
	struct log_state *log = driver->data;

	if (!driver->info.size)
		return -EINVAL;
	if (strncmp(name, TD_CHANGE_LOG_FILE, prefix) == 0)
		return cbt_log_open(driver, name + prefix, flags, &log->cbt);
	return open_map(driver, name, log);
}

static int
log_close(td_driver_t *driver)
{
	struct log_state *log = driver->data;

	cbt_log_close(log->cbt);
	log_socket_close(log->socket);
	dirty_map_free(log->map);
	return 0;
}

static int
log_get_parent_id(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	(void)id;
	return -EINVAL;
}

/* Any image may be below. */
static int
log_validate_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	(void)child;
	(void)parent;
	(void)flags;
	return 0;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void
log_queue_read(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	td_forward_request(treq);
}

/* A write, a discard or a write-zeroes. */
static void
log_queue_change(td_driver_t *driver, td_request_t treq)
{
	struct log_state *log = driver->data;

	if (log->cbt) {
		cbt_log_change(log->cbt, treq);
		return;
	}
	if (!(treq.flags & (TD_REQ_FILL | TD_REQ_JOB)))
		dirty_map_set(log->map, treq.sec, (uint64_t)treq.secs);
	td_forward_request(treq);
}

static void
log_queue_flush(td_driver_t *driver, td_request_t treq)
{
	struct log_state *log = driver->data;

	if (log->cbt)
		cbt_log_flush(log->cbt, treq);
	else
		td_forward_request(treq);
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

static int
log_resize(td_driver_t *driver, td_sector_t size)
{
	struct log_state *log = driver->data;
	int err = log->cbt ? cbt_log_resize(log->cbt, size) : dirty_map_grow(log->map, size);

	if (!err)
		driver->info.size = size;
	return err;
}

static void
log_stats(td_driver_t *driver, td_stats_t *stats)
{
	struct log_state *log = driver->data;

	if (log->cbt)
		cbt_log_stats(log->cbt, stats);
	else
		td_stats_reqs(stats, 0, 0);
}

struct tap_disk tapdisk_log = {
	.disk_type = "tapdisk_log",
	.flags = TD_DISK_FILTER | TD_DISK_BIG_REQUESTS | TD_DISK_CHANGE_LOG,
	.private_data_size = sizeof(struct log_state),
	.td_open = log_open,
	.td_close = log_close,
	.td_get_parent_id = log_get_parent_id,
	.td_validate_parent = log_validate_parent,
	.td_queue_read = log_queue_read,
	.td_queue_write = log_queue_change,
	.td_queue_flush = log_queue_flush,
	.td_queue_discard = log_queue_change,
	.td_queue_write_zeroes = log_queue_change,
	.td_stats = log_stats,
	.td_resize = log_resize,
};
