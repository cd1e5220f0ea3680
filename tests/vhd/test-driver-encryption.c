/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Encrypted images: with their key they are disks like any other, without it they are not opened,
 * and the file shows nothing of what was written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/io.h"
#include "drivers/core/loop.h"
#include "drivers/tapdisk-disktype.h"
#include "tests/driver-kit/kit.h"
#include "tests/driver-kit/make-vhd.h"
#include "vhd/lib/crypt.h"

static struct kit kit;
static uint8_t key[64];

static void
ended(void *arg, int err, const char *why)
{
	int *result = arg;

	(void)why;
	*result = err;
}

static int
open_with(const uint8_t *with, size_t bytes)
{
	struct vbd_options options = { .params = kit.params, .key = with, .key_len = bytes };
	int result = 1;

	vbd_open(kit.vbd, &options, ended, &result);
	while (result > 0)
		loop_turn(tapdisk_server_loop(kit.server), 0);
	return result;
}

/* 512 bytes that are all the same are nowhere in the image, but for zeroes and the tables' 0xFF. */
static void
check_nothing_shows(void)
{
	uint8_t sector[512];
	uint64_t bytes, at;
	struct io *io;
	int i;

	ck_assert_int_eq(io_file_open(kit.image, 0, &io), 0);
	ck_assert_int_eq(io_size(io, &bytes), 0);
	for (at = 0; at < bytes; at += sizeof(sector)) {
		ck_assert_int_eq(io_read_at(io, sector, sizeof(sector), at), 0);
		for (i = 1; i < 512 && sector[i] == sector[0]; i++)
			;
		ck_assert_msg(i < 512 || !sector[0] || sector[0] == 0xFF, "plain text at %llu",
			      (unsigned long long)at);
	}
	io_close(io);
}

static void
make_encrypted(size_t bytes)
{
	struct vhd_keyhash hash = { .cookie = 1 };
	struct make_vhd how = { .type = VHD_TYPE_DYNAMIC,
				.sectors = KIT_SECTORS,
				.block_size = 65536,
				.batmap = true,
				.key = &hash };
	size_t i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(7 * i + 1);
	ck_assert_int_eq(vhd_key_hash(hash.nonce, key, bytes, hash.hash), 0);
	ck_assert_int_eq(make_vhd(kit.image, &how, NULL), 0);
}

START_TEST(test_encrypted_disk)
{
	size_t bytes = _i ? 64 : 32;
	int i;

	kit.types = tapdisk_disktype_table();
	for (kit.type = kit.types; strcmp(kit.type->handle, "vhd") != 0; kit.type++)
		;
	kit.seed = 1;
	kit_begin(&kit);
	make_encrypted(bytes);
	ck_assert_int_eq(kit_open(&kit, 0), -EKEYREJECTED);
	key[3] ^= 1;
	ck_assert_int_eq(open_with(key, bytes), -EKEYREJECTED);
	key[3] ^= 1;

	ck_assert_int_eq(open_with(key, bytes), 0);
	kit.sectors = vbd_sectors(kit.vbd);
	for (i = 0; i < 60; i++) {
		uint64_t sector = kit_random(&kit, kit.sectors - 300);

		ck_assert_int_eq(kit_run(&kit, i % 5 ? TD_OP_WRITE : TD_OP_WRITE_ZEROES, sector,
					 1 + kit_random(&kit, 300), (uint8_t)(1 + i)),
				 0);
	}
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);
	check_nothing_shows();
	ck_assert_int_eq(open_with(key, bytes), 0);
	ck_assert_msg(kit_matches(&kit), "opened again: %s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);

	/* A key for an image that is clear is a mistake, too. */
	kit_make_image(&kit);
	ck_assert_int_eq(open_with(key, bytes), -EKEYREJECTED);
	kit_end(&kit);
	free(kit.types);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("disks");
	Suite *suite = suite_create("vhd encryption");
	struct vhd_keyhash hash = { .cookie = 0 };
	SRunner *runner;
	int failed;

	if (vhd_key_hash(hash.nonce, key, 32, hash.hash) == -ENOSYS) {
		fprintf(stderr, "skipped: built without libcrypto\n");
		return 77;
	}
	tcase_add_loop_test(tcase, test_encrypted_disk, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
