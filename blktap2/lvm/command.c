/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running a program for what it prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "lvm/command.h"

#define COMMAND_SECONDS 120    /* storage that is being searched may be slow */
#define OUTPUT_MAX (64u << 20) /* bytes */
#define OUTPUT_FIRST (16u << 10)

extern char **environ;

struct text {
	char *at; /* owned; room bytes */
	size_t length;
	size_t room;
};

static long long
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Wait until fd has something: 0, -ETIMEDOUT, or -errno. */
static int
wait_readable(int fd, long long deadline)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	long long left;
	int count;

	do {
		left = deadline - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		count = poll(&ready, 1, (int)left);
	} while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	return count ? 0 : -ETIMEDOUT;
}

/* Room for more, and for a NUL behind it. */
static int
make_room(struct text *text)
{
	size_t room = text->room ? text->room * 2 : OUTPUT_FIRST;
	char *at;

	if (text->length + 1 < text->room)
		return 0;
	if (room > OUTPUT_MAX)
		return -EMSGSIZE;
	at = realloc(text->at, room);
	if (!at)
		return -ENOMEM;
	text->at = at;
	text->room = room;
	return 0;
}

/* All that comes until the other end is closed, as a string. */
static int
read_all(int fd, struct text *text)
{
	const long long deadline = now_ms() + COMMAND_SECONDS * 1000ll;
	ssize_t got;
	int err;

	for (;;) {
		err = make_room(text);
		if (!err)
			err = wait_readable(fd, deadline);
		if (err)
			return err;
		got = read(fd, text->at + text->length, text->room - text->length - 1);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (got == 0)
			break;
		if (got > 0)
			text->length += (size_t)got;
	}
	text->at[text->length] = '\0';
	return strlen(text->at) == text->length ? 0 : -EMSGSIZE;
}

/* The environment of the program: ours, but numbers and messages in the C locale.  NULL: memory. */
static char **
plain_environment(void)
{
	size_t count = 0, kept = 0, i;
	char **copy;

	while (environ[count])
		count++;
	copy = calloc(count + 2, sizeof(*copy));
	if (!copy)
		return NULL;
	for (i = 0; i < count; i++)
		if (strncmp(environ[i], "LC_ALL=", 7) != 0)
			copy[kept++] = environ[i];
	/* Nobody writes to it: the type is that of environ. */
	copy[kept] = (char *)"LC_ALL=C";
	return copy;
}

/* Start argv with its output in fd: 0 or -errno. */
static int
spawn(char *const argv[], int fd, pid_t *pid)
{
	AUTO_FREE char **environment = plain_environment();
	posix_spawn_file_actions_t actions;
	int err;

	if (!environment)
		return -ENOMEM;
	err = posix_spawn_file_actions_init(&actions);
	if (err)
		return -err;
	err = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
	if (!err)
		err = posix_spawnp(pid, argv[0], &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

/* How the program ended: 0, or -EIO with *why. */
static int
await(pid_t pid, const char *name, struct reason *why)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return reason(why, -errno, "%s: %s", name, strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status))
		return reason(why, -EIO, "%s failed with status %d", name, WEXITSTATUS(status));
	return reason(why, -EIO, "%s was ended by signal %d", name, WTERMSIG(status));
}

int
command_output(char *const argv[], char **output, struct reason *why)
{
	struct text text = { 0 };
	int ends[2], err, ended;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return reason(why, -errno, "%s: %s", argv[0], strerror(errno));
	err = spawn(argv, ends[1], &pid);
	close(ends[1]);
	if (err) {
		close(ends[0]);
		return reason(why, err, "%s: %s", argv[0], strerror(-err));
	}
	err = read_all(ends[0], &text);
	close(ends[0]);
	if (err)
		kill(pid, SIGKILL);
	ended = await(pid, argv[0], err ? NULL : why);
	if (err) {
		reason(why, err, "%s: %s", argv[0], strerror(-err));
	} else {
		err = ended;
	}
	if (err) {
		free(text.at);
		return err;
	}
	*output = text.at;
	return 0;
}
