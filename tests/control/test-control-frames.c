/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The versioned protocol: greeting, requests side by side, attributes, events, and what is refused.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "drivers/core/server.h"
#include "tests/control/control-rig.h"

static struct control_rig rig;
static char buf[512];
static struct ask hanging;

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

/* Open the disk, with a request that does not end until probe_release. */
static void
hang(void)
{
	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
	probe.hold = true;
	ask_start(&rig.engine, &hanging, TD_OP_READ, 0, 1, buf);
}

static int
run(struct client *client, unsigned type, int minor)
{
	return client_expect(client, client_request(client, type, minor));
}

static int
run_with_text(struct client *client, unsigned type, int minor, unsigned tag, const char *text)
{
	struct frame_writer writer;

	client_begin(client, &writer, type, minor);
	frame_put_text(&writer, tag, text);
	return client_expect(client, client_finish(client, &writer));
}

static int
run_with_u32(struct client *client, unsigned type, int minor, unsigned tag, uint32_t value)
{
	struct frame_writer writer;

	client_begin(client, &writer, type, minor);
	frame_put_u32(&writer, tag, value);
	return client_expect(client, client_finish(client, &writer));
}

/* ---- greeting -----------------------------------------------------------------------------------
 */

/* HELLO for versions min..max: the error. */
static int
hello(uint16_t version, uint32_t min, uint32_t max, struct reply *reply)
{
	struct frame frame = { .version = version, .type = TAPDISK_FRAME_HELLO, .request_id = 42 };
	struct frame_writer writer;
	struct client client;

	client_open(&client, &rig);
	frame_begin(&writer, &frame);
	frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MIN, min);
	frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MAX, max);
	frame_pad_to(&writer, TAPDISK_MESSAGE_SIZE);
	client_finish(&client, &writer);
	ck_assert(client_reply(&client, reply));
	ck_assert_uint_eq(reply->frame.request_id, 42);
	if (reply->frame.error)
		client_expect_end(&client);
	else
		client_close(&client);
	return (int)reply->frame.error;
}

START_TEST(the_highest_common_version_is_agreed)
{
	struct reply reply;

	ck_assert_int_eq(hello(1, 1, 1, &reply), 0);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_VERSION), 1);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_VERSION_MAX), 1);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_PID), (uint32_t)getpid());
	ck_assert_uint_eq(reply_attr(&reply, TAPDISK_ATTR_LIMITS).length, 16);
	ck_assert_uint_eq(get_le32(reply_attr(&reply, TAPDISK_ATTR_LIMITS).value), 1 << 20);
	ck_assert_uint_eq(get_le32(reply_attr(&reply, TAPDISK_ATTR_LIMITS).value + 4), 8);
	ck_assert(reply_has(&reply, TAPDISK_ATTR_NAME));
	ck_assert_int_eq(hello(9, 1, 9, &reply), 0);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_VERSION), 1);
}
END_TEST

START_TEST(other_versions_are_told_ours)
{
	struct reply reply;

	ck_assert_int_eq(hello(1, 0, 0, &reply), EPROTONOSUPPORT);
	ck_assert_int_eq(hello(0, 1, 1, &reply), EPROTONOSUPPORT);
	ck_assert_int_eq(hello(2, 2, 65535, &reply), EPROTONOSUPPORT);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_VERSION_MIN), 1);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_VERSION_MAX), 1);
	ck_assert(reply_has(&reply, TAPDISK_ATTR_ERROR_TEXT));
}
END_TEST

START_TEST(hello_comes_first_and_once)
{
	struct client client;

	client_open(&client, &rig);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_PING, -1), EINVAL);
	client_expect_end(&client);
	client_greet(&client, &rig);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_PING, -1), 0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_HELLO, -1), EINVAL);
	client_expect_end(&client);
}
END_TEST

/* ---- malformed frames ---------------------------------------------------------------------------
 */

