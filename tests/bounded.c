/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run a test, but not for longer than it is given: then it ends, and says so.  What it has started
 * and left behind ends with it in any case, and would otherwise keep its output open.
 *
 *     bounded SECONDS COMMAND [ARGUMENT...]
 *
 * Exits as the command does: with its status, or with 128 and the number of the signal.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 10000 /* between SIGTERM and SIGKILL, and for all that is killed to be gone */
#define USAGE 2
#define NOT_RUN 127
#define NOT_ENDED 124

struct test {
	pid_t pid;
	bool ended;
	bool was_late;
	int status;
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The next signal of the set, or 0 when it is too late for one. */
static int
next_signal(const sigset_t *set, int64_t deadline_ms)
{
	struct timespec timeout;
	int64_t left;
	int sig;

	do {
		left = deadline_ms - now_ms();
		if (left < 0)
			left = 0;
		timeout = (struct timespec){ left / 1000, left % 1000 * 1000000 };
		sig = sigtimedwait(set, NULL, &timeout);
	} while (sig < 0 && errno == EINTR);
	return sig < 0 ? 0 : sig;
}

/* Whether there are children that have not ended: ours, and those who lost their parents. */
static bool
reap(struct test *test)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != test->pid)
			continue;
		test->ended = true;
		test->status = status;
	}
	return pid == 0;
}

static void
kill_children(void)
{
	char path[64], *word = NULL;
	size_t size = 0;
	FILE *children;
	long pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	children = fopen(path, "re");
	while (children && getdelim(&word, &size, ' ', children) > 0) {
		pid = strtol(word, NULL, 10);
		if (pid > 0)
			kill((pid_t)pid, SIGKILL);
	}
	free(word);
	if (children)
		fclose(children);
}

static void
start(struct test *test, char **command, const sigset_t *before)
{
	test->pid = fork();
	if (test->pid)
		return;
	sigprocmask(SIG_SETMASK, before, NULL);
	execvp(command[0], command);
	perror(command[0]);
	_exit(NOT_RUN);
}

/* Whoever interrupts us interrupts the test. */
static void
wait_for(struct test *test, unsigned seconds, const sigset_t *set)
{
	int64_t deadline = now_ms() + seconds * INT64_C(1000);
	bool is_told = false;
	int sig;

	while (!test->ended) {
		sig = next_signal(set, deadline);
		if (sig == SIGCHLD) {
			reap(test);
			continue;
		}
		if (!sig && is_told)
			break;
		if (!sig) {
			fprintf(stderr, "bounded: not ended after %u s\n", seconds);
			test->was_late = true;
		}
		kill(test->pid, sig ? sig : SIGTERM);
		is_told = true;
		deadline = now_ms() + GRACE_MS;
	}
}

/* Who loses its parent by this becomes our child, and is the next. */
static void
end_the_rest(struct test *test, const sigset_t *set)
{
	int64_t deadline = now_ms() + GRACE_MS;

	while (reap(test)) {
		kill_children();
		if (!next_signal(set, deadline))
			break;
	}
}

int
main(int argc, char **argv)
{
	struct test test = { 0 };
	sigset_t set, before;
	unsigned long seconds;
	char *end;

	seconds = argc < 3 ? 0 : strtoul(argv[1], &end, 10);
	if (!seconds || *end || seconds > UINT_MAX) {
		fprintf(stderr, "usage: bounded SECONDS COMMAND [ARGUMENT...]\n");
		return USAGE;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	start(&test, argv + 2, &before);
	if (test.pid < 0) {
		perror("bounded: fork");
		return NOT_RUN;
	}
	wait_for(&test, (unsigned)seconds, &set);
	end_the_rest(&test, &set);
	if (!test.ended || test.was_late)
		return NOT_ENDED;
	return WIFEXITED(test.status) ? WEXITSTATUS(test.status) : 128 + WTERMSIG(test.status);
}
