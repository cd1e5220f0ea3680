/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program tap-ctl: its commands are rows, and so are their options, from which the parser and
 * the usage texts follow.
 */
#ifndef CONTROL_TAP_CTL_H
#define CONTROL_TAP_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "control/ctl.h"

/* What a command line said; numbers are -1 where nothing was said. */
struct args {
	long pid;
	long minor;
	long parent;
	long seconds;
	const char *params;
	const char *type;
	const char *file;
	const char *name;
	const char *secondary;
	const char *log;
	const char *state;
	const char *sectors;
	bool read_only;
	bool page_cache;
	bool local_cache;
	bool standby;
	bool encrypted;
	bool force;
	bool kernel;
	bool block_major;
	bool char_major;
	bool wait;
	bool json;
	bool details;
	bool all;
	bool dry;
	bool refresh;
	char **operands; /* after the options; borrowed */
	int operand_count;
};

enum arg_kind { ARG_FLAG, ARG_NUMBER, ARG_TEXT };

struct arg_row {
	char letter;       /* 0: only the long form */
	const char *name;  /* long form, or NULL */
	const char *value; /* what it takes, for the usage; NULL: nothing */
	size_t at;         /* in struct args */
	enum arg_kind kind;
	unsigned long limit; /* of numbers */
	bool required;
};

struct command {
	const char *name;
	const char *help;
	int (*run)(struct ctl *ctl, const struct args *args); /* 0 or -errno */
	const struct arg_row *rows; /* ended by a row without letter and name */
	const char *operands;       /* for the usage; NULL: none are taken */
	bool composite;             /* signals undo it */
};

/* The rows of several commands. */
#define AT(member) offsetof(struct args, member)
#define ARG_PID                                                                                    \
	{                                                                                          \
		'p', NULL, "PID", AT(pid), ARG_NUMBER, 1u << 30, true                              \
	}
#define ARG_MINOR                                                                                  \
	{                                                                                          \
		'm', NULL, "MINOR", AT(minor), ARG_NUMBER, 16383, true                             \
	}
#define ARG_END                                                                                    \
	{                                                                                          \
		0, NULL, NULL, 0, ARG_FLAG, 0, false                                               \
	}

/* Parse argv[1..]: 0, 1 when help was asked for and printed, or -EINVAL with the usage on stderr.
 */
int args_parse(const struct command *command, int argc, char **argv, struct args *args);
void command_usage(const struct command *command, FILE *out);

struct json_object;

/*
 * Add what the tapdisk says of a disk to object: chain, read_only, sectors, sector_size,
 * capabilities, nbd, rings.  Returns 0 or -errno, with nothing added.
 */
int disk_describe(struct ctl *ctl, int id, int minor, struct json_object *object);

/* ---- the commands -----------------------------------------------------------------------------
 */

extern const struct command cmd_list, cmd_allocate, cmd_free, cmd_spawn, cmd_attach, cmd_detach,
	cmd_open, cmd_close, cmd_pause, cmd_unpause, cmd_create, cmd_destroy, cmd_stats, cmd_check,
	cmd_major, cmd_commit, cmd_query, cmd_cancel, cmd_info, cmd_wait, cmd_resize, cmd_snapshot,
	cmd_mirror, cmd_set, cmd_monitor, cmd_clean, cmd_nbd_uri;

#define TAP_CTL_COMMANDS(X)                                                                        \
	X(list)                                                                                    \
	X(allocate)                                                                                \
	X(free)                                                                                    \
	X(spawn)                                                                                   \
	X(attach)                                                                                  \
	X(detach)                                                                                  \
	X(open)                                                                                    \
	X(close)                                                                                   \
	X(pause)                                                                                   \
	X(unpause)                                                                                 \
	X(create)                                                                                  \
	X(destroy)                                                                                 \
	X(stats)                                                                                   \
	X(check)                                                                                   \
	X(major)                                                                                   \
	X(commit)                                                                                  \
	X(query)                                                                                   \
	X(cancel)                                                                                  \
	X(info)                                                                                    \
	X(wait)                                                                                    \
	X(resize)                                                                                  \
	X(snapshot)                                                                                \
	X(mirror)                                                                                  \
	X(set)                                                                                     \
	X(monitor)                                                                                 \
	X(clean)                                                                                   \
	X(nbd_uri)

#endif
