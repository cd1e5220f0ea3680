/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests about guest rings, against somebody who only writes down what he is asked.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "drivers/core/server.h"
#include "tests/control/control-rig.h"

static struct control_rig rig;

/* ---- the keeper of rings ------------------------------------------------------------------------
 */

static struct {
	struct control_ring ring; /* the last one that was connected */
	struct control_ring_queue queues[4];
	int connects, disconnects, connect_err;
	bool forced;
	bool hold;                                        /* do not say that it is unmapped */
	void (*first)(void *arg), (*unmapped)(void *arg); /* who waits: the first, and the last */
	void *first_arg, *unmapped_arg;
} keeper;

static int
keep(void *arg, struct vbd *vbd, const struct control_ring *ring, const char **why)
{
	ck_assert_ptr_eq(arg, &keeper);
	ck_assert_ptr_eq(vbd, rig.engine.vbd);
	keeper.connects++;
	keeper.ring = *ring;
	memcpy(keeper.queues, ring->queues, ring->queue_count * sizeof(*ring->queues));
	keeper.ring.queues = keeper.queues;
	if (keeper.connect_err)
		*why = "the guest has gone";
	return keeper.connect_err;
}

static int
drop(void *arg, uint32_t domid, uint32_t devid, bool force, void (*unmapped)(void *unmapped_arg),
     void *unmapped_arg)
{
	ck_assert_ptr_eq(arg, &keeper);
	if (domid != keeper.ring.domid || devid != keeper.ring.devid)
		return -ENODEV;
	keeper.disconnects++;
	keeper.forced = force;
	if (!unmapped)
		return 0;
	if (keeper.hold) {
		if (!keeper.first) {
			keeper.first = unmapped;
			keeper.first_arg = unmapped_arg;
		}
		keeper.unmapped = unmapped;
		keeper.unmapped_arg = unmapped_arg;
	} else {
		unmapped(unmapped_arg);
	}
	return 0;
}

static void
list(void *arg, struct vbd *vbd,
     void (*each)(void *each_arg, const struct control_ring *ring, unsigned state), void *each_arg)
{
	ck_assert_ptr_eq(arg, &keeper);
	if (vbd == rig.engine.vbd && keeper.connects > keeper.disconnects)
		each(each_arg, &keeper.ring, TAPDISK_RING_CONNECTED);
}

static const struct control_rings rings = {
	.max_rings = 7,
	.max_queues = 4,
	.connect = keep,
	.disconnect = drop,
	.list = list,
	.arg = &keeper,
};

static void
setup(void)
{
	memset(&keeper, 0, sizeof(keeper));
	rig.config.rings = &rings;
	control_rig_setup(&rig);
	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
}

static void
setup_without(void)
{
	control_rig_setup(&rig);
}

static void
teardown(void)
{
	control_rig_teardown(&rig);
}

/* ---- legacy -------------------------------------------------------------------------------------
 */

static tapdisk_message_t
legacy_ring(void)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_XENBLKIF_CONNECT, rig.engine.minor);
	unsigned i;

	message.u.blkif.domid = 5;
	message.u.blkif.devid = 51712;
	message.u.blkif.order = 3;
	message.u.blkif.proto = 3;
	message.u.blkif.port = 9;
	message.u.blkif.poll_duration = 1000;
	message.u.blkif.poll_idle_threshold = 50;
	for (i = 0; i < 8; i++)
		message.u.blkif.gref[i] = 100 + i;
	return message;
}

START_TEST(a_legacy_ring_arrives_whole)
{
	tapdisk_message_t message = legacy_ring();

	ck_assert_int_eq(client_ask(&rig, &message), 0);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_XENBLKIF_CONNECT_RSP);
	ck_assert_uint_eq(keeper.ring.domid, 5);
	ck_assert_uint_eq(keeper.ring.devid, 51712);
	ck_assert_uint_eq(keeper.ring.proto, 3);
	ck_assert_uint_eq(keeper.ring.poll_us, 1000);
	ck_assert_uint_eq(keeper.ring.poll_idle, 50);
	ck_assert_uint_eq(keeper.ring.queue_count, 1);
	ck_assert_uint_eq(keeper.queues[0].order, 3);
	ck_assert_uint_eq(keeper.queues[0].port, 9);
	ck_assert_uint_eq(keeper.queues[0].gref[7], 107);
	ck_assert_uint_eq(keeper.queues[0].gref[8], 0);
}
END_TEST

