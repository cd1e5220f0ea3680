/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of a connection: see stream.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/stream.h"

void
stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream->in);
	free(stream->out);
	*stream = (struct stream){ .fd = -1 };
}

/* ---- sending ----------------------------------------------------------------------------------
 */

int
stream_put(struct stream *stream, const void *data, size_t length)
{
	size_t need = stream->out_from + stream->out_length + length;
	uint8_t *grown;

	if (need > stream->out_room) {
		grown = realloc(stream->out, need * 2);
		if (!grown)
			return -ENOMEM;
		stream->out = grown;
		stream->out_room = need * 2;
	}
	memcpy(stream->out + stream->out_from + stream->out_length, data, length);
	stream->out_length += length;
	return 0;
}

int
stream_flush(struct stream *stream)
{
	ssize_t sent;

	while (stream->out_length) {
		sent = send(stream->fd, stream->out + stream->out_from, stream->out_length,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 0 : -EIO;
		stream->out_from += (size_t)sent;
		stream->out_length -= (size_t)sent;
	}
	stream->out_from = 0;
	return 0;
}

bool
stream_has_output(const struct stream *stream)
{
	return stream->out_length > 0;
}

/* ---- receiving --------------------------------------------------------------------------------
 */

static int
grow_input(struct stream *stream, size_t max)
{
	size_t room = stream->in_room ? stream->in_room * 2 : 4096;
	uint8_t *grown;

	if (stream->in_length < stream->in_room)
		return 0;
	if (room > max)
		return -EPROTO;
	grown = realloc(stream->in, room);
	if (!grown)
		return -ENOMEM;
	stream->in = grown;
	stream->in_room = room;
	return 0;
}

int
stream_receive(struct stream *stream, size_t max, size_t *got)
{
	int err = grow_input(stream, max);
	ssize_t received;

	*got = 0;
	if (err)
		return err;
	do {
		received = recv(stream->fd, stream->in + stream->in_length,
				stream->in_room - stream->in_length, MSG_DONTWAIT);
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return errno == EAGAIN ? 0 : -EIO;
	if (received == 0)
		return -EIO;
	stream->in_length += (size_t)received;
	*got = (size_t)received;
	return 0;
}

void
stream_take(struct stream *stream, size_t bytes)
{
	stream->in_length -= bytes;
	memmove(stream->in, stream->in + bytes, stream->in_length);
}
