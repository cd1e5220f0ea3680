/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of tapdisk2.
 */
#ifndef DRIVERS_OPTIONS_H
#define DRIVERS_OPTIONS_H

#include <stdbool.h>

struct options {
	const char *params; /* -n; borrowed from argv */
	bool foreground;
	bool read_only;
	bool kernel_device;
	bool nbd_only;
	unsigned idle_timeout_s; /* 0: never */
};

/*
 * Returns true when the program is to end at once with *status: help was given, or the command line
 * was wrong and has been told so.
 */
bool options_parse(struct options *options, int argc, char **argv, int *status);

#endif
