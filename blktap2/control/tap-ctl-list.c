/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap-ctl list: who serves what, for people, for scripts, for programs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "control/tap-ctl.h"

/* ---- for scripts ------------------------------------------------------------------------------
 */

/* Blanks, tabs and commas would divide the row for a script that splits it there. */
static void
print_escaped(const char *text)
{
	for (; *text; text++) {
		if (*text == ' ' || *text == '\t' || *text == ',')
			printf("\\%03o", (unsigned char)*text);
		else
			putchar(*text);
	}
}

static void
print_words(const tap_list_t *row, bool escape)
{
	const char *gap = "";

	if (row->pid >= 0) {
		printf("pid=%d", (int)row->pid);
		gap = " ";
	}
	if (row->minor >= 0) {
		printf("%sminor=%d", gap, row->minor);
		gap = " ";
	}
	if (row->state >= 0)
		printf("%sstate=%#x", gap, (unsigned)row->state);
	if (row->type) {
		printf(" args=%s:", row->type);
		if (escape)
			print_escaped(row->path);
		else
			fputs(row->path, stdout);
	}
	putchar('\n');
}

/* ---- for people -------------------------------------------------------------------------------
 */

/* A number as a word, "-" for an absent one. */
static const char *
word(char *buf, size_t size, const char *format, int number)
{
	if (number < 0)
		return "-";
	snprintf(buf, size, format, number);
	return buf;
}

static void
print_columns(const tap_list_t *row)
{
	char pid[16], minor[16], state[16];

	printf("%8s %4s %4s %10s %s\n", word(pid, sizeof(pid), "%d", row->pid),
	       word(minor, sizeof(minor), "%d", row->minor),
	       word(state, sizeof(state), "%#x", row->state), row->type ? row->type : "-",
	       row->path ? row->path : "-");
}

static const struct {
	unsigned bit;
	const char *name;
} states[] = {
	{ 0x001, "dead" },          { 0x002, "closed" },  { 0x004, "quiescing" },
	{ 0x008, "quiesced" },      { 0x010, "pausing" }, { 0x020, "paused" },
	{ 0x040, "closing" },       { 0x080, "locking" }, { 0x100, "stalled" },
	{ 0x200, "resume-failed" },
};

#define STATES (sizeof(states) / sizeof(states[0]))

static void
print_details(const struct ctl *ctl, const tap_list_t *row)
{
	size_t i;

	printf("disk %d\n", row->minor);
	if (row->pid >= 0)
		printf("  tapdisk  %d\n", (int)row->pid);
	if (row->type)
		printf("  image    %s:%s\n", row->type, row->path);
	if (row->state >= 0) {
		fputs("  state   ", stdout);
		if (!row->state)
			fputs(row->type ? " running" : " attached", stdout);
		for (i = 0; i < STATES; i++)
			if ((unsigned)row->state & states[i].bit)
				printf(" %s", states[i].name);
		putchar('\n');
	}
	if (row->type)
		printf("  nbd      nbd+unix:///?socket=%s/nbd%d.%d\n", ctl->dir, (int)row->pid,
		       row->minor);
}

/* ---- for programs -----------------------------------------------------------------------------
 */

static struct json_object *
state_names(int state)
{
	struct json_object *names = json_object_new_array();
	size_t i;

	for (i = 0; i < STATES; i++)
		if ((unsigned)state & states[i].bit)
			json_object_array_add(names, json_object_new_string(states[i].name));
	return names;
}

static struct json_object *
number_or_null(int number)
{
	return number < 0 ? NULL : json_object_new_int(number);
}

static struct json_object *
text_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static struct json_object *
row_json(struct ctl *ctl, const tap_list_t *row)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "pid", number_or_null(row->pid));
	json_object_object_add(object, "minor", number_or_null(row->minor));
	json_object_object_add(object, "state", number_or_null(row->state));
	json_object_object_add(object, "states", state_names(row->state < 0 ? 0 : row->state));
	json_object_object_add(object, "type", text_or_null(row->type));
	json_object_object_add(object, "path", text_or_null(row->path));
	/* What only the tapdisk itself knows is left out when it does not say. */
	if (row->type)
		disk_describe(ctl, row->id, row->minor, object);
	return object;
}

static void
print_json(struct ctl *ctl, const struct ctl_rows *rows)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < rows->count; i++)
		json_object_array_add(array, row_json(ctl, &rows->at[i]));
	puts(json_object_to_json_string_ext(array, JSON_C_TO_STRING_SPACED |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(array);
}

/* ---- the command ------------------------------------------------------------------------------
 */

static void
warn_unanswered(int pid)
{
	fprintf(stderr, "tap-ctl: list: tapdisk %d does not answer\n", pid);
}

static int
run_list(struct ctl *ctl, const struct args *args)
{
	const struct ctl_filter filter = { .pid = (int)args->pid,
					   .minor = (int)args->minor,
					   .type = args->type,
					   .path = args->file };
	bool terminal = isatty(STDOUT_FILENO);
	struct ctl_rows rows;
	size_t i;
	int err = ctl_list(ctl, &filter, &rows, warn_unanswered);

	if (err)
		return err;
	if (args->json)
		print_json(ctl, &rows);
	for (i = 0; i < rows.count && !args->json; i++) {
		if (args->details)
			print_details(ctl, &rows.at[i]);
		else if (terminal)
			print_columns(&rows.at[i]);
		else
			print_words(&rows.at[i], args->type && args->file);
	}
	ctl_rows_free(&rows);
	return 0;
}

static const struct arg_row list_rows[] = {
	{ 'm', NULL, "MINOR", AT(minor), ARG_NUMBER, 16383, false },
	{ 'p', NULL, "PID", AT(pid), ARG_NUMBER, 1u << 30, false },
	{ 't', NULL, "TYPE", AT(type), ARG_TEXT, 0, false },
	{ 'f', NULL, "FILE", AT(file), ARG_TEXT, 0, false },
	{ 'l', NULL, NULL, AT(details), ARG_FLAG, 0, false },
	{ 0, "json", NULL, AT(json), ARG_FLAG, 0, false },
	ARG_END,
};

const struct command cmd_list = {
	.name = "list",
	.help = "List tapdisks, their disks, and minors that nobody serves.",
	.run = run_list,
	.rows = list_rows,
};
