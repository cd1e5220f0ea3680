/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Encrypted images: with their key they are disks like any other, without it they are not opened,
 * and the file shows nothing of what was written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include <check.h>

#include "common/io.h"
#include "drivers/core/loop.h"
#include "tests/driver-kit/kit.h"
#include "tests/driver-kit/make-vhd.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/crypt.h"

#define XATTR_KEYHASH "user.com.citrix.xenclient.backend.keyhash"

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

struct shape {
	size_t key_bytes;
	uint32_t type;
	bool batmap; /* else an attribute of the file has the key hash */
	uint32_t block_size;
};

static const struct shape shapes[] = {
	{ 32, VHD_TYPE_DYNAMIC, true, 65536 },
	{ 64, VHD_TYPE_DYNAMIC, true, 2097152 },
	{ 64, VHD_TYPE_DYNAMIC, false, 65536 },
	{ 32, VHD_TYPE_FIXED, false, 0 },
};

/* False: the file system has no attributes. */
static bool
put_attribute(const struct vhd_keyhash *hash, size_t bytes)
{
	uint8_t raw[VHD_KEYHASH_BYTES];

	vhd_keyhash_pack(hash, raw);
	if (setxattr(kit.image, XATTR_KEYHASH, raw, bytes, 0) == 0)
		return true;
	ck_assert_int_eq(errno, EOPNOTSUPP);
	return false;
}

static bool
make_encrypted(const struct shape *shape)
{
	struct vhd_keyhash hash = { .cookie = 1 };
	struct make_vhd how = { .type = shape->type,
				.sectors = KIT_SECTORS,
				.block_size = shape->block_size,
				.batmap = shape->batmap,
				.key = shape->batmap ? &hash : NULL };
	size_t i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(7 * i + 1);
	ck_assert_int_eq(vhd_key_hash(hash.nonce, key, shape->key_bytes, hash.hash), 0);
	ck_assert_int_eq(make_vhd(kit.image, &how, NULL), 0);
	return shape->batmap || put_attribute(&hash, VHD_KEYHASH_BYTES);
}

static void
begin(void)
{
	kit_choose(&kit, "vhd");
	kit.seed = 1;
	kit_begin(&kit);
}

static void
end(void)
{
	kit_end(&kit);
	free(kit.types);
}

/* A hole of a fixed image decrypts to noise: it is not called zero.  Then all of it is written. */
static void
fill_fixed(void)
{
	struct vbd_extents extents = { 0 };
	uint64_t sector;

	ck_assert_int_eq(kit_status(&kit, &extents), 0);
	ck_assert_uint_eq(extents.count, 1);
	ck_assert_int_eq(extents.at[0].status, TD_BLOCK_STATE_NONE);
	free(extents.at);
	for (sector = 0; sector < kit.sectors; sector += 256)
		ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, sector, 256, 0x55), 0);
}

static void
use_disk(bool is_fixed)
{
	uint64_t sector;
	int i;

	kit.sectors = vbd_sectors(kit.vbd);
	if (is_fixed)
		fill_fixed();
	for (i = 0; i < 60; i++) {
		sector = kit_random(&kit, kit.sectors - 300);
		ck_assert_int_eq(kit_run(&kit, i % 5 ? TD_OP_WRITE : TD_OP_WRITE_ZEROES, sector,
					 1 + kit_random(&kit, 300), (uint8_t)(1 + i)),
				 0);
	}
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
}

START_TEST(test_encrypted_disk)
{
	const struct shape *shape = &shapes[_i];
	size_t bytes = shape->key_bytes;

	begin();
	if (!make_encrypted(shape)) {
		end();
		return;
	}
	ck_assert_int_eq(kit_open(&kit, 0), -EKEYREJECTED);
	key[3] ^= 1;
	ck_assert_int_eq(open_with(key, bytes), -EKEYREJECTED);
	key[3] ^= 1;

	ck_assert_int_eq(open_with(key, bytes), 0);
	use_disk(shape->type == VHD_TYPE_FIXED);
	ck_assert_int_eq(kit_close(&kit), 0);
	check_nothing_shows();
	ck_assert_int_eq(open_with(key, bytes), 0);
	ck_assert_msg(kit_matches(&kit), "opened again: %s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);

	/* A key for an image that is clear is a mistake, too. */
	ck_assert_int_eq(remove(kit.image), 0);
	kit_make_image(&kit);
	ck_assert_int_eq(open_with(key, bytes), -EKEYREJECTED);
	end();
}
END_TEST

/* A large piece is work for a worker, a small one is not; without a worker both are done as well.
 */
START_TEST(test_workers)
{
	long works;

	begin();
	ck_assert(make_encrypted(&shapes[1]));
	ck_assert_int_eq(open_with(key, shapes[1].key_bytes), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 0, 8, 1), 0);
	works = kit_control(&kit)->works;
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 128, 128, 2), 0);
	ck_assert_int_eq(kit_run(&kit, TD_OP_READ, 128, 128, 0), 0);
	ck_assert_int_eq(kit_control(&kit)->works, works);
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 512, 136, 3), 0);
	ck_assert_int_eq(kit_control(&kit)->works, works + 1);
	ck_assert_int_eq(kit_run(&kit, TD_OP_READ, 512, 136, 0), 0);
	ck_assert_int_eq(kit_control(&kit)->works, works + 2);
	kit_control(&kit)->out_of_work = 20;
	ck_assert_int_eq(kit_run(&kit, TD_OP_WRITE, 400, 1000, 4), 0);
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_int_lt(kit_control(&kit)->out_of_work, 19);
	kit_control(&kit)->out_of_work = 0;
	ck_assert_msg(kit_matches(&kit), "%s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);
	end();
}
END_TEST

/* Whatever the attribute holds: without a proper key nothing is served. */
START_TEST(test_broken_attribute)
{
	struct make_vhd how = { .type = VHD_TYPE_DYNAMIC,
				.sectors = KIT_SECTORS,
				.block_size = 65536 };
	struct vhd_keyhash unknown = { .cookie = 2 };

	begin();
	ck_assert_int_eq(make_vhd(kit.image, &how, NULL), 0);
	if (put_attribute(&unknown, VHD_KEYHASH_BYTES)) {
		ck_assert_int_eq(kit_open(&kit, 0), -EKEYREJECTED);
		ck_assert_int_eq(open_with(key, 32), -EKEYREJECTED);
		ck_assert(put_attribute(&unknown, VHD_KEYHASH_BYTES - 1));
		ck_assert_int_eq(kit_open(&kit, 0), -EINVAL);
		ck_assert_int_eq(removexattr(kit.image, XATTR_KEYHASH), 0);
	}
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	ck_assert_int_eq(kit_close(&kit), 0);
	end();
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
		printf("1..0 # SKIP built without libcrypto\n");
		return 0;
	}
	tcase_add_loop_test(tcase, test_encrypted_disk, 0, sizeof(shapes) / sizeof(shapes[0]));
	tcase_add_test(tcase, test_workers);
	tcase_add_test(tcase, test_broken_attribute);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
