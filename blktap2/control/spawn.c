/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting a tapdisk, with nothing of the caller's but its environment: hotplug scripts hold locks
 * by descriptors that a daemon must not inherit.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "control/ctl.h"
#include "control/session.h"

#define SPAWN_MS 10000
#define LINE_BYTES 512

static int
is_executable(const char *path)
{
	return path && path[0] == '/' && access(path, X_OK) == 0;
}

/* Which program: 0 with *path static or of the environment, or -ENOENT. */
static int
find_tapdisk(const char **path)
{
	const char *wanted = secure_getenv("TAPDISK");

	if (!wanted)
		wanted = secure_getenv("TAPDISK2");
	if (wanted) {
		*path = wanted;
		return is_executable(wanted) ? 0 : -ENOENT;
	}
	*path = LIBEXECDIR "/tapdisk";
	if (is_executable(*path))
		return 0;
	*path = SBINDIR "/tapdisk2";
	return is_executable(*path) ? 0 : -ENOENT;
}

/* In the child: everything as a daemon would want to find it. */
static void __attribute__((noreturn)) become(const char *path, int end)
{
	char *argv[] = { (char *)"tapdisk2", NULL };
	int null = open("/dev/null", O_RDONLY);
	/* A caller without standard streams may have given the pipe one of their numbers. */
	int output = fcntl(end, F_DUPFD, STDERR_FILENO + 1);
	sigset_t none;
	int i;

	sigemptyset(&none);
	for (i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || output < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
	    close_range(STDERR_FILENO + 1, ~0u, 0) || chdir("/"))
		_exit(errno);
	umask(077);
	execv(path, argv);
	_exit(errno);
}

/* The first line that the tapdisk writes, or -errno: -ENODATA when it ends without one. */
static int
read_line(int fd, char *line, size_t size, const struct deadline *deadline)
{
	size_t length = 0;
	ssize_t got;
	int err;

	while (length + 1 < size) {
		err = ipc_wait(fd, POLLIN, deadline);
		if (err)
			return err;
		got = read(fd, line + length, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -ENODATA;
		if (line[length] == '\n')
			break;
		length++;
	}
	line[length] = '\0';
	return 0;
}

/* The pid of "<dir>/ctl<pid>", or -EPROTO. */
static int
pid_of(const struct ctl *ctl, const char *line)
{
	size_t length = strlen(ctl->dir);
	unsigned long pid;

	if (strncmp(line, ctl->dir, length) != 0 || strncmp(line + length, "/ctl", 4) != 0)
		return -EPROTO;
	return ctl_parse_number(line + length + 4, 1u << 30, &pid) ? (int)pid : -EPROTO;
}

/*
 * The launcher has said all: 0 when it ends, or -ETIMEDOUT, -ECANCELED.  A kernel that cannot tell
 * has us believe that it will.
 */
static int
await_end(pid_t launcher, const struct deadline *deadline)
{
	AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_open, launcher, 0);

	return fd < 0 ? 0 : ipc_wait(fd, POLLIN, deadline);
}

/* The launcher's exit status, or 128 + signal.  It is killed when it does not end by itself. */
static int
reap(pid_t launcher, bool kill_it)
{
	int status;

	if (kill_it)
		kill(launcher, SIGKILL);
	while (waitpid(launcher, &status, 0) < 0)
		if (errno != EINTR)
			return EIO;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
listen_to(struct ctl *ctl, pid_t launcher, int fd, int *pid, int *status)
{
	struct deadline deadline = deadline_in(ctl, SPAWN_MS);
	char line[LINE_BYTES];
	int err = read_line(fd, line, sizeof(line), &deadline), late, exited;

	late = err && err != -ENODATA ? err : await_end(launcher, &deadline);
	exited = reap(launcher, late);
	if (late == -ECANCELED)
		return late;
	if (late == -ETIMEDOUT)
		return reason(&ctl->why, -EPERM, "the tapdisk did not start in time");
	if (exited >= 128)
		return reason(&ctl->why, -EPERM, "the tapdisk was killed by signal %d",
			      exited - 128);
	if (exited) {
		*status = exited;
		return reason(&ctl->why, -exited, "%s", err ? strerror(exited) : line);
	}
	*pid = err ? -EPROTO : pid_of(ctl, line);
	if (*pid < 0)
		return reason(&ctl->why, -EPROTO, "the tapdisk said: %s", err ? "nothing" : line);
	return 0;
}

int
ctl_spawn(struct ctl *ctl, int *pid, int *status)
{
	int ends[2], err, ignored;
	const char *path;
	pid_t launcher;

	if (!status)
		status = &ignored;
	*status = 0;
	ctl->why.text[0] = '\0';
	err = find_tapdisk(&path);
	if (err)
		return reason(&ctl->why, err, "%s: no such program", path);
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	launcher = fork();
	if (launcher == 0)
		become(path, ends[1]);
	err = launcher < 0 ? -errno : 0;
	close(ends[1]);
	if (!err)
		err = listen_to(ctl, launcher, ends[0], pid, status);
	close(ends[0]);
	return err;
}

int
ctl_dismiss(struct ctl *ctl, int pid)
{
	struct reason why = ctl->why;
	int err = session_simple(ctl, pid, TAPDISK_FRAME_EXIT, -1, IPC_PID_MS);

	/* Why we send it away is what the caller wants to know. */
	ctl->why = why;
	if (err == -EPROTONOSUPPORT && kill(pid, SIGTERM))
		err = -errno;
	return err;
}
