/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks, files, forks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/instance.h"

#define RUN_DIR "/run"
#define CLASSIC_NAME "vbd3" /* the backend whose daemon others look for */

static const char *
run_dir(void)
{
	const char *given = secure_getenv("TAPBACK_RUN_DIR");

	return given && *given == '/' ? given : RUN_DIR;
}

/* An open, locked file: 0, -EBUSY or -errno. */
static int
open_locked(const char *path, int *out)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	*out = steal_fd(&fd);
	return 0;
}

/* Never listened to; what an earlier process left is in the way, and is ours by the lock. */
static void
bind_classic(struct instance *instance, const struct tb_options *options)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char suffix[16] = "master";
	int length;

	instance->classic = -1;
	if (strcmp(options->name, CLASSIC_NAME) != 0)
		return;
	if (options->one_domain)
		snprintf(suffix, sizeof(suffix), "%u", options->domid);
	length = snprintf(name.sun_path, sizeof(name.sun_path), "%s/tapback.%s", run_dir(), suffix);
	if (length >= (int)sizeof(name.sun_path))
		return;
	instance->classic = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (instance->classic < 0)
		return;
	unlink(name.sun_path);
	if (bind(instance->classic, (struct sockaddr *)&name, sizeof(name)) == 0)
		memcpy(instance->classic_path, name.sun_path, sizeof(instance->classic_path));
}

int
instance_lock(struct instance *instance, const struct tb_options *options, struct reason *why)
{
	AUTO_FREE char *path = NULL;
	char domain[16] = "";
	int err;

	*instance = (struct instance){ .lock = -1, .classic = -1, .pidfile = -1 };
	if (options->one_domain)
		snprintf(domain, sizeof(domain), ".%u", options->domid);
	if (asprintf(&path, "%s/tapback.%s%s.lock", run_dir(), options->name, domain) < 0) {
		path = NULL;
		return reason(why, -ENOMEM, "out of memory");
	}
	err = open_locked(path, &instance->lock);
	if (err == -EBUSY)
		return reason(why, err, "another tapback serves %s already (%s)", options->name,
			      path);
	if (err)
		return reason(why, err, "%s: %s", path, strerror(-err));
	bind_classic(instance, options);
	return 0;
}

int
instance_pidfile(struct instance *instance, const struct tb_options *options, struct reason *why)
{
	const char *path = options->pidfile;
	int err;

	if (!path)
		return 0;
	err = open_locked(path, &instance->pidfile);
	if (!err && ftruncate(instance->pidfile, 0))
		err = -errno;
	if (!err && dprintf(instance->pidfile, "%d\n", (int)getpid()) < 0)
		err = -errno;
	if (err)
		return reason(why, err, "%s: %s", path, strerror(-err));
	instance->pid_path = path;
	return 0;
}

void
instance_end(struct instance *instance)
{
	if (instance->pid_path)
		unlink(instance->pid_path);
	if (instance->classic_path[0])
		unlink(instance->classic_path);
	/* The lock file stays: removing it would let two others lock two files of its name. */
}

/* ---- the background ---------------------------------------------------------------------------
 */

/* The calling process: end as the background says. */
static void __attribute__((noreturn)) wait_for_report(int fd)
{
	unsigned char status = EIO;

	while (read(fd, &status, 1) < 0 && errno == EINTR)
		continue;
	_exit(status);
}

int
instance_background(int *report)
{
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];
	pid_t pid;

	if (null < 0 || pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid) {
		close(ends[1]);
		wait_for_report(ends[0]);
	}
	close(ends[0]);
	setsid();
	if (chdir("/"))
		return -errno;
	umask(077);
	/* Standard error stays until the start has gone well. */
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	*report = ends[1];
	return 0;
}

void
instance_started(int *report)
{
	AUTO_CLOSE int null = -1;
	unsigned char status = 0;
	ssize_t unused;

	if (*report < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	unused = write(*report, &status, 1);
	(void)unused; /* a caller that has gone needs no answer */
	close(*report);
	*report = -1;
}

/* ---- rights -----------------------------------------------------------------------------------
 */

void
instance_drop_rights(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	/* Sockets and files are root's, and that is enough.  Where it fails, nothing is lost. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_capset, &header, none);
}
