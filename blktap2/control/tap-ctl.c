/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap-ctl: start, list and steer tapdisks.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "common/program.h"
#include "control/tap-ctl.h"

static const struct command *const commands[] = {
#define X(id) &cmd_##id,
	TAP_CTL_COMMANDS(X)
#undef X
};

static const char *
command_name(size_t index)
{
	return commands[index]->name;
}

static void
complete(size_t index, FILE *out)
{
	const struct arg_row *row;

	for (row = commands[index]->rows; row->letter || row->name; row++)
		program_complete(out, row->letter, row->name, row->value != NULL);
}

static const struct program program = {
	.name = "tap-ctl",
	.words = "COMMAND [OPTIONS]",
	.count = sizeof(commands) / sizeof(commands[0]),
	.command = command_name,
	.complete = complete,
};

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
	if (!err)
		err = program_flush();
	if (err)
		complain(command->name, err, ctl.why.text);
	raise_caught(ctl.cancel_fd);
	ctl_free(&ctl);
	return err;
}

/* --timeout SECS before the command. */
static bool
take_timeout(int argc, char **argv, long *timeout_s)
{
	unsigned long seconds;

	if (argc < 3 || strcmp(argv[1], "--timeout") != 0 ||
	    !ctl_parse_number(argv[2], 1000000, &seconds))
		return false;
	*timeout_s = (long)seconds;
	return true;
}

int
main(int argc, char **argv)
{
	int err = program_begin(), index;
	long timeout_s = -1;
	struct args args;
	bool debug;

	if (err)
		return -err;
	openlog("tap-ctl", 0, LOG_USER);
	if (take_timeout(argc, argv, &timeout_s)) {
		argv += 2;
		argc -= 2;
	}
	if (program_answers(&program, argc > 1 ? argv[1] : "help"))
		return 0;
	index = program_find(&program, argv[1]);
	if (index < 0)
		return program_unknown(&program, argv[1], stderr);
	argc = program_take_word(argc - 1, argv + 1, "--debug", &debug);
	tap_ctl_debug = debug;
	err = args_parse(commands[index], argc, argv + 1, &args);
	if (err == 0)
		err = run(commands[index], &args, timeout_s);
	return err < 0 ? -err : 0;
}