/* A greeted connection that sends these bytes in place of a header: does an error come first? */
static int
send_header(size_t at, uint8_t value)
{
	uint8_t raw[TAPDISK_FRAME_HEADER] = { 'B', 'T', 'C', '2', 1, 0, 32, 0, 2, 0 };
	struct reply reply;
	struct client client;
	int err = 0;

	raw[at] = value;
	client_greet(&client, &rig);
	client_send(&client, raw, sizeof(raw));
	if (client_reply(&client, &reply))
		err = (int)reply.frame.error;
	client_expect_end(&client);
	return err;
}

START_TEST(broken_headers_end_the_connection)
{
	ck_assert_int_eq(send_header(0, 'X'), 0);             /* magic */
	ck_assert_int_eq(send_header(6, 0), 0);               /* header too short */
	ck_assert_int_eq(send_header(6, 31), 0);              /* the same */
	ck_assert_int_eq(send_header(7, 0xff), 0);            /* too long */
	ck_assert_int_eq(send_header(15, 0xff), EINVAL);      /* payload of 4 GiB */
	ck_assert_int_eq(send_header(14, 0x11), EINVAL);      /* of more than 1 MiB */
	ck_assert_int_eq(send_header(10, 1), EINVAL);         /* a reply */
	ck_assert_int_eq(send_header(4, 2), EPROTONOSUPPORT); /* another version */
}
END_TEST

START_TEST(a_longer_header_is_skipped)
{
	uint8_t raw[256] = { 'B', 'T', 'C', '2', 1, 0, 0, 1, 2, 0 };
	struct client client;

	raw[16] = 7;
	client_greet(&client, &rig);
	client_send(&client, raw, sizeof(raw));
	ck_assert_int_eq(client_expect(&client, 7), 0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_PING, -1), 0);
	client_close(&client);
}
END_TEST

/* A PING with these attributes: the error, and whether the connection goes on. */
static int
ping_with(const uint8_t *attrs, size_t length, bool goes_on)
{
	uint8_t raw[TAPDISK_FRAME_HEADER + 64] = { 'B', 'T', 'C', '2', 1, 0, 32, 0, 2, 0 };
	struct client client;
	int err;

	raw[12] = (uint8_t)length;
	memcpy(raw + TAPDISK_FRAME_HEADER, attrs, length);
	client_greet(&client, &rig);
	client_send(&client, raw, TAPDISK_FRAME_HEADER + length);
	err = client_expect(&client, 0);
	if (!goes_on) {
		client_expect_end(&client);
		return err;
	}
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_PING, -1), 0);
	client_close(&client);
	return err;
}

START_TEST(broken_attributes_are_answered_and_end_the_connection)
{
	static const uint8_t unknown[8] = { 200 }, critical[8] = { 200, 0, 0, 0x80 };
	static const uint8_t elsewhere[8] = { TAPDISK_ATTR_FORCE, 0, 0, 0x80 };
	static const uint8_t overflow[8] = { 200, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t pads[16] = { 0 };

	ck_assert_int_eq(ping_with(unknown, 8, true), 0);
	ck_assert_int_eq(ping_with(pads, 16, true), 0);
	ck_assert_int_eq(ping_with(critical, 8, false), EOPNOTSUPP);
	ck_assert_int_eq(ping_with(elsewhere, 8, false), EOPNOTSUPP);
	ck_assert_int_eq(ping_with(overflow, 8, false), EINVAL);
	ck_assert_int_eq(ping_with(unknown, 7, false), EINVAL);
}
END_TEST

START_TEST(a_tag_comes_once)
{
	struct frame_writer writer;
	struct client client;

	client_greet(&client, &rig);
	client_begin(&client, &writer, TAPDISK_FRAME_CLOSE, rig.engine.minor);
	frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	ck_assert_int_eq(client_expect(&client, client_finish(&client, &writer)), EINVAL);
	client_expect_end(&client);
}
END_TEST

START_TEST(unknown_types_do_not_end_the_connection)
{
	static const unsigned types[] = { 0, TAPDISK_FRAME_NOTICE, 26, 27, 0x8000, 0xffff };
	struct client client;
	size_t i;

	client_greet(&client, &rig);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		ck_assert_int_eq(run(&client, types[i], -1), EOPNOTSUPP);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_PING, -1), 0);
	client_close(&client);
}
END_TEST

