/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors that wait under a name until they are taken, replaced, or too old. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "drivers/core/tlog.h"
#include "drivers/frontend/fd-receiver.h"
#include "drivers/frontend/nbd.h"

struct stored {
	struct nbdclient *client;
	int fd;
	struct loop_timer expiry;
	TAILQ_ENTRY(stored) link;
	char name[NBDCLIENT_NAME_MAX + 1];
};

struct nbdclient {
	struct loop *loop;
	struct tlog *log;
	struct tlog_limit limit;
	struct fd_receiver *receiver;
	TAILQ_HEAD(, stored) stored;
	unsigned count; /* of stored */
};

/* Forget an entry; its descriptor is the caller's. */
static int
release(struct stored *stored)
{
	struct nbdclient *client = stored->client;
	int fd = stored->fd;

	loop_timer_cancel(client->loop, &stored->expiry);
	TAILQ_REMOVE(&client->stored, stored, link);
	client->count--;
	free(stored);
	return fd;
}

static void
expired(void *arg)
{
	close(release(arg));
}

static struct stored *
find(struct nbdclient *client, const char *name)
{
	struct stored *stored;

	TAILQ_FOREACH (stored, &client->stored, link)
		if (strcmp(stored->name, name) == 0)
			return stored;
	return NULL;
}

/* Keep fd under name.  False: no room. */
static bool
keep(struct nbdclient *client, int fd, const char *name, size_t length)
{
	struct stored *stored;

	if (client->count >= NBDCLIENT_MAX)
		return false;
	stored = calloc(1, sizeof(*stored));
	if (!stored)
		return false;
	memcpy(stored->name, name, length);
	stored->client = client;
	stored->fd = fd;
	stored->expiry.fn = expired;
	stored->expiry.arg = stored;
	if (loop_timer_set(client->loop, &stored->expiry, NBDCLIENT_EXPIRE_MS)) {
		free(stored);
		return false;
	}
	TAILQ_INSERT_TAIL(&client->stored, stored, link);
	client->count++;
	return true;
}

static void
on_fd(void *arg, int fd, const char *name, size_t length)
{
	struct nbdclient *client = arg;
	struct stored *old;
	char text[NBDCLIENT_NAME_MAX + 1] = { 0 };

	while (length && name[length - 1] == '\0') /* some senders count the end of the string */
		length--;
	if (!length || length > NBDCLIENT_NAME_MAX || memchr(name, '\0', length)) {
		tlog_limited(
			client->log, &client->limit, LOG_WARNING,
			"nbdclient: descriptor refused: its name is empty, too long or no text");
		close(fd);
		return;
	}
	memcpy(text, name, length);
	old = find(client, text);
	if (old)
		close(release(old));
	if (keep(client, fd, text, length))
		return;
	tlog_limited(client->log, &client->limit, LOG_WARNING,
		     "nbdclient: descriptor %s refused: %u are waiting", text, client->count);
	close(fd);
}

int
nbdclient_take(struct nbdclient *client, const char *name)
{
	struct stored *stored = find(client, name);

	return stored ? release(stored) : -ENOENT;
}

int
nbdclient_new(struct nbdclient **out, struct tapdisk_server *server, const char **why)
{
	struct nbdclient *client = calloc(1, sizeof(*client));
	char path[PATH_MAX];
	int err;

	*why = "cannot listen for sockets of the nbd driver";
	if (!client)
		return -ENOMEM;
	client->loop = tapdisk_server_loop(server);
	client->log = tapdisk_server_log(server);
	TAILQ_INIT(&client->stored);
	snprintf(path, sizeof(path), "%s/nbdclient%d", tapdisk_server_control_dir(server),
		 (int)getpid());
	err = fd_receiver_new(&client->receiver, client->loop, client->log, path, on_fd, client);
	if (err) {
		free(client);
		return err;
	}
	*out = client;
	return 0;
}

void
nbdclient_free(struct nbdclient *client)
{
	struct stored *stored;

	if (!client)
		return;
	fd_receiver_free(client->receiver);
	while ((stored = TAILQ_FIRST(&client->stored)))
		close(release(stored));
	free(client);
}
