/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What programs of several commands have in common: which command is meant, what they tell of
 * themselves, and whether what they printed has arrived.
 */
#ifndef COMMON_PROGRAM_H
#define COMMON_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct program {
	const char *name;
	const char *words;                         /* of the usage: "COMMAND [OPTIONS]" */
	size_t count;                              /* of commands */
	const char *(*command)(size_t index);      /* the name of one */
	void (*complete)(size_t index, FILE *out); /* its options; NULL: no completion */
};

/*
 * To be called first.  Where a standard stream is closed, nothing else takes its number; and
 * neither a closed pipe nor a file that may not grow kills the program: both are errors like
 * others.  0 or -errno.
 */
int program_begin(void);

/* Word asks for the version, which has been printed: -V, --version. */
bool program_tells_version(const char *name, const char *word);

/*
 * Word asks the program about itself: it was answered on stdout.  The words are help, -h, --help,
 * -V, --version, and for tools/completion --completion: each command with its options.
 */
bool program_answers(const struct program *program, const char *word);

void program_usage(const struct program *program, FILE *out);

/* The index of a command, or -1. */
int program_find(const struct program *program, const char *name);

/* Say on stderr that there is no such command, and on out which there are.  EINVAL. */
int program_unknown(const struct program *program, const char *name, FILE *out);

/* Take word out of argv[1..], wherever it stands: the new argc. */
int program_take_word(int argc, char **argv, const char *word, bool *found);

/* An option for program.complete, which has a letter, a long name, or both (0 and NULL: none). */
void program_complete(FILE *out, char letter, const char *name, bool has_value);

/* What cannot be printed was not done, as far as the caller can tell: 0 or -errno. */
int program_flush(void);

#endif