static int
connect_with(size_t offset, uint32_t value)
{
	tapdisk_message_t message = legacy_ring();

	memcpy((char *)&message + offset, &value, sizeof(value));
	return client_ask(&rig, &message);
}

START_TEST(a_legacy_ring_is_checked)
{
	static const uint32_t orders[] = { 4, 5, 31, 32, 0xffffffff };
	tapdisk_message_t message = legacy_ring();
	size_t i;

	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		ck_assert_int_eq(connect_with(48, orders[i]), EINVAL);
	ck_assert_int_eq(connect_with(52, 0), EPROTONOSUPPORT);
	ck_assert_int_eq(connect_with(52, 4), EPROTONOSUPPORT);
	ck_assert_int_eq(connect_with(312, 0), EINVAL);
	memset(message.u.blkif.pool, 'p', sizeof(message.u.blkif.pool));
	ck_assert_int_eq(client_ask(&rig, &message), EINVAL);
	ck_assert_int_eq(keeper.connects, 0);

	/* The fields of other requests are not looked at: here, no NUL where a path would be. */
	message = legacy_ring();
	memset((char *)&message + 20, 'x', 28);
	memset(message.u.blkif.pool, 'p', sizeof(message.u.blkif.pool) - 1);
	ck_assert_int_eq(client_ask(&rig, &message), 0);
}
END_TEST

START_TEST(a_ring_needs_an_open_disk)
{
	tapdisk_message_t message = legacy_ring();

	message.cookie = 99;
	ck_assert_int_eq(client_ask(&rig, &message), ENODEV);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_CLOSE, rig.engine.minor), 0);
	message = legacy_ring();
	ck_assert_int_eq(client_ask(&rig, &message), EINVAL);
}
END_TEST

START_TEST(errors_of_the_keeper_are_passed_on)
{
	tapdisk_message_t message = legacy_ring();

	keeper.connect_err = -EPROTO;
	ck_assert_int_eq(client_ask(&rig, &message), EPROTO);
	ck_assert_str_eq(message.u.response.message, "the guest has gone");
}
END_TEST

START_TEST(legacy_does_not_wait_for_the_unmap)
{
	tapdisk_message_t message = legacy_ring();

	ck_assert_int_eq(client_ask(&rig, &message), 0);
	keeper.hold = true;
	message = legacy_ring();
	message.type = TAPDISK_MESSAGE_XENBLKIF_DISCONNECT;
	message.cookie = 1234; /* not used */
	ck_assert_int_eq(client_ask(&rig, &message), 0);
	ck_assert_ptr_null((void *)(uintptr_t)keeper.unmapped);
	message = legacy_ring();
	message.type = TAPDISK_MESSAGE_XENBLKIF_DISCONNECT;
	message.u.blkif.domid = 6;
	ck_assert_int_eq(client_ask(&rig, &message), ENODEV);
}
END_TEST

/* ---- versioned ----------------------------------------------------------------------------------
 */

static void
put_queue(struct frame_writer *writer, uint32_t order, uint32_t port, size_t grefs)
{
	uint8_t raw[8 + 4 * 64] = { 0 };
	size_t i;

	put_le32(raw, order);
	put_le32(raw + 4, port);
	for (i = 0; i < grefs; i++)
		put_le32(raw + 8 + 4 * i, (uint32_t)(port * 100 + i));
	frame_put(writer, TAPDISK_ATTR_QUEUE, raw, 8 + 4 * grefs);
}

/* A RING_CONNECT to which queues are still to be added. */
static void
begin_ring(struct client *client, struct frame_writer *writer)
{
	client_begin(client, writer, TAPDISK_FRAME_RING_CONNECT, rig.engine.minor);
	frame_put_u32(writer, TAPDISK_ATTR_DOMID, 5);
	frame_put_u32(writer, TAPDISK_ATTR_DEVID, 768);
	frame_put_u32(writer, TAPDISK_ATTR_PROTO, 1);
}

