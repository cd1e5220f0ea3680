/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process: only one of its kind, in the background, with no more rights than it needs.
 */
#ifndef DAEMON_INSTANCE_H
#define DAEMON_INSTANCE_H

#include "common/reason.h"
#include "daemon/options.h"

struct instance {
	int lock;             /* held to the end */
	int classic;          /* a bound socket, by which others see that we are there; -1: none */
	int pidfile;          /* locked; -1: none */
	const char *pid_path; /* borrowed */
	char classic_path[108];
};

/* Be the only one: 0, -EBUSY there is another, or -errno; why in *why. */
int instance_lock(struct instance *instance, const struct tb_options *options, struct reason *why);

/*
 * Go on in the background; the calling process ends with 0 once the background one calls
 * instance_started, or with the error that it ends with.  *report is for instance_started.
 */
int instance_background(int *report);
void instance_started(int *report);

/* Write the process id: 0, or -errno and *why. */
int instance_pidfile(struct instance *instance, const struct tb_options *options,
		     struct reason *why);

/* What root may do beyond being root is not needed. */
void instance_drop_rights(void);

/* Remove the files. */
void instance_end(struct instance *instance);

#endif
