/* SPDX-License-Identifier: BSD-2-Clause */
/* Single messages: encoding, decoding, and which error a bad request gets. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "drivers/frontend/nbd-wire.h"

#define SIZE (1ull << 20) /* bytes of the export */

static const struct nbd_limits simple = { .mode = NBD_SIMPLE, .size = SIZE };
static const struct nbd_limits chunks = { .mode = NBD_STRUCTURED, .contexts = true, .size = SIZE };
static const struct nbd_limits extended = { .mode = NBD_EXTENDED, .contexts = true, .size = SIZE };
static const struct nbd_limits read_only = { .mode = NBD_SIMPLE, .read_only = true, .size = SIZE };
static const struct nbd_limits huge = { .mode = NBD_STRUCTURED, .size = 1ull << 40 };
static const struct nbd_limits huge_simple = { .mode = NBD_SIMPLE, .size = 1ull << 40 };

/* Every row: what is asked of whom, and the error. */
static const struct {
	const struct nbd_limits *limits;
	struct nbd_request request; /* flags, type, cookie, offset, length */
	uint32_t error;
} requests[] = {
	{ &simple, { 0, NBD_CMD_READ, 0, 0, SIZE }, 0 },
	{ &simple, { 0, NBD_CMD_READ, 0, SIZE - 1, 1 }, 0 },
	{ &simple, { 0, NBD_CMD_READ, 0, SIZE, 0 }, 0 },
	{ &simple, { 0, NBD_CMD_READ, 0, SIZE, 1 }, NBD_EINVAL },
	{ &simple, { 0, NBD_CMD_READ, 0, SIZE - 1, 2 }, NBD_EINVAL },
	{ &simple, { 0, NBD_CMD_READ, 0, UINT64_MAX, 1 }, NBD_EINVAL },
	{ &simple, { 0, NBD_CMD_READ, 0, UINT64_MAX, UINT32_MAX }, NBD_EINVAL },
	{ &simple, { 0, NBD_CMD_WRITE, 0, SIZE, 1 }, NBD_ENOSPC },
	{ &simple, { 0, NBD_CMD_WRITE, 0, UINT64_MAX, 512 }, NBD_ENOSPC },
	{ &simple, { 0, NBD_CMD_WRITE_ZEROES, 0, SIZE - 1, 2 }, NBD_ENOSPC },
	{ &simple, { 0, NBD_CMD_TRIM, 0, SIZE - 1, 2 }, NBD_EINVAL },
	{ &simple, { 0, NBD_CMD_CACHE, 0, SIZE - 1, 2 }, NBD_EINVAL },
	{ &simple, { 0, NBD_CMD_FLUSH, 0, 0, 0 }, 0 },
	{ &simple, { 0, NBD_CMD_BLOCK_STATUS, 0, 0, 512 }, NBD_EINVAL },
	{ &simple, { 0, 8, 0, 0, 0 }, NBD_EINVAL },
	{ &simple, { 0, UINT16_MAX, 0, 0, 0 }, NBD_EINVAL },
	/* FUA everywhere, other flags only where they belong. */
	{ &simple, { NBD_CMD_FLAG_FUA, NBD_CMD_READ, 0, 0, 512 }, 0 },
	{ &simple, { NBD_CMD_FLAG_FUA, NBD_CMD_FLUSH, 0, 0, 0 }, 0 },
	{ &simple, { NBD_CMD_FLAG_FUA, NBD_CMD_CACHE, 0, 0, 512 }, 0 },
	{ &simple, { NBD_CMD_FLAG_FUA, NBD_CMD_TRIM, 0, 0, 512 }, 0 },
	{ &simple, { NBD_CMD_FLAG_DF, NBD_CMD_READ, 0, 0, 512 }, NBD_EINVAL },
	{ &chunks, { NBD_CMD_FLAG_DF, NBD_CMD_READ, 0, 0, 512 }, 0 },
	{ &chunks, { NBD_CMD_FLAG_DF, NBD_CMD_WRITE, 0, 0, 512 }, NBD_EINVAL },
	{ &chunks, { NBD_CMD_FLAG_NO_HOLE, NBD_CMD_TRIM, 0, 0, 512 }, NBD_EINVAL },
	{ &chunks, { NBD_CMD_FLAG_NO_HOLE, NBD_CMD_WRITE_ZEROES, 0, 0, 512 }, 0 },
	{ &chunks, { NBD_CMD_FLAG_FAST_ZERO, NBD_CMD_WRITE_ZEROES, 0, 0, 512 }, 0 },
	{ &chunks, { NBD_CMD_FLAG_REQ_ONE, NBD_CMD_BLOCK_STATUS, 0, 0, 512 }, 0 },
	{ &chunks, { NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_WRITE, 0, 0, 512 }, NBD_EINVAL },
	{ &chunks, { 0x8000, NBD_CMD_READ, 0, 0, 512 }, NBD_EINVAL },
	{ &chunks, { 0, NBD_CMD_BLOCK_STATUS, 0, 0, 0 }, NBD_EINVAL },
	/* Read-only. */
	{ &read_only, { 0, NBD_CMD_READ, 0, 0, 512 }, 0 },
	{ &read_only, { 0, NBD_CMD_WRITE, 0, 0, 512 }, NBD_EPERM },
	{ &read_only, { 0, NBD_CMD_WRITE, 0, SIZE, 512 }, NBD_EPERM },
	{ &read_only, { 0, NBD_CMD_TRIM, 0, 0, 512 }, NBD_EPERM },
	{ &read_only, { 0, NBD_CMD_WRITE_ZEROES, 0, 0, 512 }, NBD_EPERM },
	{ &read_only, { 0, NBD_CMD_FLUSH, 0, 0, 0 }, 0 },
	/* Longer than we read at once; trims may be. */
	{ &huge_simple, { 0, NBD_CMD_READ, 0, 0, NBD_PAYLOAD_MAX }, 0 },
	{ &huge_simple, { 0, NBD_CMD_READ, 0, 0, NBD_PAYLOAD_MAX + 1 }, NBD_EINVAL },
	{ &huge, { 0, NBD_CMD_READ, 0, 0, NBD_PAYLOAD_MAX + 1 }, NBD_EOVERFLOW },
	{ &huge, { 0, NBD_CMD_TRIM, 0, 0, UINT32_MAX }, 0 },
	{ &huge, { 0, NBD_CMD_WRITE_ZEROES, 0, 0, UINT32_MAX }, 0 },
	/* Extended headers. */
	{ &extended, { NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_WRITE, 0, 0, 512 }, 0 },
	{ &extended, { 0, NBD_CMD_WRITE, 0, 0, 512 }, NBD_EINVAL },
	{ &extended, { NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_READ, 0, 0, 512 }, NBD_EINVAL },
	{ &extended, { NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_BLOCK_STATUS, 0, 0, 12 }, NBD_EINVAL },
};

