/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings that come and go while the disk pauses, closes, hangs and fails; order by barriers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/fakexen/ring-rig.h"

static struct ring_rig rig;

static void
setup(void)
{
	ring_setup(&rig);
}

static void
teardown(void)
{
	ring_teardown(&rig);
}

START_TEST(flushes_reach_the_disk)
{
	struct ring_form form = { .read_only = true };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, FLUSH, UINT64_MAX, 0), 0);
	ck_assert_int_eq(probe.flushes, 1);
	ck_assert_int_eq(ring_do(&rig, BARRIER, UINT64_MAX, 0), 0);
	ck_assert_int_eq(probe.flushes, 2);
	ck_assert_int_eq(ring_do(&rig, FLUSH, 0, 2), 0);
	ck_assert_int_eq(probe.flushes, 4);
	ck_assert_int_eq(probe.writes, 1);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(ring_do(&rig, FLUSH, 0, 0), 0);
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 1), -1);
	ck_assert_int_eq(ring_do(&rig, FLUSH, 0, 1), -1);
}
END_TEST

START_TEST(nothing_passes_a_barrier)
{
	struct ring_form form = { .queues = 2 };
	struct front_response response;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_turn(&rig);
	probe.hold = true;
	ring_ask(&rig, 0, WRITE, 1, 0, 0);
	ring_turn(&rig);
	ring_ask(&rig, 0, BARRIER, 2, 8, 1);
	ring_ask(&rig, 0, WRITE, 3, 16, 2);
	ring_turn(&rig);
	ring_ask(&rig, 1, WRITE, 4, 24, 3);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, 1);
	ck_assert_int_eq(probe.flushes, 0);
	/* The write ends: a flush, and the barrier's data alone. */
	probe_release(0);
	probe.hold = true;
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 1);
	ck_assert_int_eq(probe.flushes, 1);
	ck_assert_int_eq(probe.held_count, 1);
	ck_assert_uint_eq(probe.held[0].sec, 8);
	/* Another flush, and the others. */
	probe_release(0);
	probe.hold = true;
	ring_turn(&rig);
	ck_assert_int_eq(probe.flushes, 2);
	ck_assert_int_eq(probe.held_count, 2);
	probe_release(0);
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 2);
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 3);
	ck_assert(ring_answered(&rig, 1, &response));
	ck_assert_uint_eq(response.id, 4);
}
END_TEST

START_TEST(a_failed_flush_fails_all_writes_after_it)
{
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.flush_err = -EIO;
	ck_assert_int_eq(ring_do(&rig, FLUSH, 0, 0), -1);
	probe.flush_err = 0;
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 1), -1);
	ck_assert_int_eq(ring_do(&rig, FLUSH, 0, 0), -1);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
}
END_TEST

START_TEST(errors_of_the_disk_are_told)
{
	uint8_t before[4096];

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	memset(rig.data, 0x55, 4096);
	memcpy(before, rig.data, sizeof(before));
	probe.fail_after = 1;
	probe.fail_with = -EIO;
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), -1);
	/* What was not read is not copied, either. */
	ck_assert_mem_eq(rig.data, before, sizeof(before));
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
}
END_TEST

static void
pause_disk(void)
{
	struct outcome outcome = { 0 };

	vbd_pause(rig.engine.vbd, outcome_done, &outcome);
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
}

static void
resume_disk(void)
{
	struct outcome outcome = { 0 };

	vbd_resume(rig.engine.vbd, NULL, outcome_done, &outcome);
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
}

START_TEST(a_paused_disk_lets_the_guest_wait)
{
	struct front_response response;
	int reads;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	pause_disk();
	reads = probe.reads;
	ring_ask(&rig, 0, READ, 2, 0, 0);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(atomic_load(front_word(&rig.queues[0], FRONT_RSP_PROD)), 1);
	resume_disk();
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 2);
	ck_assert_int_eq(probe.reads, reads + 1);
}
END_TEST

