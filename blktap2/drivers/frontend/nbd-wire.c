/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD messages to bytes and back, and the rules that a single request has to obey. */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"
#include "drivers/frontend/nbd-wire.h"

/* ---- handshake ---- */

int
nbd_get_option(const uint8_t raw[static NBD_OPTION_SIZE], struct nbd_option_header *header)
{
	if (get_be64(raw) != NBD_OPTION_MAGIC)
		return -EBADMSG;
	header->option = get_be32(raw + 8);
	header->length = get_be32(raw + 12);
	return 0;
}

int
nbd_get_info_request(const uint8_t *data, size_t length, struct nbd_info_request *request)
{
	struct nbd_info_request out;

	if (length < 6)
		return -EINVAL;
	out.name_length = get_be32(data);
	if (out.name_length > length - 6 || out.name_length > NBD_NAME_MAX)
		return -EINVAL;
	out.name = data + 4;
	out.count = get_be16(out.name + out.name_length);
	out.types = out.name + out.name_length + 2;
	if (length - 6 - out.name_length != (size_t)out.count * 2)
		return -EINVAL;
	*request = out;
	return 0;
}

int
nbd_get_meta_request(const uint8_t *data, size_t length, struct nbd_meta_request *request)
{
	struct nbd_meta_request out;
	const uint8_t *at;
	size_t left;
	uint32_t i, text;

	if (length < 8)
		return -EINVAL;
	out.name_length = get_be32(data);
	if (out.name_length > length - 8 || out.name_length > NBD_NAME_MAX)
		return -EINVAL;
	out.name = data + 4;
	out.count = get_be32(out.name + out.name_length);
	out.queries = out.name + out.name_length + 4;
	at = out.queries;
	left = length - 8 - out.name_length;
	for (i = 0; i < out.count; i++) {
		if (left < 4)
			return -EINVAL;
		text = get_be32(at);
		if (text > left - 4 || text > NBD_NAME_MAX)
			return -EINVAL;
		at += 4 + text;
		left -= 4 + text;
	}
	if (left)
		return -EINVAL;
	*request = out;
	return 0;
}

