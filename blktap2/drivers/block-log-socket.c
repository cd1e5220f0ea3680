/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client at a time, on a socket that never blocks.
 *
 * The shared memory is read and written as a file, never mapped: a client that cuts it off gets an
 * error, and takes nobody with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <tapdisk-log.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "drivers/block-log-socket.h"

#define CHUNK 256 /* extents written at a time */

struct log_socket {
	td_driver_t *driver;
	struct dirty_map *map; /* borrowed */
	struct sockaddr_un address;
	char shm_name[NAME_MAX + 1];
	int shm; /* -1: none */
	int listener;
	int listener_event;

	int client; /* -1: none */
	int client_event;
	uint32_t consumed; /* of the ring; answers are as many */
	uint8_t in[TAPDISK_LOG_MESSAGE_BYTES];
	size_t received;
	uint8_t out[TAPDISK_LOG_SHMP_BYTES];
	size_t out_length;
	size_t sent;
};

/* ---- the shared memory ------------------------------------------------------------------------
 */

static int
shm_read(const struct log_socket *sock, void *buf, size_t bytes, size_t at)
{
	ssize_t got = pread(sock->shm, buf, bytes, (off_t)at);

	if (got < 0)
		return -errno;
	return (size_t)got == bytes ? 0 : -EIO;
}

static int
shm_write(const struct log_socket *sock, const void *buf, size_t bytes, size_t at)
{
	ssize_t put = pwrite(sock->shm, buf, bytes, (off_t)at);

	if (put < 0)
		return -errno;
	return (size_t)put == bytes ? 0 : -EIO;
}

/* The next dirty extent from sector on, as large as a u32 can say. */
static bool
next_extent(const struct dirty_map *map, uint64_t sector, struct tapdisk_log_extent *extent)
{
	uint64_t count;

	*extent = (struct tapdisk_log_extent){ 0 };
	if (!dirty_map_next(map, &sector, &count))
		return false;
	extent->sector = sector;
	extent->count = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
	return true;
}

/* Write the dirty extents to the shared memory, and where they end to *end. */
static int
export_extents(const struct log_socket *sock, uint64_t *end)
{
	struct tapdisk_log_extent chunk[CHUNK];
	size_t total = 0, count;
	bool more = true;
	int err;

	*end = 0;
	while (more) {
		for (count = 0; count < CHUNK && more; count++, total++) {
			/* The last place is that of the terminator. */
			more = total + 1 < TAPDISK_LOG_EXTENTS &&
			       next_extent(sock->map, *end, &chunk[count]);
			if (more)
				*end = chunk[count].sector + chunk[count].count;
			else
				chunk[count] = (struct tapdisk_log_extent){ 0 };
		}
		err = shm_write(sock, chunk, count * sizeof(chunk[0]),
				(total - count) * sizeof(chunk[0]));
		if (err)
			return err;
	}
	return 0;
}

/* Answer one request of the ring in its place. */
static int
answer_entry(const struct log_socket *sock, uint32_t index)
{
	const size_t at = TAPDISK_LOG_RING_AT + offsetof(struct tapdisk_log_ring, entries) +
			  index % TAPDISK_LOG_RING_ENTRIES * sizeof(struct tapdisk_log_entry);
	struct tapdisk_log_entry entry;
	int err = shm_read(sock, &entry, sizeof(entry), at);

	if (err)
		return err;
	if (!range_fits(entry.sector, entry.count, sock->driver->info.size) ||
	    !range_fits(entry.offset, (uint64_t)entry.count << SECTOR_SHIFT,
			TAPDISK_LOG_DATA_BYTES))
		entry.count = 0;
	return shm_write(sock, &entry, sizeof(entry), at);
}

/* Consume what the client has produced: -EPROTO when that is more than the ring holds. */
static int
run_ring(struct log_socket *sock)
{
	uint32_t produced;
	int err = shm_read(sock, &produced, sizeof(produced),
			   TAPDISK_LOG_RING_AT + offsetof(struct tapdisk_log_ring, req_prod));

	if (!err && produced - sock->consumed > TAPDISK_LOG_RING_ENTRIES)
		err = -EPROTO;
	for (; !err && sock->consumed != produced; sock->consumed++)
		err = answer_entry(sock, sock->consumed);
	if (!err)
		err = shm_write(sock, &sock->consumed, sizeof(sock->consumed),
				TAPDISK_LOG_RING_AT + offsetof(struct tapdisk_log_ring, rsp_prod));
	return err;
}

static int
reset_ring(struct log_socket *sock)
{
	const struct tapdisk_log_ring ring = { .req_event = 1, .rsp_event = 1 };

	sock->consumed = 0;
	return shm_write(sock, &ring, sizeof(ring), TAPDISK_LOG_RING_AT);
}