/* ---- disks --------------------------------------------------------------------------------------
 */

START_TEST(a_disk_lives_over_one_connection)
{
	int minor = control_rig_minor(&rig);
	struct client client;

	client_greet(&client, &rig);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_OPEN, minor), EINVAL);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_ATTACH, minor), 0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_ATTACH, minor), EEXIST);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_OPEN, minor), EINVAL);
	ck_assert_int_eq(
		run_with_text(&client, TAPDISK_FRAME_OPEN, minor, TAPDISK_ATTR_PARAMS, "probe:x"),
		0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_PAUSE, minor), 0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_RESUME, minor), 0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_RESIZE, minor), EOPNOTSUPP);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_MIRROR, minor), EOPNOTSUPP);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_COMMIT, minor), EOPNOTSUPP);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_COMMIT_CANCEL, minor), EINVAL);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_DETACH, minor), EBUSY);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_CLOSE, minor), 0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_DETACH, minor), 0);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_DETACH, minor), ENODEV);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_ATTACH, 1 << 20), EINVAL);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_EXIT, -1), EBUSY);
	client_close(&client);
}
END_TEST

START_TEST(names_may_be_long)
{
	char params[1004] = "probe:";
	struct client client;

	memset(params + 6, 'x', 997);
	client_greet(&client, &rig);
	ck_assert_int_eq(run_with_text(&client, TAPDISK_FRAME_OPEN, rig.engine.minor,
				       TAPDISK_ATTR_PARAMS, params),
			 0);
	ck_assert_str_eq(vbd_params(rig.engine.vbd), params);
	client_close(&client);
}
END_TEST

START_TEST(options_must_make_sense)
{
	static const struct {
		uint32_t flags;
		unsigned tag;
		uint32_t value;
		int err;
	} rows[] = {
		{ 0x800, 0, 0, EINVAL },
		{ TAPDISK_MESSAGE_FLAG_ADD_LOG, 0, 0, EINVAL },
		{ TAPDISK_MESSAGE_FLAG_SECONDARY, 0, 0, EINVAL },
		{ TAPDISK_MESSAGE_FLAG_STANDBY, 0, 0, EINVAL },
		{ TAPDISK_MESSAGE_FLAG_ENCRYPTED, 0, 0, EINVAL },
		{ TAPDISK_MESSAGE_FLAG_REUSE_PRT, TAPDISK_ATTR_PARENT_MINOR, 16384, EINVAL },
		{ TAPDISK_MESSAGE_FLAG_REUSE_PRT, TAPDISK_ATTR_PARENT_MINOR, 3, EOPNOTSUPP },
		{ 0, TAPDISK_ATTR_LOCK_POLICY, 3, EINVAL },
		{ 0, TAPDISK_ATTR_LOCK_POLICY, 2, EOPNOTSUPP },
		{ 0, TAPDISK_ATTR_KEY, 0, EINVAL }, /* of four bytes */
	};
	struct frame_writer writer;
	struct client client;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client_greet(&client, &rig);
		client_begin(&client, &writer, TAPDISK_FRAME_OPEN, rig.engine.minor);
		frame_put_text(&writer, TAPDISK_ATTR_PARAMS, "probe:x");
		frame_put_u32(&writer, TAPDISK_ATTR_IMAGE_FLAGS, rows[i].flags);
		if (rows[i].tag)
			frame_put_u32(&writer, rows[i].tag, rows[i].value);
		ck_assert_int_eq(client_expect(&client, client_finish(&client, &writer)),
				 rows[i].err);
		client_close(&client);
	}
}
END_TEST

START_TEST(a_key_is_an_attribute)
{
	uint8_t key[64] = { 1 };
	struct frame_writer writer;
	struct client client;

	client_greet(&client, &rig);
	client_begin(&client, &writer, TAPDISK_FRAME_OPEN, rig.engine.minor);
	frame_put_text(&writer, TAPDISK_ATTR_PARAMS, "probe:x");
	frame_put(&writer, TAPDISK_ATTR_KEY, key, sizeof(key));
	frame_put_u32(&writer, TAPDISK_ATTR_IMAGE_FLAGS, TAPDISK_MESSAGE_FLAG_ENCRYPTED);
	ck_assert_int_eq(client_expect(&client, client_finish(&client, &writer)), 0);
	client_close(&client);
}
END_TEST

