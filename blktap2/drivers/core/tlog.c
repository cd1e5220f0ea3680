/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: every line goes to the process's own file and, as a datagram, to syslog.  Neither may
 * ever hold up the loop: a full socket drops the line.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/tlog.h"

#define TLOG_LINE 1024 /* bytes of one line, cut beyond */
#define TLOG_BURST 16
#define TLOG_PERIOD_SEC 90

struct tlog {
	pthread_mutex_t lock; /* drivers log from workers while they open */
	char *path;           /* owned; NULL: no file */
	int fd;               /* -1: no file */
	struct sockaddr_un syslog;
	int syslog_fd; /* -1: nobody listens there */
	bool to_stderr;
	atomic_int level;   /* of the least that is written */
	bool worth_keeping; /* something above notice was logged */
};

static int
open_file(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
}

static int
connect_syslog(const struct sockaddr_un *to)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to))) {
		close(fd);
		return -1;
	}
	return fd;
}

struct tlog *
tlog_new(const char *dir, const char *syslog, bool to_stderr)
{
	struct tlog *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	if (dir && asprintf(&log->path, "%s/tapdisk.%d.log", dir, (int)getpid()) < 0) {
		free(log);
		return NULL;
	}
	pthread_mutex_init(&log->lock, NULL);
	log->fd = log->path ? open_file(log->path) : -1;
	log->syslog.sun_family = AF_UNIX;
	snprintf(log->syslog.sun_path, sizeof(log->syslog.sun_path), "%s", syslog);
	log->syslog_fd = connect_syslog(&log->syslog);
	log->to_stderr = to_stderr;
	atomic_init(&log->level, LOG_INFO);
	return log;
}

void
tlog_free(struct tlog *log)
{
	if (!log)
		return;
	if (log->fd >= 0) {
		if (!log->worth_keeping)
			unlink(log->path);
		close(log->fd);
	}
	if (log->syslog_fd >= 0)
		close(log->syslog_fd);
	pthread_mutex_destroy(&log->lock);
	free(log->path);
	free(log);
}

void
tlog_reopen(struct tlog *log)
{
	int fd;

	if (!log)
		return;
	pthread_mutex_lock(&log->lock);
	fd = log->path ? open_file(log->path) : -1;
	if (fd >= 0) {
		if (log->fd >= 0)
			close(log->fd);
		log->fd = fd;
	}
	pthread_mutex_unlock(&log->lock);
}

void
tlog_set_level(struct tlog *log, int level)
{
	if (log)
		atomic_store(&log->level, level);
}

/* Bytes that could end a line or drive a terminal become '?': names come from guests and peers. */
static void
escape(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void
put_file(struct tlog *log, const char *text)
{
	char line[TLOG_LINE + 64];
	struct timespec now;
	ssize_t unused;
	struct tm tm;
	int length;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	length = snprintf(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s\n",
			  tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			  tm.tm_sec, now.tv_nsec / 1000000, text);
	unused = write(log->fd, line, (size_t)length);
	(void)unused; /* there is nobody to tell */
}

/* True: the datagram was taken, or dropped because the socket is full. */
static bool
send_syslog(int fd, const char *line, size_t length)
{
	return fd >= 0 && (send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
			   errno == EAGAIN || errno == ENOBUFS);
}

static void
put_syslog(struct tlog *log, int level, const char *text)
{
	char line[TLOG_LINE + 64];
	int length = snprintf(line, sizeof(line), "<%d>tapdisk2[%d]: %s", LOG_DAEMON | level,
			      (int)getpid(), text);

	if (send_syslog(log->syslog_fd, line, (size_t)length))
		return;
	/* Who listened has ended, and another may have begun. */
	if (log->syslog_fd >= 0)
		close(log->syslog_fd);
	log->syslog_fd = connect_syslog(&log->syslog);
	send_syslog(log->syslog_fd, line, (size_t)length);
}

void
tlog_v(struct tlog *log, int level, const char *format, va_list args)
{
	char text[TLOG_LINE];

	if (!log || level > atomic_load_explicit(&log->level, memory_order_relaxed))
		return;
	vsnprintf(text, sizeof(text), format, args);
	escape(text);
	pthread_mutex_lock(&log->lock);
	if (level < LOG_NOTICE)
		log->worth_keeping = true;
	if (log->to_stderr)
		fprintf(stderr, "tapdisk2: %s\n", text);
	if (log->fd >= 0)
		put_file(log, text);
	put_syslog(log, level, text);
	pthread_mutex_unlock(&log->lock);
}

void
tlog(struct tlog *log, int level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tlog_v(log, level, format, args);
	va_end(args);
}

/* True when one more line of this class may be written now. */
static bool
limit_allows(struct tlog *log, struct tlog_limit *limit, int level)
{
	struct timespec now;
	unsigned dropped;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!limit->since || (unsigned long long)now.tv_sec - limit->since >= TLOG_PERIOD_SEC) {
		dropped = limit->dropped;
		limit->since = (unsigned long long)now.tv_sec;
		limit->count = 0;
		limit->dropped = 0;
		if (dropped)
			tlog(log, level, "%u more messages of the next kind were not logged",
			     dropped);
	}
	if (limit->count == TLOG_BURST) {
		limit->dropped++;
		return false;
	}
	limit->count++;
	return true;
}

void
tlog_limited(struct tlog *log, struct tlog_limit *limit, int level, const char *format, ...)
{
	va_list args;

	if (!log || !limit_allows(log, limit, level))
		return;
	va_start(args, format);
	tlog_v(log, level, format, args);
	va_end(args);
}
