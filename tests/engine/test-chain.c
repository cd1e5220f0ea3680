/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is opened: the words for it, stacks, parents, shared instances, and requests through them.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/core/params.h"
#include "drivers/core/server.h"
#include "tests/engine/rig.h"

static struct rig rig;
static char buf[PROBE_SECTORS << SECTOR_SHIFT];

static void
setup(void)
{
	rig_setup(&rig);
}

static void
teardown(void)
{
	rig_teardown(&rig);
}

/* ---- words --------------------------------------------------------------------------------------
 */

START_TEST(bad_words_have_their_own_errors)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{ "probe", -EINVAL },
		{ "", -EINVAL },
		{ ":", -ENOENT },
		{ "probe:", -EINVAL },
		{ "prob:x", -ENOENT },
		{ "probes:x", -ENOENT },
		{ "PROBE:x", -ENOENT },
		{ "tenletters:x", -ENAMETOOLONG },
		{ "unbuilt:x", -ENOSYS },
		{ "probe:a\nb", -EINVAL },
		{ "filter:a|probe:", -EINVAL },
		{ "x-chain:/nowhere", -ENOENT },
	};
	struct params params;
	struct reason why;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		why.text[0] = '\0';
		ck_assert_msg(params_parse(rig.server, rows[i].text, &params, &why) == rows[i].err,
			      "\"%s\"", rows[i].text);
		ck_assert_str_ne(why.text, "");
		ck_assert_int_eq(params.count, 0);
	}
}
END_TEST

START_TEST(a_bar_divides_only_before_a_type)
{
	struct params params;

	ck_assert_int_eq(params_parse(rig.server, "filter:a|b|probe:/x|y:z", &params, NULL), 0);
	ck_assert_int_eq(params.count, 2);
	ck_assert_str_eq(params.at[0].name, "a|b");
	ck_assert_str_eq(params.at[1].name, "/x|y:z");
	params_free(&params);
}
END_TEST

START_TEST(long_names_are_refused)
{
	char text[MAX_NAME_LEN + 32] = "probe:";
	struct params params;

	memset(text + 6, 'x', MAX_NAME_LEN - 1);
	ck_assert_int_eq(params_parse(rig.server, text, &params, NULL), 0);
	params_free(&params);
	text[6 + MAX_NAME_LEN - 1] = 'x';
	ck_assert_int_eq(params_parse(rig.server, text, &params, NULL), -ENAMETOOLONG);
}
END_TEST

static void
write_chain_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

START_TEST(a_chain_file_lists_images)
{
	char path[96], words[128];
	struct params params;

	snprintf(path, sizeof(path), "%s/chain", rig.dir);
	snprintf(words, sizeof(words), "x-chain:%s", path);
	write_chain_file(path, "# leaf first\nfilter:a\n\nprobe:/b,flag", 0600);
	ck_assert_int_eq(params_parse(rig.server, words, &params, NULL), 0);
	ck_assert_int_eq(params.count, 2);
	ck_assert_str_eq(params.at[1].name, "/b");
	params_free(&params);

	write_chain_file(path, "filter:a\nprobe:/b\n", 0622);
	ck_assert_int_eq(params_parse(rig.server, words, &params, NULL), -EPERM);
	write_chain_file(path, "# nothing\n", 0600);
	ck_assert_int_eq(params_parse(rig.server, words, &params, NULL), -EINVAL);
	unlink(path);
}
END_TEST

START_TEST(a_stack_has_a_bound)
{
	char text[4096] = "";
	struct params params;
	int i, length = 0;

	for (i = 0; i < PARAMS_MAX_ITEMS - 1; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, "filter:a|");
	snprintf(text + length, sizeof(text) - (size_t)length, "probe:x");
	ck_assert_int_eq(params_parse(rig.server, text, &params, NULL), 0);
	params_free(&params);
	snprintf(text + length, sizeof(text) - (size_t)length, "filter:a|probe:x");
	ck_assert_int_eq(params_parse(rig.server, text, &params, NULL), -ELOOP);
}
END_TEST

/* ---- stacks and parents -------------------------------------------------------------------------
 */

