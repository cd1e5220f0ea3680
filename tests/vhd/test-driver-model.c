/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains of VHD images against a model in memory: random writes, zeroes, discards and flushes, many
 * at a time and in any order, between snapshots, pauses and reopenings.
 *
 * VHD_MODEL_SEED repeats a run, VHD_MODEL_STEPS makes it longer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "common/io.h"
#include "drivers/core/loop.h"
#include "tests/driver-kit/kit.h"
#include "tests/driver-kit/make-vhd.h"
#include "vhd/lib/image.h"

#define FLIGHT 16
#define CHAIN_DEPTH 31 /* then a new disk begins */

static struct kit kit;
static int depth; /* images of the chain, the first of which is kit.image */
static char leaf[128];

/* ---- chains -------------------------------------------------------------------------------------
 */

static void
name_of(int number, char *path, size_t bytes)
{
	if (number)
		snprintf(path, bytes, "%s/image.%d", kit.dir, number);
	else
		snprintf(path, bytes, "%s", kit.image);
}

static vhd_uuid_t
uuid_of(const char *path)
{
	struct vhd_image image;
	struct reason why;
	struct io *io;

	ck_assert_int_eq(io_file_open(path, 0, &io), 0);
	ck_assert_msg(vhd_image_read(io, 0, &image, &why) == 0, "%s: %s", path, why.text);
	io_close(io);
	return image.footer.uuid;
}

/* A new leaf over the present one, which nobody has open. */
static void
make_snapshot(void)
{
	struct make_vhd how = {
		.type = VHD_TYPE_DIFFERENCING,
		.sectors = KIT_SECTORS,
		.block_size = 4096u << kit_random(&kit, 10),
		.batmap = kit_random(&kit, 2),
	};
	vhd_uuid_t parent = uuid_of(leaf);
	char name[128];

	name_of(depth - 1, name, sizeof(name));
	snprintf(name, sizeof(name), "./%s", strrchr(leaf, '/') + 1);
	how.parent = name;
	how.parent_uuid = &parent;
	name_of(depth++, leaf, sizeof(leaf));
	ck_assert_int_eq(make_vhd(leaf, &how, NULL), 0);
	snprintf(kit.params, sizeof(kit.params), "vhd:%s", leaf);
}

static void
remove_chain(void)
{
	char path[128];

	while (depth > 1) {
		name_of(--depth, path, sizeof(path));
		unlink(path);
	}
}

/* ---- steps --------------------------------------------------------------------------------------
 */

static void
ended(void *arg, int err, const char *why)
{
	int *result = arg;

	(void)why;
	*result = err;
}

/* A pause, a snapshot if there is room for one, and on with the new leaf, under load. */
static void
snapshot_or_pause(bool snapshot)
{
	struct vbd_options options = { .params = kit.params };
	struct kit_request *write;
	int result = 1;

	ck_assert_int_eq(kit_pause(&kit), 0);
	if (snapshot)
		make_snapshot();
	write = kit_submit(&kit, TD_OP_WRITE, 8, 8, 0x5A);
	memset(kit.model + 8 * 512, 0x5A, 8 * 512);
	vbd_resume(kit.vbd, &options, ended, &result);
	while (result > 0)
		loop_turn(tapdisk_server_loop(kit.server), 0);
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(kit_wait(&kit, write), 0);
	kit_request_free(write);
}

/* What a discard leaves is the old content or zeroes, sector by sector. */
static void
adopt_discard(uint64_t sector, uint64_t sectors)
{
	struct kit_request *read = kit_submit(&kit, TD_OP_READ, sector, sectors, 0);
	uint8_t *model = kit.model + sector * 512;
	uint64_t i;

	ck_assert_int_eq(kit_wait(&kit, read), 0);
	for (i = 0; i < sectors * 512; i++) {
		/* In a chain it may also be what an older image has. */
		if (depth == 1)
			ck_assert(!read->buf[i] || read->buf[i] == model[i]);
		model[i] = read->buf[i];
	}
	kit_request_free(read);
}

