/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NBD protocol on the wire: its numbers, and the encoding and decoding of single messages.
 *
 * Pure functions over bytes: no I/O, no state, no allocation.  All integers are big-endian.
 */
#ifndef FRONTEND_NBD_WIRE_H
#define FRONTEND_NBD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- magics ---- */

#define NBD_INIT_MAGIC 0x4E42444D41474943ull /* "NBDMAGIC" */
#define NBD_OLDSTYLE_MAGIC 0x0000420281861253ull
#define NBD_OPTION_MAGIC 0x49484156454F5054ull /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC 0x0003E889045565A9ull
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_REPLY_MAGIC 0x67446698u
#define NBD_CHUNK_MAGIC 0x668E33EFu
#define NBD_EXT_REQUEST_MAGIC 0x21E41C71u
#define NBD_EXT_CHUNK_MAGIC 0x6E8A278Cu

/* ---- handshake ---- */

#define NBD_FLAG_FIXED_NEWSTYLE 0x1u
#define NBD_FLAG_NO_ZEROES 0x2u

enum nbd_option {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
	NBD_OPT_STRUCTURED_REPLY = 8,
	NBD_OPT_LIST_META_CONTEXT = 9,
	NBD_OPT_SET_META_CONTEXT = 10,
	NBD_OPT_EXTENDED_HEADERS = 11,
};

#define NBD_REP_ACK 1u
#define NBD_REP_SERVER 2u
#define NBD_REP_INFO 3u
#define NBD_REP_META_CONTEXT 4u
#define NBD_REP_ERR_UNSUP 0x80000001u
#define NBD_REP_ERR_INVALID 0x80000003u
#define NBD_REP_ERR_TOO_BIG 0x80000009u
#define NBD_REP_ERR_EXT_HEADER_REQD 0x8000000Au

#define NBD_INFO_EXPORT 0u
#define NBD_INFO_NAME 1u
#define NBD_INFO_BLOCK_SIZE 3u

/* Transmission flags. */
#define NBD_FLAG_HAS_FLAGS 0x001u
#define NBD_FLAG_READ_ONLY 0x002u
#define NBD_FLAG_SEND_FLUSH 0x004u
#define NBD_FLAG_SEND_FUA 0x008u
#define NBD_FLAG_SEND_TRIM 0x020u
#define NBD_FLAG_SEND_WRITE_ZEROES 0x040u
#define NBD_FLAG_SEND_DF 0x080u
#define NBD_FLAG_CAN_MULTI_CONN 0x100u
#define NBD_FLAG_SEND_CACHE 0x400u
#define NBD_FLAG_SEND_FAST_ZERO 0x800u

/* Sizes in bytes. */
#define NBD_GREETING_SIZE 18
#define NBD_OLDSTYLE_SIZE 152
#define NBD_CLIENT_FLAGS_SIZE 4
#define NBD_OPTION_SIZE 16 /* header of an option */
#define NBD_OPTION_REPLY_SIZE 20
#define NBD_EXPORT_SIZE 10 /* answer to EXPORT_NAME, without its padding */
#define NBD_EXPORT_PADDING 124
#define NBD_NAME_MAX 4096

struct nbd_option_header {
	uint32_t option;
	uint32_t length;
};

/* 0, or -EBADMSG: not an option. */
int nbd_get_option(const uint8_t raw[static NBD_OPTION_SIZE], struct nbd_option_header *header);

/* The data of INFO and GO; all parts are borrowed from the message. */
struct nbd_info_request {
	const uint8_t *name;
	uint32_t name_length;
	const uint8_t *types; /* count big-endian u16 */
	uint16_t count;
};

/* 0, or -EINVAL: the lengths do not add up, or the name is too long. */
int nbd_get_info_request(const uint8_t *data, size_t length, struct nbd_info_request *request);

/* The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
struct nbd_meta_request {
	const uint8_t *name;
	uint32_t name_length;
	uint32_t count;
	const uint8_t *queries; /* count times u32 length, text: well-formed */
};

int nbd_get_meta_request(const uint8_t *data, size_t length, struct nbd_meta_request *request);

