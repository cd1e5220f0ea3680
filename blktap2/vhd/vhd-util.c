/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util: make, look at, change, check and repair VHD images.
 */
#include <errno.h>
#include <string.h>

#include <vhd/libvhd.h>

#include "vhd/program.h"
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

static bool
wants_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

int
main(int argc, char **argv)
{
	const struct command *command;
	int err = program_begin();

	if (err)
		return -err;
	argc = argc > 0 ? take_debug(argc, argv) : 0;
	if (argc < 2 || wants_help(argv[1])) {
		usage(stdout);
		return 0;
	}
	if (program_tells_version("vhd-util", argc, argv))
		return 0;
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
