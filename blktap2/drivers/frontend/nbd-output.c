/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies to the peer: all that are ready go with one sendmsg, data straight from their buffers. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/frontend/nbd-conn.h"

#define EARLY_COUNT 8            /* replies that are sent before the end of the turn */
#define EARLY_BYTES (256 * 1024) /* and bytes */

/* Head and data of every slot. */
#define OUTPUT_VECTORS (2 * NBD_SLOTS)

/* Describe what is to be sent; returns the number of vectors, and the bytes in *size. */
static int
gather(const struct nbd_conn *conn, struct iovec *iov, size_t *size)
{
	size_t skip = conn->out_sent;
	struct nbd_slot *slot;
	int count = 0;

	*size = 0;
	STAILQ_FOREACH (slot, &conn->out, link) {
		if (skip < slot->head_size) {
			iov[count].iov_base = slot->head + skip;
			iov[count].iov_len = slot->head_size - skip;
			*size += iov[count++].iov_len;
			skip = 0;
		} else {
			skip -= slot->head_size;
		}
		if (slot->payload_size) {
			iov[count].iov_base = (char *)slot->payload + skip;
			iov[count].iov_len = slot->payload_size - skip;
			*size += iov[count++].iov_len;
		}
		skip = 0;
	}
	return count;
}

/* size bytes have gone: end the slots that are through. */
static void
advance(struct nbd_conn *conn, size_t size)
{
	struct nbd_slot *slot;

	size += conn->out_sent;
	while ((slot = STAILQ_FIRST(&conn->out))) {
		size_t whole = slot->head_size + slot->payload_size;

		if (size < whole)
			break;
		size -= whole;
		STAILQ_REMOVE_HEAD(&conn->out, link);
		nbd_request_end(slot);
	}
	conn->out_sent = size;
}

void
nbd_output_flush(struct nbd_conn *conn)
{
	struct iovec iov[OUTPUT_VECTORS];
	struct msghdr message = { .msg_iov = iov };
	size_t size;
	ssize_t sent;

	conn->out_bytes = 0;
	conn->out_count = 0;
	if (conn->fd < 0 || STAILQ_EMPTY(&conn->out))
		return;
	message.msg_iovlen = (size_t)gather(conn, iov, &size);
	do
		sent = sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
		nbd_conn_abort(conn);
		return;
	}
	if (sent > 0)
		advance(conn, (size_t)sent);
	conn->stalled = sent < 0 || (size_t)sent < size;
}

void
nbd_output_add(struct nbd_conn *conn, struct nbd_slot *slot)
{
	STAILQ_INSERT_TAIL(&conn->out, slot, link);
	conn->out_bytes += slot->head_size + slot->payload_size;
	conn->out_count++;
	if ((conn->out_count >= EARLY_COUNT || conn->out_bytes >= EARLY_BYTES) && !conn->stalled)
		nbd_output_flush(conn);
}
