/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An image that has entries for more blocks than its disk needs grows while it is written to; both
 * footers say so after the next flush.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/io.h"
#include "drivers/core/loop.h"
#include "tests/driver-kit/kit.h"
#include "tests/driver-kit/make-vhd.h"
#include "vhd/lib/image.h"

static struct kit kit;

static void
check_image(uint64_t sectors)
{
	struct vhd_image image;
	struct reason why;
	struct io *io;

	ck_assert_int_eq(io_file_open(kit.image, 0, &io), 0);
	ck_assert_msg(vhd_image_read(io, 0, &image, &why) == 0, "%s", why.text);
	io_close(io);
	ck_assert_uint_eq(image.sectors, sectors);
	ck_assert_int_eq(image.footers, VHD_FOOTERS_GOOD);
}

START_TEST(test_growing)
{
	struct make_vhd how = { .type = VHD_TYPE_DYNAMIC,
				.sectors = KIT_SECTORS,
				.block_size = 65536,
				.entries = 2 * KIT_SECTORS / 128,
				.batmap = true };
	struct kit_request *flight[8];
	uint64_t i;

	kit_choose(&kit, "vhd");
	kit.seed = 1;
	kit_begin(&kit);
	ck_assert_int_eq(make_vhd(kit.image, &how, NULL), 0);
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	if (_i)
		ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 100, 5000, 3), 0);
	for (i = 0; i < 8; i++)
		flight[i] = kit_submit(&kit, TD_OP_WRITE, 1000 * i, 700, 9);
	ck_assert_int_eq(vbd_resize(kit.vbd, 2ull * KIT_SECTORS + 1), -EOPNOTSUPP);
	for (i = 0; i < 8; i++) {
		ck_assert_int_eq(kit_wait(&kit, flight[i]), 0);
		kit_request_free(flight[i]);
		memset(kit.model + 1000 * i * 512, 9, (size_t)700 * 512);
	}
	ck_assert_int_eq(vbd_resize(kit.vbd, 2ull * KIT_SECTORS), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_FLUSH, 0, 0, 0), 0);
	check_image(2ull * KIT_SECTORS);
	ck_assert_int_eq(kit_probe_far(&kit, 2ull * KIT_SECTORS - 8), 0);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);
	check_image(2ull * KIT_SECTORS);
	kit_end(&kit);
	free(kit.types);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("growing");
	Suite *suite = suite_create("vhd resize");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, test_growing, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
