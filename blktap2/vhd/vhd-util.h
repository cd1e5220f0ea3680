/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program vhd-util: its commands are rows, and so are their options, from which the parser, the
 * usage texts and the completion of shells follow.
 */
#ifndef VHD_VHD_UTIL_INTERNAL_H
#define VHD_VHD_UTIL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <vhd/libvhd.h>

#include "common/image-lock.h"
#include "vhd/lib/context.h"

/* ---- options ----------------------------------------------------------------------------------
 */

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER };

/* Letters of options that only have a long form. */
enum { OPTION_JSON = 1, OPTION_FORCE, OPTION_PROGRESS };

struct option_row {
	char letter;
	const char *name;  /* long form, or NULL */
	const char *value; /* what it takes, for the usage; NULL: nothing */
	const char *help;
	enum option_kind kind;
	bool required;
	uint64_t limit; /* of numbers */
};

#define OPTION_LETTERS 128

struct option_value {
	bool given;
	const char *text;
	uint64_t number;
};

/* What a command line said: at[letter]; the last one counts. */
struct options {
	struct option_value at[OPTION_LETTERS];
	char **operands; /* borrowed */
	int operand_count;
};

#define SIZE_LIMIT_MB 2088960 /* 2040 GiB */

#define ROW_NAME                                                                                   \
	{                                                                                          \
		'n', NULL, "NAME", "the image", OPTION_TEXT, true, 0                               \
	}
#define ROW_FLAG(letter, help)                                                                     \
	{                                                                                          \
		letter, NULL, NULL, help, OPTION_FLAG, false, 0                                    \
	}
#define ROW_TEXT(letter, value, help, required)                                                    \
	{                                                                                          \
		letter, NULL, value, help, OPTION_TEXT, required, 0                                \
	}
#define ROW_NUMBER(letter, value, help, required, limit)                                           \
	{                                                                                          \
		letter, NULL, value, help, OPTION_NUMBER, required, limit                          \
	}
#define ROW_LONG(letter, name, help)                                                               \
	{                                                                                          \
		letter, name, NULL, help, OPTION_FLAG, false, 0                                    \
	}
#define ROW_PROGRESS ROW_LONG(OPTION_PROGRESS, "progress", "show how far it is, on stderr")
#define ROW_END                                                                                    \
	{                                                                                          \
		0, NULL, NULL, NULL, OPTION_FLAG, false, 0                                         \
	}

struct command {
	const char *name;
	const char *help;
	const struct option_row *rows;             /* ended by a row without letter */
	const char *operands;                      /* for the usage; NULL: none are taken */
	int (*run)(const struct options *options); /* 0 or -errno */
};

/*
 * Parse argv[1..]: 0, 1 when help was asked for and printed, or -EINVAL with the usage on stderr.
 */
int options_parse(const struct command *command, int argc, char **argv, struct options *options);

/* Say on stderr how the command is used; -EINVAL. */
int options_wrong(const struct command *command);

/* Parse, run with signals held back, and make sure of what was printed: 0 or -errno. */
int command_run(const struct command *command, int argc, char **argv);

/* All of main() of a program that is one command: its exit status. */
int command_main(const struct command *command, int argc, char **argv);

/* A signal waits that asks this program to end: leave things in order and return -EINTR. */
bool vhd_util_interrupted(void);

/* ---- images -----------------------------------------------------------------------------------
 */

struct image {
	const char *name; /* borrowed */
	vhd_context_t vhd;
	int lock;
};

/*
 * Lock and open; who only looks takes no lock (image_peek), so that images in use can be looked at.
 * Errors of reading are tried again for a while.  Returns 0; or -errno, after it has been said.
 */
int image_open(struct image *image, const char *name, int flags, enum image_lock_mode mode);
int image_peek(struct image *image, const char *name, int flags);

/* Returns err, or else what closing says of what was written. */
int image_close(struct image *image, int err);

/*
 * Something may be made under that name: it is missing, empty, an image, or a device; or force was
 * given.  *lock keeps others from it.  Returns 0, -EEXIST, -EBUSY or -errno.
 */
int image_may_replace(const char *name, bool force, int *lock);

/* The file at name is among the image at path and its ancestors. */
bool image_in_chain(const char *path, const char *name);

/* A file of another size than a key has, 32 or 64 bytes, is -EINVAL.  *key: secret_free(key,
 * KEY_ROOM + 1). */
#define KEY_ROOM 64                                                    /* bytes */
int vhd_util_read_key(const char *file, uint8_t **key, size_t *bytes); /* NULL: from stdin */

/* Where the environment asks for it, the program ends here, with EINVAL and a message. */
int vhd_util_test_point(void *arg, enum vhd_point point);

/* ---- what commands say ------------------------------------------------------------------------
 */

/* "error opening NAME: ERR"; returns err. */
int vhd_util_failed_open(const char *name, int err);

/* "error WHAT NAME: ERR" if err; returns err. */
int vhd_util_failed(const char *what, const char *name, int err);

/* A sentence on stdout that says why; returns err. */
int __attribute__((format(printf, 2, 3))) vhd_util_refused(int err, const char *format, ...);

/* Write all of it to stdout, as bytes: 0 or -errno. */
int vhd_util_put_bytes(const void *bytes, size_t size);

void vhd_util_put_hex(FILE *out, const uint8_t *bytes, size_t size);

/* Text from an image: control characters are shown as question marks. */
void vhd_util_put_name(FILE *out, const char *name);

/* ---- progress ---------------------------------------------------------------------------------
 */

struct progress {
	uint64_t total;
	uint64_t done;
	int64_t began_ms;
	int64_t shown_ms;
	bool plain; /* the percentage alone, on stdout */
	bool rich;  /* with rate and time left, on stderr */
	bool shown;
};

/*
 * plain: the form that programs read.  The rich form is shown if asked for, or on a terminal after
 * a second.  The total may be set later.
 */
void progress_begin(struct progress *progress, uint64_t total, bool plain, bool rich);

/* So much is done, of bytes or what total counts; shown a few times a second. */
void progress_set(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress, bool complete);

/* For libraries that report how far they are: arg is the progress.  0, or -EINTR: end. */
int progress_step(void *arg, uint64_t done, uint64_t total);

/* ---- the commands -----------------------------------------------------------------------------
 */

#define VHD_UTIL_COMMANDS(X)                                                                       \
	X(create)                                                                                  \
	X(snapshot)                                                                                \
	X(query)                                                                                   \
	X(read)                                                                                    \
	X(set)                                                                                     \
	X(repair)                                                                                  \
	X(resize)                                                                                  \
	X(fill)                                                                                    \
	X(coalesce)                                                                                \
	X(modify)                                                                                  \
	X(scan)                                                                                    \
	X(check)                                                                                   \
	X(revert)                                                                                  \
	X(key)                                                                                     \
	X(copy)

#define X(id) extern const struct command cmd_##id;
VHD_UTIL_COMMANDS(X)
#undef X

#endif
