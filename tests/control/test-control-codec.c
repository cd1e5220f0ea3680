/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of both protocols as bytes: names and text fields of messages, frames and attributes.
 * (Where the fields of messages lie is asserted when the header is compiled.)
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/frame.h"
#include "common/message.h"

/* ---- messages -----------------------------------------------------------------------------------
 */

START_TEST(every_message_has_its_number_and_name)
{
	ck_assert_uint_eq(TAPDISK_MESSAGE_ERROR, 1);
	ck_assert_uint_eq(TAPDISK_MESSAGE_PID, 3);
	ck_assert_uint_eq(TAPDISK_MESSAGE_LIST_MINORS, 17);
	ck_assert_uint_eq(TAPDISK_MESSAGE_FORCE_SHUTDOWN, 23);
	ck_assert_uint_eq(TAPDISK_MESSAGE_XENBLKIF_DISCONNECT, 26);
	ck_assert_uint_eq(TAPDISK_MESSAGE_EXIT, 30);
	ck_assert_uint_eq(TAPDISK_MESSAGE_CANCEL_COMMIT_JOB_RSP, 36);

	ck_assert_str_eq(message_name(1), "error");
	ck_assert_str_eq(message_name(3), "pid");
	ck_assert_str_eq(message_name(6), "attach response");
	ck_assert_str_eq(message_name(36), "cancel commit job response");
	ck_assert_str_eq(message_name(0), "unknown");
	ck_assert_str_eq(message_name(37), "unknown");
	ck_assert_str_eq(message_name(0xffff), "unknown");
}
END_TEST

START_TEST(every_number_has_a_name_of_its_own)
{
	unsigned i, j;

	for (i = 1; i <= 36; i++) {
		ck_assert_str_ne(message_name(i), "unknown");
		for (j = 1; j < i; j++)
			ck_assert_str_ne(message_name(i), message_name(j));
	}
}
END_TEST

START_TEST(text_is_never_cut_but_notes_are)
{
	char field[8];

	memset(field, 'x', sizeof(field));
	ck_assert(!message_text_ends(field, sizeof(field)));
	ck_assert_int_eq(message_put_text(field, sizeof(field), "12345678"), -ENAMETOOLONG);
	ck_assert_mem_eq(field, "xxxxxxxx", 8);
	ck_assert_int_eq(message_put_text(field, sizeof(field), "1234567"), 0);
	ck_assert_mem_eq(field, "1234567", 8);
	ck_assert(message_text_ends(field, sizeof(field)));
	ck_assert_int_eq(message_put_text(field, sizeof(field), "1"), 0);
	ck_assert_mem_eq(field, "1\0\0\0\0\0\0\0", 8);
	message_put_note(field, sizeof(field), "123456789");
	ck_assert_mem_eq(field, "1234567", 8);
}
END_TEST

/* ---- frames -------------------------------------------------------------------------------------
 */

static const uint8_t golden[] = {
	'B',  'T',  'C',  '2',  1,    0,    32,   0,    5,    0,    3,    0,    24,   0,
	0,    0,    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xff, 0xff, 0xff, 0xff,
	0x16, 0,    0,    0,    7,    0,    0,    0,    4,    0,    0,    0,    0x04, 0x03,
	0x02, 0x01, 0,    0,    0,    0,    25,   0,    0,    0,    0,    0,    0,    0,
};

static const struct frame golden_frame = {
	.version = 1,
	.type = TAPDISK_FRAME_OPEN,
	.flags = TAPDISK_FRAME_REPLY | TAPDISK_FRAME_ERROR,
	.request_id = 0x1122334455667788ull,
	.minor = TAPDISK_FRAME_NO_MINOR,
	.error = EINVAL,
};

