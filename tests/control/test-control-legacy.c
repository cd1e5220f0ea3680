/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy protocol, request by request: exact bytes, exact errors.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "drivers/core/server.h"
#include "tests/control/control-rig.h"

static struct control_rig rig;

static void
setup(void)
{
	control_rig_setup(&rig);
}

static void
teardown(void)
{
	control_rig_teardown(&rig);
}

/* ---- golden bytes -------------------------------------------------------------------------------
 */

static void
poke(uint8_t *raw, size_t at, const void *value, size_t length)
{
	memcpy(raw + at, value, length);
}

static void
poke16(uint8_t *raw, size_t at, uint16_t value)
{
	poke(raw, at, &value, sizeof(value));
}

static void
poke32(uint8_t *raw, size_t at, int32_t value)
{
	poke(raw, at, &value, sizeof(value));
}

static void
poke64(uint8_t *raw, size_t at, uint64_t value)
{
	poke(raw, at, &value, sizeof(value));
}

/* A connection that sends these 544 bytes and gets those. */
static void
expect_bytes(const uint8_t *request, const uint8_t *answer, bool is_last)
{
	uint8_t got[544];
	struct client client;

	client_open(&client, &rig);
	client_send(&client, request, 544);
	ck_assert_uint_eq(client_receive(&client, got, sizeof(got)), sizeof(got));
	ck_assert_mem_eq(got, answer, sizeof(got));
	if (is_last)
		ck_assert_uint_eq(client_receive(&client, got, 1), 0);
	client_close(&client);
}

START_TEST(pid_is_answered_byte_for_byte)
{
	uint8_t request[544] = { 0 }, answer[544] = { 0 };

	poke16(request, 0, 3);
	poke16(answer, 0, 4);
	poke32(answer, 8, getpid());
	expect_bytes(request, answer, true);
	/* What a request does not use may be anything. */
	memset(request + 4, 0xff, sizeof(request) - 4);
	expect_bytes(request, answer, true);
	poke16(request, 2, 0x1234);
	poke16(answer, 2, 0x1234);
	expect_bytes(request, answer, true);
}
END_TEST

START_TEST(an_image_is_answered_byte_for_byte)
{
	uint8_t request[544] = { 0 }, answer[544] = { 0 };

	poke16(request, 0, 7);
	poke32(request, 8, 2); /* read-only */
	poke(request, 20, "probe:x", 7);
	poke32(request, 276, -1);
	poke16(answer, 0, 8);
	poke64(answer, 8, PROBE_SECTORS);
	poke32(answer, 16, 512);
	poke32(answer, 20, 4);
	expect_bytes(request, answer, true);
	memset(request, 0, sizeof(request));
	poke16(request, 0, 28);
	poke16(answer, 0, 29);
	expect_bytes(request, answer, true);
}
END_TEST

START_TEST(an_error_is_answered_byte_for_byte)
{
	uint8_t request[544] = { 0 }, answer[544] = { 0 };

	poke16(request, 0, 15);
	poke16(request, 2, 77);
	poke16(answer, 0, 1);
	poke16(answer, 2, 77);
	poke32(answer, 8, ENODEV);
	poke(answer, 12, "no such disk is attached", 24);
	expect_bytes(request, answer, true);
}
END_TEST

START_TEST(a_list_counts_down)
{
	uint8_t request[544] = { 0 }, answer[544] = { 0 };
	int second = control_rig_minor(&rig);
	tapdisk_message_t message;
	struct client client;

	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, second), 0);
	ck_assert_int_eq(client_open_disk(&rig, second, "probe:y y"), 0);
	poke16(request, 0, 19);
	poke16(request, 2, 0xffff);
	poke16(answer, 0, 20);
	poke16(answer, 2, 0xffff);
	poke32(answer, 8, 2);
	poke32(answer, 12, rig.engine.minor);
	expect_bytes(request, answer, false);

	client_open(&client, &rig);
	client_send(&client, request, 544);
	client_hear(&client, &message);
	client_hear(&client, &message);
	ck_assert_int_eq(message.u.list.count, 1);
	ck_assert_int_eq(message.u.list.minor, second);
	ck_assert_int_eq(message.u.list.state, 0);
	ck_assert_str_eq(message.u.list.path, "probe:y y");
	client_hear(&client, &message);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_LIST_RSP);
	ck_assert_int_eq(message.u.list.count, 0);
	ck_assert_int_eq(message.u.list.minor, -1);
	ck_assert_str_eq(message.u.list.path, "");
	ck_assert_uint_eq(client_receive(&client, &message, 1), 0);
	client_close(&client);
}
END_TEST

