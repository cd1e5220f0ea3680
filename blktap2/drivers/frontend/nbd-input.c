/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of the peer become requests.
 *
 * One receive takes as many requests as there are.  Its buffer comes from the pool and goes back as
 * soon as nothing but a piece of a header is left.  The payload of a write that is still to come is
 * received where it belongs, together with the bytes that follow it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/core/buffers.h"
#include "drivers/frontend/nbd-conn.h"

#define INPUT_ROOM (256u * 1024) /* bytes; holds the longest option that is parsed */
#define BULK_FROM (16u * 1024)   /* bytes of a write that is worth not copying */
#define BULK_PEEK 512u           /* bytes to receive behind, or in wait of, such a write */
#define ROUNDS 8                 /* receives per event: others want their turn */
#define INPUT_SHARE 16           /* an input buffer is at most such a part of what is left */

bool
nbd_input_wanted(const struct nbd_conn *conn)
{
	if (conn->fd < 0 || conn->ending || conn->blocked)
		return false;
	if (conn->greeting)
		return conn->greeting->machine.out_size == 0;
	return !conn->export->masked;
}

/*
 * Bytes to receive at once.  When memory is short it is little: buffers of those who wait for data
 * buffers must not be what these wait for.
 */
static size_t
room_for_input(const struct nbd_conn *conn)
{
	size_t room = INPUT_ROOM, share = buffers_left(conn->export->buffers) / INPUT_SHARE;

	while (!conn->greeting && room > share && room > BUFFER_MIN)
		room /= 2;
	return room;
}

/*
 * Have a buffer to receive into, what is left of the last one at its start.  A payload can be
 * received without: those who hold memory for one must not wait for each other.
 */
static bool
prepare(struct nbd_conn *conn)
{
	if (conn->in) {
		if (conn->in_at > 0)
			memmove(conn->in, conn->in + conn->in_at, conn->in_end - conn->in_at);
		conn->in_end -= conn->in_at;
		conn->in_at = 0;
		return true;
	}
	conn->in_room = room_for_input(conn);
	conn->in = buffers_get(conn->export->buffers, conn->in_room);
	if (!conn->in) {
		if (conn->receiving && conn->payload)
			return true;
		nbd_conn_starve(conn);
		return false;
	}
	memcpy(conn->in, conn->carry, conn->carried);
	conn->in_at = 0;
	conn->in_end = conn->carried;
	conn->carried = 0;
	return true;
}

void
nbd_input_free(struct nbd_conn *conn)
{
	if (conn->in)
		buffers_put(conn->export->buffers, conn->in, conn->in_room);
	conn->in = NULL;
	conn->in_at = 0;
	conn->in_end = 0;
}

/* Give the buffer back when what is left of it fits elsewhere. */
static void
settle(struct nbd_conn *conn)
{
	size_t left = conn->in_end - conn->in_at;

	if (!conn->in || left > sizeof(conn->carry))
		return;
	memcpy(conn->carry, conn->in + conn->in_at, left);
	nbd_input_free(conn);
	conn->carried = left;
}

/* ---- parsing ---- */

static void
broken(struct nbd_conn *conn, const char *what)
{
	struct nbd_export *export = conn->export;

	tlog_limited(export->log, &export->errors, LOG_INFO, "nbd: disk %d: client dropped: %s",
		     vbd_minor(export->vbd), what);
	nbd_conn_abort(conn);
}

/* False: more bytes are needed, or the answer has to go first. */
static bool
parse_greeting(struct nbd_conn *conn)
{
	struct nbd_greeting *greeting = conn->greeting;
	struct nbd_facts facts = nbd_export_facts(conn->export);
	size_t used;

	if (!nbd_conn_greet(conn))
		return false;
	if (!conn->greeting || conn->ending)
		return true;
	greeting->step = nbd_handshake_feed(&greeting->machine, &facts,
					    (const uint8_t *)conn->in + conn->in_at,
					    conn->in_end - conn->in_at, &used);
	conn->in_at += used;
	if (greeting->step == NBD_STEP_MORE)
		return false;
	return nbd_conn_greet(conn);
}