START_TEST(info_has_everything)
{
	struct client client;
	struct reply reply;
	char path[200];
	uint64_t sectors;
	struct frame_attr attr;

	client_greet(&client, &rig);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_INFO, rig.engine.minor), EINVAL);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_INFO, 77), ENODEV);
	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
	client_request(&client, TAPDISK_FRAME_INFO, rig.engine.minor);
	ck_assert(client_reply(&client, &reply));
	attr = reply_attr(&reply, TAPDISK_ATTR_SECTORS);
	ck_assert_int_eq(frame_get_u64(&attr, &sectors), 0);
	ck_assert_uint_eq(sectors, PROBE_SECTORS);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_SECTOR_SIZE), 512);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_STATE), 0);
	attr = reply_attr(&reply, TAPDISK_ATTR_CHAIN_ITEM);
	ck_assert_uint_eq(attr.length, 7);
	ck_assert_mem_eq(attr.value, "probe:x", 7);
	attr = reply_attr(&reply, TAPDISK_ATTR_NBD_PATH);
	snprintf(path, sizeof(path), "%s/nbd%d.%d", rig.engine.dir, (int)getpid(),
		 rig.engine.minor);
	ck_assert_uint_eq(attr.length, strlen(path));
	ck_assert_mem_eq(attr.value, path, attr.length);
	client_close(&client);
}
END_TEST

START_TEST(a_list_has_one_frame_for_each_disk)
{
	int second = control_rig_minor(&rig);
	struct client client;
	struct reply reply;
	uint64_t id;

	client_greet(&client, &rig);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_ATTACH, second), 0);
	id = client_request(&client, TAPDISK_FRAME_LIST, -1);
	ck_assert(client_reply(&client, &reply));
	ck_assert_uint_eq(reply.frame.request_id, id);
	ck_assert_uint_eq(reply.frame.minor, (uint32_t)rig.engine.minor);
	ck_assert_uint_eq(reply.frame.flags, TAPDISK_FRAME_REPLY | TAPDISK_FRAME_MORE);
	ck_assert(client_reply(&client, &reply));
	ck_assert_uint_eq(reply.frame.request_id, id);
	ck_assert_uint_eq(reply.frame.minor, (uint32_t)second);
	ck_assert_uint_eq(reply.frame.flags, TAPDISK_FRAME_REPLY);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_STATE), 0);
	ck_assert(!reply_has(&reply, TAPDISK_ATTR_PARAMS));
	client_close(&client);
}
END_TEST

START_TEST(settings_are_set)
{
	struct client client;
	int minor = rig.engine.minor;

	client_greet(&client, &rig);
	ck_assert_int_eq(run(&client, TAPDISK_FRAME_SET, minor), EINVAL);
	ck_assert_int_eq(
		run_with_u32(&client, TAPDISK_FRAME_SET, minor, TAPDISK_ATTR_REQ_TIMEOUT, 5), 0);
	ck_assert_int_eq(
		run_with_u32(&client, TAPDISK_FRAME_SET, minor, TAPDISK_ATTR_REQ_TIMEOUT, 0),
		EINVAL);
	ck_assert_int_eq(
		run_with_u32(&client, TAPDISK_FRAME_SET, minor, TAPDISK_ATTR_REQ_TIMEOUT, 65536),
		EINVAL);
	ck_assert_int_eq(run_with_u32(&client, TAPDISK_FRAME_SET, 99, TAPDISK_ATTR_REQ_TIMEOUT, 5),
			 ENODEV);
	ck_assert_int_eq(run_with_u32(&client, TAPDISK_FRAME_SET, -1, TAPDISK_ATTR_LOG_LEVEL, 2),
			 0);
	ck_assert_int_eq(run_with_u32(&client, TAPDISK_FRAME_SET, -1, TAPDISK_ATTR_LOG_LEVEL, 3),
			 EINVAL);
	client_close(&client);
}
END_TEST

