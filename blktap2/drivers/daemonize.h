/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Becoming a daemon whose caller learns how the start went.
 */
#ifndef DRIVERS_DAEMONIZE_H
#define DRIVERS_DAEMONIZE_H

#include <stdbool.h>

/*
 * Go on in a background process, detached from the terminal, with no descriptor of the caller's but
 * stderr, and even that points to /dev/null.  Returns there, with *report to be given to
 * daemon_report.  The calling process stays behind: it prints what is reported, on stdout when the
 * error is 0, on stderr else, and exits with the error.
 */
int daemonize(int *report);

/*
 * Tell the caller, once, how the start went: err is 0 or -errno, text one line.  With report -1
 * (the process stayed in the foreground) the line is printed.
 */
void daemon_report(int *report, int err, const char *text);

#endif
