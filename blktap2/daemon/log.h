/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: syslog, or stderr in the foreground.  One line per thing, "who: what: why"; what a guest
 * can cause is bounded.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#define TB_LOG_LINES 10        /* of one limit */
#define TB_LOG_PERIOD_MS 60000 /* in this time */

struct tb_log {
	bool foreground;
	int level; /* LOG_INFO or LOG_DEBUG */
};

/* Zeroed before the first use. */
struct tb_log_limit {
	uint64_t since; /* loop milliseconds */
	unsigned lines;
	unsigned left_out;
};

void tb_log_open(struct tb_log *log);

void tb_log(const struct tb_log *log, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * May another line be written at this time (loop milliseconds)?  *left_out: how many were not,
 * since the last time that some were; to be told with this line.
 */
bool tb_log_may(struct tb_log_limit *limit, uint64_t now, unsigned *left_out);

#endif
