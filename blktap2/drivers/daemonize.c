/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two processes of a start in the background: one that does the work, one that waits for its
 * first words.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/daemonize.h"

#define REPORT_FD 3
#define REPORT_BYTES 1024

/* The report is the error as 4 bytes, then the text. */
struct report {
	int32_t err; /* errno, positive */
	char text[REPORT_BYTES];
};

static size_t
read_report(int fd, struct report *report)
{
	size_t got = 0;
	ssize_t n;

	while (got < sizeof(*report)) {
		n = read(fd, (char *)report + got, sizeof(*report) - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* The calling process: say what the daemon says, end as it ends. */
static void __attribute__((noreturn)) wait_for_report(int fd)
{
	struct report report = { 0 };

	if (read_report(fd, &report) < sizeof(report)) {
		fprintf(stderr, "tapdisk2: the daemon died without a word\n");
		_exit(EIO);
	}
	report.text[REPORT_BYTES - 1] = '\0';
	dprintf(report.err ? STDERR_FILENO : STDOUT_FILENO, "%s%s\n",
		report.err ? "tapdisk2: " : "", report.text);
	_exit(report.err);
}

/*
 * Descriptors of the caller would be held open for the life of the disk.  The report comes first:
 * it may have the number of a standard stream that the caller had closed.
 */
static int
keep_only(int fd)
{
	int null;

	if (fd != REPORT_FD && dup2(fd, REPORT_FD) < 0)
		return -errno;
	null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -errno;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		return -errno;
	if (fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC))
		return -errno;
	return close_range(REPORT_FD + 1, ~0u, 0) ? -errno : 0;
}

int
daemonize(int *report)
{
	int ends[2], err;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid) {
		close(ends[1]);
		wait_for_report(ends[0]);
	}
	/* A second fork: the daemon is no session leader and can never get a terminal. */
	setsid();
	pid = fork();
	if (pid)
		_exit(pid < 0 ? EAGAIN : 0);
	err = keep_only(ends[1]);
	if (err)
		return err;
	if (chdir("/"))
		return -errno;
	umask(077);
	*report = REPORT_FD;
	return 0;
}

void
daemon_report(int *fd, int err, const char *text)
{
	struct report report = { .err = -err };
	ssize_t unused;

	if (*fd < 0) {
		fprintf(err ? stderr : stdout, "%s%s\n", err ? "tapdisk2: " : "", text);
		fflush(err ? stderr : stdout);
		return;
	}
	snprintf(report.text, sizeof(report.text), "%s", text);
	unused = write(*fd, &report, sizeof(report));
	(void)unused; /* a caller that has gone needs no answer */
	close(*fd);
	*fd = -1;
}