/* ---- messages ---------------------------------------------------------------------------------
 */

static void
put_word(struct log_socket *sock, const char *word)
{
	memset(sock->out, 0, TAPDISK_LOG_MESSAGE_BYTES);
	memcpy(sock->out, word, 4);
	sock->out_length = TAPDISK_LOG_MESSAGE_BYTES;
}

static int
say_shm(struct log_socket *sock)
{
	const uint32_t magic = TAPDISK_LOG_MAGIC, length = (uint32_t)strlen(sock->shm_name);

	memset(sock->out, 0, sizeof(sock->out));
	memcpy(sock->out, &length, sizeof(length));
	memcpy(sock->out + sizeof(length), sock->shm_name, length);
	sock->out_length = sizeof(sock->out);
	return shm_write(sock, &magic, sizeof(magic), 0);
}

static int
say_extents(struct log_socket *sock, bool clear)
{
	uint64_t end;
	int err = export_extents(sock, &end);

	/* All that is dirty below the end was exported. */
	if (!err && clear && end)
		dirty_map_clear(sock->map, 0, end);
	put_word(sock, "done");
	return err;
}

static int
say_clear(struct log_socket *sock)
{
	dirty_map_clear_all(sock->map);
	put_word(sock, "done");
	return 0;
}

static int
say_kick(struct log_socket *sock)
{
	put_word(sock, "kick");
	return run_ring(sock);
}

static bool
is_word(const struct log_socket *sock, const char *word)
{
	return memcmp(sock->in, word, 4) == 0;
}

/* Do what the message in in[] asks, and leave the answer in out[]. */
static int
answer(struct log_socket *sock)
{
	if (is_word(sock, "shmp"))
		return say_shm(sock);
	if (is_word(sock, "peek"))
		return say_extents(sock, false);
	if (is_word(sock, "getw"))
		return say_extents(sock, true);
	if (is_word(sock, "clrw"))
		return say_clear(sock);
	if (is_word(sock, "kick"))
		return say_kick(sock);
	return -EPROTO;
}

/* ---- the client -------------------------------------------------------------------------------
 */

static void client_ready(void *arg, int id, unsigned mode);

/* Wait for the client in a new way; -errno when the loop refuses. */
static int
await_client(struct log_socket *sock, unsigned mode)
{
	if (sock->client_event >= 0)
		td_unregister_event(sock->driver, sock->client_event);
	sock->client_event =
		td_register_event(sock->driver, mode, sock->client, 0, client_ready, sock);
	return sock->client_event < 0 ? sock->client_event : 0;
}

static void
drop_client(struct log_socket *sock)
{
	if (sock->client < 0)
		return;
	if (sock->client_event >= 0)
		td_unregister_event(sock->driver, sock->client_event);
	close(sock->client);
	sock->client = sock->client_event = -1;
	sock->received = sock->out_length = sock->sent = 0;
}

/* Send what is left of the answer: 0 all, 1 not all of it yet, or -errno. */
static int
send_answer(struct log_socket *sock)
{
	ssize_t put = send(sock->client, sock->out + sock->sent, sock->out_length - sock->sent,
			   MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -errno;
	sock->sent += (size_t)put;
	if (sock->sent < sock->out_length)
		return 1;
	sock->out_length = sock->sent = 0;
	return 0;
}

/* Take what is there of a message, and answer when it is whole. */
static int
take_message(struct log_socket *sock)
{
	ssize_t got = recv(sock->client, sock->in + sock->received,
			   sizeof(sock->in) - sock->received, MSG_DONTWAIT);
	int err;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!got)
		return -ECONNRESET;
	sock->received += (size_t)got;
	if (sock->received < sizeof(sock->in))
		return 0;
	sock->received = 0;
	err = answer(sock);
	if (!err)
		err = send_answer(sock);
	return err > 0 ? await_client(sock, TD_EVENT_WRITE) : err;
}

static void
client_ready(void *arg, int id, unsigned mode)
{
	struct log_socket *sock = arg;
	int err;

	(void)id;
	if (mode & TD_EVENT_WRITE) {
		err = send_answer(sock);
		if (!err)
			err = await_client(sock, TD_EVENT_READ);
	} else {
		err = take_message(sock);
	}
	if (err < 0)
		drop_client(sock);
}

