/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs of several commands.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/program.h"

/* The lowest free number is that of the stream, as those below are open. */
static int
open_streams(void)
{
	int stream;

	for (stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
		if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
			return -errno;
	return 0;
}

int
program_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return open_streams();
}

/* ---- what it tells of itself ------------------------------------------------------------------
 */

void
program_usage(const struct program *program, FILE *out)
{
	size_t i;

	fprintf(out, "usage: %s %s\nCOMMAND := { ", program->name, program->words);
	for (i = 0; i < program->count; i++)
		fprintf(out, "%s%s", i ? " | " : "", program->command(i));
	fputs(" }\n", out);
}

static void
print_completion(const struct program *program, FILE *out)
{
	size_t i;

	for (i = 0; i < program->count; i++) {
		fputs(program->command(i), out);
		program->complete(i, out);
		fputc('\n', out);
	}
}

void
program_complete(FILE *out, char letter, const char *name, bool has_value)
{
	const char *colon = has_value ? ":" : "";

	if (letter)
		fprintf(out, " -%c%s", letter, colon);
	if (name)
		fprintf(out, " --%s%s", name, colon);
}

bool
program_tells_version(const char *name, const char *word)
{
	if (strcmp(word, "-V") != 0 && strcmp(word, "--version") != 0)
		return false;
	fprintf(stdout, "%s %s\n", name, PACKAGE_VERSION);
	return true;
}

static bool
asks_for_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

bool
program_answers(const struct program *program, const char *word)
{
	if (asks_for_help(word))
		program_usage(program, stdout);
	else if (program->complete && strcmp(word, "--completion") == 0)
		print_completion(program, stdout);
	else
		return program_tells_version(program->name, word);
	return true;
}

/* ---- commands ---------------------------------------------------------------------------------
 */

int
program_find(const struct program *program, const char *name)
{
	size_t i;

	for (i = 0; i < program->count; i++)
		if (strcmp(program->command(i), name) == 0)
			return (int)i;
	return -1;
}

int
program_unknown(const struct program *program, const char *name, FILE *out)
{
	fprintf(stderr, "%s: unknown command: %s\n", program->name, name);
	program_usage(program, out);
	return EINVAL;
}

int
program_take_word(int argc, char **argv, const char *word, bool *found)
{
	int from, to = 1;

	*found = false;
	for (from = 1; from < argc; from++) {
		if (strcmp(argv[from], word) == 0)
			*found = true;
		else
			argv[to++] = argv[from];
	}
	argv[to] = NULL;
	return to;
}

int
program_flush(void)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	/* An earlier write may have failed, whose reason nobody knows any more. */
	return errno ? -errno : -EIO;
}