START_TEST(minors_are_listed)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_LIST_MINORS, -1);
	int second = control_rig_minor(&rig);

	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, second), 0);
	ck_assert_int_eq(client_ask(&rig, &message), 0);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_LIST_MINORS_RSP);
	ck_assert_int_eq(message.u.minors.count, 2);
	ck_assert_int_eq(message.u.minors.list[0], rig.engine.minor);
	ck_assert_int_eq(message.u.minors.list[1], second);
	ck_assert_int_eq(message.u.minors.list[2], 0);
}
END_TEST

/* The statistics as text; owned by the caller. */
static char *
stats_of(int minor)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_STATS, minor);
	struct client client;
	char *text;

	client_open(&client, &rig);
	client_tell(&client, &message, NULL, 0);
	client_hear(&client, &message);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_STATS_RSP);
	text = calloc(1, message.u.info.length + 1);
	ck_assert_uint_eq(client_receive(&client, text, message.u.info.length + 1),
			  message.u.info.length);
	client_close(&client);
	return text;
}

START_TEST(statistics_follow_their_answer)
{
	char *one = stats_of(rig.engine.minor), *all = stats_of(-1);
	struct json_object *json = json_tokener_parse(one), *list = json_tokener_parse(all);

	ck_assert_ptr_null(strchr(one, '\n'));
	ck_assert(json_object_is_type(json, json_type_object));
	ck_assert(json_object_is_type(list, json_type_array));
	ck_assert_uint_eq(json_object_array_length(list), 1);
	json_object_put(json);
	json_object_put(list);
	free(one);
	free(all);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_STATS, 99), ENODEV);
}
END_TEST

/* ---- requests -----------------------------------------------------------------------------------
 */

START_TEST(what_is_no_request_is_refused)
{
	static const unsigned types[] = { 0, 1, 2, 4, 8, 18, 20, 22, 30, 32, 36, 37, 0xffff };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		ck_assert_int_eq(client_do(&rig, types[i], 3), EINVAL);
}
END_TEST

START_TEST(attaching_has_exact_errors)
{
	int minor = control_rig_minor(&rig);

	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, minor), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, minor), EEXIST);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, 16384), EINVAL);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, -1), EINVAL);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, 16383), ENOENT);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_DETACH, minor), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_DETACH, minor), ENODEV);
}
END_TEST

START_TEST(a_disk_lives_by_the_table)
{
	int minor = rig.engine.minor;

	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_DISK_INFO, minor), EINVAL);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, minor), EINVAL);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_RESUME, minor), EINVAL);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_CLOSE, minor), 0);
	ck_assert_int_eq(client_open_disk(&rig, minor, "probe:x"), 0);
	ck_assert_int_eq(client_open_disk(&rig, minor, "probe:x"), EALREADY);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_DETACH, minor), EBUSY);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, minor), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x2a);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, minor), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_DISK_INFO, minor), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_RESUME, minor), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_RESUME, minor), EINVAL);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_FORCE_SHUTDOWN, minor), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x2);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_CLOSE, minor), 0);
}
END_TEST

START_TEST(a_disk_that_is_not_attached_is_named_so)
{
	static const unsigned types[] = {
		TAPDISK_MESSAGE_CLOSE,
		TAPDISK_MESSAGE_FORCE_SHUTDOWN,
		TAPDISK_MESSAGE_DETACH,
		TAPDISK_MESSAGE_PAUSE,
		TAPDISK_MESSAGE_RESUME,
		TAPDISK_MESSAGE_DISK_INFO,
		TAPDISK_MESSAGE_COMMIT,
		TAPDISK_MESSAGE_QUERY_COMMIT_JOB,
		TAPDISK_MESSAGE_CANCEL_COMMIT_JOB,
	};
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ck_assert_int_eq(client_do(&rig, types[i], 9), ENODEV);
		ck_assert_int_eq(client_do(&rig, types[i], -1), ENODEV);
	}
	ck_assert_int_eq(client_open_disk(&rig, 9, "probe:x"), EINVAL);
}
END_TEST

