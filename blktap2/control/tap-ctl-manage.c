/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap-ctl for managers: wait, monitor, resize, snapshot, mirror, set, clean.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/cleanup.h"
#include "control/session.h"
#include "control/tap-ctl.h"

#define STATE_PAUSED 0x020 /* as tapdisk2(8) lists the states */

extern char **environ;

/* ---- monitor and wait -------------------------------------------------------------------------
 */

static int
subscribe(struct session *session, int minor)
{
	struct frame_writer writer;

	session_begin(session, &writer, TAPDISK_FRAME_SUBSCRIBE, minor);
	return session_call(session, &writer, IPC_QUERY_MS, NULL);
}

static const char *
event_name(uint32_t kind)
{
	static const char *const names[] = {
		[TAPDISK_EVENT_STATE] = "state",
		[TAPDISK_EVENT_MIRROR_FAILED] = "mirror-failed",
		[TAPDISK_EVENT_ENOSPC_SWITCH] = "enospc-switch",
		[TAPDISK_EVENT_RING_ERROR] = "ring-error",
		[TAPDISK_EVENT_JOB_DONE] = "job-done",
		[TAPDISK_EVENT_REQUEST_TIMEOUT] = "request-timeout",
		[TAPDISK_EVENT_DEAD] = "dead",
		[TAPDISK_EVENT_STALLED] = "stalled",
		[TAPDISK_EVENT_RESIZED] = "resized",
		[TAPDISK_EVENT_LOG_FAILED] = "log-failed",
	};

	if (kind >= sizeof(names) / sizeof(names[0]) || !names[kind])
		return "unknown";
	return names[kind];
}

/* The kind and state that an event carries. */
static void
read_event(const struct session_reply *reply, uint32_t *kind, uint32_t *state)
{
	struct frame_reader reader = { .at = reply->payload, .left = reply->frame.length };
	struct frame_attr attr;

	*kind = *state = 0;
	while (frame_next(&reader, &attr) == 1) {
		if (attr.tag == TAPDISK_ATTR_EVENT_KIND)
			frame_get_u32(&attr, kind);
		else if (attr.tag == TAPDISK_ATTR_STATE)
			frame_get_u32(&attr, state);
	}
}

/* 0 or -errno: who reads has gone. */
static int
print_event(int pid, const struct session_reply *reply)
{
	struct json_object *object = json_object_new_object();
	uint32_t kind, state;

	read_event(reply, &kind, &state);
	json_object_object_add(object, "pid", json_object_new_int(pid));
	json_object_object_add(object, "minor", json_object_new_int64(reply->frame.minor));
	json_object_object_add(object, "event", json_object_new_string(event_name(kind)));
	json_object_object_add(object, "state", json_object_new_int64(state));
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED));
	json_object_put(object);
	return fflush(stdout) ? -errno : 0;
}

static int
run_monitor(struct ctl *ctl, const struct args *args)
{
	const struct deadline never = { .cancel_fd = ctl->cancel_fd };
	struct session_reply reply;
	struct session session;
	int err = session_open(ctl, (int)args->pid, &session), unseen = 0;

	if (err)
		return err;
	err = subscribe(&session, (int)args->minor);
	while (!err && !unseen) {
		err = session_receive(&session, &reply, &never);
		if (!err) {
			unseen = print_event((int)args->pid, &reply);
			session_reply_free(&reply);
		}
	}
	session_close(&session);
	/* A tapdisk that has left ends the story well. */
	return err && err != -EIO ? err : unseen;
}

static const struct arg_row monitor_rows[] = {
	ARG_PID,
	{ 'm', NULL, "MINOR", AT(minor), ARG_NUMBER, 16383, false },
	ARG_END,
};

const struct command cmd_monitor = {
	.name = "monitor",
	.help = "Print what happens to the disks of a tapdisk, an event a line.",
	.run = run_monitor,
	.rows = monitor_rows,
};

static bool
is_in_state(const char *wanted, const tap_list_t *row)
{
	if (strcmp(wanted, "running") == 0)
		return row->type && row->state == 0;
	if (strcmp(wanted, "paused") == 0)
		return row->state & STATE_PAUSED;
	return !row->type;
}

