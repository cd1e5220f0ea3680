/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which request runs when: one at a time per disk, joins, overtaking, withdrawing, and bounds.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/server.h"
#include "tests/control/control-rig.h"

static struct control_rig rig;
static char buf[512];
static struct ask hanging;

/* An open disk with a request that does not end until probe_release. */
static void
setup(void)
{
	control_rig_setup(&rig);
	ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
	probe.hold = true;
	ask_start(&rig.engine, &hanging, TD_OP_READ, 0, 1, buf);
}

static void
teardown(void)
{
	control_rig_teardown(&rig);
}

/* A legacy request whose answer may take long. */
static void
start(struct client *client, unsigned type, int minor)
{
	tapdisk_message_t message = message_for(type, minor);

	client_open(client, &rig);
	client_tell(client, &message, NULL, 0);
	control_rig_settle(&rig);
}

/* Its error, once it comes. */
static int
end(struct client *client)
{
	tapdisk_message_t message;

	client_hear(client, &message);
	client_expect_end(client);
	return message.type == TAPDISK_MESSAGE_ERROR ? message.u.response.error : 0;
}

/* ---- waiting ------------------------------------------------------------------------------------
 */

START_TEST(requests_of_one_disk_wait_for_each_other)
{
	struct client first, second, third;

	start(&first, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	start(&second, TAPDISK_MESSAGE_RESUME, rig.engine.minor);
	start(&third, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x14);
	ck_assert(!client_has_input(&first));
	ck_assert(!client_has_input(&second));
	ck_assert(!client_has_input(&third));
	probe_release(0);
	ck_assert_int_eq(end(&third), 0);
	ck_assert(client_has_input(&first));
	ck_assert(client_has_input(&second));
	ck_assert_int_eq(end(&first), 0);
	ck_assert_int_eq(end(&second), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x2);
}
END_TEST

START_TEST(different_disks_do_not_wait)
{
	int other = control_rig_minor(&rig);
	struct client pause;

	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, other), 0);
	ck_assert_int_eq(client_open_disk(&rig, other, "probe:y"), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PAUSE, other), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_CLOSE, other), 0);
	ck_assert(!client_has_input(&pause));
	probe_release(0);
	ck_assert_int_eq(end(&pause), 0);
}
END_TEST

START_TEST(questions_are_answered_meanwhile)
{
	struct client pause, wait;

	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	start(&wait, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PID, -1), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_DISK_INFO, rig.engine.minor), 0);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_LIST_MINORS, -1), 0);
	ck_assert(!client_has_input(&wait));
	probe_release(0);
	ck_assert_int_eq(end(&pause), 0);
	ck_assert_int_eq(end(&wait), 0);
}
END_TEST