START_TEST(opening_has_exact_errors)
{
	int minor = rig.engine.minor;

	ck_assert_int_eq(client_open_disk(&rig, minor, ""), EINVAL);
	ck_assert_int_eq(client_open_disk(&rig, minor, "x"), EINVAL);
	ck_assert_int_eq(client_open_disk(&rig, minor, "nosuch:x"), ENOENT);
	ck_assert_int_eq(client_open_disk(&rig, minor, "unbuilt:x"), ENOSYS);
	ck_assert_int_eq(client_open_disk(&rig, minor, "probe:a\nb"), EINVAL);
	probe.open_err = -ENOMEDIUM;
	ck_assert_int_eq(client_open_disk(&rig, minor, "probe:x"), ENOMEDIUM);
	probe.open_err = 0;
	ck_assert_int_eq(client_open_disk(&rig, minor, "probe:x"), 0);
}
END_TEST

START_TEST(an_error_says_what_and_why)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);

	snprintf(message.u.params.path, sizeof(message.u.params.path), "nosuch:x");
	ck_assert_int_eq(client_ask(&rig, &message), ENOENT);
	ck_assert_str_eq(message.u.response.message, "nosuch:x: unknown disk type \"nosuch\"");
}
END_TEST

START_TEST(another_disk_does_not_resume)
{
	int minor = rig.engine.minor;

	ck_assert_int_eq(client_open_disk(&rig, minor, "probe:x"), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, minor), 0);
	probe.sectors = PROBE_SECTORS / 2;
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_RESUME, minor), EMEDIUMTYPE);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x22a);
	probe.sectors = PROBE_SECTORS;
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_RESUME, minor), 0);
}
END_TEST

START_TEST(only_fields_in_use_must_be_text)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);

	memset(message.u.params.path, 'a', sizeof(message.u.params.path));
	ck_assert_int_eq(client_ask(&rig, &message), EINVAL);

	message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);
	snprintf(message.u.params.path, sizeof(message.u.params.path), "probe:x");
	message.u.params.flags = TAPDISK_MESSAGE_FLAG_SECONDARY;
	memset(message.u.params.secondary, 'a', sizeof(message.u.params.secondary));
	ck_assert_int_eq(client_ask(&rig, &message), EINVAL);

	message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);
	snprintf(message.u.params.path, sizeof(message.u.params.path), "probe:x");
	memset(message.u.params.secondary, 'a', sizeof(message.u.params.secondary));
	ck_assert_int_eq(client_ask(&rig, &message), 0);
}
END_TEST

static int
open_with(uint32_t flags, const char *secondary)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);

	snprintf(message.u.params.path, sizeof(message.u.params.path), "probe:x");
	snprintf(message.u.params.secondary, sizeof(message.u.params.secondary), "%s", secondary);
	message.u.params.flags = flags;
	message.u.params.prt_devnum = TAPDISK_MESSAGE_NO_PARENT;
	return client_ask(&rig, &message);
}

START_TEST(flags_must_make_sense)
{
	ck_assert_int_eq(open_with(0x800, ""), EINVAL);
	ck_assert_int_eq(open_with(0x80000000, ""), EINVAL);
	ck_assert_int_eq(open_with(TAPDISK_MESSAGE_FLAG_SECONDARY, ""), EINVAL);
	ck_assert_int_eq(open_with(TAPDISK_MESSAGE_FLAG_STANDBY, ""), EINVAL);
	ck_assert_int_eq(open_with(TAPDISK_MESSAGE_FLAG_REUSE_PRT, ""), EINVAL);
	ck_assert_int_eq(open_with(TAPDISK_MESSAGE_FLAG_SHARED, ""), 0);
}
END_TEST

START_TEST(no_job_was_ever_started)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_QUERY_COMMIT_JOB, rig.engine.minor);

	ck_assert_int_eq(client_ask(&rig, &message), 0);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_QUERY_COMMIT_JOB_RSP);
	ck_assert_str_eq(message.u.query.status, "undefined");
	ck_assert_uint_eq(message.u.query.total, 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_COMMIT, rig.engine.minor), EOPNOTSUPP);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_CANCEL_COMMIT_JOB, rig.engine.minor),
			 EINVAL);
	message = message_for(TAPDISK_MESSAGE_COMMIT, rig.engine.minor);
	memset(message.u.params.path, 'a', sizeof(message.u.params.path));
	ck_assert_int_eq(client_ask(&rig, &message), EINVAL);
}
END_TEST

/* ---- trailing data ------------------------------------------------------------------------------
 */

/* OPEN with these flags, followed by trailing bytes, one at a time: the error. */
static int
open_trailing(uint32_t flags, const uint8_t *trailing, size_t length)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);
	struct client client;
	size_t i;

	snprintf(message.u.params.path, sizeof(message.u.params.path), "probe:x");
	message.u.params.flags = flags;
	client_open(&client, &rig);
	client_tell(&client, &message, NULL, 0);
	for (i = 0; i < length; i++) {
		control_rig_settle(&rig);
		ck_assert(!client_has_input(&client));
		client_send(&client, trailing + i, 1);
	}
	client_hear(&client, &message);
	client_expect_end(&client);
	return message.type == TAPDISK_MESSAGE_ERROR ? message.u.response.error : 0;
}