/* 1: it is so; 0: not yet; -errno. */
static int
look(struct ctl *ctl, const struct args *args)
{
	const struct ctl_filter filter = { .pid = (int)args->pid, .minor = (int)args->minor };
	struct ctl_rows rows;
	int err = ctl_list(ctl, &filter, &rows, NULL);

	if (err)
		return err;
	err = rows.count ? is_in_state(args->state, &rows.at[0]) : -ENODEV;
	ctl_rows_free(&rows);
	return err;
}

static int
run_wait(struct ctl *ctl, const struct args *args)
{
	static const char *const known[] = { "running", "paused", "closed" };
	struct deadline deadline;
	struct session_reply reply;
	struct session session;
	size_t i;
	int err;

	for (i = 0; i < 3 && strcmp(known[i], args->state) != 0; i++)
		;
	if (i == 3)
		return reason(&ctl->why, -EINVAL, "states to wait for: running, paused, closed");
	if (args->seconds >= 0)
		ctl->timeout_ms = (int)args->seconds * 1000;
	deadline = deadline_in(ctl, 0);
	err = session_open(ctl, (int)args->pid, &session);
	if (err)
		return err;
	err = subscribe(&session, (int)args->minor);
	/* First subscribe, then look: nothing can happen in between. */
	while (!err && (err = look(ctl, args)) == 0) {
		err = session_receive(&session, &reply, &deadline);
		if (!err)
			session_reply_free(&reply);
	}
	session_close(&session);
	return err < 0 ? err : 0;
}

static const struct arg_row wait_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ 0, "state", "running|paused|closed", AT(state), ARG_TEXT, 0, true },
	{ 't', NULL, "SECS", AT(seconds), ARG_NUMBER, 1000000, false },
	ARG_END,
};

const struct command cmd_wait = {
	.name = "wait",
	.help = "Wait until a disk is in a state.",
	.run = run_wait,
	.rows = wait_rows,
	.composite = true,
};

/* ---- resize, set, mirror ----------------------------------------------------------------------
 */

static int
run_resize(struct ctl *ctl, const struct args *args)
{
	struct frame_writer writer;
	struct session session;
	unsigned long sectors = 0;
	int err;

	if (args->refresh == (args->sectors != NULL) ||
	    (args->sectors &&
	     (!ctl_parse_number(args->sectors, INT64_MAX >> 9, &sectors) || !sectors)))
		return reason(&ctl->why, -EINVAL, "either -s SECTORS or --refresh");
	err = session_open(ctl, (int)args->pid, &session);
	if (err)
		return err;
	session_begin(&session, &writer, TAPDISK_FRAME_RESIZE, (int)args->minor);
	if (sectors)
		frame_put_u64(&writer, TAPDISK_ATTR_SECTORS, sectors);
	err = session_call(&session, &writer, IPC_OPEN_MS, NULL);
	session_close(&session);
	return err;
}