/* Each puts one message at *at* and returns its size. */
size_t nbd_put_greeting(uint8_t *at);
size_t nbd_put_oldstyle(uint8_t *at, uint64_t size, uint16_t flags);
size_t nbd_put_export(uint8_t *at, uint64_t size, uint16_t flags, bool padding);
size_t nbd_put_option_reply(uint8_t *at, uint32_t option, uint32_t type, const void *data,
			    uint32_t length);

/* ---- transmission ---- */

/* How replies look, and with NBD_EXTENDED also requests. */
enum nbd_mode { NBD_SIMPLE, NBD_STRUCTURED, NBD_EXTENDED };

enum nbd_command {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_CACHE = 5,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};

#define NBD_CMD_FLAG_FUA 0x01u
#define NBD_CMD_FLAG_NO_HOLE 0x02u
#define NBD_CMD_FLAG_DF 0x04u
#define NBD_CMD_FLAG_REQ_ONE 0x08u
#define NBD_CMD_FLAG_FAST_ZERO 0x10u
#define NBD_CMD_FLAG_PAYLOAD_LEN 0x20u

#define NBD_CHUNK_DONE 0x1u

#define NBD_CHUNK_NONE 0u
#define NBD_CHUNK_OFFSET_DATA 1u
#define NBD_CHUNK_BLOCK_STATUS 5u
#define NBD_CHUNK_BLOCK_STATUS_EXT 6u
#define NBD_CHUNK_ERROR 0x8001u

#define NBD_STATE_HOLE 0x1u
#define NBD_STATE_ZERO 0x2u

#define NBD_EPERM 1u
#define NBD_EIO 5u
#define NBD_EINVAL 22u
#define NBD_ENOSPC 28u
#define NBD_EOVERFLOW 75u
#define NBD_ENOTSUP 95u
#define NBD_ESHUTDOWN 108u

#define NBD_REQUEST_SIZE 28
#define NBD_EXT_REQUEST_SIZE 32
#define NBD_REQUEST_MAX 32    /* the larger of both */
#define NBD_REPLY_HEAD_MAX 48 /* any reply without its data */

#define NBD_PAYLOAD_MAX (32u * 1024 * 1024) /* bytes of a read or write, as we advertise */

struct nbd_request {
	uint16_t flags;
	uint16_t type;
	uint64_t cookie; /* as it came, to be echoed */
	uint64_t offset; /* bytes */
	uint64_t length; /* bytes */
};

static inline size_t
nbd_request_size(enum nbd_mode mode)
{
	return mode == NBD_EXTENDED ? NBD_EXT_REQUEST_SIZE : NBD_REQUEST_SIZE;
}

/* Decode nbd_request_size(mode) bytes: 0, or -EBADMSG when it is no request of this mode. */
int nbd_get_request(const uint8_t *raw, enum nbd_mode mode, struct nbd_request *request);

/* How many bytes follow the request. */
uint64_t nbd_request_payload(const struct nbd_request *request, enum nbd_mode mode);

/* What a connection and its export allow. */
struct nbd_limits {
	enum nbd_mode mode;
	bool contexts; /* base:allocation was selected */
	bool read_only;
	uint64_t size; /* bytes */
};

/* What is wrong with the request: an NBD error number, or 0. */
uint32_t nbd_request_error(const struct nbd_request *request, const struct nbd_limits *limits);

/* The NBD error number for a -errno of the engine (never 0; ENOTSUP is left to the caller). */
uint32_t nbd_error(int err);

/* Each puts one message without the data that follow it, and returns its size. */
size_t nbd_put_status(uint8_t *at, enum nbd_mode mode, const struct nbd_request *request,
		      uint32_t error);
size_t nbd_put_read(uint8_t *at, enum nbd_mode mode, const struct nbd_request *request);
size_t nbd_put_block_status(uint8_t *at, enum nbd_mode mode, const struct nbd_request *request,
			    uint32_t context, uint32_t extents);

/* One extent of a block status; flags are NBD_STATE_*.  A compact length is below 4 GiB. */
size_t nbd_put_extent(uint8_t *at, enum nbd_mode mode, uint64_t length, uint32_t flags);
size_t nbd_extent_size(enum nbd_mode mode);

#endif