START_TEST(a_frame_is_written_byte_for_byte)
{
	struct frame_writer writer;

	frame_begin(&writer, &golden_frame);
	frame_put_u32(&writer, TAPDISK_ATTR_PID, 0x01020304);
	frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	ck_assert_int_eq(frame_end(&writer, TAPDISK_FRAME_MAX_REPLY), 0);
	ck_assert_uint_eq(writer.length, sizeof(golden));
	ck_assert_mem_eq(writer.at, golden, sizeof(golden));
	frame_writer_free(&writer);
}
END_TEST

START_TEST(a_frame_is_read_back)
{
	struct frame_reader reader = { .at = golden + TAPDISK_FRAME_HEADER, .left = 24 };
	struct frame_attr attr;
	struct frame frame;
	uint32_t value;

	ck_assert_int_eq(frame_decode(golden, &frame), 0);
	ck_assert_uint_eq(frame.length, 24);
	ck_assert_uint_eq(frame.header_len, 32);
	ck_assert_uint_eq(frame.request_id, golden_frame.request_id);
	ck_assert_uint_eq(frame.minor, golden_frame.minor);
	ck_assert_uint_eq(frame.error, EINVAL);
	ck_assert_int_eq(frame_next(&reader, &attr), 1);
	ck_assert_uint_eq(attr.tag, TAPDISK_ATTR_PID);
	ck_assert(!attr.critical);
	ck_assert_int_eq(frame_get_u32(&attr, &value), 0);
	ck_assert_uint_eq(value, 0x01020304);
	ck_assert_int_eq(frame_next(&reader, &attr), 1);
	ck_assert_uint_eq(attr.tag, TAPDISK_ATTR_FORCE);
	ck_assert_uint_eq(attr.length, 0);
	ck_assert_int_eq(frame_next(&reader, &attr), 0);
}
END_TEST

START_TEST(a_header_is_checked)
{
	static const struct {
		size_t at;
		uint8_t value;
		int err;
	} rows[] = {
		{ 0, 'b', -EINVAL }, { 3, '1', -EINVAL }, { 6, 0, -EINVAL },
		{ 6, 31, -EINVAL },  { 6, 255, 0 },       { 7, 1, -EINVAL }, /* 32 + 256 */
	};
	uint8_t raw[sizeof(golden)];
	struct frame frame;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(raw, golden, sizeof(raw));
		raw[rows[i].at] = rows[i].value;
		ck_assert_int_eq(frame_decode(raw, &frame), rows[i].err);
	}
}
END_TEST

/* One attribute of which only length bytes are there. */
static int
read_attr(uint32_t claims, size_t length, struct frame_attr *attr)
{
	uint8_t raw[64] = { 9 };
	struct frame_reader reader = { .at = raw, .left = length };

	raw[3] = 0x80;
	memcpy(raw + 4,
	       (const uint8_t[]){ (uint8_t)claims, (uint8_t)(claims >> 8), (uint8_t)(claims >> 16),
				  (uint8_t)(claims >> 24) },
	       4);
	return frame_next(&reader, attr);
}

START_TEST(attributes_must_fill_the_payload)
{
	struct frame_attr attr;
	size_t length;

	for (length = 1; length < 8; length++)
		ck_assert_int_eq(read_attr(0, length, &attr), -EINVAL);
	ck_assert_int_eq(read_attr(0, 8, &attr), 1);
	ck_assert_uint_eq(attr.tag, 9);
	ck_assert(attr.critical);
	/* The padding counts, too. */
	ck_assert_int_eq(read_attr(1, 15, &attr), -EINVAL);
	ck_assert_int_eq(read_attr(1, 16, &attr), 1);
	ck_assert_int_eq(read_attr(9, 16, &attr), -EINVAL);
	ck_assert_int_eq(read_attr(0xffffffff, 64, &attr), -EINVAL);
	ck_assert_int_eq(read_attr(0xfffffff8, 64, &attr), -EINVAL);
}
END_TEST