/* The same users as on the control socket. */
static bool
is_trusted(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

/* The next one may come before the end of the last one was seen. */
static bool
has_left(const struct log_socket *sock)
{
	struct pollfd end = { .fd = sock->client };

	return sock->client >= 0 && poll(&end, 1, 0) > 0 && end.revents & (POLLHUP | POLLERR);
}

static void
listener_ready(void *arg, int id, unsigned mode)
{
	struct log_socket *sock = arg;
	int fd = accept4(sock->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)id;
	(void)mode;
	if (fd < 0)
		return;
	if (has_left(sock))
		drop_client(sock);
	if (sock->client >= 0 || !is_trusted(fd)) {
		close(fd);
		return;
	}
	sock->client = fd;
	if (reset_ring(sock) || await_client(sock, TD_EVENT_READ))
		drop_client(sock);
}

/* ---- names ------------------------------------------------------------------------------------
 */

/* name as part of a file's name. */
static void
flatten(char *name)
{
	for (; *name; name++)
		if (*name == '/' || *name == ':')
			*name = '_';
}

static int
set_names(struct log_socket *sock, const char *name)
{
	const char *slash = strrchr(name, '/');
	char *path = sock->address.sun_path;
	int length;

	if (!slash)
		return -EINVAL;
	sock->address.sun_family = AF_UNIX;
	length = snprintf(path, sizeof(sock->address.sun_path), TAPDISK_LOG_DIR "/log_%s.ctl",
			  slash);
	if (length < 0 || (size_t)length >= sizeof(sock->address.sun_path))
		return -ENAMETOOLONG;
	flatten(path + strlen(TAPDISK_LOG_DIR "/"));
	length = snprintf(sock->shm_name, sizeof(sock->shm_name), "/log_%s.wlog", name);
	/* It must fit into the answer, behind its length and with its NUL. */
	if (length < 0 || (size_t)length + 1 + sizeof(uint32_t) > TAPDISK_LOG_SHMP_BYTES)
		return -ENAMETOOLONG;
	flatten(sock->shm_name + 1);
	return 0;
}

/* ---- open and close ---------------------------------------------------------------------------
 */

/* Does a process listen there? */
static bool
is_alive(const struct sockaddr_un *address)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
			   errno != ECONNREFUSED);
}

/* The folder of the sockets must be ours alone. */
static int
make_folder(void)
{
	struct stat folder;

	if (mkdir(TAPDISK_LOG_DIR, 0700) && errno != EEXIST)
		return -errno;
	if (lstat(TAPDISK_LOG_DIR, &folder))
		return -errno;
	if (!S_ISDIR(folder.st_mode) || (folder.st_uid != 0 && folder.st_uid != geteuid()) ||
	    folder.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	return 0;
}

static int
bind_listener(struct log_socket *sock)
{
	const struct sockaddr *address = (const struct sockaddr *)&sock->address;
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, address, sizeof(sock->address))) {
		if (errno != EADDRINUSE)
			return -errno;
		/* What a process that was killed has left there is removed. */
		if (is_alive(&sock->address))
			return -EADDRINUSE;
		unlink(sock->address.sun_path);
		if (bind(fd, address, sizeof(sock->address)))
			return -errno;
	}
	if (chmod(sock->address.sun_path, 0600) || listen(fd, 1)) {
		int err = -errno;

		unlink(sock->address.sun_path);
		return err;
	}
	sock->listener = steal_fd(&fd);
	return 0;
}

/* The name is ours since the socket is. */
static int
make_shm(struct log_socket *sock)
{
	AUTO_CLOSE int fd = -1;

	shm_unlink(sock->shm_name);
	fd = shm_open(sock->shm_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	sock->shm = steal_fd(&fd);
	return ftruncate(sock->shm, TAPDISK_LOG_SHM_BYTES) ? -errno : 0;
}

int
log_socket_open(td_driver_t *driver, const char *name, struct dirty_map *map,
		struct log_socket **out)
{
	struct log_socket *sock = calloc(1, sizeof(*sock));
	int err;

	if (!sock)
		return -ENOMEM;
	sock->driver = driver;
	sock->map = map;
	sock->shm = sock->listener = sock->client = -1;
	sock->listener_event = sock->client_event = -1;
	err = set_names(sock, name);
	if (!err)
		err = make_folder();
	if (!err)
		err = bind_listener(sock);
	if (!err)
		err = make_shm(sock);
	if (!err) {
		sock->listener_event = td_register_event(driver, TD_EVENT_READ, sock->listener, 0,
							 listener_ready, sock);
		err = sock->listener_event < 0 ? sock->listener_event : 0;
	}
	if (err) {
		log_socket_close(sock);
		return err;
	}
	*out = sock;
	return 0;
}

void
log_socket_close(struct log_socket *sock)
{
	if (!sock)
		return;
	drop_client(sock);
	if (sock->listener_event >= 0)
		td_unregister_event(sock->driver, sock->listener_event);
	if (sock->shm >= 0) {
		shm_unlink(sock->shm_name);
		close(sock->shm);
	}
	if (sock->listener >= 0) {
		unlink(sock->address.sun_path);
		close(sock->listener);
	}
	free(sock);
}
