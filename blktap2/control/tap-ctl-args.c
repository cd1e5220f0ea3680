/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options from rows.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "control/tap-ctl.h"

#define MAX_ROWS 32
#define LONG_ONLY 256 /* getopt's value of the n-th row without a letter: LONG_ONLY + n */

static bool
is_end(const struct arg_row *row)
{
	return !row->letter && !row->name;
}

static void
print_row(const struct arg_row *row, FILE *out)
{
	const char *open = row->required ? "" : "[", *close = row->required ? "" : "]";

	fputc(' ', out);
	fputs(open, out);
	if (row->letter)
		fprintf(out, "-%c", row->letter);
	else
		fprintf(out, "--%s", row->name);
	if (row->value)
		fprintf(out, " %s", row->value);
	fputs(close, out);
}

void
command_usage(const struct command *command, FILE *out)
{
	const struct arg_row *row;

	fprintf(out, "usage: tap-ctl %s", command->name);
	for (row = command->rows; !is_end(row); row++)
		print_row(row, out);
	if (command->operands)
		fprintf(out, " %s", command->operands);
	fprintf(out, "\n%s\n", command->help);
}

/* The tables that getopt wants. */
struct tables {
	char letters[2 * MAX_ROWS + 3];
	struct option longs[MAX_ROWS + 2];
};

static void
make_tables(const struct command *command, struct tables *tables)
{
	char *letter = tables->letters;
	struct option *longer = tables->longs;
	const struct arg_row *row;

	memset(tables, 0, sizeof(*tables));
	for (row = command->rows; !is_end(row); row++) {
		if (row->letter) {
			*letter++ = row->letter;
			if (row->value)
				*letter++ = ':';
		}
		if (row->name)
			*longer++ = (struct option){
				.name = row->name,
				.has_arg = row->value ? required_argument : no_argument,
				.val = row->letter ? row->letter
						   : LONG_ONLY + (int)(row - command->rows),
			};
	}
	*letter = 'h';
	*longer = (struct option){ .name = "help", .val = 'h' };
}

static const struct arg_row *
row_of(const struct command *command, int option)
{
	const struct arg_row *row;

	if (option >= LONG_ONLY)
		return &command->rows[option - LONG_ONLY];
	for (row = command->rows; !is_end(row); row++)
		if (row->letter == option)
			return row;
	return NULL;
}

/* Store the value of an option: false when it is malformed. */
static bool
store(const struct arg_row *row, struct args *args, bool *seen)
{
	char *at = (char *)args + row->at;
	unsigned long number;

	*seen = true;
	switch (row->kind) {
	case ARG_FLAG:
		*(bool *)(void *)at = true;
		return true;
	case ARG_NUMBER:
		if (!ctl_parse_number(optarg, row->limit, &number))
			return false;
		*(long *)(void *)at = (long)number;
		return true;
	default:
		*(const char **)(void *)at = optarg;
		return *optarg != '\0';
	}
}

static bool
has_all(const struct command *command, const bool *seen)
{
	const struct arg_row *row;

	for (row = command->rows; !is_end(row); row++)
		if (row->required && !seen[row - command->rows])
			return false;
	return true;
}

int
args_parse(const struct command *command, int argc, char **argv, struct args *args)
{
	const struct arg_row *row;
	bool seen[MAX_ROWS] = { false };
	struct tables tables;
	int option;

	*args = (struct args){ .pid = -1, .minor = -1, .parent = -1, .seconds = -1 };
	make_tables(command, &tables);
	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		if (option == 'h') {
			command_usage(command, stdout);
			return 1;
		}
		row = option == '?' ? NULL : row_of(command, option);
		if (!row || !store(row, args, &seen[row - command->rows]))
			goto wrong;
	}
	args->operands = argv + optind;
	args->operand_count = argc - optind;
	if (has_all(command, seen) && (command->operands || !args->operand_count))
		return 0;
wrong:
	command_usage(command, stderr);
	return -EINVAL;
}