START_TEST(a_pause_joins_a_pause)
{
	struct client first, second;

	start(&first, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	start(&second, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	probe_release(0);
	ck_assert_int_eq(end(&first), 0);
	ck_assert(client_has_input(&second));
	ck_assert_int_eq(end(&second), 0);
}
END_TEST

START_TEST(a_close_joins_a_close)
{
	struct client first, second;

	start(&first, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	start(&second, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	probe_release(0);
	ck_assert_int_eq(end(&first), 0);
	ck_assert(client_has_input(&second));
	ck_assert_int_eq(end(&second), 0);
}
END_TEST

/* But it does not jump the queue. */
START_TEST(a_close_behind_others_does_not_join)
{
	struct client close_first, open_next, close_last;
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);

	start(&close_first, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	client_open(&open_next, &rig);
	snprintf(message.u.params.path, sizeof(message.u.params.path), "probe:z");
	client_tell(&open_next, &message, NULL, 0);
	control_rig_settle(&rig);
	start(&close_last, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	probe_release(0);
	ck_assert_int_eq(end(&close_last), 0);
	ck_assert_int_eq(end(&close_first), 0);
	ck_assert_int_eq(end(&open_next), 0);
	ck_assert_int_eq(probe.opens, 2);
	ck_assert_int_eq(probe.closes, 2);
}
END_TEST

/* ---- overtaking ---------------------------------------------------------------------------------
 */

START_TEST(force_cancels_a_pause)
{
	struct client pause, resume, force;

	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	start(&resume, TAPDISK_MESSAGE_RESUME, rig.engine.minor);
	start(&force, TAPDISK_MESSAGE_FORCE_SHUTDOWN, rig.engine.minor);
	ck_assert_int_eq(end(&pause), ECANCELED);
	ck_assert_int_eq(end(&resume), ECANCELED);
	ck_assert(!client_has_input(&force));
	probe_release(0);
	ck_assert_int_eq(end(&force), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x2);
}
END_TEST

START_TEST(force_makes_a_close_forced)
{
	struct client close_it, wait, force;

	start(&close_it, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	start(&wait, TAPDISK_MESSAGE_DETACH, rig.engine.minor);
	start(&force, TAPDISK_MESSAGE_FORCE_SHUTDOWN, rig.engine.minor);
	ck_assert(!client_has_input(&close_it));
	probe_release(-EIO);
	ck_assert_int_eq(end(&force), 0);
	ck_assert_int_eq(end(&close_it), 0);
	ck_assert_int_eq(end(&wait), 0);
}
END_TEST

START_TEST(force_takes_a_waiting_close_along)
{
	struct client pause, close_it, force;

	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	start(&close_it, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	start(&force, TAPDISK_MESSAGE_FORCE_SHUTDOWN, rig.engine.minor);
	ck_assert_int_eq(end(&pause), ECANCELED);
	probe_release(0);
	ck_assert_int_eq(end(&close_it), 0);
	ck_assert_int_eq(end(&force), 0);
}
END_TEST

/* ---- withdrawing --------------------------------------------------------------------------------
 */

START_TEST(a_pause_is_withdrawn_when_its_client_leaves)
{
	struct client pause;

	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x14);
	client_close(&pause);
	control_rig_settle(&rig);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0);
	/* Another one runs, and force still comes through. */
	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x14);
	probe_release(0);
	ck_assert_int_eq(end(&pause), 0);
}
END_TEST

START_TEST(a_pause_that_others_wait_for_stays)
{
	struct client first, second;

	start(&first, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	start(&second, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	client_close(&first);
	control_rig_settle(&rig);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x14);
	probe_release(0);
	ck_assert_int_eq(end(&second), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x2a);
}
END_TEST

START_TEST(a_waiting_pause_is_forgotten)
{
	struct client close_it, pause;

	start(&close_it, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	client_close(&pause);
	control_rig_settle(&rig);
	probe_release(0);
	ck_assert_int_eq(end(&close_it), 0);
}
END_TEST

/* The images are being closed already: the pause ends, and is undone before the next request. */
START_TEST(a_pause_withdrawn_late_is_undone_first)
{
	struct client pause, next;

	probe_release(0);
	ck_assert_int_eq(hanging.err, 0);
	client_open(&pause, &rig);
	client_tell(&pause,
		    &(tapdisk_message_t){ .type = TAPDISK_MESSAGE_PAUSE,
					  .cookie = (uint16_t)rig.engine.minor },
		    NULL, 0);
	while (!probe.closes)
		control_rig_turn(&rig);
	client_close(&pause);
	start(&next, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	ck_assert_int_eq(end(&next), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x2);
}
END_TEST

START_TEST(a_close_goes_on_unheard)
{
	struct client close_it;

	start(&close_it, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	client_close(&close_it);
	control_rig_settle(&rig);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x44);
	/* A later one joins it. */
	start(&close_it, TAPDISK_MESSAGE_CLOSE, rig.engine.minor);
	probe_release(0);
	ck_assert_int_eq(end(&close_it), 0);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0x2);
}
END_TEST

START_TEST(an_open_goes_on_unheard)
{
	int other = control_rig_minor(&rig);
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_OPEN, other);
	struct client client;
	struct vbd *vbd;

	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_ATTACH, other), 0);
	vbd = tapdisk_server_find(rig.engine.server, other);
	snprintf(message.u.params.path, sizeof(message.u.params.path), "probe:x");
	client_open(&client, &rig);
	client_tell(&client, &message, NULL, 0);
	while (!vbd_is_busy(vbd))
		control_rig_turn(&rig);
	client_close(&client);
	while (vbd_is_busy(vbd))
		control_rig_wait(&rig);
	ck_assert_str_eq(vbd_params(vbd), "probe:x");
}
END_TEST

/* ---- bounds -------------------------------------------------------------------------------------
 */

START_TEST(sixteen_may_wait_for_a_disk)
{
	struct client pause, wait[16], late;
	int i;

	start(&pause, TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	for (i = 0; i < 16; i++)
		start(&wait[i], TAPDISK_MESSAGE_RESUME, rig.engine.minor);
	start(&late, TAPDISK_MESSAGE_RESUME, rig.engine.minor);
	ck_assert_int_eq(end(&late), EAGAIN);
	/* But not behind force. */
	start(&late, TAPDISK_MESSAGE_FORCE_SHUTDOWN, rig.engine.minor);
	ck_assert_int_eq(end(&pause), ECANCELED);
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(end(&wait[i]), ECANCELED);
	probe_release(0);
	ck_assert_int_eq(end(&late), 0);
}
END_TEST

START_TEST(questions_get_through_a_crowd)
{
	struct client crowd[24], late;
	int i;

	/* Pauses join; they all hang. */
	for (i = 0; i < 16; i++)
		start(&crowd[i], TAPDISK_MESSAGE_PAUSE, rig.engine.minor);
	for (; i < 24; i++)
		start(&crowd[i], TAPDISK_MESSAGE_RESUME, rig.engine.minor);
	start(&late, TAPDISK_MESSAGE_ATTACH, 5);
	ck_assert_int_eq(end(&late), EAGAIN);
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PID, -1), 0);
	probe_release(0);
	for (i = 0; i < 16; i++)
		ck_assert_int_eq(end(&crowd[i]), 0);
	ck_assert_int_eq(end(&crowd[16]), 0);
	for (i = 17; i < 24; i++)
		ck_assert_int_eq(end(&crowd[i]), EINVAL);
}
END_TEST

START_TEST(the_thirty_third_connection_waits)
{
	struct client idle[32], late;
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_PID, -1);
	int i;

	for (i = 0; i < 32; i++)
		client_open(&idle[i], &rig);
	client_open(&late, &rig);
	client_tell(&late, &message, NULL, 0);
	control_rig_settle(&rig);
	ck_assert(!client_has_input(&late));
	client_close(&idle[7]);
	ck_assert_int_eq(end(&late), 0);
	for (i = 0; i < 32; i++)
		if (i != 7)
			client_close(&idle[i]);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("order");
	TCase *tests = tcase_create("order");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, requests_of_one_disk_wait_for_each_other);
	tcase_add_test(tests, different_disks_do_not_wait);
	tcase_add_test(tests, questions_are_answered_meanwhile);
	tcase_add_test(tests, a_pause_joins_a_pause);
	tcase_add_test(tests, a_close_joins_a_close);
	tcase_add_test(tests, a_close_behind_others_does_not_join);
	tcase_add_test(tests, force_cancels_a_pause);
	tcase_add_test(tests, force_makes_a_close_forced);
	tcase_add_test(tests, force_takes_a_waiting_close_along);
	tcase_add_test(tests, a_pause_is_withdrawn_when_its_client_leaves);
	tcase_add_test(tests, a_pause_that_others_wait_for_stays);
	tcase_add_test(tests, a_waiting_pause_is_forgotten);
	tcase_add_test(tests, a_pause_withdrawn_late_is_undone_first);
	tcase_add_test(tests, a_close_goes_on_unheard);
	tcase_add_test(tests, an_open_goes_on_unheard);
	tcase_add_test(tests, sixteen_may_wait_for_a_disk);
	tcase_add_test(tests, questions_get_through_a_crowd);
	tcase_add_test(tests, the_thirty_third_connection_waits);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return control_rig_run(suite());
}
