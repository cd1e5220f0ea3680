/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server and the clients of the fuzz targets, and how their inputs are read.
 *
 * An input is a sequence of requests in a short form, so that what is tried most is what the server
 * looks at most: the clients that send them come, go and talk across each other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/frame.h"
#include "common/minor.h"
#include "common/rundir.h"
#include "drivers/control-internal.h"
#include "drivers/core/server.h"
#include "drivers/tapdisk-disktype.h"
#include "tests/control/control-fuzz.h"

#define TURNS_MAX 20000
#define REQUESTS_MAX 64

/* ---- input --------------------------------------------------------------------------------------
 */

uint32_t
fuzz_number(struct fuzz_input *input, size_t bytes)
{
	uint32_t number = 0;

	while (bytes-- && input->left) {
		number = number << 8 | *input->at++;
		input->left--;
	}
	return number;
}

const uint8_t *
fuzz_bytes(struct fuzz_input *input, size_t most, size_t *length)
{
	const uint8_t *at;

	*length = fuzz_number(input, most > 255 ? 2 : 1);
	if (*length > most)
		*length = most;
	if (*length > input->left)
		*length = input->left;
	at = input->at;
	input->at += *length;
	input->left -= *length;
	return at;
}

/* ---- the server ---------------------------------------------------------------------------------
 */

static void
on_event(void *arg, struct vbd *vbd, const char *kind)
{
	struct fuzz *fuzz = arg;

	if (fuzz->control)
		control_server_event(fuzz->control, vbd, kind);
}

/* Of all drivers only the one that opens nothing. */
static struct tapdisk_type *
empty_disks(void)
{
	struct tapdisk_type *types = tapdisk_disktype_table(), *type, *to = types;

	for (type = types; type && type->handle; type++)
		if (strcmp(type->handle, "null") == 0)
			*to++ = *type;
	if (to)
		to->handle = NULL;
	return types;
}

static void
must(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

void
fuzz_begin(struct fuzz *fuzz)
{
	struct tapdisk_config config = { .io_engine = "threads", .event = on_event, .arg = fuzz };
	struct control_config control = { .limits = { 0 } };
	struct vbd *vbd;
	const char *why;
	int i, minor;

	*fuzz = (struct fuzz){ .dir = "/tmp/fuzz-control.XXXXXX" };
	for (i = 0; i < FUZZ_CLIENTS; i++)
		fuzz->fds[i] = -1;
	must(mkdtemp(fuzz->dir) && rundir_create(fuzz->dir) == 0, "no directory");
	fuzz->types = empty_disks();
	must(fuzz->types != NULL, "no memory");
	config.types = fuzz->types;
	config.control_dir = fuzz->dir;
	must(tapdisk_server_new(&fuzz->server, &config) == 0, "no server");
	for (i = 0; i < FUZZ_MINORS; i++)
		must(minor_allocate(fuzz->dir, &minor) == 0, "no minor");
	must(tapdisk_server_attach(fuzz->server, 0, &vbd) == 0, "no disk");
	control.server = fuzz->server;
	must(control_server_new(&fuzz->control, &control, &why) == 0, "no control server");
}

static void
turn(struct fuzz *fuzz, int timeout_ms)
{
	must(loop_turn(tapdisk_server_loop(fuzz->server), timeout_ms) == 0, "the loop has stopped");
}

static bool
is_quiet(const struct fuzz *fuzz)
{
	struct vbd *vbd = NULL;

	while ((vbd = tapdisk_server_next(fuzz->server, vbd)))
		if (vbd_is_busy(vbd))
			return false;
	return !fuzz->control->connection_count && TAILQ_EMPTY(&fuzz->control->exclusive) &&
	       TAILQ_EMPTY(&fuzz->control->rings);
}

void
fuzz_end(struct fuzz *fuzz)
{
	char path[64];
	unsigned i;
	int turns;

	for (i = 0; i < FUZZ_CLIENTS; i++)
		fuzz_leave(fuzz, i);
	for (turns = 0; turns < TURNS_MAX && !is_quiet(fuzz); turns++)
		turn(fuzz, 1);
	must(is_quiet(fuzz), "requests or connections stay");
	for (turns = 0; turns < TURNS_MAX && tapdisk_server_count(fuzz->server); turns++) {
		tapdisk_server_shutdown(fuzz->server, true);
		turn(fuzz, 1);
	}
	must(!tapdisk_server_count(fuzz->server), "disks stay");
	control_server_free(fuzz->control);
	fuzz->control = NULL;
	tapdisk_server_free(fuzz->server);
	for (i = 0; i < FUZZ_MINORS; i++)
		minor_free(fuzz->dir, (int)i);
	snprintf(path, sizeof(path), "%s/" MINOR_DIR, fuzz->dir);
	rmdir(path);
	must(rmdir(fuzz->dir) == 0, "files stay");
	free(fuzz->types);
}

/* ---- clients ------------------------------------------------------------------------------------
 */

static bool
come(struct fuzz *fuzz, unsigned i)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (fuzz->fds[i] >= 0)
		return true;
	fuzz->fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", control_server_path(fuzz->control));
	if (connect(fuzz->fds[i], (struct sockaddr *)&name, sizeof(name)) == 0)
		return true;
	/* It may be leaving, or have no place left. */
	fuzz_leave(fuzz, i);
	return false;
}

