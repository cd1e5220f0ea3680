/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of the process: a file of its own and syslog, one line per event, never blocking and
 * rate-limited per class of message.  Text from guests and peers is escaped.
 */
#ifndef CORE_TLOG_H
#define CORE_TLOG_H

#include <stdarg.h>
#include <stdbool.h>

struct tlog;

/* A source of messages with a bound: 16 lines per 90 s, then one summary.  Zeroed by its owner. */
struct tlog_limit {
	unsigned long long since; /* monotonic seconds */
	unsigned count;
	unsigned dropped;
};

/*
 * Log to dir/tapdisk.<pid>.log (NULL: not), and to syslog, which listens at that path (_PATH_LOG);
 * with to_stderr also there.  A directory that refuses leaves syslog alone.  Returns NULL when
 * memory is short.
 */
struct tlog *tlog_new(const char *dir, const char *syslog, bool to_stderr);
void tlog_free(struct tlog *log); /* removes the file when nothing above notice was logged */

/* Open the file again, after it was rotated.  NULL is fine. */
void tlog_reopen(struct tlog *log);

/* Lines below this level, as in syslog(3), are dropped; LOG_INFO to begin with.  NULL is fine. */
void tlog_set_level(struct tlog *log, int level);

/* One line, no newline; level as in syslog(3).  From any thread.  log NULL: dropped. */
void tlog(struct tlog *log, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void tlog_limited(struct tlog *log, struct tlog_limit *limit, int level, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void tlog_v(struct tlog *log, int level, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

#endif
