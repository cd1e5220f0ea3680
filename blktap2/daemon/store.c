/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place that calls libxenstore.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "common/cleanup.h"
#include "daemon/store.h"

struct store {
	struct xs_handle *handle; /* owned */
};

/*
 * What xenstored answers is about the request; everything else is about the connection, after which
 * nothing on it can be relied on.
 */
static int
last_error(void)
{
	switch (errno) {
	case EINVAL:
	case EACCES:
	case EEXIST:
	case EISDIR:
	case ENOENT:
	case ENOMEM:
	case ENOSPC:
	case EDQUOT:
	case ENOTEMPTY:
	case ENOSYS:
	case EROFS:
	case EBUSY:
	case EAGAIN:
	case E2BIG:
	case EPERM:
		return -errno;
	default:
		return -EPIPE;
	}
}

int
store_open(struct store **out)
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	store->handle = xs_open(0);
	if (!store->handle) {
		err = errno ? -errno : -ENOENT;
		free(store);
		return err;
	}
	*out = store;
	return 0;
}

void
store_close(struct store *store)
{
	if (!store)
		return;
	xs_close(store->handle);
	free(store);
}

bool
store_is_alive(struct store *store)
{
	char value[STORE_PATH_MAX];

	/* Every domain has it; but any answer will do. */
	return store_read(store, STORE_NO_TX, "domid", value, sizeof(value)) != -EPIPE;
}

int
store_fd(struct store *store)
{
	return xs_fileno(store->handle);
}

/* ---- nodes ------------------------------------------------------------------------------------
 */

int
store_read(struct store *store, store_tx tx, const char *path, char *value, size_t size)
{
	unsigned length = 0;
	AUTO_FREE char *found = xs_read(store->handle, tx, path, &length);

	if (!found)
		return last_error();
	if (length >= size)
		return -EMSGSIZE;
	if (memchr(found, '\0', length))
		return -EINVAL;
	memcpy(value, found, length);
	value[length] = '\0';
	return 0;
}

int
store_write(struct store *store, store_tx tx, const char *path, const char *value)
{
	return xs_write(store->handle, tx, path, value, (unsigned)strlen(value)) ? 0 : last_error();
}

int
store_remove(struct store *store, store_tx tx, const char *path)
{
	return xs_rm(store->handle, tx, path) ? 0 : last_error();
}

int
store_set(struct store *store, store_tx tx, const char *path, const char *value)
{
	char found[STORE_PATH_MAX];
	int err = store_read(store, tx, path, found, sizeof(found));

	if (!err && strcmp(found, value) == 0)
		return 0;
	if (err && err != -ENOENT && err != -EMSGSIZE && err != -EINVAL)
		return err;
	return store_write(store, tx, path, value);
}

int
store_list(struct store *store, const char *path, char ***names, unsigned *count)
{
	unsigned found = 0;
	char **list = xs_directory(store->handle, XBT_NULL, path, &found);

	if (!list)
		return last_error();
	*names = list;
	*count = found;
	return 0;
}

/* ---- transactions -----------------------------------------------------------------------------
 */

int
store_begin(struct store *store, store_tx *tx)
{
	*tx = xs_transaction_start(store->handle);
	return *tx == XBT_NULL ? last_error() : 0;
}

int
store_commit(struct store *store, store_tx tx)
{
	return xs_transaction_end(store->handle, tx, false) ? 0 : last_error();
}

void
store_abort(struct store *store, store_tx tx)
{
	xs_transaction_end(store->handle, tx, true);
}

/* ---- watches ----------------------------------------------------------------------------------
 */

int
store_watch(struct store *store, const char *path, const char *token)
{
	int err = xs_watch(store->handle, path, token) ? 0 : last_error();

	return err == -EEXIST ? 0 : err;
}

void
store_unwatch(struct store *store, const char *path, const char *token)
{
	xs_unwatch(store->handle, path, token);
}

int
store_next(struct store *store, struct store_event *event)
{
	AUTO_FREE char **found = NULL;
	int path, token;

	do {
		free(found);
		found = xs_check_watch(store->handle);
		if (!found)
			return errno == EAGAIN ? 0 : -EPIPE;
		path = snprintf(event->path, sizeof(event->path), "%s", found[XS_WATCH_PATH]);
		token = snprintf(event->token, sizeof(event->token), "%s", found[XS_WATCH_TOKEN]);
	} while (path >= STORE_PATH_MAX || token >= STORE_PATH_MAX);
	return 1;
}

bool
store_has_domain(struct store *store, uint32_t domid)
{
	errno = 0;
	return xs_is_domain_introduced(store->handle, domid) || errno;
}
