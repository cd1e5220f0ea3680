/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line and the configuration file of tapback.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_NAME_MAX 31 /* bytes of a backend's name */

/* What toolstack the devices come from. */
enum tb_mode { TB_MODE_LIBXL, TB_MODE_XAPI, TB_MODE_AUTO };

struct tb_options {
	const char *name;    /* of the backend; borrowed from argv */
	const char *pidfile; /* borrowed from argv; NULL: none */
	const char *config;  /* borrowed from argv */
	bool foreground;
	bool verbose;
	bool no_barrier;
	bool persistent; /* grants that guests use again are offered to stay mapped */
	bool remove_backend;
	bool one_domain;
	uint32_t domid; /* if one_domain */
	enum tb_mode mode;
	uint32_t max_queues;
	uint32_t max_order;
};

/*
 * Returns true when the program is to end at once with *status: help was given, or the command line
 * was wrong and has been told so.
 */
bool tb_options_parse(struct tb_options *options, int argc, char **argv, int *status);

/*
 * What the configuration file says, for what the command line has left open: 0, or -errno of a file
 * that is there but cannot be read.  A line that is wrong is told to wrong, and has no effect.
 */
int tb_options_read(struct tb_options *options, const struct tb_options *given,
		    void (*wrong)(void *arg, const char *line), void *arg);

#endif
