/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts through VHD images that a tapdisk writes to: after each the image passes the check,
 * but for what opening it again puts right; every flushed sector is there, and no foreign one.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/crash-run.h"
#include "tests/crash/soundness.h"
#include "tests/driver-kit/make-vhd.h"

#define SECTORS 16384 /* 8 MiB */
#define KIB 1024u
#define ROUNDS 5

extern char **environ;

static struct crash_run run;
static bool has_qemu_img;

/* ---- looking at what is left --------------------------------------------------------------------
 */

static int
run_program(char *const argv[])
{
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The same disk as another program reads it.  It rounds the size up to a geometry. */
static const char *
check_with_qemu(struct crash_run *crash, const char *path, uint64_t moment)
{
	static uint8_t disk[SECTORS * 512];
	char raw[256];
	char *argv[] = { "qemu-img", "convert", "-f",         "vpc", "-O", "raw",
			 "-S",       "64k",     (char *)path, raw,   NULL };
	ssize_t got;
	int fd;

	snprintf(raw, sizeof(raw), "%s/raw", crash->kit.dir);
	if (run_program(argv))
		return "qemu-img cannot read it";
	fd = open(raw, O_RDONLY | O_CLOEXEC);
	got = pread(fd, disk, sizeof(disk), 0);
	close(fd);
	unlink(raw);
	if (got < (ssize_t)sizeof(disk) / 2)
		return "qemu-img reads less than there is";
	return guest_allows(&crash->guest, moment, 0, (uint64_t)got / 512, disk) ? NULL
										 : crash->guest.why;
}

/* The leaf is always called "leaf". */
static const char *
check_vhd(struct crash_run *crash, uint64_t moment, bool chosen)
{
	char path[256], params[300], parent[256];
	const char *found;

	snprintf(path, sizeof(path), "%s/leaf", crash->after);
	snprintf(params, sizeof(params), "vhd:%s", path);
	snprintf(parent, sizeof(parent), "%s/parent", crash->after);
	found = vhd_soundness(crash, path, "before it is opened");
	if (!found && !crash_run_reads(crash, params, moment))
		found = crash->kit.why;
	if (!found)
		found = vhd_soundness(crash, path, "after it was opened");
	/* It takes no notice of bitmaps, and may find what an earlier cut has made the guest lose.
	 */
	if (!found && chosen && !crash->was_cut && has_qemu_img && access(parent, F_OK))
		found = check_with_qemu(crash, path, moment);
	return found;
}

/* ---- runs ---------------------------------------------------------------------------------------
 */

static const struct variant {
	uint32_t block_size;
	bool batmap;
	enum { NO_PARENT, VHD_PARENT, RAW_PARENT } parent;
	struct crash_work work;
} variants[] = {
	{ 2048 * KIB, true, NO_PARENT, { 50, 64, true, true, false, true, 0, false } },
	{ 128 * KIB, false, NO_PARENT, { 50, 300, true, true, true, true, 0, false } },
	{ 128 * KIB, true, NO_PARENT, { 30, 4096, false, false, true, false, 0, false } },
	{ 128 * KIB, true, VHD_PARENT, { 50, 300, true, true, true, true, 0, false } },
	{ 2048 * KIB, true, RAW_PARENT, { 50, 64, true, true, false, true, 0, false } },
	/* Blocks come and go; those that were full are called so when they go. */
	{ 128 * KIB, true, NO_PARENT, { 60, 300, true, true, true, true, 256, false } },
	{ 128 * KIB, true, NO_PARENT, { 40, 1500, true, true, true, true, 256, false } },
	{ 128 * KIB, false, NO_PARENT, { 60, 300, true, true, true, true, 256, true } },
	{ 128 * KIB, true, VHD_PARENT, { 60, 300, true, true, true, true, 256, true } },
};

#define VARIANTS ((int)(sizeof(variants) / sizeof(variants[0])))

static void
setup(void)
{
	has_qemu_img = access("/usr/bin/qemu-img", X_OK) == 0;
	crash_run_begin(&run, "aio");
	printf("# CRASH_SEED=%u\n", run.seed);
}

static void
teardown(void)
{
	crash_run_end(&run);
}

/* Something to be seen through the leaf. */
static void
make_parent(const struct variant *variant, vhd_uuid_t *uuid)
{
	const struct make_vhd how = { .type = VHD_TYPE_DYNAMIC,
				      .sectors = SECTORS,
				      .block_size = variant->block_size,
				      .batmap = true };
	char path[256], params[300];
	int fd;

	snprintf(path, sizeof(path), "%s/parent", run.images);
	if (variant->parent == VHD_PARENT) {
		ck_assert_int_eq(make_vhd(path, &how, uuid), 0);
	} else {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_eq(ftruncate(fd, SECTORS * 512), 0);
		close(fd);
	}
	snprintf(params, sizeof(params), "%s:%s", variant->parent == VHD_PARENT ? "vhd" : "aio",
		 path);
	ck_assert_msg(crash_run_prepare(&run, params, 1000, 3000, 1), "%s", run.kit.why);
	ck_assert_msg(crash_run_prepare(&run, params, 9000, 7000, 2), "%s", run.kit.why);
}

static void
make_leaf(const struct variant *variant)
{
	struct make_vhd how = { .type = VHD_TYPE_DYNAMIC,
				.sectors = SECTORS,
				.block_size = variant->block_size,
				.batmap = variant->batmap };
	vhd_uuid_t uuid;
	char path[256];

	snprintf(path, sizeof(path), "%s/leaf", run.images);
	if (variant->parent != NO_PARENT) {
		make_parent(variant, &uuid);
		how.type = VHD_TYPE_DIFFERENCING;
		how.parent = "parent";
		how.parent_uuid = variant->parent == VHD_PARENT ? &uuid : NULL;
	}
	ck_assert_int_eq(make_vhd(path, &how, NULL), 0);
}

START_TEST(flushed_writes_survive_and_the_image_is_sound)
{
	const struct variant *variant = &variants[_i];
	char params[300];

	make_leaf(variant);
	snprintf(params, sizeof(params), "vhd:%s/leaf", run.images);
	ck_assert_msg(crash_run_work(&run, params, &variant->work), "%s", run.kit.why);
	ck_assert_msg(crash_run_cuts(&run, check_vhd), "variant %d: %s", _i, run.kit.why);
}
END_TEST

/* What one cut has left is what the next run begins with. */
START_TEST(one_cut_after_another_leaves_the_image_sound)
{
	const struct variant *variant = &variants[_i * 2 + 1];
	struct crash_work shorter = variant->work;
	char params[300], after[300];
	int round;

	make_leaf(variant);
	snprintf(params, sizeof(params), "vhd:%s/leaf", run.images);
	snprintf(after, sizeof(after), "vhd:%s/leaf", run.after);
	shorter.steps = 15;
	for (round = 0; round < ROUNDS; round++) {
		ck_assert_msg(crash_run_work(&run, params, &shorter), "%s", run.kit.why);
		ck_assert_msg(crash_run_after_cut(&run, after), "round %d: %s", round, run.kit.why);
	}
	ck_assert_msg(crash_run_work(&run, params, &shorter), "%s", run.kit.why);
	ck_assert_msg(crash_run_cuts(&run, check_vhd), "variant %d: %s", _i, run.kit.why);
}
END_TEST

START_TEST(a_flush_that_does_nothing_is_found)
{
	char params[300];

	make_leaf(&variants[0]);
	snprintf(params, sizeof(params), "vhd:%s/leaf", run.images);
	ck_assert_msg(crash_run_work(&run, params, &variants[0].work), "%s", run.kit.why);
	run.history.sync_count = (size_t)run.history.file_count;
	history_close(&run.history);
	ck_assert(!crash_run_cuts(&run, check_vhd));
}
END_TEST

int
main(void)
{
	Suite *all = suite_create("crash-vhd");
	TCase *tests = tcase_create("cuts");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 600);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, flushed_writes_survive_and_the_image_is_sound, 0, VARIANTS);
	tcase_add_loop_test(tests, one_cut_after_another_leaves_the_image_sound, 0, 2);
	tcase_add_test(tests, a_flush_that_does_nothing_is_found);
	suite_add_tcase(all, tests);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
