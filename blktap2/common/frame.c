/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Encoding and decoding of frames.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/frame.h"

int
frame_decode(const uint8_t *raw, struct frame *frame)
{
	if (memcmp(raw, TAPDISK_FRAME_MAGIC, 4) != 0)
		return -EINVAL;
	*frame = (struct frame){
		.version = get_le16(raw + 4),
		.header_len = get_le16(raw + 6),
		.type = get_le16(raw + 8),
		.flags = get_le16(raw + 10),
		.length = get_le32(raw + 12),
		.request_id = get_le64(raw + 16),
		.minor = get_le32(raw + 24),
		.error = get_le32(raw + 28),
	};
	if (frame->header_len < TAPDISK_FRAME_HEADER ||
	    frame->header_len > TAPDISK_FRAME_MAX_HEADER)
		return -EINVAL;
	return 0;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Room for length more bytes, zeroed and counted; NULL when memory is short. */
static uint8_t *
extend(struct frame_writer *writer, size_t length)
{
	size_t room = writer->room ? writer->room : 256;
	uint8_t *at;

	if (writer->failed)
		return NULL;
	while (room - writer->length < length)
		room *= 2;
	if (room != writer->room) {
		at = realloc(writer->at, room);
		if (!at) {
			writer->failed = true;
			return NULL;
		}
		writer->at = at;
		writer->room = room;
	}
	at = writer->at + writer->length;
	memset(at, 0, length);
	writer->length += length;
	return at;
}

void
frame_begin(struct frame_writer *writer, const struct frame *frame)
{
	uint8_t *raw;

	*writer = (struct frame_writer){ 0 };
	raw = extend(writer, TAPDISK_FRAME_HEADER);
	if (!raw)
		return;
	memcpy(raw, TAPDISK_FRAME_MAGIC, 4);
	put_le16(raw + 4, frame->version);
	put_le16(raw + 6, TAPDISK_FRAME_HEADER);
	put_le16(raw + 8, frame->type);
	put_le16(raw + 10, frame->flags);
	put_le64(raw + 16, frame->request_id);
	put_le32(raw + 24, frame->minor);
	put_le32(raw + 28, frame->error);
}

static size_t
padded(size_t length)
{
	return (length + 7) & ~(size_t)7;
}

void
frame_put(struct frame_writer *writer, unsigned tag, const void *value, size_t length)
{
	uint8_t *raw = extend(writer, TAPDISK_ATTR_HEADER + padded(length));

	if (!raw)
		return;
	put_le16(raw, (uint16_t)tag);
	put_le32(raw + 4, (uint32_t)length);
	if (length)
		memcpy(raw + TAPDISK_ATTR_HEADER, value, length);
}

void
frame_put_u32(struct frame_writer *writer, unsigned tag, uint32_t value)
{
	uint8_t raw[4];

	put_le32(raw, value);
	frame_put(writer, tag, raw, sizeof(raw));
}

void
frame_put_u64(struct frame_writer *writer, unsigned tag, uint64_t value)
{
	uint8_t raw[8];

	put_le64(raw, value);
	frame_put(writer, tag, raw, sizeof(raw));
}

void
frame_put_text(struct frame_writer *writer, unsigned tag, const char *text)
{
	frame_put(writer, tag, text, strlen(text));
}

void
frame_pad_to(struct frame_writer *writer, size_t total)
{
	size_t gap = total > writer->length ? total - writer->length : 0;
	uint8_t *raw;

	if (gap < TAPDISK_ATTR_HEADER || gap % 8)
		return;
	raw = extend(writer, gap);
	if (!raw)
		return;
	put_le16(raw, TAPDISK_ATTR_PAD);
	put_le32(raw + 4, (uint32_t)(gap - TAPDISK_ATTR_HEADER));
}

void
frame_put_hello(struct frame_writer *writer, const char *name)
{
	frame_put_u32(writer, TAPDISK_ATTR_VERSION_MIN, TAPDISK_FRAME_VERSION);
	frame_put_u32(writer, TAPDISK_ATTR_VERSION_MAX, TAPDISK_FRAME_VERSION);
	frame_put_text(writer, TAPDISK_ATTR_NAME, name);
	frame_put_u64(writer, TAPDISK_ATTR_FEATURES, 0);
	/* Who knows legacy messages only takes it for a whole one, and says that it is none. */
	frame_pad_to(writer, TAPDISK_MESSAGE_SIZE);
}

int
frame_end(struct frame_writer *writer, size_t limit)
{
	size_t length;

	if (writer->failed)
		return -ENOMEM;
	length = writer->length - TAPDISK_FRAME_HEADER;
	if (length > limit)
		return -EMSGSIZE;
	put_le32(writer->at + 12, (uint32_t)length);
	return 0;
}

void
frame_writer_free(struct frame_writer *writer)
{
	/* A key may have been in it. */
	if (writer->at)
		explicit_bzero(writer->at, writer->length);
	free(writer->at);
	*writer = (struct frame_writer){ 0 };
}

/* ---- reading ----------------------------------------------------------------------------------
 */

int
frame_next(struct frame_reader *reader, struct frame_attr *attr)
{
	size_t length;

	if (!reader->left)
		return 0;
	if (reader->left < TAPDISK_ATTR_HEADER)
		return -EINVAL;
	length = get_le32(reader->at + 4);
	if (length > reader->left - TAPDISK_ATTR_HEADER)
		return -EINVAL;
	if (padded(length) > reader->left - TAPDISK_ATTR_HEADER)
		return -EINVAL;
	attr->tag = get_le16(reader->at);
	attr->critical = get_le16(reader->at + 2) & TAPDISK_ATTR_CRITICAL;
	attr->value = reader->at + TAPDISK_ATTR_HEADER;
	attr->length = length;
	reader->at += TAPDISK_ATTR_HEADER + padded(length);
	reader->left -= TAPDISK_ATTR_HEADER + padded(length);
	return 1;
}

int
frame_get_u32(const struct frame_attr *attr, uint32_t *value)
{
	if (attr->length != 4)
		return -EINVAL;
	*value = get_le32(attr->value);
	return 0;
}

int
frame_get_u64(const struct frame_attr *attr, uint64_t *value)
{
	if (attr->length != 8)
		return -EINVAL;
	*value = get_le64(attr->value);
	return 0;
}

int
frame_get_text(const struct frame_attr *attr, char **out)
{
	char *text;
	size_t i;

	if (!attr->length || attr->length > TAPDISK_FRAME_MAX_STRING)
		return -EINVAL;
	for (i = 0; i < attr->length; i++)
		if (attr->value[i] < 0x20 || attr->value[i] == 0x7f)
			return -EINVAL;
	text = strndup((const char *)attr->value, attr->length);
	if (!text)
		return -ENOMEM;
	*out = text;
	return 0;
}
