/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handshake, with blocking calls: nothing is measured here.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "drivers/frontend/nbd-wire.h"

#include "bench/nbd-client.h"

#define REPLY_DATA_MAX 65536u
#define REPLIES_MAX 128

static int
receive(int fd, void *data, size_t length)
{
	uint8_t *at = data;
	ssize_t got;

	while (length) {
		got = recv(fd, at, length, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!got)
			return -ECONNRESET;
		at += got;
		length -= (size_t)got;
	}
	return 0;
}

/* Handshake messages are far smaller than a socket buffer: they go out whole or not at all. */
static int
transmit(int fd, const void *data, size_t length)
{
	ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);

	if (sent < 0)
		return -errno;
	return (size_t)sent == length ? 0 : -EIO;
}

static int
greet(int fd, struct reason *why)
{
	uint8_t greeting[NBD_GREETING_SIZE], answer[NBD_CLIENT_FLAGS_SIZE];
	int err = receive(fd, greeting, sizeof(greeting));

	if (err)
		return reason(why, err, "greeting: %s", strerror(-err));
	if (get_be64(greeting) != NBD_INIT_MAGIC || get_be64(greeting + 8) != NBD_OPTION_MAGIC)
		return reason(why, -EPROTO, "greeting: not a newstyle NBD server");
	if (!(get_be16(greeting + 16) & NBD_FLAG_FIXED_NEWSTYLE))
		return reason(why, -EPROTO, "greeting: the server does not speak fixed newstyle");
	put_be32(answer, get_be16(greeting + 16) & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
	err = transmit(fd, answer, sizeof(answer));
	return err ? reason(why, err, "client flags: %s", strerror(-err)) : 0;
}

static int
ask_go(int fd, const char *name, struct reason *why)
{
	uint8_t message[NBD_OPTION_SIZE + 4 + NBD_NAME_MAX + 2];
	size_t length = strlen(name);
	int err;

	if (length > NBD_NAME_MAX)
		return reason(why, -ENAMETOOLONG, "export name: too long");
	put_be64(message, NBD_OPTION_MAGIC);
	put_be32(message + 8, NBD_OPT_GO);
	put_be32(message + 12, (uint32_t)(4 + length + 2));
	put_be32(message + NBD_OPTION_SIZE, (uint32_t)length);
	memcpy(message + NBD_OPTION_SIZE + 4, name, length);
	put_be16(message + NBD_OPTION_SIZE + 4 + length, 0);
	err = transmit(fd, message, NBD_OPTION_SIZE + 4 + length + 2);
	return err ? reason(why, err, "option GO: %s", strerror(-err)) : 0;
}

/* One reply to GO.  1: it was the last one, the export is open; 0: more to come. */
static int
take_reply(int fd, struct nbd_export_info *info, bool *described, struct reason *why)
{
	uint8_t head[NBD_OPTION_REPLY_SIZE];
	AUTO_FREE uint8_t *data = NULL;
	uint32_t type, length;
	int err = receive(fd, head, sizeof(head));

	if (err)
		return reason(why, err, "option GO: %s", strerror(-err));
	type = get_be32(head + 12);
	length = get_be32(head + 16);
	if (get_be64(head) != NBD_OPTION_REPLY_MAGIC || get_be32(head + 8) != NBD_OPT_GO ||
	    length > REPLY_DATA_MAX)
		return reason(why, -EPROTO, "option GO: the reply makes no sense");
	data = calloc(1, length + 1);
	if (!data)
		return reason(why, -ENOMEM, "option GO: out of memory");
	err = receive(fd, data, length);
	if (err)
		return reason(why, err, "option GO: %s", strerror(-err));
	if (type == NBD_REP_ACK)
		return *described ? 1 : reason(why, -EPROTO, "option GO: no size was given");
	if (type != NBD_REP_INFO)
		return reason(why, -EPROTO, "option GO: refused with 0x%x: %s", type,
			      length ? (const char *)data : "no reason given");
	if (length == 12 && get_be16(data) == NBD_INFO_EXPORT) {
		info->size = get_be64(data + 2);
		info->flags = get_be16(data + 10);
		*described = true;
	}
	return 0;
}

static int
negotiate(int fd, const char *name, struct nbd_export_info *info, struct reason *why)
{
	bool described = false;
	int replies, err = greet(fd, why);

	if (!err)
		err = ask_go(fd, name, why);
	for (replies = 0; !err; replies++) {
		if (replies == REPLIES_MAX)
			return reason(why, -EPROTO, "option GO: too many replies");
		err = take_reply(fd, info, &described, why);
	}
	return err > 0 ? 0 : err;
}

int
nbd_client_connect(const char *path, const char *export_name, struct nbd_export_info *info,
		   struct reason *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = NBD_CLIENT_TIMEOUT_S };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return reason(why, -errno, "socket: %s", strerror(errno));
	if (strlen(path) >= sizeof(address.sun_path))
		return reason(why, -ENAMETOOLONG, "socket: the path is too long");
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return reason(why, -errno, "connect: %s", strerror(errno));
	err = negotiate(fd, export_name, info, why);
	return err ? err : steal_fd(&fd);
}

void
nbd_client_disconnect(int fd)
{
	uint8_t request[NBD_REQUEST_SIZE] = { 0 };

	put_be32(request, NBD_REQUEST_MAGIC);
	put_be16(request + 6, NBD_CMD_DISC);
	(void)transmit(fd, request, sizeof(request));
	close(fd);
}
