/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of nbd-load.
 */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "bench/load.h"

#define LOAD_PIDS_MAX 16

struct load_options {
	const char *socket;
	const char *export_name;
	struct load_spec spec;
	struct load_stop warm_up; /* not measured; nothing set: none */
	struct load_stop stop;
	pid_t pids[LOAD_PIDS_MAX]; /* whose CPU time is the server's */
	unsigned pid_count;
	int cpu; /* to run on; -1: any */
	bool json;
};

/*
 * Fill *options, whose strings are borrowed from argv.  False: the load is to be run; true:
 * everything has been said on stdout or stderr, exit with *status.
 */
bool load_options_parse(struct load_options *options, int argc, char **argv, int *status);

#endif