/* So that a guest which cannot be served does not wake us, either, however often it asks. */
START_TEST(an_event_is_masked_until_its_work_is_done)
{
	struct world_port *ports = rig.guest.events.machine->ports, *port;
	struct front_response response;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_turn(&rig);
	port = &ports[ports[rig.queues[0].port].peer];
	ck_assert(!(port->word & PORT_MASKED));
	pause_disk();
	ring_ask(&rig, 0, READ, 1, 0, 0);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert(port->word & PORT_MASKED);
	front_kick(&rig.queues[0]);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert(port->word & PORT_PENDING);
	resume_disk();
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert(!(port->word & (PORT_MASKED | PORT_PENDING)));
}
END_TEST

/* What was taken before it, however far it has come: a paused disk has nothing in flight. */
START_TEST(a_pause_waits_for_what_was_taken)
{
	struct front_response response;
	struct outcome outcome = { 0 };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	ring_ask(&rig, 0, WRITE, 1, 0, 0);
	ring_ask(&rig, 0, BARRIER, 2, 8, 1);
	ring_ask(&rig, 0, WRITE, 3, 16, 2);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, 1);
	vbd_pause(rig.engine.vbd, outcome_done, &outcome);
	ring_turn(&rig);
	ck_assert(!outcome.ended);
	probe_release(0);
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 1);
	ck_assert(front_response(&rig.queues[0], &response));
	ck_assert_uint_eq(response.id, 2);
	ck_assert_int_eq(response.status, 0);
	/* The third one waits in the ring. */
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert_int_eq(probe.writes, 2);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
}
END_TEST

START_TEST(a_ring_comes_and_goes_while_the_disk_is_paused)
{
	struct front_response response;

	pause_disk();
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_ask(&rig, 0, READ, 1, 0, 0);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_ask(&rig, 0, READ, 2, 0, 0);
	resume_disk();
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 2);
}
END_TEST

START_TEST(a_disconnect_waits_for_what_is_in_flight)
{
	bool is_gone = false;
	int err;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	ring_ask(&rig, 0, READ, 1, 0, 0);
	ring_ask(&rig, 0, WRITE, 2, 8, 1);
	ring_turn(&rig);
	err = blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, false, ring_flag, &is_gone);
	ck_assert_int_eq(err, 0);
	ring_turn(&rig);
	ck_assert(!is_gone);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1);
	/* The guest may come back with a new ring before the old one has gone. */
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe_release(0);
	ring_turn(&rig);
	ck_assert(is_gone);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
}
END_TEST

START_TEST(a_barrier_under_way_is_awaited)
{
	bool is_gone = false;
	int err;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	ring_ask(&rig, 0, BARRIER, 1, 0, 0);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, 1);
	err = blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, false, ring_flag, &is_gone);
	ck_assert_int_eq(err, 0);
	ring_turn(&rig);
	ck_assert(!is_gone);
	ck_assert_int_eq(probe.flushes, 1);
	ck_assert_int_eq(probe.held_count, 1);
	probe_release(0);
	ring_turn(&rig);
	ck_assert(is_gone);
	ck_assert_int_eq(probe.flushes, 2);
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0);
}
END_TEST

START_TEST(by_force_memory_is_let_go_at_once)
{
	bool is_gone = false;
	int err;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	ring_ask(&rig, 0, READ, 1, 0, 0);
	ring_ask(&rig, 0, WRITE, 2, 8, 1);
	ring_turn(&rig);
	memset(rig.data, 0x77, 4096);
	err = blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, true, ring_flag, &is_gone);
	ck_assert_int_eq(err, 0);
	ck_assert(is_gone);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	probe_release(0);
	ring_turn(&rig);
	ck_assert_int_eq(rig.data[0], 0x77);
}
END_TEST