/* Requests to slices of their own, all at once. */
static void
burst(void)
{
	static const int ops[] = { TD_OP_READ, TD_OP_WRITE, TD_OP_WRITE, TD_OP_WRITE_ZEROES,
				   TD_OP_DISCARD };
	const uint64_t slice = KIT_SECTORS / FLIGHT;
	struct kit_request *flight[FLIGHT + 1];
	uint64_t sector[FLIGHT], sectors[FLIGHT];
	int i, op[FLIGHT];
	uint8_t fill;

	for (i = 0; i < FLIGHT; i++) {
		op[i] = ops[kit_random(&kit, 5)];
		sector[i] = (uint64_t)i * slice + kit_random(&kit, slice);
		sectors[i] = 1 + kit_random(&kit, (uint64_t)(i + 1) * slice - sector[i]);
		if (kit_random(&kit, 3))
			sectors[i] = sectors[i] % 16 + (sectors[i] < 16 ? 0 : 1);
		if (!sectors[i])
			sectors[i] = 1;
		if (sectors[i] > (uint64_t)(i + 1) * slice - sector[i])
			sectors[i] = (uint64_t)(i + 1) * slice - sector[i];
		fill = (uint8_t)(1 + kit_random(&kit, 255));
		flight[i] = kit_submit(&kit, op[i], sector[i], sectors[i], fill);
		if (op[i] == TD_OP_WRITE || op[i] == TD_OP_WRITE_ZEROES)
			memset(kit.model + sector[i] * 512, op[i] == TD_OP_WRITE ? fill : 0,
			       sectors[i] * 512);
	}
	flight[FLIGHT] = kit_submit(&kit, TD_OP_FLUSH, 0, 0, 0);
	for (i = 0; i <= FLIGHT; i++)
		ck_assert_int_eq(kit_wait(&kit, flight[i]), 0);
	for (i = 0; i <= FLIGHT; i++) {
		if (i < FLIGHT && op[i] == TD_OP_READ)
			ck_assert_msg(memcmp(flight[i]->buf, kit.model + sector[i] * 512,
					     sectors[i] * 512) == 0,
				      "read of %llu sectors from %llu on",
				      (unsigned long long)sectors[i],
				      (unsigned long long)sector[i]);
		kit_request_free(flight[i]);
	}
	for (i = 0; i < FLIGHT; i++)
		if (op[i] == TD_OP_DISCARD)
			adopt_discard(sector[i], sectors[i]);
}

static void
run_chain(int variant, unsigned long steps)
{
	unsigned long step;

	kit.kind = kit_kind("vhd", variant);
	kit_begin(&kit);
	kit_control(&kit)->max_delay = 4;
	depth = 1;
	name_of(0, leaf, sizeof(leaf));
	ck_assert_int_eq(kit_open(&kit, 0), 0);
	for (step = 0; step < steps; step++) {
		burst();
		if (step % 7 == 0)
			snapshot_or_pause(step % 14 == 0 && depth < CHAIN_DEPTH);
		if (step % 31 == 0) {
			ck_assert_int_eq(kit_close(&kit), 0);
			ck_assert_int_eq(kit_open_name(&kit, kit.params, TD_OPEN_STRICT), 0);
		}
		if (step % 10 == 0)
			ck_assert_msg(kit_matches(&kit), "step %lu: %s", step, kit.why);
	}
	ck_assert_msg(kit_matches(&kit), "at the end: %s", kit.why);
	ck_assert_int_eq(kit_close(&kit), 0);
	ck_assert_int_eq(kit_open_name(&kit, kit.params, TD_OPEN_RDONLY), 0);
	ck_assert_msg(kit_matches(&kit), "opened again: %s", kit.why);
	remove_chain();
	kit_end(&kit);
}

/* 0: dynamic, 2: over a VHD, 3: over a raw image; each the start of a chain of its own. */
START_TEST(test_chain)
{
	static const int variants[] = { 0, 2, 3 };

	kit.seed = (unsigned)kit_number("VHD_MODEL_SEED", (unsigned long)time(NULL));
	printf("# VHD_MODEL_SEED=%u\n", kit.seed);
	kit_choose(&kit, "vhd");
	run_chain(variants[_i], kit_number("VHD_MODEL_STEPS", 100));
	free(kit.types);
}
END_TEST

int
main(void)
{
	TCase *tcase = tcase_create("chains");
	Suite *suite = suite_create("vhd driver and model");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, test_chain, 0, 3);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
