/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of the versioned control protocol: a header, then attributes.  Pure functions over bytes.
 */
#ifndef COMMON_FRAME_H
#define COMMON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tapdisk-message.h>

struct frame {
	uint16_t version;
	uint16_t header_len; /* bytes, as received */
	uint16_t type;       /* TAPDISK_FRAME_* */
	uint16_t flags;
	uint32_t length; /* bytes of attributes */
	uint64_t request_id;
	uint32_t minor; /* TAPDISK_FRAME_NO_MINOR: none */
	uint32_t error; /* errno, positive */
};

/* Decode the first TAPDISK_FRAME_HEADER bytes: 0, or -EINVAL for a magic or length that is wrong.
 */
int frame_decode(const uint8_t *raw, struct frame *frame);

/* ---- writing ----------------------------------------------------------------------------------
 */

/* A frame that grows.  at is owned: frame_writer_free.  Running out of memory is told at the end.
 */
struct frame_writer {
	uint8_t *at;
	size_t length; /* bytes */
	size_t room;
	bool failed;
};

void frame_begin(struct frame_writer *writer, const struct frame *frame);
void frame_put(struct frame_writer *writer, unsigned tag, const void *value, size_t length);
void frame_put_u32(struct frame_writer *writer, unsigned tag, uint32_t value);
void frame_put_u64(struct frame_writer *writer, unsigned tag, uint64_t value);
void frame_put_text(struct frame_writer *writer, unsigned tag, const char *text);

/* Pad with a PAD attribute until the whole frame has total bytes (a multiple of 8 away). */
void frame_pad_to(struct frame_writer *writer, size_t total);

/* What HELLO says for name, a client: a legacy tapdisk will answer that it knows no such message.
 */
void frame_put_hello(struct frame_writer *writer, const char *name);

/* Fill in the length.  Returns 0, or -ENOMEM, -EMSGSIZE beyond limit bytes of attributes. */
int frame_end(struct frame_writer *writer, size_t limit);
void frame_writer_free(struct frame_writer *writer);

/* ---- reading ----------------------------------------------------------------------------------
 */

struct frame_reader {
	const uint8_t *at; /* borrowed */
	size_t left;       /* bytes */
};

struct frame_attr {
	unsigned tag;
	bool critical;
	const uint8_t *value; /* borrowed */
	size_t length;        /* bytes */
};

/* The next attribute: 1, 0 at the end, -EINVAL when the bytes are not attributes. */
int frame_next(struct frame_reader *reader, struct frame_attr *attr);

/* The value of an attribute in the right form: 0 or -EINVAL. */
int frame_get_u32(const struct frame_attr *attr, uint32_t *value);
int frame_get_u64(const struct frame_attr *attr, uint64_t *value);

/* 1..4096 bytes without NUL or control characters, copied; *text is owned by the caller. */
int frame_get_text(const struct frame_attr *attr, char **text);

#endif
