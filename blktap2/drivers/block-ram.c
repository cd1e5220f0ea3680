/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ram: a raw image loaded into memory at the first open, and never written back.
 *
 * The shortest complete driver: every request is completed at once.  It is a singleton per name, so
 * all disks of the process that name the same image share one store.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <tapdisk.h>

#include "common/whole.h"
#include "drivers/block-raw.h"

struct ram_state {
	char *store;
	size_t bytes;
};

/* ---- open and close ---------------------------------------------------------------------------
 */

static void
forget(struct ram_state *ram)
{
	explicit_bzero(ram->store, ram->bytes);
	munmap(ram->store, ram->bytes);
}

static int
ram_open(td_driver_t *driver, const char *name, td_flag_t flags)
{
	struct ram_state *ram = driver->data;
	struct raw_file file;
	int err = raw_open(driver, name, flags | TD_OPEN_RDONLY, false, &file);

	if (err)
		return err;
	err = -ENOMEM;
	if (driver->info.size > MAX_RAMDISK_SIZE)
		goto out;
	ram->bytes = (size_t)driver->info.size << SECTOR_SHIFT;
	/* Populated: memory that is missing is an error now, not a fault later. */
	ram->store = mmap(NULL, ram->bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ram->store == MAP_FAILED)
		goto out;
	driver->info.sector_size = DEFAULT_SECTOR_SIZE;
	driver->info.phys_sector_size = DEFAULT_SECTOR_SIZE;
	driver->info.discard_granularity = DEFAULT_SECTOR_SIZE;
	/* An image that has become shorter is an error. */
	err = whole_read(file.fd, ram->store, ram->bytes, 0);
	if (err)
		forget(ram);
out:
	raw_close(&file); /* was only read: nothing to lose */
	return err;
}

static int
ram_close(td_driver_t *driver)
{
	forget(driver->data);
	return 0;
}

static int
ram_get_parent_id(td_driver_t *driver, td_disk_id_t *id)
{
	(void)driver;
	(void)id;
	return TD_NO_PARENT;
}

static int
ram_validate_parent(td_driver_t *child, td_driver_t *parent, td_flag_t flags)
{
	(void)child;
	(void)parent;
	(void)flags;
	return -EINVAL;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static char *
place(const td_driver_t *driver, const td_request_t *treq)
{
	const struct ram_state *ram = driver->data;

	return ram->store + (treq->sec << SECTOR_SHIFT);
}

static void
ram_queue_read(td_driver_t *driver, td_request_t treq)
{
	memcpy(treq.buf, place(driver, &treq), (size_t)treq.secs << SECTOR_SHIFT);
	td_complete_request(treq, 0);
}

static void
ram_queue_write(td_driver_t *driver, td_request_t treq)
{
	memcpy(place(driver, &treq), treq.buf, (size_t)treq.secs << SECTOR_SHIFT);
	td_complete_request(treq, 0);
}

/* There is nothing more durable than the store itself. */
static void
ram_queue_flush(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	td_complete_request(treq, 0);
}

static void
ram_queue_zeroes(td_driver_t *driver, td_request_t treq)
{
	memset(place(driver, &treq), 0, (size_t)treq.secs << SECTOR_SHIFT);
	td_complete_request(treq, 0);
}

static void
ram_queue_block_status(td_driver_t *driver, td_request_t treq)
{
	(void)driver;
	treq.status = TD_BLOCK_STATE_NONE;
	td_complete_request(treq, 0);
}

static void
ram_stats(td_driver_t *driver, td_stats_t *stats)
{
	td_stats_reqs(stats, 0, 0);
	td_stats_number(stats, "sectors", (int64_t)driver->info.size);
}

struct tap_disk tapdisk_ram = {
	.disk_type = "tapdisk_ram",
	.flags = TD_DISK_PER_NAME | TD_DISK_BIG_REQUESTS | TD_DISK_DISCARD_ZEROES,
	.private_data_size = sizeof(struct ram_state),
	.td_open = ram_open,
	.td_close = ram_close,
	.td_get_parent_id = ram_get_parent_id,
	.td_validate_parent = ram_validate_parent,
	.td_queue_read = ram_queue_read,
	.td_queue_write = ram_queue_write,
	.td_queue_flush = ram_queue_flush,
	.td_queue_discard = ram_queue_zeroes,
	.td_queue_write_zeroes = ram_queue_zeroes,
	.td_queue_block_status = ram_queue_block_status,
	.td_stats = ram_stats,
};
