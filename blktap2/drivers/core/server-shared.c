/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every part of the engine may ask of the server: its loop and log, the table of types, the
 * end of the turn for completions that are nested too deep.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/server-internal.h"

/* ---- deferred completions ----------------------------------------------------------------------
 */

int
completions_defer(struct completions *completions, const td_request_t *treq, int res)
{
	size_t room = completions->room ? completions->room * 2 : 64;
	struct completion *at;

	if (completions->count == completions->room) {
		at = reallocarray(completions->at, room, sizeof(*at));
		if (!at)
			return -ENOMEM;
		completions->at = at;
		completions->room = room;
	}
	completions->at[completions->count++] = (struct completion){ .treq = *treq, .res = res };
	loop_defer(completions->loop, &completions->task);
	return 0;
}

/* More may be added while these run. */
static void
run_completions(void *arg)
{
	struct completions *completions = arg;
	struct completion next;

	while (completions->first < completions->count) {
		next = completions->at[completions->first++];
		completions->depth++;
		next.treq.cb(next.treq, next.res);
		completions->depth--;
	}
	completions->first = completions->count = 0;
}

void
completions_init(struct completions *completions, struct loop *loop)
{
	completions->loop = loop;
	completions->task.fn = run_completions;
	completions->task.arg = completions;
}

void
completions_free(struct completions *completions)
{
	free(completions->at);
}

/* ---- types ------------------------------------------------------------------------------------
 */

const struct tapdisk_type *
tapdisk_server_type(const struct tapdisk_server *server, int number)
{
	const struct tapdisk_type *type;

	for (type = server->config.types; type->handle; type++)
		if (type->number == number && type->ops)
			return type;
	return NULL;
}

const struct tapdisk_type *
tapdisk_server_type_named(const struct tapdisk_server *server, const char *name, size_t length)
{
	const struct tapdisk_type *type;

	for (type = server->config.types; type->handle; type++)
		if (strlen(type->handle) == length && memcmp(type->handle, name, length) == 0)
			return type;
	return NULL;
}

const struct tapdisk_type *
tapdisk_server_log_type(const struct tapdisk_server *server)
{
	const struct tapdisk_type *type;

	for (type = server->config.types; type->handle; type++)
		if (type->ops && type->ops->flags & TD_DISK_CHANGE_LOG)
			return type;
	return NULL;
}

/* ---- the server -------------------------------------------------------------------------------
 */

void
tapdisk_server_event(struct tapdisk_server *server, struct vbd *vbd, const char *kind)
{
	if (server->config.event)
		server->config.event(server->config.arg, vbd, kind);
}

struct loop *
tapdisk_server_loop(struct tapdisk_server *server)
{
	return server->loop;
}

struct buffers *
tapdisk_server_buffers(struct tapdisk_server *server)
{
	return server->buffers;
}

struct tlog *
tapdisk_server_log(struct tapdisk_server *server)
{
	return server->config.log;
}

struct shm_stats *
tapdisk_server_shm(struct tapdisk_server *server)
{
	return server->shm;
}

const char *
tapdisk_server_control_dir(const struct tapdisk_server *server)
{
	return server->control_dir;
}

void *
tapdisk_server_arg(const struct tapdisk_server *server)
{
	return server->config.arg;
}
