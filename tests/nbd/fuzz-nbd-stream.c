/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client sends is the input: handshake and transmission on a disk in memory.  The first byte
 * chooses the style and how the disk behaves, the second how the stream is cut into pieces.
 */
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/frontend/nbd-conn.h"
#include "drivers/frontend/nbd.h"
#include "tests/nbd/fake-vbd.h"

#define DISK_SECTORS 256
#define POOL_BYTES (64u * 1024 * 1024)
#define TURNS_MAX 10000

enum {
	OLDSTYLE = 0x01,
	PASSED = 0x02,
	HOLD = 0x04,
	FAIL = 0x08,
	LARGE_SECTORS = 0x10,
	READ_ONLY = 0x20,
	EXPIRE = 0x40,
	PAUSE = 0x80,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
drain(int fd)
{
	char bytes[65536];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void
turn(struct vbd *vbd, int fd, uint8_t choice)
{
	loop_turn(vbd->server->loop, 0);
	if (choice & EXPIRE)
		fake_vbd_expire(vbd);
	if (choice & HOLD)
		fake_vbd_finish(vbd, 1);
	drain(fd);
}

static void
play(struct vbd *vbd, int fd, const uint8_t *data, size_t size)
{
	uint8_t choice = data[0];
	size_t piece = 1 + (size_t)data[1] * data[1], at = 2, next;
	ssize_t sent;

	while (at < size) {
		next = size - at < piece ? size - at : piece;
		sent = send(fd, data + at, next, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			break;
		at += (size_t)sent;
		if (choice & PAUSE)
			fake_vbd_pause(vbd, at & 1);
		turn(vbd, fd, choice);
	}
	fake_vbd_pause(vbd, false);
	shutdown(fd, SHUT_WR);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/fuzz-nbd.XXXXXX";
	struct tapdisk_server server;
	struct nbd_export *export;
	const char *why;
	struct vbd *vbd;
	int pair[2], i;

	if (size < 2 || !mkdtemp(dir) || fake_server_init(&server, dir, "threads", POOL_BYTES))
		return 0;
	vbd = fake_vbd_new(&server, 0, DISK_SECTORS);
	vbd->hold = data[0] & HOLD;
	vbd->shuffle = true;
	vbd->fail = data[0] & FAIL ? -5 : 0;
	vbd->sector_size = data[0] & LARGE_SECTORS ? 4096 : 512;
	vbd->read_only = data[0] & READ_ONLY;
	if (nbd_export_new(vbd, &why) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort();
	export = (struct nbd_export *)((char *)vbd->source - offsetof(struct nbd_export, source));
	nbd_conn_new(&export->endpoints[0], pair[0], data[0] & OLDSTYLE, data[0] & PASSED);
	play(vbd, pair[1], data, size);
	for (i = 0; i < TURNS_MAX && export->clients; i++)
		turn(vbd, pair[1], data[0]);
	if (export->clients) /* it ends when the peer has ended */
		abort();
	close(pair[1]);
	fake_vbd_close(vbd);
	fake_vbd_free(vbd);
	fake_server_fini(&server);
	rmdir(dir);
	return 0;
}