/* ---- several at a time --------------------------------------------------------------------------
 */

START_TEST(answers_are_matched_by_their_id)
{
	struct client client;
	uint64_t pause, ping;

	hang();
	client_greet(&client, &rig);
	pause = client_request(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor);
	ping = client_request(&client, TAPDISK_FRAME_PING, -1);
	ck_assert_int_eq(client_expect(&client, ping), 0);
	control_rig_settle(&rig);
	ck_assert(!client_has_input(&client));
	probe_release(0);
	ck_assert_int_eq(client_expect(&client, pause), 0);
	client_close(&client);
}
END_TEST

START_TEST(a_ninth_request_is_not_read)
{
	struct client client;
	uint64_t first = 0, ping;
	int i;

	hang();
	client_greet(&client, &rig);
	for (i = 0; i < 8; i++)
		first = client_request(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor);
	first -= 7;
	ping = client_request(&client, TAPDISK_FRAME_PING, -1);
	control_rig_settle(&rig);
	ck_assert(!client_has_input(&client));
	probe_release(0);
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(client_expect(&client, first + (uint64_t)i), 0);
	ck_assert_int_eq(client_expect(&client, ping), 0);
	client_close(&client);
}
END_TEST

/* A full connection is not read, but its end is noticed. */
START_TEST(a_full_connection_may_leave)
{
	struct client client;
	int i;

	hang();
	client_greet(&client, &rig);
	for (i = 0; i < 8; i++)
		client_request(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor);
	control_rig_settle(&rig);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x14);
	client_close(&client);
	while (vbd_state(rig.engine.vbd))
		control_rig_wait(&rig);
}
END_TEST

static void
cancel(struct client *client, uint64_t target)
{
	struct frame_writer writer;

	client_begin(client, &writer, TAPDISK_FRAME_CANCEL, -1);
	frame_put_u64(&writer, TAPDISK_ATTR_REQUEST_ID, target);
	client_finish(client, &writer);
}

START_TEST(a_pause_can_be_cancelled)
{
	struct client client, other;
	uint64_t pause, resume;

	hang();
	client_greet(&client, &rig);
	client_greet(&other, &rig);
	pause = client_request(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor);
	resume = client_request(&client, TAPDISK_FRAME_RESUME, rig.engine.minor);
	control_rig_settle(&rig);
	/* Not by somebody else, and not what does not exist. */
	cancel(&other, pause);
	ck_assert_int_eq(client_expect(&other, other.last_id), ENOENT);
	ck_assert_int_eq(run(&other, TAPDISK_FRAME_CANCEL, -1), EINVAL);
	cancel(&client, resume);
	ck_assert_int_eq(client_expect(&client, resume), ECANCELED);
	ck_assert_int_eq(client_expect(&client, client.last_id), 0);
	cancel(&client, pause);
	ck_assert_int_eq(client_expect(&client, pause), ECANCELED);
	ck_assert_int_eq(client_expect(&client, client.last_id), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0);
	client_close(&client);
	client_close(&other);
}
END_TEST

START_TEST(a_close_cannot_be_cancelled)
{
	struct client client;
	uint64_t id;

	hang();
	client_greet(&client, &rig);
	id = client_request(&client, TAPDISK_FRAME_CLOSE, rig.engine.minor);
	control_rig_settle(&rig);
	cancel(&client, id);
	ck_assert_int_eq(client_expect(&client, client.last_id), EBUSY);
	probe_release(0);
	ck_assert_int_eq(client_expect(&client, id), 0);
	client_close(&client);
}
END_TEST

START_TEST(a_pause_may_have_a_time)
{
	struct client client;

	hang();
	client_greet(&client, &rig);
	ck_assert_int_eq(run_with_u32(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor,
				      TAPDISK_ATTR_TIMEOUT, 1),
			 ETIMEDOUT);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0);
	/* Waiting for others counts, too. */
	client_request(&client, TAPDISK_FRAME_CLOSE, rig.engine.minor);
	ck_assert_int_eq(run_with_u32(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor,
				      TAPDISK_ATTR_TIMEOUT, 1),
			 ETIMEDOUT);
	client_close(&client);
}
END_TEST

