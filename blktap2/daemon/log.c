/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines, and how many of them.
 */
#include <stdarg.h>
#include <stdio.h>

#include "daemon/log.h"

#define LINE_BYTES 512

void
tb_log_open(struct tb_log *log)
{
	if (!log->foreground)
		openlog("tapback", LOG_PID, LOG_DAEMON);
}

void
tb_log(const struct tb_log *log, int priority, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list args;

	if (priority > log->level)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (log->foreground)
		fprintf(stderr, "tapback: %s\n", line);
	else
		syslog(priority, "%s", line);
}

bool
tb_log_may(struct tb_log_limit *limit, uint64_t now, unsigned *left_out)
{
	*left_out = 0;
	if (!limit->lines || now - limit->since >= TB_LOG_PERIOD_MS) {
		*left_out = limit->left_out;
		*limit = (struct tb_log_limit){ .since = now };
	}
	if (limit->lines == TB_LOG_LINES) {
		limit->left_out++;
		return false;
	}
	limit->lines++;
	return true;
}