START_TEST(request_errors)
{
	ck_assert_uint_eq(nbd_request_error(&requests[_i].request, requests[_i].limits),
			  requests[_i].error);
}
END_TEST

START_TEST(request_decoding)
{
	uint8_t raw[NBD_REQUEST_MAX];
	struct nbd_request request;

	put_be32(raw, NBD_REQUEST_MAGIC);
	put_be16(raw + 4, NBD_CMD_FLAG_FUA);
	put_be16(raw + 6, NBD_CMD_WRITE);
	put_be64(raw + 8, 0x1122334455667788);
	put_be64(raw + 16, 0x99AABBCCDDEEFF00);
	put_be32(raw + 24, 0x12345678);
	ck_assert_int_eq(nbd_get_request(raw, NBD_STRUCTURED, &request), 0);
	ck_assert_uint_eq(request.flags, NBD_CMD_FLAG_FUA);
	ck_assert_uint_eq(request.type, NBD_CMD_WRITE);
	ck_assert_uint_eq(request.cookie, 0x1122334455667788);
	ck_assert_uint_eq(request.offset, 0x99AABBCCDDEEFF00);
	ck_assert_uint_eq(request.length, 0x12345678);
	ck_assert_uint_eq(nbd_request_payload(&request, NBD_STRUCTURED), 0x12345678);
	ck_assert_int_eq(nbd_get_request(raw, NBD_EXTENDED, &request), -EBADMSG);

	put_be32(raw, NBD_EXT_REQUEST_MAGIC);
	put_be64(raw + 24, 1ull << 40);
	ck_assert_int_eq(nbd_get_request(raw, NBD_SIMPLE, &request), -EBADMSG);
	ck_assert_int_eq(nbd_get_request(raw, NBD_EXTENDED, &request), 0);
	ck_assert_uint_eq(request.length, 1ull << 40);
	ck_assert_uint_eq(nbd_request_payload(&request, NBD_EXTENDED), 0);
	request.flags = NBD_CMD_FLAG_PAYLOAD_LEN;
	ck_assert_uint_eq(nbd_request_payload(&request, NBD_EXTENDED), 1ull << 40);
}
END_TEST