START_TEST(a_forced_close_overtakes)
{
	struct frame_writer writer;
	struct client client;
	uint64_t pause, force;

	hang();
	client_greet(&client, &rig);
	pause = client_request(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor);
	client_begin(&client, &writer, TAPDISK_FRAME_CLOSE, rig.engine.minor);
	frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	force = client_finish(&client, &writer);
	ck_assert_int_eq(client_expect(&client, pause), ECANCELED);
	probe_release(0);
	ck_assert_int_eq(client_expect(&client, force), 0);
	client_close(&client);
}
END_TEST

/* ---- events -------------------------------------------------------------------------------------
 */

START_TEST(subscribers_are_told)
{
	struct client all, mine, other;
	struct reply reply;

	client_greet(&all, &rig);
	client_greet(&mine, &rig);
	client_greet(&other, &rig);
	ck_assert_int_eq(run(&all, TAPDISK_FRAME_SUBSCRIBE, -1), 0);
	ck_assert_int_eq(run(&mine, TAPDISK_FRAME_SUBSCRIBE, rig.engine.minor), 0);
	ck_assert_int_eq(run(&other, TAPDISK_FRAME_SUBSCRIBE, 99), 0);
	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
	ck_assert(client_reply(&all, &reply));
	ck_assert_uint_eq(reply.frame.type, TAPDISK_FRAME_NOTICE);
	ck_assert_uint_eq(reply.frame.flags, TAPDISK_FRAME_EVENT);
	ck_assert_uint_eq(reply.frame.request_id, 0);
	ck_assert_uint_eq(reply.frame.minor, (uint32_t)rig.engine.minor);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_EVENT_KIND), TAPDISK_EVENT_STATE);
	ck_assert(client_reply(&mine, &reply));
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, rig.engine.minor), 0);
	ck_assert(client_reply(&mine, &reply));
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_STATE), 0x2a);
	ck_assert(!client_has_input(&other));
	client_close(&all);
	client_close(&mine);
	client_close(&other);
}
END_TEST

static TCase *
greeting(void)
{
	TCase *tests = tcase_create("frames");

	tcase_add_test(tests, the_highest_common_version_is_agreed);
	tcase_add_test(tests, other_versions_are_told_ours);
	tcase_add_test(tests, hello_comes_first_and_once);
	tcase_add_test(tests, broken_headers_end_the_connection);
	tcase_add_test(tests, a_longer_header_is_skipped);
	tcase_add_test(tests, broken_attributes_are_answered_and_end_the_connection);
	tcase_add_test(tests, a_tag_comes_once);
	tcase_add_test(tests, unknown_types_do_not_end_the_connection);
	return tests;
}

static TCase *
requests(void)
{
	TCase *tests = tcase_create("requests");

	tcase_add_test(tests, a_disk_lives_over_one_connection);
	tcase_add_test(tests, names_may_be_long);
	tcase_add_test(tests, options_must_make_sense);
	tcase_add_test(tests, a_key_is_an_attribute);
	tcase_add_test(tests, info_has_everything);
	tcase_add_test(tests, a_list_has_one_frame_for_each_disk);
	tcase_add_test(tests, settings_are_set);
	tcase_add_test(tests, answers_are_matched_by_their_id);
	tcase_add_test(tests, a_ninth_request_is_not_read);
	tcase_add_test(tests, a_full_connection_may_leave);
	tcase_add_test(tests, a_pause_can_be_cancelled);
	tcase_add_test(tests, a_close_cannot_be_cancelled);
	tcase_add_test(tests, a_pause_may_have_a_time);
	tcase_add_test(tests, a_forced_close_overtakes);
	tcase_add_test(tests, subscribers_are_told);
	return tests;
}

int
main(void)
{
	TCase *cases[] = { greeting(), requests() };
	Suite *all = suite_create("frames");
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_set_timeout(cases[i], 60);
		tcase_add_checked_fixture(cases[i], setup, teardown);
		suite_add_tcase(all, cases[i]);
	}
	return control_rig_run(all);
}