size_t
nbd_put_greeting(uint8_t *at)
{
	put_be64(at, NBD_INIT_MAGIC);
	put_be64(at + 8, NBD_OPTION_MAGIC);
	put_be16(at + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	return NBD_GREETING_SIZE;
}

size_t
nbd_put_oldstyle(uint8_t *at, uint64_t size, uint16_t flags)
{
	memset(at, 0, NBD_OLDSTYLE_SIZE);
	put_be64(at, NBD_INIT_MAGIC);
	put_be64(at + 8, NBD_OLDSTYLE_MAGIC);
	put_be64(at + 16, size);
	put_be32(at + 24, flags);
	return NBD_OLDSTYLE_SIZE;
}

size_t
nbd_put_export(uint8_t *at, uint64_t size, uint16_t flags, bool padding)
{
	put_be64(at, size);
	put_be16(at + 8, flags);
	if (!padding)
		return NBD_EXPORT_SIZE;
	memset(at + NBD_EXPORT_SIZE, 0, NBD_EXPORT_PADDING);
	return NBD_EXPORT_SIZE + NBD_EXPORT_PADDING;
}

size_t
nbd_put_option_reply(uint8_t *at, uint32_t option, uint32_t type, const void *data, uint32_t length)
{
	put_be64(at, NBD_OPTION_REPLY_MAGIC);
	put_be32(at + 8, option);
	put_be32(at + 12, type);
	put_be32(at + 16, length);
	if (length)
		memcpy(at + NBD_OPTION_REPLY_SIZE, data, length);
	return NBD_OPTION_REPLY_SIZE + length;
}

/* ---- requests ---- */

int
nbd_get_request(const uint8_t *raw, enum nbd_mode mode, struct nbd_request *request)
{
	uint32_t magic = mode == NBD_EXTENDED ? NBD_EXT_REQUEST_MAGIC : NBD_REQUEST_MAGIC;

	if (get_be32(raw) != magic)
		return -EBADMSG;
	request->flags = get_be16(raw + 4);
	request->type = get_be16(raw + 6);
	request->cookie = get_be64(raw + 8);
	request->offset = get_be64(raw + 16);
	request->length = mode == NBD_EXTENDED ? get_be64(raw + 24) : get_be32(raw + 24);
	return 0;
}

uint64_t
nbd_request_payload(const struct nbd_request *request, enum nbd_mode mode)
{
	if (mode == NBD_EXTENDED)
		return request->flags & NBD_CMD_FLAG_PAYLOAD_LEN ? request->length : 0;
	return request->type == NBD_CMD_WRITE ? request->length : 0;
}

/* FUA is taken on every command: some clients set it on reads and flushes. */
static uint16_t
flags_allowed(uint16_t type, enum nbd_mode mode)
{
	switch (type) {
	case NBD_CMD_READ:
		return NBD_CMD_FLAG_FUA | (mode == NBD_SIMPLE ? 0 : NBD_CMD_FLAG_DF);
	case NBD_CMD_WRITE:
		return NBD_CMD_FLAG_FUA | (mode == NBD_EXTENDED ? NBD_CMD_FLAG_PAYLOAD_LEN : 0);
	case NBD_CMD_WRITE_ZEROES:
		return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | NBD_CMD_FLAG_FAST_ZERO;
	case NBD_CMD_BLOCK_STATUS:
		return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE;
	default:
		return NBD_CMD_FLAG_FUA;
	}
}

static bool
modifies(uint16_t type)
{
	return type == NBD_CMD_WRITE || type == NBD_CMD_TRIM || type == NBD_CMD_WRITE_ZEROES;
}

uint32_t
nbd_request_error(const struct nbd_request *rq, const struct nbd_limits *limits)
{
	if (rq->type > NBD_CMD_BLOCK_STATUS ||
	    rq->flags & ~(unsigned)flags_allowed(rq->type, limits->mode))
		return NBD_EINVAL;
	if (limits->mode == NBD_EXTENDED && rq->type == NBD_CMD_WRITE &&
	    !(rq->flags & NBD_CMD_FLAG_PAYLOAD_LEN))
		return NBD_EINVAL;
	if (rq->type == NBD_CMD_FLUSH || rq->type == NBD_CMD_DISC)
		return 0;
	if (modifies(rq->type) && limits->read_only)
		return NBD_EPERM;
	if (rq->type == NBD_CMD_BLOCK_STATUS && (!limits->contexts || rq->length == 0))
		return NBD_EINVAL;
	if (!range_fits(rq->offset, rq->length, limits->size))
		return rq->type == NBD_CMD_WRITE || rq->type == NBD_CMD_WRITE_ZEROES ? NBD_ENOSPC
										     : NBD_EINVAL;
	if (rq->type == NBD_CMD_READ && rq->length > NBD_PAYLOAD_MAX)
		return limits->mode == NBD_SIMPLE ? NBD_EINVAL : NBD_EOVERFLOW;
	return 0;
}

/* ---- replies ---- */

uint32_t
nbd_error(int err)
{
	switch (-err) {
	case EPERM:
	case EROFS:
	case EACCES:
		return NBD_EPERM;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBD_ENOSPC;
	case EINVAL:
		return NBD_EINVAL;
	case ESHUTDOWN:
		return NBD_ESHUTDOWN;
	default:
		return NBD_EIO;
	}
}

static size_t
put_simple(uint8_t *at, const struct nbd_request *request, uint32_t error)
{
	put_be32(at, NBD_REPLY_MAGIC);
	put_be32(at + 4, error);
	put_be64(at + 8, request->cookie);
	return 16;
}

/* The head of the only, and so the last, chunk of a reply. */
static size_t
put_chunk(uint8_t *at, enum nbd_mode mode, const struct nbd_request *request, uint16_t type,
	  uint64_t length)
{
	put_be32(at, mode == NBD_EXTENDED ? NBD_EXT_CHUNK_MAGIC : NBD_CHUNK_MAGIC);
	put_be16(at + 4, NBD_CHUNK_DONE);
	put_be16(at + 6, type);
	put_be64(at + 8, request->cookie);
	if (mode != NBD_EXTENDED) {
		put_be32(at + 16, (uint32_t)length);
		return 20;
	}
	put_be64(at + 16, request->offset);
	put_be64(at + 24, length);
	return 32;
}

size_t
nbd_put_status(uint8_t *at, enum nbd_mode mode, const struct nbd_request *request, uint32_t error)
{
	bool chunk = request->type == NBD_CMD_READ || request->type == NBD_CMD_BLOCK_STATUS;
	size_t size;

	if (mode == NBD_SIMPLE || (mode == NBD_STRUCTURED && !chunk))
		return put_simple(at, request, error);
	if (!error)
		return put_chunk(at, mode, request, NBD_CHUNK_NONE, 0);
	size = put_chunk(at, mode, request, NBD_CHUNK_ERROR, 6);
	put_be32(at + size, error);
	put_be16(at + size + 4, 0); /* no message */
	return size + 6;
}

size_t
nbd_put_read(uint8_t *at, enum nbd_mode mode, const struct nbd_request *request)
{
	size_t size;

	if (mode == NBD_SIMPLE)
		return put_simple(at, request, 0);
	size = put_chunk(at, mode, request, NBD_CHUNK_OFFSET_DATA, 8 + request->length);
	put_be64(at + size, request->offset);
	return size + 8;
}

size_t
nbd_put_block_status(uint8_t *at, enum nbd_mode mode, const struct nbd_request *request,
		     uint32_t context, uint32_t extents)
{
	uint64_t bytes = (uint64_t)extents * nbd_extent_size(mode);
	size_t size;

	if (mode != NBD_EXTENDED) {
		size = put_chunk(at, mode, request, NBD_CHUNK_BLOCK_STATUS, 4 + bytes);
		put_be32(at + size, context);
		return size + 4;
	}
	size = put_chunk(at, mode, request, NBD_CHUNK_BLOCK_STATUS_EXT, 8 + bytes);
	put_be32(at + size, context);
	put_be32(at + size + 4, extents);
	return size + 8;
}

size_t
nbd_put_extent(uint8_t *at, enum nbd_mode mode, uint64_t length, uint32_t flags)
{
	if (mode == NBD_EXTENDED) {
		put_be64(at, length);
		put_be64(at + 8, flags);
	} else {
		put_be32(at, (uint32_t)length);
		put_be32(at + 4, flags);
	}
	return nbd_extent_size(mode);
}

size_t
nbd_extent_size(enum nbd_mode mode)
{
	return mode == NBD_EXTENDED ? 16 : 8;
}
