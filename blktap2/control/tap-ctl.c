/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap-ctl: start, list and steer tapdisks.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "control/tap-ctl.h"

#define NAME_MAX_CHARS 24 /* of a command */

static const struct command *const commands[] = {
#define X(id) &cmd_##id,
	TAP_CTL_COMMANDS(X)
#undef X
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *out)
{
	size_t i;

	fputs("usage: tap-ctl COMMAND [OPTIONS]\nCOMMAND := { ", out);
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "%s%s", i ? " | " : "", commands[i]->name);
	fputs(" }\n", out);
}

/* For tools/completion: each command with its options, those with a value before a colon. */
static void
print_completion(FILE *out)
{
	const struct arg_row *row;
	size_t i;

	for (i = 0; i < COMMANDS; i++) {
		fputs(commands[i]->name, out);
		for (row = commands[i]->rows; row->letter || row->name; row++) {
			if (row->letter)
				fprintf(out, " -%c%s", row->letter, row->value ? ":" : "");
			if (row->name)
				fprintf(out, " --%s%s", row->name, row->value ? ":" : "");
		}
		fputc('\n', out);
	}
}

static const struct command *
find_command(const char *name)
{
	size_t i;

	if (strlen(name) > NAME_MAX_CHARS)
		return NULL;
	for (i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* --debug may stand anywhere behind the command. */
static int
take_debug(int argc, char **argv)
{
	int from, to = 1;

	for (from = 1; from < argc; from++) {
		if (strcmp(argv[from], "--debug") == 0)
			tap_ctl_debug = 1;
		else
			argv[to++] = argv[from];
	}
	argv[to] = NULL;
	return to;
}

/* ---- signals ----------------------------------------------------------------------------------
 */

/* From now on SIGINT and its kind make waiting end, so that what was begun can be undone. */
static int
catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* End by the signal that was caught, if one was. */
static void
raise_caught(int fd)
{
	struct signalfd_siginfo info;
	sigset_t set;

	if (fd < 0 || read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	signal((int)info.ssi_signo, SIG_DFL);
	raise((int)info.ssi_signo);
	sigemptyset(&set);
	sigaddset(&set, (int)info.ssi_signo);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- run --------------------------------------------------------------------------------------
 */

static void
complain(const char *command, int err, const char *why)
{
	const char *text = *why ? why : strerror(-err);

	fprintf(stderr, "tap-ctl: %s: %s\n", command, text);
	syslog(LOG_ERR, "%s: %s", command, text);
}

static int
run(const struct command *command, const struct args *args, long timeout_s)
{
	struct ctl ctl;
	int err = ctl_init(&ctl);

	if (timeout_s >= 0)
		ctl.timeout_ms = (int)timeout_s * 1000;
	if (!err && command->composite)
		ctl.cancel_fd = catch_signals();
	if (!err)
		err = command->run(&ctl, args);
	/* What cannot be printed was not done, as far as the caller can tell. */
	if (!err && (fflush(stdout) || ferror(stdout)))
		err = -errno;
	if (err)
		complain(command->name, err, ctl.why.text);
	raise_caught(ctl.cancel_fd);
	ctl_free(&ctl);
	return err;
}

int
main(int argc, char **argv)
{
	const struct command *command;
	unsigned long timeout_s = 0;
	bool has_timeout = false;
	struct args args;
	int err;

	signal(SIGPIPE, SIG_IGN);
	openlog("tap-ctl", 0, LOG_USER);
	if (argc > 2 && strcmp(argv[1], "--timeout") == 0) {
		has_timeout = ctl_parse_number(argv[2], 1000000, &timeout_s);
		argv += has_timeout ? 2 : 0;
		argc -= has_timeout ? 2 : 0;
	}
	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("tap-ctl " PACKAGE_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--completion") == 0) {
		print_completion(stdout);
		return 0;
	}
	command = find_command(argv[1]);
	if (!command) {
		usage(stderr);
		return EINVAL;
	}
	argc = take_debug(argc - 1, argv + 1);
	err = args_parse(command, argc, argv + 1, &args);
	if (err == 0)
		err = run(command, &args, has_timeout ? (long)timeout_s : -1);
	return err < 0 ? -err : 0;
}
