/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util: make, look at, change, check and repair VHD images.
 */
#include <locale.h>

#include <vhd/libvhd.h>

#include "common/program.h"
#include "vhd/vhd-util.h"

static const struct command *const commands[] = {
#define X(id) &cmd_##id,
	VHD_UTIL_COMMANDS(X)
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
	const struct option_row *row;

	for (row = commands[index]->rows; row->letter; row++)
		program_complete(out, row->letter >= ' ' ? row->letter : '\0', row->name,
				 row->value != NULL);
}

static const struct program program = {
	.name = "vhd-util",
	.words = "COMMAND [OPTIONS]",
	.count = sizeof(commands) / sizeof(commands[0]),
	.command = command_name,
	.complete = complete,
};

int
main(int argc, char **argv)
{
	int err = program_begin(), index;
	bool debug = false;

	if (err)
		return -err;
	setlocale(LC_CTYPE, "");
	argc = argc > 0 ? program_take_word(argc, argv, "--debug", &debug) : 0;
	if (debug)
		libvhd_set_log_level(1);
	if (program_answers(&program, argc > 1 ? argv[1] : "help"))
		return 0;
	index = program_find(&program, argv[1]);
	if (index < 0)
		return program_unknown(&program, argv[1], stderr);
	err = command_run(commands[index], argc - 1, argv + 1);
	return err < 0 ? -err : 0;
}
