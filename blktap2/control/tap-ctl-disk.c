/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap-ctl's operations on one disk: attach, detach, open, close, pause, unpause, create, destroy;
 * and on numbers and processes: allocate, free, spawn.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "control/tap-ctl.h"

#define KEY_MAX 64 /* bytes */

/* ---- numbers and processes ---------------------------------------------------------------------
 */

static bool
wants_kernel(const struct args *args)
{
	const char *mode = secure_getenv("BLKTAP_DEVICE_MODE");
	const char *backend = secure_getenv("XENBUS_TYPE");

	if (args->kernel || !mode || !*mode)
		/* A hotplug script for the kernel's own backend has no use for anything else. */
		return args->kernel || (backend && strcmp(backend, "vbd") == 0);
	return strcmp(mode, "kernel") == 0;
}

static int
run_allocate(struct ctl *ctl, const struct args *args)
{
	AUTO_FREE char *devname = NULL;
	int minor;
	int err = ctl_allocate(ctl, (int)args->minor, wants_kernel(args), args->name, &minor,
			       &devname);

	if (!err)
		puts(devname);
	return err;
}

static const struct arg_row allocate_rows[] = {
	{ 'd', NULL, "DEVNAME", AT(name), ARG_TEXT, 0, false },
	{ 'm', NULL, "MINOR", AT(minor), ARG_NUMBER, 16383, false },
	{ 'K', NULL, NULL, AT(kernel), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_allocate = {
	.name = "allocate",
	.help = "Take a minor number; print its marker or device.",
	.run = run_allocate,
	.rows = allocate_rows,
};

static int
run_free(struct ctl *ctl, const struct args *args)
{
	return ctl_free_minor(ctl, (int)args->minor);
}

static const struct arg_row free_rows[] = { ARG_MINOR, ARG_END };

const struct command cmd_free = {
	.name = "free",
	.help = "Give a minor number back.",
	.run = run_free,
	.rows = free_rows,
};

static int
run_spawn(struct ctl *ctl, const struct args *args)
{
	int pid, err = ctl_spawn(ctl, &pid, NULL);

	(void)args;
	/* Callers try again on 1, and only then. */
	if (err == -EAGAIN || err == -ENOMEM)
		err = -EPERM;
	if (err)
		return err;
	if (isatty(STDOUT_FILENO))
		printf("tapdisk spawned with pid %d\n", pid);
	else
		printf("%d\n", pid);
	return 0;
}

static const struct arg_row no_rows[] = { ARG_END };

const struct command cmd_spawn = {
	.name = "spawn",
	.help = "Start a tapdisk; print its pid.",
	.run = run_spawn,
	.rows = no_rows,
	.composite = true,
};

static const struct arg_row disk_rows[] = { ARG_PID, ARG_MINOR, ARG_END };

static int
run_attach(struct ctl *ctl, const struct args *args)
{
	return ctl_attach(ctl, (int)args->pid, (int)args->minor);
}

const struct command cmd_attach = {
	.name = "attach",
	.help = "Bring a minor under a tapdisk.",
	.run = run_attach,
	.rows = disk_rows,
};

static int
run_detach(struct ctl *ctl, const struct args *args)
{
	return ctl_detach(ctl, (int)args->pid, (int)args->minor);
}

const struct command cmd_detach = {
	.name = "detach",
	.help = "Take a minor from its tapdisk, which leaves after its last one.",
	.run = run_detach,
	.rows = disk_rows,
};

/* ---- open and create ---------------------------------------------------------------------------
 */

/* The key from stdin: 0, or -EPERM (exit 1) when it is not 32 or 64 bytes. */
static int
read_key(struct ctl *ctl, uint8_t *key, size_t *size)
{
	uint8_t raw[KEY_MAX + 1];
	size_t length = 0;
	ssize_t got;

	while (length < sizeof(raw)) {
		got = read(STDIN_FILENO, raw + length, sizeof(raw) - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	if (length == 32 || length == 64) {
		memcpy(key, raw, length);
		*size = length;
	}
	explicit_bzero(raw, sizeof(raw));
	if (!*size)
		return reason(&ctl->why, -EPERM,
			      "the key on standard input must be 32 or 64 bytes");
	return 0;
}

/* Some callers of ours cannot handle such names, though we can. */
static void
warn_of_name(const char *command, const char *params)
{
	const char *path = strchr(params, ':');

	if (path && strpbrk(path + 1, " :="))
		fprintf(stderr,
			"tap-ctl: %s: warning: some tools cannot manage a path with blanks, "
			"colons or equal signs: %s\n",
			command, path + 1);
}

static void
fill_opts(const struct args *args, struct tap_ctl_opts *opts)
{
	*opts = (struct tap_ctl_opts){
		.size = sizeof(*opts),
		.prt_minor = (int)args->parent,
		.secondary = args->secondary,
		.req_timeout_s = args->seconds > 0 ? (int)args->seconds : 0,
		.logpath = args->log,
		.device_mode = wants_kernel(args),
	};
	if (args->read_only)
		opts->flags |= TAPDISK_MESSAGE_FLAG_RDONLY;
	if (args->page_cache)
		opts->flags |= TAPDISK_MESSAGE_FLAG_NO_O_DIRECT;
	if (args->local_cache)
		opts->flags |= TAPDISK_MESSAGE_FLAG_ADD_LCACHE;
	if (args->standby)
		opts->flags |= TAPDISK_MESSAGE_FLAG_STANDBY;
	if (args->parent >= 0)
		opts->flags |= TAPDISK_MESSAGE_FLAG_REUSE_PRT;
}

/* What option letters cannot say: 0 or -EINVAL. */
static int
check_opts(struct ctl *ctl, const struct args *args)
{
	if (args->standby && !args->secondary)
		return reason(&ctl->why, -EINVAL, "-s needs a secondary image (-2)");
	if (args->seconds == 0)
		return reason(&ctl->why, -EINVAL, "a request time-out is 1 to 65535 seconds");
	return 0;
}

static int
with_opts(struct ctl *ctl, const struct args *args, const char *command,
	  int (*fn)(struct ctl *ctl, const struct args *args, const struct tap_ctl_opts *opts))
{
	uint8_t key[KEY_MAX];
	struct tap_ctl_opts opts;
	int err = check_opts(ctl, args);

	if (err)
		return err;
	fill_opts(args, &opts);
	if (args->encrypted)
		err = read_key(ctl, key, &opts.key_size);
	opts.key = key;
	if (!err) {
		warn_of_name(command, args->params);
		err = fn(ctl, args, &opts);
	}
	explicit_bzero(key, sizeof(key));
	return err;
}

static int
open_it(struct ctl *ctl, const struct args *args, const struct tap_ctl_opts *opts)
{
	return ctl_open(ctl, (int)args->pid, (int)args->minor, args->params, opts);
}

static int
run_open(struct ctl *ctl, const struct args *args)
{
	return with_opts(ctl, args, "open", open_it);
}

#define OPEN_ROWS                                                                                  \
	{ 'a', NULL, "TYPE:PATH", AT(params), ARG_TEXT, 0, true },                                 \
		{ 'R', NULL, NULL, AT(read_only), ARG_FLAG, 0, false },                            \
		{ 'D', NULL, NULL, AT(page_cache), ARG_FLAG, 0, false },                           \
		{ 'e', NULL, "MINOR", AT(parent), ARG_NUMBER, 16383, false },                      \
		{ 'r', NULL, NULL, AT(local_cache), ARG_FLAG, 0, false },                          \
		{ '2', NULL, "TYPE:PATH", AT(secondary), ARG_TEXT, 0, false },                     \
		{ 's', NULL, NULL, AT(standby), ARG_FLAG, 0, false },                              \
		{ 't', NULL, "SECS", AT(seconds), ARG_NUMBER, 65535, false },                      \
		{ 'C', NULL, "FILE", AT(log), ARG_TEXT, 0, false },                                \
	{                                                                                          \
		'E', NULL, NULL, AT(encrypted), ARG_FLAG, 0, false                                 \
	}

static const struct arg_row open_rows[] = { ARG_PID, ARG_MINOR, OPEN_ROWS, ARG_END };

const struct command cmd_open = {
	.name = "open",
	.help = "Open an image on an attached minor.",
	.run = run_open,
	.rows = open_rows,
};

static int
create_it(struct ctl *ctl, const struct args *args, const struct tap_ctl_opts *opts)
{
	AUTO_FREE char *devname = NULL;
	int err = ctl_create(ctl, args->params, opts, args->name, NULL, NULL, &devname);

	if (!err)
		puts(devname);
	return err;
}

static int
run_create(struct ctl *ctl, const struct args *args)
{
	return with_opts(ctl, args, "create", create_it);
}

static const struct arg_row create_rows[] = {
	OPEN_ROWS,
	{ 'd', NULL, "DEVNAME", AT(name), ARG_TEXT, 0, false },
	{ 'K', NULL, NULL, AT(kernel), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_create = {
	.name = "create",
	.help = "Serve an image: allocate, spawn, attach and open, or nothing at all.",
	.run = run_create,
	.rows = create_rows,
	.composite = true,
};

/* ---- close, pause, unpause, destroy -------------------------------------------------------------
 */

/* -t is the patience of the call; 0: none. */
static void
set_patience(struct ctl *ctl, const struct args *args)
{
	if (args->seconds >= 0)
		ctl->timeout_ms = (int)args->seconds * 1000;
}

static int
run_close(struct ctl *ctl, const struct args *args)
{
	set_patience(ctl, args);
	return ctl_close(ctl, (int)args->pid, (int)args->minor, args->force);
}

#define ARG_FORCE                                                                                  \
	{                                                                                          \
		'f', NULL, NULL, AT(force), ARG_FLAG, 0, false                                     \
	}
#define ARG_TIMEOUT                                                                                \
	{                                                                                          \
		't', NULL, "SECS", AT(seconds), ARG_NUMBER, 1000000, false                         \
	}

static const struct arg_row close_rows[] = { ARG_PID, ARG_MINOR, ARG_FORCE, ARG_TIMEOUT, ARG_END };

const struct command cmd_close = {
	.name = "close",
	.help = "Close the image of a minor; the tapdisk stays.",
	.run = run_close,
	.rows = close_rows,
};

static int
run_pause(struct ctl *ctl, const struct args *args)
{
	set_patience(ctl, args);
	return ctl_pause(ctl, (int)args->pid, (int)args->minor);
}

static const struct arg_row pause_rows[] = { ARG_PID, ARG_MINOR, ARG_TIMEOUT, ARG_END };

const struct command cmd_pause = {
	.name = "pause",
	.help = "Let requests wait, and close the image for the time being.",
	.run = run_pause,
	.rows = pause_rows,
};

static int
run_unpause(struct ctl *ctl, const struct args *args)
{
	struct tap_ctl_opts opts = {
		.size = sizeof(opts),
		.secondary = args->secondary,
		.logpath = args->log,
	};

	set_patience(ctl, args);
	return ctl_unpause(ctl, (int)args->pid, (int)args->minor, args->params, &opts);
}

static const struct arg_row unpause_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ 'a', NULL, "TYPE:PATH", AT(params), ARG_TEXT, 0, false },
	{ '2', NULL, "TYPE:PATH|null", AT(secondary), ARG_TEXT, 0, false },
	{ 'c', NULL, "FILE", AT(log), ARG_TEXT, 0, false },
	{ 'C', NULL, "FILE", AT(log), ARG_TEXT, 0, false },
	ARG_TIMEOUT,
	ARG_END,
};

const struct command cmd_unpause = {
	.name = "unpause",
	.help = "Open the image of a paused minor again, or another one.",
	.run = run_unpause,
	.rows = unpause_rows,
};

static int
run_destroy(struct ctl *ctl, const struct args *args)
{
	int err;

	set_patience(ctl, args);
	err = ctl_destroy(ctl, (int)args->pid, (int)args->minor, args->force);
	if (!err && ctl->why.text[0])
		fprintf(stderr, "tap-ctl: destroy: warning: %s\n", ctl->why.text);
	return err;
}

const struct command cmd_destroy = {
	.name = "destroy",
	.help = "Close, detach and free a minor.",
	.run = run_destroy,
	.rows = close_rows,
	.composite = true,
};
