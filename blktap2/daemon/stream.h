/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a connection that never waits: those that have come and are not taken yet, and those
 * that are yet to be sent.
 */
#ifndef DAEMON_STREAM_H
#define DAEMON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream {
	int fd;      /* owned; -1: there is none */
	uint8_t *in; /* owned */
	size_t in_length, in_room;
	uint8_t *out; /* owned */
	size_t out_from, out_length, out_room;
};

/* The descriptor is closed, and what has not been taken or sent is lost. */
void stream_close(struct stream *stream);

/* To be sent by stream_flush: 0 or -ENOMEM. */
int stream_put(struct stream *stream, const void *data, size_t length);

/* Send what goes now: 0, and stream_has_output tells whether anything is left; or -EIO. */
int stream_flush(struct stream *stream);
bool stream_has_output(const struct stream *stream);

/*
 * Receive some of what is there: 0 and *got bytes, none: there is nothing now; -EIO the other side
 * has ended; -EPROTO there would have to be room for more than max bytes; or -ENOMEM.
 */
int stream_receive(struct stream *stream, size_t max, size_t *got);

/* The first bytes of in are not needed any more. */
void stream_take(struct stream *stream, size_t bytes);

#endif
