/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options from rows, and the frame in which every command runs.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <string.h>

#include <vhd/commands.h>

#include "common/number.h"
#include "common/program.h"
#include "vhd/vhd-util.h"

#define MAX_ROWS 32
#define HELP_COLUMN 12

static bool
has_letter(const struct option_row *row)
{
	return row->letter >= ' ';
}

/* "-n NAME" or "--json" */
static int
print_option(const struct option_row *row, FILE *out)
{
	int width = has_letter(row) ? fprintf(out, "-%c", row->letter)
				    : fprintf(out, "--%s", row->name);

	return row->value ? width + fprintf(out, " %s", row->value) : width;
}

static void
usage(const struct command *command, FILE *out)
{
	const struct option_row *row;
	int width;

	fputs("options:", out);
	for (row = command->rows; row->letter; row++) {
		fputs(row->required ? " " : " [", out);
		print_option(row, out);
		fputs(row->required ? "" : "]", out);
	}
	fputs(" [-h]", out);
	if (command->operands)
		fprintf(out, " %s", command->operands);
	fprintf(out, "\n%s\n", command->help);
	for (row = command->rows; row->letter; row++) {
		fputs("  ", out);
		width = print_option(row, out);
		fprintf(out, "%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 1, "",
			row->help);
	}
}

int
options_wrong(const struct command *command)
{
	usage(command, stderr);
	return -EINVAL;
}

/* The tables that getopt wants. */
struct tables {
	char letters[2 * MAX_ROWS + 2];
	struct option longs[MAX_ROWS + 2];
};

static void
make_tables(const struct command *command, struct tables *tables)
{
	struct option *longer = tables->longs;
	char *letter = tables->letters;
	const struct option_row *row;

	memset(tables, 0, sizeof(*tables));
	for (row = command->rows; row->letter; row++) {
		if (has_letter(row)) {
			*letter++ = row->letter;
			if (row->value)
				*letter++ = ':';
		}
		if (row->name)
			*longer++ = (struct option){ .name = row->name,
						     .has_arg = row->value ? required_argument
									   : no_argument,
						     .val = row->letter };
	}
	*letter = 'h';
	*longer = (struct option){ .name = "help", .val = 'h' };
}

static const struct option_row *
row_of(const struct command *command, int letter)
{
	const struct option_row *row;

	for (row = command->rows; row->letter; row++)
		if (row->letter == letter)
			return row;
	return NULL;
}

static bool
store(const struct option_row *row, struct option_value *value)
{
	value->given = true;
	value->text = optarg;
	switch (row->kind) {
	case OPTION_FLAG:
		return true;
	case OPTION_NUMBER:
		return number_parse(optarg, row->limit, &value->number);
	default:
		return *optarg != '\0';
	}
}

static bool
has_all(const struct command *command, const struct options *options)
{
	const struct option_row *row;

	for (row = command->rows; row->letter; row++)
		if (row->required && !options->at[(int)row->letter].given)
			return false;
	return true;
}

int
options_parse(const struct command *command, int argc, char **argv, struct options *options)
{
	const struct option_row *row;
	struct tables tables;
	int letter;

	memset(options, 0, sizeof(*options));
	make_tables(command, &tables);
	optind = 0; /* forget an earlier command line, too */
	opterr = 0;
	while ((letter = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		if (letter == 'h') {
			usage(command, stdout);
			return 1;
		}
		row = letter == '?' ? NULL : row_of(command, letter);
		if (!row || !store(row, &options->at[(int)row->letter]))
			return options_wrong(command);
	}
	options->operands = argv + optind;
	options->operand_count = argc - optind;
	if (!has_all(command, options) || (options->operand_count && !command->operands))
		return options_wrong(command);
	return 0;
}

/* ---- the frame --------------------------------------------------------------------------------
 */

static void
ending_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

bool
vhd_util_interrupted(void)
{
	sigset_t pending;

	if (sigpending(&pending))
		return false;
	return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
	       sigismember(&pending, SIGHUP) == 1;
}

int
command_run(const struct command *command, int argc, char **argv)
{
	sigset_t ending, before;
	struct options options;
	int err;

	err = options_parse(command, argc, argv, &options);
	if (err == 0) {
		/* A signal waits until the image is in order; then it has its usual effect. */
		ending_signals(&ending);
		pthread_sigmask(SIG_BLOCK, &ending, &before);
		err = command->run(&options);
		fflush(stdout);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	return err < 0 ? err : program_flush();
}

int
command_main(const struct command *command, int argc, char **argv)
{
	int err = program_begin();

	if (err)
		return -err;
	setlocale(LC_CTYPE, "");
	if (argc == 2 && program_tells_version(command->name, argv[1]))
		return 0;
	return -command_run(command, argc, argv);
}

#define X(id)                                                                                      \
	int vhd_util_##id(int argc, char **argv)                                                   \
	{                                                                                          \
		return command_run(&cmd_##id, argc, argv);                                         \
	}
VHD_UTIL_COMMANDS(X)
#undef X