static uint64_t
begin_disconnect(struct client *client, uint32_t devid, bool force)
{
	struct frame_writer writer;

	client_begin(client, &writer, TAPDISK_FRAME_RING_DISCONNECT, -1);
	frame_put_u32(&writer, TAPDISK_ATTR_DOMID, 5);
	frame_put_u32(&writer, TAPDISK_ATTR_DEVID, devid);
	if (force)
		frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	return client_finish(client, &writer);
}

static uint64_t
begin_connect(struct client *client)
{
	struct frame_writer writer;

	begin_ring(client, &writer);
	put_queue(&writer, 0, 1, 1);
	return client_finish(client, &writer);
}

START_TEST(a_ring_of_several_queues_arrives_whole)
{
	struct frame_writer writer;
	struct client client;
	uint8_t poll[8];

	put_le32(poll, 20);
	put_le32(poll + 4, 30);
	client_greet(&client, &rig);
	begin_ring(&client, &writer);
	put_queue(&writer, 4, 1, 16);
	put_queue(&writer, 4, 2, 16);
	frame_put_u64(&writer, TAPDISK_ATTR_RING_FEATURES, 0x15);
	frame_put(&writer, TAPDISK_ATTR_POLL, poll, sizeof(poll));
	frame_put_u32(&writer, TAPDISK_ATTR_RING_FLAGS, TAPDISK_RING_READ_ONLY);
	frame_put_u32(&writer, TAPDISK_ATTR_INDIRECT_MAX, 64);
	ck_assert_int_eq(client_expect(&client, client_finish(&client, &writer)), 0);
	ck_assert_uint_eq(keeper.ring.queue_count, 2);
	ck_assert_uint_eq(keeper.queues[1].order, 4);
	ck_assert_uint_eq(keeper.queues[1].port, 2);
	ck_assert_uint_eq(keeper.queues[1].gref[15], 215);
	ck_assert_uint_eq(keeper.ring.features, 0x15);
	ck_assert_uint_eq(keeper.ring.poll_us, 20);
	ck_assert_uint_eq(keeper.ring.poll_idle, 30);
	ck_assert_uint_eq(keeper.ring.flags, TAPDISK_RING_READ_ONLY);
	ck_assert_uint_eq(keeper.ring.indirect_max, 64);
	client_close(&client);
}
END_TEST

/* One queue in this form: the error. */
static int
connect_queue(uint32_t order, uint32_t port, size_t grefs)
{
	struct frame_writer writer;
	struct client client;
	int err;

	client_greet(&client, &rig);
	begin_ring(&client, &writer);
	put_queue(&writer, order, port, grefs);
	err = client_expect(&client, client_finish(&client, &writer));
	client_close(&client);
	return err;
}

START_TEST(queues_are_checked)
{
	struct frame_writer writer;
	struct client client;
	int i;

	ck_assert_int_eq(connect_queue(5, 1, 32), EINVAL);
	ck_assert_int_eq(connect_queue(31, 1, 32), EINVAL);
	ck_assert_int_eq(connect_queue(0xffffffff, 1, 1), EINVAL);
	ck_assert_int_eq(connect_queue(1, 1, 1), EINVAL);
	ck_assert_int_eq(connect_queue(1, 1, 3), EINVAL);
	ck_assert_int_eq(connect_queue(0, 0, 1), EINVAL);
	client_greet(&client, &rig);
	begin_ring(&client, &writer);
	ck_assert_int_eq(client_expect(&client, client_finish(&client, &writer)), EINVAL);
	begin_ring(&client, &writer);
	for (i = 0; i < 5; i++)
		put_queue(&writer, 0, 1, 1);
	ck_assert_int_eq(client_expect(&client, client_finish(&client, &writer)), EINVAL);
	ck_assert_int_eq(client_expect(&client, client_request(&client, TAPDISK_FRAME_RING_CONNECT,
							       rig.engine.minor)),
			 EINVAL);
	ck_assert_int_eq(keeper.connects, 0);
	client_close(&client);
}
END_TEST

