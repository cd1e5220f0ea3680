/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tapdisk-client: shows, or clears, what the log of a tapdisk says is dirty (<tapdisk-log.h>).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <tapdisk-log.h>

#include "common/cleanup.h"

#define ANSWER_SECONDS 30
#define CHUNK 256        /* extents read at a time */
#define RING_SECTORS 128 /* of one request of the ring: 64 KiB */

struct client {
	int fd;
	int shm;
	uint32_t produced; /* of the ring */
};

/* ---- messages ---------------------------------------------------------------------------------
 */

static int
connect_to(const char *path, int *out)
{
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	if (fd < 0)
		return -errno;
	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	*out = steal_fd(&fd);
	return 0;
}

/* Send word, and await an answer of so many bytes. */
static int
ask(const struct client *client, const char *word, uint8_t *answer, size_t bytes)
{
	uint8_t message[TAPDISK_LOG_MESSAGE_BYTES] = { 0 };
	size_t have = 0;
	ssize_t got;

	memcpy(message, word, 4);
	got = send(client->fd, message, sizeof(message), MSG_NOSIGNAL);
	if (got != (ssize_t)sizeof(message))
		return got < 0 ? -errno : -EIO;
	while (have < bytes) {
		got = recv(client->fd, answer + have, bytes - have, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (!got)
			return -ECONNRESET;
		have += (size_t)got;
	}
	return 0;
}

/* Send word, and await a message that begins with the word expected. */
static int
order(const struct client *client, const char *word, const char *expected)
{
	uint8_t answer[TAPDISK_LOG_MESSAGE_BYTES];
	int err = ask(client, word, answer, sizeof(answer));

	if (err)
		return err;
	return memcmp(answer, expected, 4) == 0 ? 0 : -EPROTO;
}

static int
open_shm(struct client *client)
{
	uint8_t answer[TAPDISK_LOG_SHMP_BYTES];
	uint32_t length, magic;
	int err = ask(client, "shmp", answer, sizeof(answer));

	if (err)
		return err;
	memcpy(&length, answer, sizeof(length));
	if (!length || length > sizeof(answer) - sizeof(length) - 1 ||
	    strnlen((char *)answer + sizeof(length), length + 1) != length)
		return -EPROTO;
	client->shm = shm_open((char *)answer + sizeof(length), O_RDWR | O_CLOEXEC, 0);
	if (client->shm < 0)
		return -errno;
	if (pread(client->shm, &magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
	    magic != TAPDISK_LOG_MAGIC)
		return -EPROTO;
	return 0;
}

/* ---- what is dirty ----------------------------------------------------------------------------
 */

static int
put(const struct client *client, const void *buf, size_t bytes, size_t at)
{
	return pwrite(client->shm, buf, bytes, (off_t)at) == (ssize_t)bytes ? 0 : -EIO;
}

/* Ask for a range over the ring, a request at a time, and compare the answers. */
static int
request_extent(struct client *client, const struct tapdisk_log_extent *extent)
{
	const size_t ring = TAPDISK_LOG_RING_AT;
	struct tapdisk_log_entry entry = { .sector = extent->sector }, answer;
	uint32_t left = extent->count;
	size_t at;
	int err = 0;

	for (; !err && left; entry.sector += entry.count, left -= entry.count) {
		entry.count = left < RING_SECTORS ? left : RING_SECTORS;
		at = ring + offsetof(struct tapdisk_log_ring, entries) +
		     client->produced++ % TAPDISK_LOG_RING_ENTRIES * sizeof(entry);
		err = put(client, &entry, sizeof(entry), at);
		if (!err)
			err = put(client, &client->produced, sizeof(client->produced),
				  ring + offsetof(struct tapdisk_log_ring, req_prod));
		if (!err)
			err = order(client, "kick", "kick");
		if (!err && (pread(client->shm, &answer, sizeof(answer), (off_t)at) !=
				     (ssize_t)sizeof(answer) ||
			     memcmp(&answer, &entry, sizeof(entry)) != 0))
			err = -EPROTO;
	}
	return err;
}

/* Print the extents in the shared memory, and ask for each over the ring if so wished. */
static int
walk_extents(struct client *client, bool request)
{
	struct tapdisk_log_extent chunk[CHUNK];
	size_t total, i;
	int err;

	for (total = 0; total < TAPDISK_LOG_EXTENTS; total += CHUNK) {
		if (pread(client->shm, chunk, sizeof(chunk), (off_t)(total * sizeof(chunk[0]))) !=
		    (ssize_t)sizeof(chunk))
			return -EIO;
		for (i = 0; i < CHUNK; i++) {
			if (!chunk[i].count)
				return 0;
			fprintf(stderr, "log: dirty extent: %" PRIu64 ":%" PRIu32 "\n",
				chunk[i].sector, chunk[i].count);
			err = request ? request_extent(client, &chunk[i]) : 0;
			if (err)
				return err;
		}
	}
	return -EPROTO;
}

/* ---- the program ------------------------------------------------------------------------------
 */

static int
run(struct client *client, char what)
{
	int err;

	if (what == 'c')
		return order(client, "clrw", "done");
	err = open_shm(client);
	if (!err)
		err = order(client, what == 'g' ? "getw" : "peek", "done");
	return err ? err : walk_extents(client, what == 'r');
}

static int
usage(void)
{
	fprintf(stderr, "usage: tapdisk-client <socket> [c|p|g|r]\n");
	return 1;
}

int
main(int argc, char **argv)
{
	struct client client = { .fd = -1, .shm = -1 };
	char what = 'p';
	int err;

	if (argc == 3 && argv[2][0] && strchr("cpgr", argv[2][0]) && !argv[2][1])
		what = argv[2][0];
	else if (argc != 2 || argv[1][0] == '-')
		return usage();
	err = connect_to(argv[1], &client.fd);
	if (!err)
		err = run(&client, what);
	if (err)
		fprintf(stderr, "tapdisk-client: %s: %s\n", argv[1], strerror(-err));
	if (client.fd >= 0)
		close(client.fd);
	if (client.shm >= 0)
		close(client.shm);
	return err != 0;
}
