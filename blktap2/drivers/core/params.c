/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of a disk: types, paths, stacks and chain files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "drivers/core/params.h"
#include "drivers/core/server-internal.h"

#define TYPE_MAX 9 /* characters of a type's name */
#define CHAIN_PREFIX "x-chain:"

static bool
is_type_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
has_control_chars(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* Where the next element of a stack begins: a '|' before a known type and a colon.  NULL: none. */
static const char *
next_element(const struct tapdisk_server *server, const char *text)
{
	const char *bar, *end;

	for (bar = strchr(text, '|'); bar; bar = strchr(bar + 1, '|')) {
		end = bar + 1;
		while (is_type_char(*end))
			end++;
		if (*end == ':' &&
		    tapdisk_server_type_named(server, bar + 1, (size_t)(end - bar - 1)))
			return bar;
	}
	return NULL;
}

/* Append the element text[0..length). */
static int
add_element(const struct tapdisk_server *server, struct params *params, const char *text,
	    size_t length, struct reason *why)
{
	const char *colon = memchr(text, ':', length);
	const struct tapdisk_type *type;
	size_t name_length;
	char *name;

	if (!colon)
		return reason(why, -EINVAL, "%.*s: expected type:path", (int)length, text);
	if (colon - text > TYPE_MAX)
		return reason(why, -ENAMETOOLONG, "%.*s: the name of the type is too long",
			      (int)length, text);
	type = tapdisk_server_type_named(server, text, (size_t)(colon - text));
	if (!type)
		return reason(why, -ENOENT, "%.*s: unknown disk type \"%.*s\"", (int)length, text,
			      (int)(colon - text), text);
	if (!type->ops)
		return reason(why, -ENOSYS, "%.*s: disk type \"%s\" is not built in", (int)length,
			      text, type->handle);
	name_length = length - (size_t)(colon - text) - 1;
	if (!name_length)
		return reason(why, -EINVAL, "%.*s: the path is empty", (int)length, text);
	if (name_length >= MAX_NAME_LEN)
		return reason(why, -ENAMETOOLONG, "%s: the path is longer than %d bytes",
			      type->handle, MAX_NAME_LEN - 1);
	if (params->count == PARAMS_MAX_ITEMS)
		return reason(why, -ELOOP, "more than %d images in one stack", PARAMS_MAX_ITEMS);
	name = strndup(colon + 1, name_length);
	if (!name)
		return -ENOMEM;
	params->at[params->count++] = (struct params_item){ .type = type->number, .name = name };
	return 0;
}

static int
parse_stack(const struct tapdisk_server *server, const char *text, struct params *params,
	    struct reason *why)
{
	const char *bar;
	int err;

	while ((bar = next_element(server, text))) {
		err = add_element(server, params, text, (size_t)(bar - text), why);
		if (err)
			return err;
		text = bar + 1;
	}
	return add_element(server, params, text, strlen(text), why);
}

/* A chain file decides what root opens: it must be ours, and nobody else's to write. */
static FILE *
open_chain_file(const char *path, struct reason *why, int *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat file;
	FILE *stream;

	if (fd < 0 || fstat(fd, &file)) {
		*err = reason(why, -errno, "%s: cannot open the chain file: %s", path,
			      strerror(errno));
		return NULL;
	}
	if (!S_ISREG(file.st_mode) || (file.st_uid != 0 && file.st_uid != geteuid()) ||
	    file.st_mode & (S_IWGRP | S_IWOTH)) {
		*err = reason(why, -EPERM,
			      "%s: the chain file must be a regular file that only root or we can "
			      "write",
			      path);
		return NULL;
	}
	stream = fdopen(fd, "r");
	if (stream)
		fd = -1;
	else
		*err = -ENOMEM;
	return stream;
}

static int
parse_chain_file(const struct tapdisk_server *server, const char *path, struct params *params,
		 struct reason *why)
{
	char line[PARAMS_MAX_BYTES];
	int err = 0;
	AUTO_FCLOSE FILE *file = open_chain_file(path, why, &err);

	while (file && !err && fgets(line, sizeof(line), file)) {
		size_t length = strcspn(line, "\n");

		if (!line[length] && length == sizeof(line) - 1)
			return reason(why, -ENAMETOOLONG, "%s: a line is too long", path);
		line[length] = '\0';
		if (!length || line[0] == '#')
			continue;
		if (has_control_chars(line))
			return reason(why, -EINVAL, "%s: control characters in a line", path);
		err = add_element(server, params, line, strcspn(line, ","), why);
	}
	if (!err && !params->count)
		err = reason(why, -EINVAL, "%s: the chain file names no image", path);
	return err;
}

int
params_parse(const struct tapdisk_server *server, const char *text, struct params *params,
	     struct reason *why)
{
	int err;

	*params = (struct params){ 0 };
	if (strlen(text) > PARAMS_MAX_BYTES)
		return reason(why, -ENAMETOOLONG, "the name of the disk is longer than %d bytes",
			      PARAMS_MAX_BYTES);
	if (has_control_chars(text))
		return reason(why, -EINVAL, "control characters in the name of the disk");
	if (strncmp(text, CHAIN_PREFIX, strlen(CHAIN_PREFIX)) == 0)
		err = parse_chain_file(server, text + strlen(CHAIN_PREFIX), params, why);
	else
		err = parse_stack(server, text, params, why);
	if (err)
		params_free(params);
	return err;
}

void
params_free(struct params *params)
{
	while (params->count > 0)
		free(params->at[--params->count].name);
}