START_TEST(filters_pass_everything_on)
{
	ck_assert_int_eq(rig_open(&rig, "filter:a|filter:b|probe:x", 0), 0);
	ck_assert_uint_eq(vbd_sectors(rig.vbd), PROBE_SECTORS);
	memset(buf, 7, 300 << SECTOR_SHIFT);
	ck_assert_int_eq(ask_run(&rig, TD_OP_WRITE, 1, 300, buf), 0);
	memset(buf, 0, 300 << SECTOR_SHIFT);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 1, 300, buf), 0);
	ck_assert_int_eq(buf[(300 << SECTOR_SHIFT) - 1], 7);
	ck_assert_int_eq(ask_run(&rig, TD_OP_FLUSH, 0, 0, NULL), 0);
	ck_assert_int_eq(probe.flushes, 1);
}
END_TEST

START_TEST(a_deep_stack_does_not_grow_the_stack)
{
	char text[4096] = "";
	int i, length = 0;

	for (i = 0; i < PARAMS_MAX_ITEMS - 1; i++)
		length += snprintf(text + length, sizeof(text) - (size_t)length, "filter:a|");
	snprintf(text + length, sizeof(text) - (size_t)length, "probe:x");
	ck_assert_int_eq(rig_open(&rig, text, 0), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, PROBE_SECTORS, buf), 0);
}
END_TEST

START_TEST(a_filter_alone_is_refused)
{
	ck_assert_int_eq(rig_open(&rig, "filter:a", 0), -EINVAL);
	ck_assert_int_eq(rig_open(&rig, "probe:a|probe:b", 0), -EINVAL);
	ck_assert_int_eq(probe.opens, probe.closes);
}
END_TEST

START_TEST(a_shorter_parent_reads_as_zero_beyond_its_end)
{
	char path[96];
	size_t i, half = (PROBE_SECTORS / 2) << SECTOR_SHIFT;

	snprintf(path, sizeof(path), "%s/parent", rig.dir);
	write_chain_file(path, "x", 0600);
	probe.parent = path;
	probe.parent_sectors = PROBE_SECTORS / 2;
	memset(probe.store, 9, sizeof(probe.store));
	ck_assert_int_eq(rig_open(&rig, "child:x", 0), 0);
	ck_assert_uint_eq(vbd_sectors(rig.vbd), PROBE_SECTORS);
	memset(buf, 1, sizeof(buf));
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, PROBE_SECTORS, buf), 0);
	for (i = 0; i < sizeof(buf); i++)
		ck_assert_int_eq(buf[i], i < half ? 9 : 0);
	unlink(path);
}
END_TEST

START_TEST(a_missing_parent_is_named)
{
	struct vbd_options options = { .params = "child:x", .parent_minor = -1 };
	struct outcome outcome = { 0 };

	probe.parent = "/nowhere/parent";
	vbd_open(rig.vbd, &options, outcome_done, &outcome);
	rig_until(&rig, &outcome.ended);
	ck_assert_int_eq(outcome.err, -ENOENT);
	ck_assert_ptr_nonnull(strstr(outcome.why, "/nowhere/parent"));
	ck_assert_int_eq(probe.opens, probe.closes);

	probe.parent = "/dev/null";
	ck_assert_int_eq(rig_open(&rig, "child:x", 0), -EINVAL);
}
END_TEST

START_TEST(an_image_is_not_its_own_ancestor)
{
	char path[96], words[128];

	snprintf(path, sizeof(path), "%s/self", rig.dir);
	write_chain_file(path, "x", 0600);
	snprintf(words, sizeof(words), "child:%s", path);
	probe.parent = path;
	ck_assert_int_eq(rig_open(&rig, words, TD_OPEN_RDONLY), -ELOOP);
	ck_assert_int_eq(probe.opens, probe.closes);
	unlink(path);
}
END_TEST

START_TEST(storage_that_refuses_writing_makes_the_disk_read_only)
{
	probe.open_err = -EROFS;
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), -EROFS);
	probe.open_err = 0;
}
END_TEST

/* ---- locks and sharing --------------------------------------------------------------------------
 */