START_TEST(unknown_flags_are_refused)
{
	struct frame_writer writer;
	struct client client;

	client_greet(&client, &rig);
	begin_ring(&client, &writer);
	put_queue(&writer, 0, 1, 1);
	frame_put_u32(&writer, TAPDISK_ATTR_RING_FLAGS, TAPDISK_RING_READ_ONLY | 0x4);
	ck_assert_int_eq(client_expect(&client, client_finish(&client, &writer)), EINVAL);
	ck_assert_int_eq(keeper.connects, 0);
	client_close(&client);
}
END_TEST

START_TEST(a_disconnect_is_answered_after_the_unmap)
{
	struct client client;
	uint64_t gone, again;

	client_greet(&client, &rig);
	ck_assert_int_eq(client_expect(&client, begin_connect(&client)), 0);
	ck_assert_int_eq(client_expect(&client, begin_disconnect(&client, 99, false)), ENODEV);
	keeper.hold = true;
	gone = begin_disconnect(&client, 768, true);
	/* The same ring is not connected again before the other is gone. */
	again = begin_connect(&client);
	control_rig_settle(&rig);
	ck_assert(!client_has_input(&client));
	ck_assert_int_eq(keeper.connects, 1);
	ck_assert(keeper.forced);
	keeper.unmapped(keeper.unmapped_arg);
	ck_assert_int_eq(client_expect(&client, gone), 0);
	ck_assert_int_eq(client_expect(&client, again), 0);
	ck_assert_int_eq(keeper.connects, 2);
	client_close(&client);
}
END_TEST

START_TEST(force_does_not_wait_for_a_disconnect_without_it)
{
	struct client client, other;
	uint64_t soft, forced, again;

	client_greet(&client, &rig);
	client_greet(&other, &rig);
	ck_assert_int_eq(client_expect(&client, begin_connect(&client)), 0);
	keeper.hold = true;
	soft = begin_disconnect(&client, 768, false);
	again = begin_disconnect(&other, 768, false);
	control_rig_settle(&rig);
	ck_assert_int_eq(keeper.disconnects, 1);
	forced = begin_disconnect(&other, 768, true);
	control_rig_settle(&rig);
	ck_assert_int_eq(keeper.disconnects, 2);
	ck_assert(keeper.forced);
	keeper.hold = false;
	keeper.unmapped(keeper.unmapped_arg);
	ck_assert_int_eq(client_expect(&other, forced), 0);
	ck_assert(!client_has_input(&client));
	keeper.first(keeper.first_arg);
	ck_assert_int_eq(client_expect(&client, soft), 0);
	ck_assert_int_eq(client_expect(&other, again), 0);
	client_close(&client);
	client_close(&other);
}
END_TEST

START_TEST(an_unmap_may_come_after_its_asker_has_gone)
{
	struct client client;

	client_greet(&client, &rig);
	ck_assert_int_eq(client_expect(&client, begin_connect(&client)), 0);
	keeper.hold = true;
	begin_disconnect(&client, 768, false);
	control_rig_settle(&rig);
	client_close(&client);
	control_rig_settle(&rig);
	keeper.unmapped(keeper.unmapped_arg);
}
END_TEST

START_TEST(a_ring_waits_for_a_close_but_not_for_a_pause)
{
	static char buf[512];
	struct ask hanging = { 0 };
	struct client client;
	uint64_t pause, closing, connecting;

	probe.hold = true;
	ask_start(&rig.engine, &hanging, TD_OP_READ, 0, 1, buf);
	client_greet(&client, &rig);
	pause = client_request(&client, TAPDISK_FRAME_PAUSE, rig.engine.minor);
	ck_assert_int_eq(client_expect(&client, begin_connect(&client)), 0);
	closing = client_request(&client, TAPDISK_FRAME_CLOSE, rig.engine.minor);
	ck_assert_int_eq(client_expect(&client, begin_disconnect(&client, 768, false)), 0);
	probe_release(0);
	ck_assert_int_eq(client_expect(&client, pause), 0);
	ck_assert_int_eq(client_expect(&client, closing), 0);

	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
	probe.hold = true;
	ask_start(&rig.engine, &hanging, TD_OP_READ, 0, 1, buf);
	closing = client_request(&client, TAPDISK_FRAME_CLOSE, rig.engine.minor);
	control_rig_settle(&rig);
	connecting = begin_connect(&client);
	control_rig_settle(&rig);
	ck_assert(!client_has_input(&client));
	probe_release(0);
	ck_assert_int_eq(client_expect(&client, closing), 0);
	ck_assert_int_eq(client_expect(&client, connecting), EINVAL);
	client_close(&client);
}
END_TEST

