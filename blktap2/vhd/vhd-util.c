/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util: make, look at, change, check and repair VHD images.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <vhd/libvhd.h>

#include "vhd/vhd-util.h"

static const struct command *const commands[] = {
#define X(id) &cmd_##id,
	VHD_UTIL_COMMANDS(X)
#undef X
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
usage(FILE *out)
{
	size_t i;

	fputs("usage: vhd-util COMMAND [OPTIONS]\nCOMMAND := { ", out);
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "%s%s", i ? " | " : "", commands[i]->name);
	fputs(" }\n", out);
}

/* For tools/completion: each command with its options, those with a value before a colon. */
static void
print_completion(FILE *out)
{
	const struct option_row *row;
	size_t i;

	for (i = 0; i < COMMANDS; i++) {
		fputs(commands[i]->name, out);
		for (row = commands[i]->rows; row->letter; row++) {
			if (row->letter >= ' ')
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

	for (i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* --debug may stand anywhere. */
static int
take_debug(int argc, char **argv)
{
	int from, to = 1;

	for (from = 1; from < argc; from++) {
		if (strcmp(argv[from], "--debug") == 0)
			libvhd_set_log_level(1);
		else
			argv[to++] = argv[from];
	}
	argv[to] = NULL;
	return to;
}

/* Where a standard stream is closed, an image must not take its number. */
static int
open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static bool
wants_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

int
main(int argc, char **argv)
{
	const struct command *command;
	int err = open_standard_streams();

	if (err)
		return -err;
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	argc = argc > 0 ? take_debug(argc, argv) : 0;
	if (argc < 2 || wants_help(argv[1])) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("vhd-util " PACKAGE_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--completion") == 0) {
		print_completion(stdout);
		return 0;
	}
	command = find_command(argv[1]);
	if (!command) {
		fprintf(stderr, "vhd-util: unknown command: %s\n", argv[1]);
		usage(stderr);
		return EINVAL;
	}
	err = command_run(command, argc - 1, argv + 1);
	return err < 0 ? -err : 0;
}
