/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * null: no image at all.  Reads return zeroes, writes are swallowed: what is left to measure is the
 * way from the guest to the driver and back.  The name is the size: null:64G.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <tapdisk.h>

#include "common/checked.h"
#include "common/number.h"

/* 2^10 for K and so on; 0 for no unit. */
static int
unit_shift(const char *unit)
{
	static const char units[] = "KMGTP";
	const char *at;

	if (!*unit)
		return 0;
	at = unit[1] ? NULL : strchr(units, *unit);
	return at ? 10 * (int)(at - units + 1) : -1;
}

/* "64G" in bytes: 0 or -EINVAL. */
static int
parse_size(const char *text, uint64_t *bytes)
{
	const char *unit;
	uint64_t number;
	int shift;

	if (!number_take(text, UINT64_MAX, &unit, &number))
		return -EINVAL;
	shift = unit_shift(unit);
	if (shift < 0 || checked_mul(number, 1ull << shift, bytes))
		return -EINVAL;
	return *bytes >= DEFAULT_SECTOR_SIZE && *bytes <= INT64_MAX ? 0 : -EINVAL;
}

static int
null_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	uint64_t bytes;
	int err = parse_size(name, &bytes);

	(void)flags;
	if (err)
		return err;
	driver->info.size = bytes >> SECTOR_SHIFT;
	driver->info.sector_size = DEFAULT_SECTOR_SIZE;
	driver->info.discard_granularity = DEFAULT_SECTOR_SIZE;
	return 0;
}

static int
null_close(td_driver_t *driver)
{
	(void)driver;
	return 0;
}

static int
null_get_parent_id(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	(void)id;
	return TD_NO_PARENT;
}

static int
null_validate_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	(void)child;
	(void)parent;
	(void)flags;
	return -EINVAL;
}

static void
null_queue_read(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	memset(treq.buf, 0, (size_t)treq.secs << SECTOR_SHIFT);
	td_complete_request(treq, 0);
}

static void
null_succeed(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	td_complete_request(treq, 0);
}

static void
null_queue_block_status(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	treq.status = TD_BLOCK_STATE_HOLE;
	td_complete_request(treq, 0);
}

static void
null_stats(td_driver_t *driver, td_stats_t *stats)
{
	(void)driver;
	td_stats_reqs(stats, 0, 0);
}

struct tap_disk tapdisk_null = {
	.disk_type = "tapdisk_null",
	.flags = TD_DISK_BIG_REQUESTS | TD_DISK_DISCARD_ZEROES,
	.private_data_size = 0,
	.td_open = null_open,
	.td_close = null_close,
	.td_get_parent_id = null_get_parent_id,
	.td_validate_parent = null_validate_parent,
	.td_queue_read = null_queue_read,
	.td_queue_write = null_succeed,
	.td_queue_flush = null_succeed,
	.td_queue_discard = null_succeed,
	.td_queue_write_zeroes = null_succeed,
	.td_queue_block_status = null_queue_block_status,
	.td_stats = null_stats,
};
