/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks and requests in the words of ublk. */
#include <errno.h>
#include <string.h>

#include <check.h>

#include "drivers/frontend/ublk-request.h"

START_TEST(commands_have_the_numbers_of_the_kernel)
{
	ck_assert_uint_eq(UBLK_ADD_DEV, 0xc0207504);
	ck_assert_uint_eq(UBLK_DEL_DEV, 0xc0207505);
	ck_assert_uint_eq(UBLK_START_DEV, 0xc0207506);
	ck_assert_uint_eq(UBLK_STOP_DEV, 0xc0207507);
	ck_assert_uint_eq(UBLK_SET_PARAMS, 0xc0207508);
	ck_assert_uint_eq(UBLK_GET_INFO, 0x80207502);
	ck_assert_uint_eq(UBLK_DEL_DEV_ASYNC, 0x80207514);
	ck_assert_uint_eq(UBLK_FETCH, 0xc0107520);
	ck_assert_uint_eq(UBLK_ANSWER_AND_FETCH, 0xc0107521);
}
END_TEST

START_TEST(a_disk_is_described)
{
	struct ublk_disk disk = { .sectors = 2048, .sector_size = 512, .can_discard = true };
	struct ublk_params params;

	ublk_describe(&disk, &params);
	ck_assert_uint_eq(params.length, 64);
	ck_assert_uint_eq(params.types, UBLK_PARAM_BASIC | UBLK_PARAM_DISCARD);
	ck_assert_uint_eq(params.basic.attributes, UBLK_VOLATILE_CACHE | UBLK_FUA);
	ck_assert_uint_eq(params.basic.logical_shift, 9);
	ck_assert_uint_eq(params.basic.physical_shift, 12);
	ck_assert_uint_eq(params.basic.sectors, 2048);
	ck_assert_uint_eq(params.basic.request_sectors, UBLK_REQUEST_BYTES / 512);
	ck_assert_uint_gt(params.discard.discard_sectors, 0);
	ck_assert_uint_gt(params.discard.zero_sectors, 0);
	ck_assert_uint_eq(params.discard.segments, 1);

	disk.can_discard = false;
	disk.sector_size = 4096;
	ublk_describe(&disk, &params);
	ck_assert_uint_eq(params.basic.logical_shift, 12);
	ck_assert_uint_eq(params.discard.discard_sectors, 0);
	ck_assert_uint_gt(params.discard.granularity, 0);

	disk.read_only = true;
	ublk_describe(&disk, &params);
	ck_assert_uint_eq(params.types, UBLK_PARAM_BASIC);
	ck_assert_uint_eq(params.basic.attributes, UBLK_READ_ONLY);
}
END_TEST

static int
translate(uint32_t op_flags, uint32_t sectors, struct vbd_request *out)
{
	static char buffer[UBLK_REQUEST_BYTES];
	static struct iovec iov;
	const struct ublk_request request = { .op_flags = op_flags,
					      .sectors = sectors,
					      .sector = 8 };

	memset(out, 0, sizeof(*out));
	return ublk_translate(&request, buffer, &iov, out);
}

START_TEST(requests_are_translated)
{
	struct vbd_request out;

	ck_assert_int_eq(translate(UBLK_OP_READ, 4, &out), 0);
	ck_assert_int_eq(out.op, TD_OP_READ);
	ck_assert_uint_eq(out.sector, 8);
	ck_assert_uint_eq(out.sectors, 4);
	ck_assert_int_eq(out.iovcnt, 1);
	ck_assert_uint_eq(out.iov->iov_len, 2048);
	ck_assert_int_eq(ublk_result(&out, 0), 2048);
	ck_assert_int_eq(ublk_result(&out, -EIO), -EIO);

	ck_assert_int_eq(translate(UBLK_OP_WRITE | UBLK_REQUEST_FUA, 1, &out), 0);
	ck_assert_int_eq(out.op, TD_OP_WRITE);
	ck_assert_uint_eq(out.flags, TD_REQ_FUA);

	ck_assert_int_eq(translate(UBLK_OP_FLUSH, 0, &out), 0);
	ck_assert_int_eq(out.op, TD_OP_FLUSH);
	ck_assert_uint_eq(out.sectors, 0);
	ck_assert_int_eq(ublk_result(&out, 0), 0);

	ck_assert_int_eq(translate(UBLK_OP_DISCARD, 1 << 20, &out), 0);
	ck_assert_int_eq(out.op, TD_OP_DISCARD);
	ck_assert_uint_eq(out.sectors, 1 << 20);

	ck_assert_int_eq(translate(UBLK_OP_WRITE_ZEROES | UBLK_REQUEST_NO_UNMAP, 16, &out), 0);
	ck_assert_int_eq(out.op, TD_OP_WRITE_ZEROES);
	ck_assert_uint_eq(out.flags, TD_REQ_NO_UNMAP);
	ck_assert_int_eq(out.iovcnt, 0);
}
END_TEST

/* Words that the kernel's driver makes: its flags begin at bit 8, and are not moved there. */
START_TEST(flags_are_where_the_kernel_has_them)
{
	struct vbd_request out;

	ck_assert_int_eq(translate(0x2001, 1, &out), 0); /* FUA */
	ck_assert_int_eq(out.op, TD_OP_WRITE);
	ck_assert_uint_eq(out.flags, TD_REQ_FUA);
	ck_assert_int_eq(translate(0x8005, 1, &out), 0); /* NOUNMAP */
	ck_assert_int_eq(out.op, TD_OP_WRITE_ZEROES);
	ck_assert_uint_eq(out.flags, TD_REQ_NO_UNMAP);
	ck_assert_int_eq(translate(0x15f01, 1, &out), 0); /* all others */
	ck_assert_uint_eq(out.flags, 0);
	ck_assert_int_eq(translate(0x2000, 1, &out), 0); /* a read has nothing to make durable */
	ck_assert_uint_eq(out.flags, 0);
}
END_TEST

START_TEST(what_was_not_offered_is_refused)
{
	struct vbd_request out;
	uint32_t op;

	for (op = 0; op < 256; op++)
		if (op == 4 || op > UBLK_OP_WRITE_ZEROES)
			ck_assert_int_eq(translate(op, 1, &out), -EOPNOTSUPP);
	ck_assert_int_eq(translate(UBLK_OP_READ, UBLK_REQUEST_BYTES / 512, &out), 0);
	ck_assert_int_eq(translate(UBLK_OP_READ, UBLK_REQUEST_BYTES / 512 + 1, &out), -EINVAL);
	ck_assert_int_eq(translate(UBLK_OP_WRITE, UINT32_MAX, &out), -EINVAL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("ublk-request");
	TCase *tcase = tcase_create("words");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, commands_have_the_numbers_of_the_kernel);
	tcase_add_test(tcase, a_disk_is_described);
	tcase_add_test(tcase, requests_are_translated);
	tcase_add_test(tcase, flags_are_where_the_kernel_has_them);
	tcase_add_test(tcase, what_was_not_offered_is_refused);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