START_TEST(one_writer_or_many_readers)
{
	struct vbd_options options = { .parent_minor = -1 };
	struct outcome outcome = { 0 };
	char path[96], words[128];
	struct vbd *other;
	int err;

	snprintf(path, sizeof(path), "%s/image", rig.dir);
	write_chain_file(path, "x", 0600);
	snprintf(words, sizeof(words), "probe:%s", path);
	options.params = words;
	ck_assert_int_eq(rig_open(&rig, words, 0), 0);
	other = rig_open_other(&rig, &options, &err);
	ck_assert_int_eq(err, -EBUSY);

	ck_assert_int_eq(rig_close(&rig), 0);
	ck_assert_int_eq(rig_open(&rig, words, TD_OPEN_RDONLY), 0);
	options.flags = TD_OPEN_RDONLY;
	vbd_open(other, &options, outcome_done, &outcome);
	rig_until(&rig, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
	rig_drop_other(&rig, other);
	unlink(path);
}
END_TEST

START_TEST(a_singleton_is_opened_once)
{
	const struct vbd_options options = { .params = "single:y", .parent_minor = -1 };
	struct vbd *other;
	int err;

	ck_assert_int_eq(rig_open(&rig, "single:x", 0), 0);
	other = rig_open_other(&rig, &options, &err);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(probe.opens, 1);

	ck_assert_int_eq(rig_close(&rig), 0);
	ck_assert_int_eq(probe.closes, 0);
	rig_drop_other(&rig, other);
	ck_assert_int_eq(probe.closes, 1);
}
END_TEST

/* Whoever of its disks is the last: what it has under way has ended before it is closed. */
START_TEST(what_disks_share_is_closed_at_rest)
{
	const struct vbd_options options = { .params = "single:x", .parent_minor = -1 };
	struct outcome outcomes[40] = { 0 };
	struct vbd *disks[40];
	const int count = 40;
	int err, i, turns;

	for (i = 0; i < count; i++) {
		disks[i] = rig_open_other(&rig, &options, &err);
		ck_assert_int_eq(err, 0);
	}
	ck_assert_int_eq(probe.opens, 1);
	probe.works = true;
	for (i = 0; i < count; i++)
		vbd_close(disks[i], false, outcome_done, &outcomes[i]);
	for (i = 0; i < count - 1; i++)
		rig_until(&rig, &outcomes[i].ended);
	for (turns = 0; turns < 1000; turns++)
		rig_turn(&rig);
	ck_assert(!outcomes[count - 1].ended);
	ck_assert_int_eq(probe.closes, 0);
	probe.works = false;
	rig_until(&rig, &outcomes[count - 1].ended);
	ck_assert_int_eq(probe.closes, 1);
	for (i = 0; i < count; i++)
		rig_drop_other(&rig, disks[i]);
}
END_TEST

/* Whoever has another key, or none, gets no image that was opened with a key. */
START_TEST(an_image_with_a_key_is_not_shared)
{
	static const uint8_t key[32] = { 1 };
	struct vbd_options options = { .params = "child:x",
				       .flags = TD_OPEN_RDONLY,
				       .parent_minor = -1,
				       .key = key,
				       .key_len = sizeof(key) };
	struct vbd *with_key, *without;
	char path[96];
	int err;

	snprintf(path, sizeof(path), "%s/parent", rig.dir);
	write_chain_file(path, "x", 0600);
	probe.parent = path;
	with_key = rig_open_other(&rig, &options, &err);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(probe.opens, 2);
	ck_assert_uint_eq(probe.key_len, sizeof(key));

	options.key = NULL;
	options.key_len = 0;
	without = rig_open_other(&rig, &options, &err);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(probe.opens, 4);
	ck_assert_uint_eq(probe.key_len, 0);

	/* Those without share it. */
	ck_assert_int_eq(rig_open(&rig, "child:x", TD_OPEN_RDONLY), 0);
	ck_assert_int_eq(probe.opens, 5);
	rig_drop_other(&rig, without);
	rig_drop_other(&rig, with_key);
	unlink(path);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("chain");
	TCase *tests = tcase_create("chain");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, bad_words_have_their_own_errors);
	tcase_add_test(tests, a_bar_divides_only_before_a_type);
	tcase_add_test(tests, long_names_are_refused);
	tcase_add_test(tests, a_chain_file_lists_images);
	tcase_add_test(tests, a_stack_has_a_bound);
	tcase_add_test(tests, filters_pass_everything_on);
	tcase_add_test(tests, a_deep_stack_does_not_grow_the_stack);
	tcase_add_test(tests, a_filter_alone_is_refused);
	tcase_add_test(tests, a_shorter_parent_reads_as_zero_beyond_its_end);
	tcase_add_test(tests, a_missing_parent_is_named);
	tcase_add_test(tests, an_image_is_not_its_own_ancestor);
	tcase_add_test(tests, storage_that_refuses_writing_makes_the_disk_read_only);
	tcase_add_test(tests, one_writer_or_many_readers);
	tcase_add_test(tests, a_singleton_is_opened_once);
	tcase_add_test(tests, what_disks_share_is_closed_at_rest);
	tcase_add_test(tests, an_image_with_a_key_is_not_shared);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return rig_run(suite());
}