void
fuzz_leave(struct fuzz *fuzz, unsigned i)
{
	if (fuzz->fds[i] >= 0)
		close(fuzz->fds[i]);
	fuzz->fds[i] = -1;
}

void
fuzz_send(struct fuzz *fuzz, unsigned i, const void *data, size_t length)
{
	static char waste[65536];
	const char *at = data;
	ssize_t sent, got;
	int turns;

	if (!come(fuzz, i))
		return;
	for (turns = 0; length && turns < TURNS_MAX; turns++) {
		sent = send(fuzz->fds[i], at, length, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			break;
		if (sent > 0) {
			at += sent;
			length -= (size_t)sent;
		}
		turn(fuzz, 0);
		do {
			got = recv(fuzz->fds[i], waste, sizeof(waste), 0);
		} while (got > 0);
		if (got == 0)
			break;
	}
	if (length)
		fuzz_leave(fuzz, i);
}

/* ---- the two protocols --------------------------------------------------------------------------
 */

/* client, type, minor, bytes for the message, bytes that trail it, bytes to keep back. */
static void
send_message(struct fuzz *fuzz, struct fuzz_input *input)
{
	uint8_t raw[TAPDISK_MESSAGE_SIZE] = { 0 };
	unsigned client = fuzz_number(input, 1), length_back;
	const uint8_t *bytes;
	tapdisk_message_t message;
	size_t length;

	raw[0] = (uint8_t)fuzz_number(input, 1);
	raw[2] = (uint8_t)fuzz_number(input, 1);
	raw[3] = raw[2] == 0xff ? 0xff : 0;
	bytes = fuzz_bytes(input, sizeof(raw) - 8, &length);
	memcpy(raw + 8, bytes, length);
	/* Names of disks that exist are hard to guess. */
	memcpy(&message, raw, sizeof(message));
	if (client & 0x10)
		memcpy(message.u.params.path, "null:4M", 8);
	length_back = client & 0x20 ? fuzz_number(input, 2) % sizeof(message) : 0;
	fuzz_send(fuzz, client % FUZZ_CLIENTS, &message, sizeof(message) - length_back);
	bytes = fuzz_bytes(input, 400, &length);
	fuzz_send(fuzz, client % FUZZ_CLIENTS, bytes, length);
	if (!(client & 0x40))
		fuzz_leave(fuzz, client % FUZZ_CLIENTS);
}

void
fuzz_legacy(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { .at = data, .left = size };
	struct fuzz fuzz;
	int i;

	fuzz_begin(&fuzz);
	for (i = 0; i < REQUESTS_MAX && input.left; i++)
		send_message(&fuzz, &input);
	fuzz_end(&fuzz);
}

static void
send_hello(struct fuzz *fuzz, unsigned client)
{
	struct frame frame = { .version = 1, .type = TAPDISK_FRAME_HELLO };
	struct frame_writer writer;

	frame_begin(&writer, &frame);
	frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MAX, 1);
	frame_end(&writer, TAPDISK_FRAME_MAX_REQUEST);
	fuzz_send(fuzz, client, writer.at, writer.length);
	frame_writer_free(&writer);
}

/* client, type, minor, attributes: each a tag, flags and a value. */
static void
send_request(struct fuzz *fuzz, struct fuzz_input *input)
{
	unsigned client = fuzz_number(input, 1), count = fuzz_number(input, 1) % 8;
	struct frame frame = { .version = 1, .request_id = client % 16 };
	struct frame_writer writer;
	const uint8_t *value;
	unsigned tag;
	size_t length;

	if (fuzz->fds[client % FUZZ_CLIENTS] < 0 && !(client & 0x80))
		send_hello(fuzz, client % FUZZ_CLIENTS);
	frame.type = (uint16_t)fuzz_number(input, 1);
	frame.minor = fuzz_number(input, 1);
	if (frame.minor == 0xff)
		frame.minor = TAPDISK_FRAME_NO_MINOR;
	frame_begin(&writer, &frame);
	while (count--) {
		tag = fuzz_number(input, 1);
		value = fuzz_bytes(input, 255, &length);
		frame_put(&writer, tag, value, length);
	}
	if (client & 0x10)
		frame_put_text(&writer, TAPDISK_ATTR_PARAMS, "null:4M");
	frame_end(&writer, TAPDISK_FRAME_MAX_REQUEST);
	fuzz_send(fuzz, client % FUZZ_CLIENTS, writer.at, writer.length);
	frame_writer_free(&writer);
	if (client & 0x40)
		fuzz_leave(fuzz, client % FUZZ_CLIENTS);
}

void
fuzz_versioned(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { .at = data, .left = size };
	const uint8_t *raw;
	struct fuzz fuzz;
	size_t length;
	int i;

	fuzz_begin(&fuzz);
	for (i = 0; i < REQUESTS_MAX && input.left; i++) {
		if (*input.at != 0xff) {
			send_request(&fuzz, &input);
			continue;
		}
		fuzz_number(&input, 1);
		raw = fuzz_bytes(&input, 4096, &length);
		fuzz_send(&fuzz, 0, raw, length);
	}
	fuzz_end(&fuzz);
}
