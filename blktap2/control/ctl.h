/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of libblktapctl with what calls share (struct ctl): tap-ctl uses these, the public
 * functions wrap them.  All return 0 or -errno.
 */
#ifndef CONTROL_CTL_H
#define CONTROL_CTL_H

#include <stdbool.h>

#include <tap-ctl.h>
#include <tapdisk-message.h>

#include "control/ipc.h"

/* ---- one disk ---------------------------------------------------------------------------------
 */

int ctl_attach(struct ctl *ctl, int id, int minor);
int ctl_detach(struct ctl *ctl, int id, int minor);

/* opts may be NULL.  A name that legacy messages cannot hold goes through a versioned session. */
int ctl_open(struct ctl *ctl, int id, int minor, const char *params,
	     const struct tap_ctl_opts *opts);
int ctl_close(struct ctl *ctl, int id, int minor, bool force);
int ctl_pause(struct ctl *ctl, int id, int minor);
int ctl_unpause(struct ctl *ctl, int id, int minor, const char *params,
		const struct tap_ctl_opts *opts);

/* *json is owned by the caller.  minor -1: of all disks of the tapdisk. */
int ctl_stats(struct ctl *ctl, int id, int minor, char **json);
int ctl_info(struct ctl *ctl, int id, int minor, tapdisk_message_image_t *image);

int ctl_commit(struct ctl *ctl, int id, int minor, const char *path);
int ctl_query_commit(struct ctl *ctl, int id, int minor, struct tap_ctl_job *job);
int ctl_cancel_commit(struct ctl *ctl, int id, int minor, bool wait);

/* ---- numbers and processes --------------------------------------------------------------------
 */

/*
 * want -1: the lowest free one.  name, unless NULL: another one of a kernel device, see
 * minor_want_device.  *devname is owned by the caller.
 */
int ctl_allocate(struct ctl *ctl, int want, bool kernel, const char *name, int *minor,
		 char **devname);
int ctl_free_minor(struct ctl *ctl, int minor);

/* Start a tapdisk.  *status, when not NULL: the exit status of a launcher that failed, else 0. */
int ctl_spawn(struct ctl *ctl, int *pid, int *status);

/* The tapdisk is to leave; it has no disk. */
int ctl_dismiss(struct ctl *ctl, int pid);

/* Where tapdisks keep the statistics that monitors map. */
#define CTL_STATISTICS "/dev/shm"
#define CTL_STATISTICS_PREFIX "td3-"

/* A process that has ended is dead, whether or not its parent has asked how. */
bool ctl_is_alive(int pid);

/*
 * Remove the sockets and statistics of a tapdisk that has died; nothing of one that lives.  fn,
 * unless NULL, is told each name; dry: only told.
 */
void ctl_clean_pid(const struct ctl *ctl, int pid, bool dry,
		   void (*fn)(void *arg, const char *name), void *arg);

/* Has the kernel drivers for block devices of tapdisks? */
bool ctl_can_make_devices(void);

/* Remove the block device that a tapdisk, which has died, had for a minor. */
void ctl_clean_device(const struct ctl *ctl, int pid, int minor);

/* All or nothing. */
int ctl_create(struct ctl *ctl, const char *params, const struct tap_ctl_opts *opts,
	       const char *name, int *pid, int *minor, char **devname);
int ctl_destroy(struct ctl *ctl, int id, int minor, bool force);

/* ---- enumeration ------------------------------------------------------------------------------
 */

/* Which rows are wanted: -1 or NULL for any. */
struct ctl_filter {
	int pid;
	int minor;
	const char *type;
	const char *path;
};

struct ctl_rows {
	tap_list_t *at; /* owned */
	size_t count;
};

/* unanswered, when not NULL, is told of each tapdisk that did not answer. */
int ctl_list(struct ctl *ctl, const struct ctl_filter *filter, struct ctl_rows *rows,
	     void (*unanswered)(int pid));
void ctl_rows_free(struct ctl_rows *rows);

/*
 * Numbers after prefix in the names of a directory, ascending; none where there is no directory.
 * *numbers is owned by the caller.  0, -ENOMEM, or why the directory cannot be read.
 */
int ctl_numbers(const char *dir, const char *prefix, int **numbers, size_t *count);

/* A number of 0..limit in its only spelling: no zero before others. */
bool ctl_parse_number(const char *text, unsigned long limit, unsigned long *number);

#endif