START_TEST(force_helps_who_waits_for_a_disk_that_hangs)
{
	bool soft = false, again = false, forced = false;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	ring_ask(&rig, 0, READ, 1, 0, 0);
	ring_turn(&rig);
	ck_assert_int_eq(
		blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, false, ring_flag, &soft), 0);
	ck_assert_int_eq(
		blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, false, ring_flag, &again),
		-EBUSY);
	ck_assert(!soft);
	ck_assert_int_eq(
		blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, true, ring_flag, &forced), 0);
	ck_assert(soft);
	ck_assert(forced);
	ck_assert(!again);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	probe_release(0);
	ring_turn(&rig);
}
END_TEST

START_TEST(a_close_answers_and_unmaps)
{
	struct front_response response;
	struct outcome outcome = { 0 };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	probe.hold = true;
	ring_ask(&rig, 0, READ, 1, 0, 0);
	ring_turn(&rig);
	vbd_close(rig.engine.vbd, false, outcome_done, &outcome);
	ring_ask(&rig, 0, READ, 2, 0, 0); /* too late */
	ring_turn(&rig);
	ck_assert(!outcome.ended);
	probe_release(0);
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert(front_response(&rig.queues[0], &response));
	ck_assert_uint_eq(response.id, 1);
	ck_assert(!front_response(&rig.queues[0], &response));
	ck_assert_int_eq(ring_disconnect(&rig, false), -ENODEV);
}
END_TEST

/* At once, or when an orderly close takes too long; what was read goes nowhere. */
START_TEST(a_forced_close_lets_go_at_once)
{
	struct outcome outcome = { 0 }, forced = { 0 };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	memset(rig.data, 0x77, 4096);
	ring_ask(&rig, 0, READ, 1, 0, 0);
	ring_ask(&rig, 0, WRITE, 2, 8, 1);
	ring_turn(&rig);
	if (_i) {
		vbd_close(rig.engine.vbd, false, outcome_done, &outcome);
		ring_turn(&rig);
		ck_assert_uint_eq(guest_mapped(&rig.guest), 1);
	}
	vbd_close(rig.engine.vbd, true, outcome_done, &forced);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ring_turn(&rig);
	ck_assert(!forced.ended);
	ck_assert_uint_eq(atomic_load(front_word(&rig.queues[0], FRONT_RSP_PROD)), 0);
	probe_release(0);
	rig_until(&rig.engine, &forced.ended);
	ck_assert_int_eq(outcome.ended, _i);
	ck_assert_int_eq(rig.data[0], 0x77);
	ck_assert_uint_eq(ring_state_of(&rig), 0);
}
END_TEST

START_TEST(a_closed_disk_drops_requests_that_waited_for_it)
{
	struct outcome outcome = { 0 };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	ring_ask(&rig, 0, WRITE, 1, 0, 0);
	ring_ask(&rig, 0, BARRIER, 2, 0, 0);
	ring_turn(&rig);
	vbd_close(rig.engine.vbd, false, outcome_done, &outcome);
	probe_release(0);
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
}
END_TEST

/* Of the guest that leaves a last answer is on its way; the other one is told first. */
START_TEST(a_guest_may_leave_while_the_disk_closes)
{
	struct front_response response;
	struct outcome outcome = { 0 };
	struct front_segment segment;
	struct ring_other other;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_other_open(&rig, &other, false);
	ck_assert_int_eq(ring_other_connect(&rig, &other, NULL), 0);
	segment = (struct front_segment){ other.gref, 0, 7 };
	probe.hold = true;
	front_direct(&other.queue, READ, 1, 0, &segment, 1);
	front_push(&other.queue);
	ring_turn(&rig);
	ck_assert_int_eq(ring_other_disconnect(&rig), 0);
	probe_release(0);
	vbd_close(rig.engine.vbd, false, outcome_done, &outcome);
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
	ck_assert(front_response(&other.queue, &response));
	ck_assert_int_eq(response.status, 0);
	ring_other_close(&rig, &other);
}
END_TEST

