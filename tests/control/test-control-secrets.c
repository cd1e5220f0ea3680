/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A key is nowhere in the memory of the process once its disk is closed, or was never opened.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/secret.h"
#include "tests/control/control-rig.h"

#define KEY_BYTES 32
#define PIECE (1 << 16)

static struct control_rig rig;

/* The key inverted, so that this program holds no copy of it. */
static const uint8_t inverted[KEY_BYTES + 1] = "\x81\x92\xa3\xb4\xc5\xd6\xe7\xf8\x19\x2a\x3b"
					       "\x4c\x5d\x6e\x7f\x88\x99\xaa\xbb\xcc\xdd\xee"
					       "\xf1\xe2\xd3\xc4\xb5\xa6\x97\x78\x69\x5a";

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

static void
write_key(volatile uint8_t *to)
{
	int i;

	for (i = 0; i < KEY_BYTES; i++)
		to[i] = inverted[i] ^ 0xff;
}

static bool
is_key(const uint8_t *at)
{
	int i;

	for (i = 0; i < KEY_BYTES; i++)
		if ((at[i] ^ inverted[i]) != 0xff)
			return false;
	return true;
}

/* How often the key is in the memory from begin to end. */
static int
count_in(int memory, unsigned long begin, unsigned long end)
{
	static uint8_t piece[PIECE + KEY_BYTES];
	ssize_t got, i;
	int found = 0;

	for (; begin < end; begin += PIECE) {
		got = pread(memory, piece, sizeof(piece), (off_t)begin);
		for (i = 0; i + KEY_BYTES <= got && i < PIECE; i++)
			if (is_key(piece + i))
				found++;
	}
	explicit_bzero(piece, sizeof(piece));
	return found;
}

static int
count_keys(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), found = 0;
	unsigned long begin, end;
	char line[512], *at;

	ck_assert_ptr_nonnull(maps);
	ck_assert_int_ge(memory, 0);
	while (fgets(line, sizeof(line), maps)) {
		begin = strtoul(line, &at, 16);
		end = strtoul(at + 1, &at, 16);
		if (strncmp(at, " rw", 3) == 0)
			found += count_in(memory, begin, end);
	}
	fclose(maps);
	close(memory);
	return found;
}

START_TEST(a_key_is_found_where_there_is_one)
{
	uint8_t *key = secret_new(KEY_BYTES);

	ck_assert_int_eq(count_keys(), 0);
	write_key(key);
	ck_assert_int_ge(count_keys(), 1);
	secret_free(key, KEY_BYTES);
	ck_assert_int_eq(count_keys(), 0);
}
END_TEST

/* OPEN with the key by the legacy protocol: the error. */
static int
open_legacy(const char *params)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);
	uint8_t *trailing = secret_new(1 + KEY_BYTES);
	struct client client;

	snprintf(message.u.params.path, sizeof(message.u.params.path), "%s", params);
	message.u.params.flags = TAPDISK_MESSAGE_FLAG_ENCRYPTED;
	trailing[0] = KEY_BYTES;
	write_key(trailing + 1);
	client_open(&client, &rig);
	client_tell(&client, &message, trailing, 1 + KEY_BYTES);
	secret_free(trailing, 1 + KEY_BYTES);
	client_hear(&client, &message);
	client_expect_end(&client);
	return message.type == TAPDISK_MESSAGE_ERROR ? message.u.response.error : 0;
}

static int
open_versioned(const char *params)
{
	uint8_t *key = secret_new(KEY_BYTES);
	struct frame_writer writer;
	struct client client;
	int err;

	write_key(key);
	client_greet(&client, &rig);
	client_begin(&client, &writer, TAPDISK_FRAME_OPEN, rig.engine.minor);
	frame_put_text(&writer, TAPDISK_ATTR_PARAMS, params);
	frame_put(&writer, TAPDISK_ATTR_KEY, key, KEY_BYTES);
	secret_free(key, KEY_BYTES);
	err = client_expect(&client, client_finish(&client, &writer));
	client_close(&client);
	return err;
}

START_TEST(nothing_is_left_of_a_key_that_was_refused)
{
	ck_assert_int_eq(open_legacy("nosuch:x"), ENOENT);
	ck_assert_int_eq(open_versioned("nosuch:x"), ENOENT);
	ck_assert_int_eq(open_legacy(""), EINVAL);
	control_rig_settle(&rig);
	ck_assert_int_eq(count_keys(), 0);
}
END_TEST

START_TEST(nothing_is_left_of_the_key_of_a_closed_disk)
{
	ck_assert_int_eq(open_legacy("probe:x"), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_CLOSE, rig.engine.minor), 0);
	ck_assert_int_eq(open_versioned("probe:x"), 0);
	control_rig_settle(&rig);
	/* The engine keeps one, to open the images again after a pause. */
	ck_assert_int_eq(count_keys(), 1);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_CLOSE, rig.engine.minor), 0);
	ck_assert_int_eq(count_keys(), 0);
}
END_TEST

START_TEST(nothing_is_left_of_a_key_that_did_not_come_whole)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);
	uint8_t *trailing = secret_new(1 + KEY_BYTES);
	struct client client;

	message.u.params.flags = TAPDISK_MESSAGE_FLAG_ENCRYPTED;
	trailing[0] = KEY_BYTES + 1;
	write_key(trailing + 1);
	client_open(&client, &rig);
	client_tell(&client, &message, trailing, 1 + KEY_BYTES);
	secret_free(trailing, 1 + KEY_BYTES);
	control_rig_settle(&rig);
	client_close(&client);
	control_rig_settle(&rig);
	ck_assert_int_eq(count_keys(), 0);
}
END_TEST

int
main(void)
{
	Suite *all = suite_create("secrets");
	TCase *tests = tcase_create("secrets");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_key_is_found_where_there_is_one);
	tcase_add_test(tests, nothing_is_left_of_a_key_that_was_refused);
	tcase_add_test(tests, nothing_is_left_of_the_key_of_a_closed_disk);
	tcase_add_test(tests, nothing_is_left_of_a_key_that_did_not_come_whole);
	suite_add_tcase(all, tests);
	return control_rig_run(all);
}
