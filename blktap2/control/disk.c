/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations on one virtual disk, by legacy messages, which every tapdisk understands.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/message.h"
#include "control/ctl.h"
#include "control/session.h"

#define MAX_STATS (64u << 20) /* bytes of JSON that are believed */

static int
plain(struct ctl *ctl, unsigned type, int id, int minor, int default_ms)
{
	tapdisk_message_t message = ipc_message(type, minor);

	return ipc_ask(ctl, id, &message, NULL, 0, default_ms, NULL);
}

int
ctl_attach(struct ctl *ctl, int id, int minor)
{
	return plain(ctl, TAPDISK_MESSAGE_ATTACH, id, minor, IPC_ATTACH_MS);
}

int
ctl_detach(struct ctl *ctl, int id, int minor)
{
	return plain(ctl, TAPDISK_MESSAGE_DETACH, id, minor, IPC_ATTACH_MS);
}

int
ctl_close(struct ctl *ctl, int id, int minor, bool force)
{
	return plain(ctl, force ? TAPDISK_MESSAGE_FORCE_SHUTDOWN : TAPDISK_MESSAGE_CLOSE, id, minor,
		     IPC_CLOSE_MS);
}

int
ctl_pause(struct ctl *ctl, int id, int minor)
{
	return plain(ctl, TAPDISK_MESSAGE_PAUSE, id, minor, IPC_OPEN_MS);
}

/* ---- open and unpause -------------------------------------------------------------------------
 */

/* What follows the message: the path of the log, then the key. */
struct trailing {
	uint8_t at[TAPDISK_MESSAGE_LOG_BYTES + 1 + TAPDISK_MESSAGE_MAX_KEY];
	size_t length;
};

static int
add_log(struct trailing *trailing, const char *path)
{
	int err = message_put_text((char *)trailing->at, TAPDISK_MESSAGE_LOG_BYTES, path);

	if (!err)
		trailing->length = TAPDISK_MESSAGE_LOG_BYTES;
	return err;
}

static int
add_key(struct trailing *trailing, const uint8_t *key, size_t size)
{
	if (size != 32 && size != 64)
		return -EINVAL;
	trailing->at[trailing->length++] = (uint8_t)size;
	memcpy(trailing->at + trailing->length, key, size);
	trailing->length += size;
	return 0;
}

static int
fill(tapdisk_message_t *message, const char *params, const struct tap_ctl_opts *opts,
     struct trailing *trailing)
{
	tapdisk_message_params_t *to = &message->u.params;
	int err = 0;

	to->prt_devnum = TAPDISK_MESSAGE_NO_PARENT;
	if (params)
		err = message_put_text(to->path, sizeof(to->path), params);
	if (err || !opts)
		return err;
	to->flags = opts->flags;
	to->req_timeout = (uint16_t)opts->req_timeout_s;
	if (opts->flags & TAPDISK_MESSAGE_FLAG_REUSE_PRT)
		to->prt_devnum = (uint32_t)opts->prt_minor;
	if (opts->secondary) {
		to->flags |= TAPDISK_MESSAGE_FLAG_SECONDARY;
		err = message_put_text(to->secondary, sizeof(to->secondary), opts->secondary);
	}
	if (!err && opts->logpath) {
		to->flags |= TAPDISK_MESSAGE_FLAG_ADD_LOG;
		err = add_log(trailing, opts->logpath);
	}
	if (!err && opts->key_size) {
		to->flags |= TAPDISK_MESSAGE_FLAG_ENCRYPTED;
		err = add_key(trailing, opts->key, opts->key_size);
	}
	return err;
}

static int
send_params(struct ctl *ctl, unsigned type, int id, int minor, const char *params,
	    const struct tap_ctl_opts *opts)
{
	tapdisk_message_t message = ipc_message(type, minor);
	struct trailing trailing = { .length = 0 };
	int err = fill(&message, params, opts, &trailing);

	if (err == -ENAMETOOLONG)
		err = session_open_disk(ctl, id, minor, type == TAPDISK_MESSAGE_RESUME, params,
					opts);
	else if (!err)
		err = ipc_ask(ctl, id, &message, trailing.at, trailing.length, IPC_OPEN_MS, NULL);
	explicit_bzero(&trailing, sizeof(trailing));
	return err;
}

int
ctl_open(struct ctl *ctl, int id, int minor, const char *params, const struct tap_ctl_opts *opts)
{
	return send_params(ctl, TAPDISK_MESSAGE_OPEN, id, minor, params, opts);
}

int
ctl_unpause(struct ctl *ctl, int id, int minor, const char *params, const struct tap_ctl_opts *opts)
{
	return send_params(ctl, TAPDISK_MESSAGE_RESUME, id, minor, params, opts);
}

/* ---- information ------------------------------------------------------------------------------
 */

int
ctl_stats(struct ctl *ctl, int id, int minor, char **json)
{
	tapdisk_message_t message = ipc_message(TAPDISK_MESSAGE_STATS, minor);
	struct deadline deadline = deadline_in(ctl, IPC_QUERY_MS);
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int fd = -1;
	size_t length;
	int err;

	err = ipc_ask(ctl, id, &message, NULL, 0, IPC_QUERY_MS, &fd);
	if (err)
		return err;
	if (message.u.info.length > MAX_STATS)
		return -EPROTO;
	length = (size_t)message.u.info.length;
	text = malloc(length + 1);
	if (!text)
		return -ENOMEM;
	err = ipc_receive(fd, text, length, &deadline);
	if (err)
		return err;
	text[length] = '\0';
	*json = STEAL(text);
	return 0;
}

int
ctl_info(struct ctl *ctl, int id, int minor, tapdisk_message_image_t *image)
{
	tapdisk_message_t message = ipc_message(TAPDISK_MESSAGE_DISK_INFO, minor);
	int err = ipc_ask(ctl, id, &message, NULL, 0, IPC_QUERY_MS, NULL);

	if (!err)
		*image = message.u.image;
	return err;
}