START_TEST(rings_are_listed)
{
	struct client client;
	struct reply reply;

	client_greet(&client, &rig);
	ck_assert_int_eq(client_expect(&client, begin_connect(&client)), 0);
	client_request(&client, TAPDISK_FRAME_RING_LIST, -1);
	ck_assert(client_reply(&client, &reply));
	ck_assert_uint_eq(reply.frame.flags, TAPDISK_FRAME_REPLY | TAPDISK_FRAME_MORE);
	ck_assert_uint_eq(reply.frame.minor, (uint32_t)rig.engine.minor);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_DOMID), 5);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_DEVID), 768);
	ck_assert_uint_eq(reply_u32(&reply, TAPDISK_ATTR_RING_STATE), TAPDISK_RING_CONNECTED);
	ck_assert_uint_eq(reply_attr(&reply, TAPDISK_ATTR_QUEUE).length, 12);
	ck_assert(client_reply(&client, &reply));
	ck_assert_uint_eq(reply.frame.flags, TAPDISK_FRAME_REPLY);
	ck_assert_uint_eq(reply.frame.length, 0);
	ck_assert_int_eq(
		client_expect(&client, client_request(&client, TAPDISK_FRAME_RING_LIST, 99)),
		ENODEV);
	client_close(&client);
}
END_TEST

START_TEST(hosts_without_rings_say_so)
{
	tapdisk_message_t message = legacy_ring();
	struct client client;

	ck_assert_int_eq(client_ask(&rig, &message), ENODEV);
	message = legacy_ring();
	message.type = TAPDISK_MESSAGE_XENBLKIF_DISCONNECT;
	ck_assert_int_eq(client_ask(&rig, &message), ENODEV);
	client_greet(&client, &rig);
	ck_assert_int_eq(client_expect(&client, begin_connect(&client)), ENODEV);
	ck_assert_int_eq(client_expect(&client, begin_disconnect(&client, 1, false)), ENODEV);
	ck_assert_int_eq(
		client_expect(&client, client_request(&client, TAPDISK_FRAME_RING_LIST, -1)),
		ENODEV);
	client_close(&client);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("rings");
	TCase *tests = tcase_create("rings"), *without = tcase_create("without");

	tcase_set_timeout(tests, 60);
	tcase_set_timeout(without, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_checked_fixture(without, setup_without, teardown);
	tcase_add_test(tests, a_legacy_ring_arrives_whole);
	tcase_add_test(tests, a_legacy_ring_is_checked);
	tcase_add_test(tests, a_ring_needs_an_open_disk);
	tcase_add_test(tests, errors_of_the_keeper_are_passed_on);
	tcase_add_test(tests, legacy_does_not_wait_for_the_unmap);
	tcase_add_test(tests, a_ring_of_several_queues_arrives_whole);
	tcase_add_test(tests, queues_are_checked);
	tcase_add_test(tests, unknown_flags_are_refused);
	tcase_add_test(tests, a_disconnect_is_answered_after_the_unmap);
	tcase_add_test(tests, force_does_not_wait_for_a_disconnect_without_it);
	tcase_add_test(tests, an_unmap_may_come_after_its_asker_has_gone);
	tcase_add_test(tests, a_ring_waits_for_a_close_but_not_for_a_pause);
	tcase_add_test(tests, rings_are_listed);
	tcase_add_test(without, hosts_without_rings_say_so);
	suite_add_tcase(all, tests);
	suite_add_tcase(all, without);
	return all;
}

int
main(void)
{
	return control_rig_run(suite());
}