START_TEST(a_restarted_guest_has_its_requests_served_again)
{
	struct front_queue *queue = &rig.queues[0];
	struct front_segment segment;
	uint32_t answered_before;

	/* Two requests published, one of them answered by whoever served the ring before. */
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	segment = ring_segment(&rig, 0, 0, 7);
	front_direct(queue, READ, 9, 0, &segment, 1);
	front_push(queue);
	answered_before = atomic_load(front_word(queue, FRONT_RSP_PROD));
	ck_assert_uint_eq(answered_before, 1);
	ck_assert_int_eq(ring_reconnect(&rig), 0);
	ck_assert_uint_eq(ring_wait(&rig, 0).id, 9);
}
END_TEST

START_TEST(polling_needs_no_events)
{
	struct ring_form form = { .poll_us = 10000000, .poll_idle = 50 };
	struct front_response response;
	float values[2] = { 30.0f, 70.0f };
	FILE *monitor = fopen(rig.monitor, "w");

	ck_assert_ptr_nonnull(monitor);
	ck_assert_uint_eq(fwrite(values, sizeof(values), 1, monitor), 1);
	ck_assert_int_eq(fclose(monitor), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	ring_turn(&rig);
	/* It does not ask to be woken, and sees the request all the same. */
	front_direct(&rig.queues[0], FLUSH, 3, 0, NULL, 0);
	ck_assert(!front_push(&rig.queues[0]));
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 3);
}
END_TEST

START_TEST(a_ring_can_be_looked_at_unasked)
{
	struct ring_form form = { .queues = 3 };
	struct front_response response;
	unsigned queue;

	blkif_poll(NULL);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_turn(&rig);
	/* Requests whose notification was lost. */
	for (queue = 0; queue < 3; queue++) {
		front_direct(&rig.queues[queue], FLUSH, 3, 0, NULL, 0);
		atomic_store(front_word(&rig.queues[queue], FRONT_REQ_PROD), 1);
		ck_assert(!ring_answered(&rig, queue, &response));
	}
	blkif_poll(rig.blkif);
	for (queue = 0; queue < 3; queue++)
		ck_assert(ring_answered(&rig, queue, &response));
}
END_TEST

START_TEST(busy_cpus_are_not_polled)
{
	struct ring_form form = { .poll_us = 10000000, .poll_idle = 50 };

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	ring_turn(&rig);
	front_direct(&rig.queues[0], FLUSH, 3, 0, NULL, 0);
	ck_assert(front_push(&rig.queues[0]));
	ck_assert_uint_eq(ring_wait(&rig, 0).id, 3);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("ring life");
	TCase *tests = tcase_create("life");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, flushes_reach_the_disk);
	tcase_add_test(tests, nothing_passes_a_barrier);
	tcase_add_test(tests, a_failed_flush_fails_all_writes_after_it);
	tcase_add_test(tests, errors_of_the_disk_are_told);
	tcase_add_test(tests, a_paused_disk_lets_the_guest_wait);
	tcase_add_test(tests, an_event_is_masked_until_its_work_is_done);
	tcase_add_test(tests, a_pause_waits_for_what_was_taken);
	tcase_add_test(tests, a_ring_comes_and_goes_while_the_disk_is_paused);
	tcase_add_test(tests, a_disconnect_waits_for_what_is_in_flight);
	tcase_add_test(tests, a_barrier_under_way_is_awaited);
	tcase_add_test(tests, by_force_memory_is_let_go_at_once);
	tcase_add_test(tests, force_helps_who_waits_for_a_disk_that_hangs);
	tcase_add_test(tests, a_close_answers_and_unmaps);
	tcase_add_loop_test(tests, a_forced_close_lets_go_at_once, 0, 2);
	tcase_add_test(tests, a_closed_disk_drops_requests_that_waited_for_it);
	tcase_add_test(tests, a_guest_may_leave_while_the_disk_closes);
	tcase_add_test(tests, a_restarted_guest_has_its_requests_served_again);
	tcase_add_test(tests, polling_needs_no_events);
	tcase_add_test(tests, a_ring_can_be_looked_at_unasked);
	tcase_add_test(tests, busy_cpus_are_not_polled);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return ring_run(suite());
}