START_TEST(errors_of_the_engine)
{
	ck_assert_uint_eq(nbd_error(-EROFS), NBD_EPERM);
	ck_assert_uint_eq(nbd_error(-EACCES), NBD_EPERM);
	ck_assert_uint_eq(nbd_error(-EFBIG), NBD_ENOSPC);
	ck_assert_uint_eq(nbd_error(-EDQUOT), NBD_ENOSPC);
	ck_assert_uint_eq(nbd_error(-EINVAL), NBD_EINVAL);
	ck_assert_uint_eq(nbd_error(-ESHUTDOWN), NBD_ESHUTDOWN);
	ck_assert_uint_eq(nbd_error(-EOPNOTSUPP), NBD_EIO);
	ck_assert_uint_eq(nbd_error(-ENOMEM), NBD_EIO);
	ck_assert_uint_eq(nbd_error(-4095), NBD_EIO);
}
END_TEST

START_TEST(replies)
{
	struct nbd_request read = { .type = NBD_CMD_READ, .cookie = 7, .offset = 512, .length = 9 };
	struct nbd_request write = { .type = NBD_CMD_WRITE, .cookie = 7, .offset = 512 };
	uint8_t raw[NBD_REPLY_HEAD_MAX];

	ck_assert_uint_eq(nbd_put_read(raw, NBD_SIMPLE, &read), 16);
	ck_assert_uint_eq(get_be32(raw), NBD_REPLY_MAGIC);
	ck_assert_uint_eq(nbd_put_read(raw, NBD_STRUCTURED, &read), 28);
	ck_assert_uint_eq(get_be32(raw), NBD_CHUNK_MAGIC);
	ck_assert_uint_eq(get_be16(raw + 4), NBD_CHUNK_DONE);
	ck_assert_uint_eq(get_be16(raw + 6), NBD_CHUNK_OFFSET_DATA);
	ck_assert_uint_eq(get_be32(raw + 16), 8 + 9);
	ck_assert_uint_eq(get_be64(raw + 20), 512);
	ck_assert_uint_eq(nbd_put_read(raw, NBD_EXTENDED, &read), 40);
	ck_assert_uint_eq(get_be64(raw + 24), 8 + 9);

	/* Errors of reads are chunks where replies are structured; writes are free to be simple. */
	ck_assert_uint_eq(nbd_put_status(raw, NBD_SIMPLE, &read, NBD_EIO), 16);
	ck_assert_uint_eq(nbd_put_status(raw, NBD_STRUCTURED, &read, NBD_EIO), 26);
	ck_assert_uint_eq(get_be16(raw + 6), NBD_CHUNK_ERROR);
	ck_assert_uint_eq(get_be32(raw + 20), NBD_EIO);
	ck_assert_uint_eq(nbd_put_status(raw, NBD_STRUCTURED, &read, 0), 20);
	ck_assert_uint_eq(get_be16(raw + 6), NBD_CHUNK_NONE);
	ck_assert_uint_eq(nbd_put_status(raw, NBD_STRUCTURED, &write, NBD_EIO), 16);
	ck_assert_uint_eq(nbd_put_status(raw, NBD_EXTENDED, &write, 0), 32);
	ck_assert_uint_eq(get_be32(raw), NBD_EXT_CHUNK_MAGIC);
	ck_assert_uint_eq(get_be64(raw + 16), 512);
	ck_assert_uint_eq(nbd_put_status(raw, NBD_EXTENDED, &write, NBD_EIO), 38);

	ck_assert_uint_eq(nbd_put_block_status(raw, NBD_STRUCTURED, &read, 1, 3), 24);
	ck_assert_uint_eq(get_be32(raw + 16), 4 + 3 * 8);
	ck_assert_uint_eq(nbd_put_block_status(raw, NBD_EXTENDED, &read, 1, 3), 40);
	ck_assert_uint_eq(get_be64(raw + 24), 8 + 3 * 16);
	ck_assert_uint_eq(get_be32(raw + 36), 3);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("nbd-wire");
	TCase *tcase = tcase_create("messages");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, request_errors, 0, sizeof(requests) / sizeof(requests[0]));
	tcase_add_test(tcase, request_decoding);
	tcase_add_test(tcase, errors_of_the_engine);
	tcase_add_test(tcase, replies);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