/* False: the payload is not complete. */
static bool
parse_payload(struct nbd_conn *conn)
{
	size_t size = conn->in_end - conn->in_at;
	struct nbd_slot *slot = conn->receiving;

	if (size > conn->payload_left)
		size = conn->payload_left;
	if (conn->payload && size) {
		memcpy(conn->payload, conn->in + conn->in_at, size);
		conn->payload += size;
	}
	conn->in_at += size;
	conn->payload_left -= size;
	if (conn->payload_left)
		return false;
	conn->receiving = NULL;
	nbd_request_run(slot);
	return true;
}

/* False: no whole header, or the request has to wait. */
static bool
parse_request(struct nbd_conn *conn)
{
	size_t size = nbd_request_size(conn->mode);
	struct nbd_request request;
	struct nbd_slot *slot;
	uint64_t payload;

	if (conn->in_end - conn->in_at < size || conn->export->masked)
		return false;
	if (nbd_get_request((const uint8_t *)conn->in + conn->in_at, conn->mode, &request)) {
		broken(conn, "not a request");
		return false;
	}
	payload = nbd_request_payload(&request, conn->mode);
	if (payload > NBD_PAYLOAD_MAX) {
		broken(conn, "payload too long");
		return false;
	}
	if (request.type == NBD_CMD_DISC) {
		conn->in_at += size;
		conn->ending = true;
		conn->again = true;
		return false;
	}
	slot = nbd_request_begin(conn, &request);
	if (!slot)
		return false;
	conn->in_at += size;
	conn->bulk = payload >= BULK_FROM;
	if (!payload) {
		nbd_request_run(slot);
		return true;
	}
	conn->receiving = slot;
	conn->payload = slot->error ? NULL : nbd_modify_payload(slot);
	conn->payload_left = payload;
	return true;
}

static void
parse(struct nbd_conn *conn)
{
	bool more = true;

	while (more && conn->fd >= 0 && !conn->ending) {
		if (conn->greeting)
			more = parse_greeting(conn);
		else if (conn->receiving)
			more = parse_payload(conn);
		else
			more = parse_request(conn);
	}
	if (conn->ending)
		nbd_conn_touch(conn);
}

void
nbd_input_resume(struct nbd_conn *conn)
{
	if (conn->fd < 0 || conn->ending)
		return;
	conn->blocked = false;
	if (conn->in || conn->carried || conn->greeting) {
		if (prepare(conn))
			parse(conn);
		settle(conn);
	}
	nbd_conn_watch(conn);
}

/* ---- receiving ---- */

static void
end_of_stream(struct nbd_conn *conn)
{
	if (conn->receiving || conn->in_end > conn->in_at) {
		broken(conn, "connection lost within a message");
		return;
	}
	conn->ending = true;
	nbd_conn_touch(conn);
}

/* One receive.  False: there is no more for now. */
static bool
receive(struct nbd_conn *conn)
{
	struct iovec iov[2];
	struct msghdr message = { .msg_iov = iov };
	size_t direct = 0, window = 0;
	ssize_t size;

	if (conn->receiving && conn->payload) {
		direct = conn->payload_left;
		iov[message.msg_iovlen].iov_base = conn->payload;
		iov[message.msg_iovlen++].iov_len = direct;
	}
	if (conn->in) {
		window = conn->in_room - conn->in_end;
		if (conn->bulk && window > BULK_PEEK)
			window = BULK_PEEK;
		iov[message.msg_iovlen].iov_base = conn->in + conn->in_end;
		iov[message.msg_iovlen++].iov_len = window;
	}
	size = recvmsg(conn->fd, &message, MSG_DONTWAIT);
	if (size < 0) {
		if (errno != EAGAIN && errno != EINTR)
			nbd_conn_abort(conn);
		return false;
	}
	if (size == 0) {
		end_of_stream(conn);
		return false;
	}
	if ((size_t)size < direct)
		direct = (size_t)size;
	if (direct) {
		conn->payload += direct;
		conn->payload_left -= direct;
	}
	conn->in_end += (size_t)size - direct;
	parse(conn);
	return direct + window == (size_t)size;
}

void
nbd_input_receive(struct nbd_conn *conn)
{
	int round;

	for (round = 0; round < ROUNDS; round++)
		if (!nbd_input_wanted(conn) || !prepare(conn) || !receive(conn))
			break;
	settle(conn);
}