static const struct arg_row resize_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ 's', NULL, "SECTORS", AT(sectors), ARG_TEXT, 0, false },
	{ 0, "refresh", NULL, AT(refresh), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_resize = {
	.name = "resize",
	.help = "Grow the image of a disk, or look at its size again.",
	.run = run_resize,
	.rows = resize_rows,
};

/* One key=value into the request: 0 or -EINVAL. */
static int
put_setting(struct ctl *ctl, struct frame_writer *writer, const char *setting)
{
	unsigned long seconds;

	if (strncmp(setting, "timeout=", 8) == 0 &&
	    ctl_parse_number(setting + 8, 65535, &seconds) && seconds) {
		frame_put_u32(writer, TAPDISK_ATTR_REQ_TIMEOUT, (uint32_t)seconds);
		return 0;
	}
	return reason(&ctl->why, -EINVAL, "%s: settings: timeout=1..65535 (seconds)", setting);
}

static int
run_set(struct ctl *ctl, const struct args *args)
{
	struct frame_writer writer;
	struct session session;
	int err, i;

	if (!args->operand_count)
		return reason(&ctl->why, -EINVAL, "nothing to set was named");
	err = session_open(ctl, (int)args->pid, &session);
	if (err)
		return err;
	session_begin(&session, &writer, TAPDISK_FRAME_SET, (int)args->minor);
	for (i = 0; !err && i < args->operand_count; i++)
		err = put_setting(ctl, &writer, args->operands[i]);
	if (err)
		frame_writer_free(&writer);
	else
		err = session_call(&session, &writer, IPC_QUERY_MS, NULL);
	session_close(&session);
	return err;
}

static const struct arg_row disk_rows[] = { ARG_PID, ARG_MINOR, ARG_END };

const struct command cmd_set = {
	.name = "set",
	.help = "Change settings of a disk while it is served: timeout=SECS.",
	.run = run_set,
	.rows = disk_rows,
	.operands = "KEY=VALUE...",
};

static int
run_mirror(struct ctl *ctl, const struct args *args)
{
	struct frame_writer writer;
	struct session session;
	int err = session_open(ctl, (int)args->pid, &session);

	if (err)
		return err;
	session_begin(&session, &writer, TAPDISK_FRAME_MIRROR, (int)args->minor);
	if (args->secondary)
		frame_put_text(&writer, TAPDISK_ATTR_SECONDARY, args->secondary);
	err = session_call(&session, &writer, IPC_OPEN_MS, NULL);
	session_close(&session);
	return err;
}

static const struct arg_row mirror_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ '2', NULL, "TYPE:PATH|null", AT(secondary), ARG_TEXT, 0, false },
	ARG_END,
};

const struct command cmd_mirror = {
	.name = "mirror",
	.help = "Add, remove or query the secondary image of a disk without a pause.",
	.run = run_mirror,
	.rows = mirror_rows,
};

/* ---- snapshot ---------------------------------------------------------------------------------
 */