START_TEST(the_path_of_a_log_follows)
{
	uint8_t path[256] = "/tmp/log";

	/* The engine of this build has no log: what matters is that it was asked. */
	ck_assert_int_eq(open_trailing(TAPDISK_MESSAGE_FLAG_ADD_LOG, path, 256), EOPNOTSUPP);
	memset(path, 'a', sizeof(path));
	ck_assert_int_eq(open_trailing(TAPDISK_MESSAGE_FLAG_ADD_LOG, path, 256), EINVAL);
	memset(path, 0, sizeof(path));
	ck_assert_int_eq(open_trailing(TAPDISK_MESSAGE_FLAG_ADD_LOG, path, 256), EINVAL);
	ck_assert_int_eq(open_with(0, ""), 0);
}
END_TEST

START_TEST(a_key_follows)
{
	static const struct {
		uint8_t length;
		size_t bytes; /* that are taken */
		int err;
	} rows[] = {
		{ 0, 1, EINVAL },   { 1, 2, EINVAL },   { 31, 32, EINVAL }, { 128, 129, EINVAL },
		{ 129, 1, EINVAL }, { 255, 1, EINVAL }, { 32, 33, 0 },
	};
	uint8_t key[256];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(key, 0x5a, sizeof(key));
		key[0] = rows[i].length;
		ck_assert_int_eq(open_trailing(TAPDISK_MESSAGE_FLAG_ENCRYPTED, key, rows[i].bytes),
				 rows[i].err);
	}
}
END_TEST

START_TEST(a_log_comes_before_a_key)
{
	uint8_t both[256 + 65] = "/tmp/log";

	both[256] = 64;
	ck_assert_int_eq(
		open_trailing(TAPDISK_MESSAGE_FLAG_ADD_LOG | TAPDISK_MESSAGE_FLAG_ENCRYPTED, both,
			      sizeof(both)),
		EOPNOTSUPP);
}
END_TEST

START_TEST(a_resume_has_a_log_but_no_key)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_RESUME, rig.engine.minor);
	struct client client;

	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, rig.engine.minor), 0);
	message.u.params.flags = TAPDISK_MESSAGE_FLAG_ENCRYPTED;
	client_open(&client, &rig);
	client_tell(&client, &message, NULL, 0);
	client_hear(&client, &message);
	client_expect_end(&client);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_ERROR);
	ck_assert_int_eq(message.u.response.error, EINVAL);
}
END_TEST

START_TEST(null_is_no_secondary)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_RESUME, rig.engine.minor);

	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, rig.engine.minor), 0);
	message.u.params.flags = TAPDISK_MESSAGE_FLAG_SECONDARY;
	snprintf(message.u.params.secondary, sizeof(message.u.params.secondary), "null");
	ck_assert_int_eq(client_ask(&rig, &message), 0);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("legacy");
	TCase *tests = tcase_create("legacy");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, pid_is_answered_byte_for_byte);
	tcase_add_test(tests, an_image_is_answered_byte_for_byte);
	tcase_add_test(tests, an_error_is_answered_byte_for_byte);
	tcase_add_test(tests, a_list_counts_down);
	tcase_add_test(tests, minors_are_listed);
	tcase_add_test(tests, statistics_follow_their_answer);
	tcase_add_test(tests, what_is_no_request_is_refused);
	tcase_add_test(tests, attaching_has_exact_errors);
	tcase_add_test(tests, a_disk_lives_by_the_table);
	tcase_add_test(tests, a_disk_that_is_not_attached_is_named_so);
	tcase_add_test(tests, opening_has_exact_errors);
	tcase_add_test(tests, an_error_says_what_and_why);
	tcase_add_test(tests, another_disk_does_not_resume);
	tcase_add_test(tests, only_fields_in_use_must_be_text);
	tcase_add_test(tests, flags_must_make_sense);
	tcase_add_test(tests, no_job_was_ever_started);
	tcase_add_test(tests, the_path_of_a_log_follows);
	tcase_add_test(tests, a_key_follows);
	tcase_add_test(tests, a_log_comes_before_a_key);
	tcase_add_test(tests, a_resume_has_a_log_but_no_key);
	tcase_add_test(tests, null_is_no_secondary);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return control_rig_run(suite());
}