START_TEST(values_have_one_form)
{
	struct frame_attr attr = { .value = (const uint8_t *)"abc\ndefghi" };
	char *text = NULL;
	uint32_t u32;
	uint64_t u64;

	attr.length = 3;
	ck_assert_int_eq(frame_get_u32(&attr, &u32), -EINVAL);
	ck_assert_int_eq(frame_get_u64(&attr, &u64), -EINVAL);
	ck_assert_int_eq(frame_get_text(&attr, &text), 0);
	ck_assert_str_eq(text, "abc");
	free(text);
	attr.length = 4;
	ck_assert_int_eq(frame_get_text(&attr, &text), -EINVAL);
	attr.length = 0;
	ck_assert_int_eq(frame_get_text(&attr, &text), -EINVAL);
	attr.value = (const uint8_t *)"a\0b";
	attr.length = 3;
	ck_assert_int_eq(frame_get_text(&attr, &text), -EINVAL);
	attr.value = (const uint8_t *)"\x7f";
	attr.length = 1;
	ck_assert_int_eq(frame_get_text(&attr, &text), -EINVAL);
}
END_TEST

START_TEST(strings_have_a_bound)
{
	static uint8_t many[TAPDISK_FRAME_MAX_STRING + 1];
	struct frame_attr attr = { .value = many, .length = sizeof(many) };
	char *text = NULL;

	memset(many, 'a', sizeof(many));
	ck_assert_int_eq(frame_get_text(&attr, &text), -EINVAL);
	attr.length--;
	ck_assert_int_eq(frame_get_text(&attr, &text), 0);
	ck_assert_uint_eq(strlen(text), TAPDISK_FRAME_MAX_STRING);
	free(text);
}
END_TEST

START_TEST(a_frame_has_a_bound)
{
	static const uint8_t value[100];
	struct frame_writer writer;

	frame_begin(&writer, &golden_frame);
	frame_put(&writer, TAPDISK_ATTR_JSON, value, sizeof(value));
	ck_assert_int_eq(frame_end(&writer, 111), -EMSGSIZE);
	ck_assert_int_eq(frame_end(&writer, 112), 0);
	frame_writer_free(&writer);
}
END_TEST

START_TEST(a_hello_is_padded_to_a_legacy_message)
{
	struct frame_writer writer;
	struct frame_reader reader;
	struct frame_attr attr;

	frame_begin(&writer, &golden_frame);
	frame_put_text(&writer, TAPDISK_ATTR_NAME, "somebody");
	frame_pad_to(&writer, TAPDISK_MESSAGE_SIZE);
	ck_assert_int_eq(frame_end(&writer, TAPDISK_FRAME_MAX_REQUEST), 0);
	ck_assert_uint_eq(writer.length, TAPDISK_MESSAGE_SIZE);
	reader = (struct frame_reader){ .at = writer.at + TAPDISK_FRAME_HEADER,
					.left = writer.length - TAPDISK_FRAME_HEADER };
	ck_assert_int_eq(frame_next(&reader, &attr), 1);
	ck_assert_int_eq(frame_next(&reader, &attr), 1);
	ck_assert_uint_eq(attr.tag, TAPDISK_ATTR_PAD);
	ck_assert_int_eq(frame_next(&reader, &attr), 0);
	frame_writer_free(&writer);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("codec");
	TCase *messages = tcase_create("messages");
	TCase *frames = tcase_create("frames");

	tcase_add_test(messages, every_message_has_its_number_and_name);
	tcase_add_test(messages, every_number_has_a_name_of_its_own);
	tcase_add_test(messages, text_is_never_cut_but_notes_are);
	tcase_add_test(frames, a_frame_is_written_byte_for_byte);
	tcase_add_test(frames, a_frame_is_read_back);
	tcase_add_test(frames, a_header_is_checked);
	tcase_add_test(frames, attributes_must_fill_the_payload);
	tcase_add_test(frames, values_have_one_form);
	tcase_add_test(frames, strings_have_a_bound);
	tcase_add_test(frames, a_frame_has_a_bound);
	tcase_add_test(frames, a_hello_is_padded_to_a_legacy_message);
	suite_add_tcase(all, messages);
	suite_add_tcase(all, frames);
	return all;
}

int
main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