/* Start argv with the signals that we hold back for ourselves. */
static int
start(char *const argv[], pid_t *pid)
{
	posix_spawnattr_t attributes;
	sigset_t none;
	int err = posix_spawnattr_init(&attributes);

	if (err)
		return -err;
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	err = posix_spawnp(pid, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return -err;
}

/* vhd-util snapshot -n child -p parent, without a shell. */
static int
make_child(struct ctl *ctl, const char *child, const char *parent)
{
	char *argv[] = { (char *)"vhd-util", (char *)"snapshot", (char *)"-n", (char *)child,
			 (char *)"-p",       (char *)parent,     NULL };
	int status, err;
	pid_t pid;

	err = start(argv, &pid);
	if (err)
		return reason(&ctl->why, err, "vhd-util: %s", strerror(-err));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return reason(&ctl->why, WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO,
			      "vhd-util made no snapshot of %s", parent);
	return 0;
}

/* The image that the disk has now, as type and path. */
static int
current_image(struct ctl *ctl, const struct args *args, char **type, char **path)
{
	const struct ctl_filter filter = { .pid = (int)args->pid, .minor = (int)args->minor };
	struct ctl_rows rows;
	int err = ctl_list(ctl, &filter, &rows, NULL);

	if (err)
		return err;
	if (!rows.count || !rows.at[0].type) {
		err = -ENODEV;
	} else {
		*type = STEAL(rows.at[0].type);
		*path = STEAL(rows.at[0].path);
	}
	ctl_rows_free(&rows);
	return err;
}

/* Has a signal come that asks us to end? */
static bool
is_cancelled(const struct ctl *ctl)
{
	const struct deadline at_once = { .at = 1, .cancel_fd = ctl->cancel_fd };

	return ipc_wait(-1, 0, &at_once) == -ECANCELED;
}

/* Go on with params.  A signal waits: half of an answer would leave us not knowing. */
static int
go_on(struct ctl *ctl, const struct args *args, const char *params)
{
	struct ctl patient = *ctl;
	int err;

	patient.cancel_fd = -1;
	err = ctl_unpause(&patient, (int)args->pid, (int)args->minor, params, NULL);
	ctl->why = patient.why;
	return err;
}

/* Make the child, and go on with it.  *made: the child is there. */
static int
go_on_with_child(struct ctl *ctl, const struct args *args, const char *type, const char *parent,
		 bool *made)
{
	AUTO_FREE char *child = NULL;
	AUTO_FREE char *params = NULL;
	int err = make_child(ctl, args->name, parent);

	if (err)
		return err;
	*made = true;
	if (is_cancelled(ctl))
		return -ECANCELED;
	if (args->params)
		return go_on(ctl, args, args->params);
	/* The tapdisk has a working directory of its own. */
	child = realpath(args->name, NULL);
	if (!child)
		return -errno;
	if (asprintf(&params, "%s:%s", type, child) < 0) {
		params = NULL;
		return -ENOMEM;
	}
	return go_on(ctl, args, params);
}

/*
 * Back to the image as it was.  The child goes only when the tapdisk has said that it runs without:
 * one that was slow to answer may have gone on with it.
 */
static void
undo_snapshot(struct ctl *ctl, const struct args *args, bool made)
{
	struct reason why = ctl->why;
	int err = go_on(ctl, args, NULL);

	/* Why it is undone is what the caller wants to know. */
	ctl->why = why;
	if (!err && made)
		unlink(args->name);
	if (err)
		fprintf(stderr,
			"tap-ctl: snapshot: the disk may still be paused, or serve %s: %s\n",
			args->name, strerror(-err));
}

static int
run_snapshot(struct ctl *ctl, const struct args *args)
{
	AUTO_FREE char *type = NULL;
	AUTO_FREE char *path = NULL;
	bool made = false;
	int err = current_image(ctl, args, &type, &path);

	if (err)
		return err;
	err = ctl_pause(ctl, (int)args->pid, (int)args->minor);
	if (err)
		return err;
	err = go_on_with_child(ctl, args, type, path, &made);
	if (err)
		undo_snapshot(ctl, args, made);
	return err;
}

static const struct arg_row snapshot_rows[] = {
	ARG_PID,
	ARG_MINOR,
	{ 'n', NULL, "FILE", AT(name), ARG_TEXT, 0, true },
	{ 'a', NULL, "TYPE:PATH", AT(params), ARG_TEXT, 0, false },
	ARG_END,
};

const struct command cmd_snapshot = {
	.name = "snapshot",
	.help = "Pause, make a child of the image, go on with the child; undone on failure.",
	.run = run_snapshot,
	.rows = snapshot_rows,
	.composite = true,
};

/* ---- clean ------------------------------------------------------------------------------------
 */

static void
print_name(void *arg, const char *name)
{
	(void)arg;
	puts(name);
}

/* Whatever has a number after prefix may be of a tapdisk that has died. */
static int
clean_all(struct ctl *ctl, const char *dir, const char *prefix, bool dry)
{
	AUTO_FREE int *pids = NULL;
	size_t count, i;
	int err = ctl_numbers(dir, prefix, &pids, &count);

	for (i = 0; !err && i < count; i++)
		ctl_clean_pid(ctl, pids[i], dry, print_name, NULL);
	return err;
}

static int
run_clean(struct ctl *ctl, const struct args *args)
{
	int err = clean_all(ctl, ctl->dir, "ctl", args->dry);

	if (!err)
		err = clean_all(ctl, ctl->dir, "nbdclient", args->dry);
	if (!err)
		err = clean_all(ctl, CTL_STATISTICS, CTL_STATISTICS_PREFIX, args->dry);
	if (!err && args->minor >= 0 && !args->dry) {
		err = ctl_free_minor(ctl, (int)args->minor);
		if (!err)
			printf("%s/tapdisk/tapdisk-%ld\n", ctl->dir, args->minor);
	}
	return err;
}

static const struct arg_row clean_rows[] = {
	{ 'n', NULL, NULL, AT(dry), ARG_FLAG, 0, false },
	{ 'm', NULL, "MINOR", AT(minor), ARG_NUMBER, 16383, false },
	ARG_END,
};

const struct command cmd_clean = {
	.name = "clean",
	.help = "Remove what tapdisks that have died left behind; -n: only say what.",
	.run = run_clean,
	.rows = clean_rows,
};
