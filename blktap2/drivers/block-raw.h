/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the drivers of raw images share: opening a file or device, and the rarer requests, which
 * block and therefore run on workers.
 */
#ifndef DRIVERS_BLOCK_RAW_H
#define DRIVERS_BLOCK_RAW_H

#include <stdbool.h>

#include <tapdisk.h>

struct raw_file {
	int fd;
	bool is_device;
	bool is_writable;
	bool no_discard; /* refused once by the file system */
};

/*
 * Open name as flags say, around the page cache if direct is wanted and possible, and fill in
 * driver->info.  Returns 0, -EINVAL neither file nor block device, or empty, -ENOMEDIUM a drive
 * without a medium, or what open(2) said.
 */
int raw_open(td_driver_t *driver, const char *name, td_flag_t flags, bool direct,
	     struct raw_file *file);

/* The same for a file that has a format: its size is anything, and driver->info is left alone. */
int raw_open_file(td_driver_t *driver, const char *name, td_flag_t flags, bool direct,
		  struct raw_file *file);

/* Make what was written durable, and close.  0 or -errno; the file is closed either way. */
int raw_close(struct raw_file *file);

/* Take the size from the storage again, or (size not 0) grow a file to size sectors first. */
int raw_resize(td_driver_t *driver, struct raw_file *file, td_sector_t size);

/* These block.  0 or -errno, -EOPNOTSUPP when the storage cannot. */
int raw_discard(const struct raw_file *file, const td_request_t *treq);
int raw_write_zeroes(const struct raw_file *file, const td_request_t *treq);

/* Complete a discard or a write-zeroes from a worker. */
void raw_queue_work(td_driver_t *driver, struct raw_file *file, td_request_t treq);
void raw_queue_block_status(td_driver_t *driver, struct raw_file *file, td_request_t treq);

#endif
