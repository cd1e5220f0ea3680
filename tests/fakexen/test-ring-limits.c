/* SPDX-License-Identifier: BSD-2-Clause */
/* What is short or late: memory, room for answers, the disk, the guest that is to take answers. */
#include <stdlib.h>
#include <string.h>

#include "drivers/core/buffers.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "tests/fakexen/ring-rig.h"

#define HOGS 16

static struct ring_rig rig;
static char *hog[HOGS];

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

static struct buffers *
pool(void)
{
	return tapdisk_server_buffers(rig.engine.server);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

/* Somebody else has all memory. */
static void
take_everything(void)
{
	unsigned i;

	for (i = 0; buffers_left(pool()); i++) {
		ck_assert_uint_lt(i, HOGS);
		hog[i] = buffers_get(pool(), BUFFER_MAX);
		ck_assert_ptr_nonnull(hog[i]);
	}
}

static void
give_back(void)
{
	unsigned i;

	for (i = 0; i < HOGS; i++)
		buffers_put(pool(), hog[i], BUFFER_MAX);
	memset(hog, 0, sizeof(hog));
}

START_TEST(without_memory_requests_wait_and_do_not_fail)
{
	struct front_response response;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_fill(rig.data, 32 * PAGE, 4);
	take_everything();
	for (i = 0; i < 32; i++)
		ring_ask(&rig, 0, _i, i, i * 8, i);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert_int_eq(probe.reads + probe.writes, 0);
	give_back();
	for (i = 0; i < 32; i++) {
		response = ring_wait(&rig, 0);
		ck_assert_uint_eq(response.id, i);
		ck_assert_int_eq(response.status, 0);
	}
	ck_assert_mem_eq(probe.store, rig.data, 32 * PAGE);
}
END_TEST

START_TEST(indirect_requests_wait_for_memory_twice)
{
	struct front_segment segments[64];
	char *piece[16] = { 0 };
	size_t bytes = BUFFER_MAX;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_fill(rig.data, 64 * PAGE, 4);
	for (i = 0; i < 64; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	/* There is room for the page with the segments, but not for the data. */
	take_everything();
	buffers_put(pool(), hog[0], BUFFER_MAX);
	hog[0] = NULL;
	for (i = 0; (bytes /= 2) >= PAGE; i++)
		piece[i] = buffers_get(pool(), bytes);
	ck_assert_uint_eq(buffers_left(pool()), PAGE);
	front_indirect(&rig.queues[0], WRITE, 1, 0, segments, 64, rig.page, rig.page_gref);
	front_push(&rig.queues[0]);
	ring_turn(&rig);
	ck_assert_uint_eq(buffers_left(pool()), 0);
	ck_assert_int_eq(probe.writes, 0);
	for (i = 0, bytes = BUFFER_MAX; (bytes /= 2) >= PAGE; i++)
		buffers_put(pool(), piece[i], bytes);
	ck_assert_int_eq(ring_wait(&rig, 0).status, 0);
	ck_assert_mem_eq(probe.store, rig.data, 64 * PAGE);
	give_back();
}
END_TEST

START_TEST(a_pause_waits_for_memory)
{
	struct front_response response;
	struct outcome outcome = { 0 };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	take_everything();
	ring_ask(&rig, 0, _i, 1, 0, 0);
	ring_turn(&rig);
	vbd_pause(rig.engine.vbd, outcome_done, &outcome);
	ring_turn(&rig);
	ck_assert(!outcome.ended);
	give_back();
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_int_eq(response.status, 0);
}
END_TEST

START_TEST(a_disconnect_waits_for_memory)
{
	struct front_response response;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	take_everything();
	memset(rig.data, 0x42, PAGE);
	ring_ask(&rig, 0, WRITE, 1, 0, 0);
	ring_turn(&rig);
	ck_assert_int_eq(blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, false, NULL, NULL), 0);
	ring_turn(&rig);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1);
	give_back();
	while (guest_mapped(&rig.guest))
		ck_assert_int_eq(loop_turn(tapdisk_server_loop(rig.engine.server), -1), 0);
	ck_assert(front_response(&rig.queues[0], &response));
	ck_assert_int_eq(response.status, 0);
	ck_assert_int_eq(probe.store[0], 0x42);
}
END_TEST

START_TEST(by_force_memory_is_not_waited_for)
{
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	take_everything();
	ring_ask(&rig, 0, WRITE, 1, 0, 0);
	ring_ask(&rig, 0, BARRIER, 2, 0, 0);
	ring_turn(&rig);
	ck_assert_int_eq(ring_disconnect(&rig, true), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ring_turn(&rig);
	ck_assert_uint_eq(ring_state_of(&rig), 0);
	give_back();
	ck_assert_int_eq(probe.writes, 0);
}
END_TEST

START_TEST(a_close_does_not_wait_for_memory)
{
	struct front_response response;
	struct outcome outcome = { 0 };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	take_everything();
	ring_ask(&rig, 0, WRITE, 1, 0, 0);
	ring_turn(&rig);
	vbd_close(rig.engine.vbd, false, outcome_done, &outcome);
	rig_until(&rig.engine, &outcome.ended);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert(front_response(&rig.queues[0], &response));
	ck_assert_int_eq(response.status, -1);
	give_back();
}
END_TEST

/* Requests that have their page wait for memory for their data, and not for each other. */
START_TEST(pages_of_segments_leave_memory_to_data)
{
	struct ring_form form = { .queues = 8, .order = 4 };
	struct front_segment segments[256];
	char *rest[4];
	unsigned i;

	rig_close(&rig.engine);
	ck_assert_int_eq(rig_open(&rig.engine, "big:x", 0), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	for (i = 0; i < 256; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	/* There is room for the data of one, or for the pages of many. */
	take_everything();
	buffers_put(pool(), hog[0], BUFFER_MAX);
	hog[0] = NULL;
	for (i = 0; i < 4; i++)
		rest[i] = buffers_get(pool(), BUFFER_MAX >> (i + 1));
	for (i = 0; i < 8 * 64; i++)
		front_indirect(&rig.queues[i % 8], READ, i, 0, segments, 256, rig.page,
			       rig.page_gref);
	for (i = 0; i < 8; i++)
		front_push(&rig.queues[i]);
	for (i = 0; i < 8 * 64; i++)
		ck_assert_int_eq(ring_wait(&rig, i % 8).status, 0);
	for (i = 0; i < 4; i++)
		buffers_put(pool(), rest[i], BUFFER_MAX >> (i + 1));
	give_back();
}
END_TEST

START_TEST(one_guest_leaves_memory_to_others)
{
	struct ring_form form = { .order = 4 };
	struct front_segment segments[256], segment;
	struct front_response response;
	struct ring_other other;
	size_t all = buffers_left(pool());
	unsigned i, done = 0;

	rig_close(&rig.engine);
	ck_assert_int_eq(rig_open(&rig.engine, "big:x", 0), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_other_open(&rig, &other, false);
	ck_assert_int_eq(ring_other_connect(&rig, &other, NULL), 0);
	probe.hold = true;
	for (i = 0; i < 256; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	for (i = 0; i < 512; i++) {
		front_indirect(&rig.queues[0], READ, i, 0, segments, 256, rig.page, rig.page_gref);
		front_push(&rig.queues[0]);
	}
	ring_turn(&rig);
	i = (unsigned)probe.held_count;
	ck_assert_uint_ge(i, 1);
	ck_assert_uint_lt(i, 512);
	ck_assert_uint_ge(buffers_left(pool()), all / 2);
	/* The other guest's request gets to the disk. */
	segment = (struct front_segment){ other.gref, 0, 7 };
	front_direct(&other.queue, READ, 1, 8, &segment, 1);
	front_push(&other.queue);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, (int)i + 1);
	ck_assert_uint_eq(probe.held[i].sec, 8);
	probe_release(0);
	ring_turn(&rig);
	ck_assert(front_response(&other.queue, &response));
	for (; done < 512; done++)
		ck_assert_int_eq(ring_wait(&rig, 0).status, 0);
	ck_assert_uint_eq(buffers_left(pool()), all);
	ck_assert_int_eq(ring_other_disconnect(&rig), 0);
	ring_other_close(&rig, &other);
}
END_TEST

/* Both have asked before we look: whoever asked for much has not all of it served first. */
START_TEST(every_guest_has_its_turn)
{
	struct ring_form form = { .order = 4 };
	struct front_response response;
	struct front_segment segment;
	struct ring_other other;
	bool is_there = false;
	int i;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_other_open(&rig, &other, false);
	ck_assert_int_eq(ring_other_connect(&rig, &other, NULL), 0);
	ring_turn(&rig);
	probe.hold = true;
	segment = ring_segment(&rig, 0, 0, 7);
	for (i = 0; i < 512; i++)
		front_direct(&rig.queues[0], READ, (uint64_t)i, 0, &segment, 1);
	ck_assert(front_push(&rig.queues[0]));
	segment = (struct front_segment){ other.gref, 0, 7 };
	front_direct(&other.queue, READ, 1, 8, &segment, 1);
	ck_assert(front_push(&other.queue));
	while (!probe.held_count)
		rig_turn(&rig.engine);
	ck_assert_int_lt(probe.held_count, 512);
	for (i = 0; i < probe.held_count; i++)
		is_there |= probe.held[i].sec == 8;
	ck_assert(is_there);
	probe_release(0);
	for (i = 0; i < 512; i++)
		ck_assert_int_eq(ring_wait(&rig, 0).status, 0);
	ck_assert(front_response(&other.queue, &response));
	ck_assert_int_eq(ring_other_disconnect(&rig), 0);
	ring_other_close(&rig, &other);
}
END_TEST

/* ---- time -------------------------------------------------------------------------------------
 */

/* The disk hangs: after a second the guest is told. */
static void
hang(uint8_t op, uint64_t id)
{
	struct front_response response;

	vbd_set_timeout(rig.engine.vbd, 1);
	probe.hold = true;
	ring_ask(&rig, 0, op, id, 0, 0);
	response = ring_wait(&rig, 0);
	ck_assert_uint_eq(response.id, id);
	ck_assert_int_eq(response.status, -1);
}

START_TEST(a_late_read_does_not_reach_the_guest)
{
	struct front_response response;
	size_t left = buffers_left(pool());

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	memset(probe.store, 0x11, PAGE);
	hang(READ, 1);
	/* The disk may still write to the buffer, so that nobody else has it. */
	ck_assert_uint_eq(buffers_left(pool()), left - PAGE);
	memset(rig.data, 0x77, PAGE);
	/* The place in the ring is free; the request that takes it is served. */
	ring_ask(&rig, 0, READ, 2, 8, 1);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, 2);
	probe_release(0);
	ck_assert(ring_answered(&rig, 0, &response));
	ck_assert_uint_eq(response.id, 2);
	ck_assert_int_eq(response.status, 0);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert_int_eq(rig.data[0], 0x77);
	ck_assert_uint_eq(buffers_left(pool()), left);
	ck_assert_uint_eq(atomic_load(front_word(&rig.queues[0], FRONT_RSP_PROD)), 2);
}
END_TEST

START_TEST(a_late_write_is_answered_once)
{
	struct front_response response;
	size_t left = buffers_left(pool());

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	memset(rig.data, 0x22, PAGE);
	hang(_i, 1);
	/* The guest uses its page for something else; what it gave to be written is ours. */
	memset(rig.data, 0x33, PAGE);
	ck_assert_uint_eq(buffers_left(pool()), left - PAGE);
	probe_release(0);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert_int_eq(probe.store[0], 0x22);
	ck_assert_uint_eq(buffers_left(pool()), left);
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 1), 0);
	ck_assert_int_eq(probe.store[0], 0x33);
}
END_TEST

START_TEST(all_places_of_a_ring_may_be_late)
{
	struct front_response response;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	vbd_set_timeout(rig.engine.vbd, 1);
	probe.hold = true;
	for (i = 0; i < 32; i++)
		ring_ask(&rig, 0, READ, i, 0, i);
	for (i = 0; i < 32; i++)
		ck_assert_int_eq(ring_wait(&rig, 0).status, -1);
	/* So many more wait, and are served when the disk lets go of the others. */
	vbd_set_timeout(rig.engine.vbd, 60);
	for (i = 0; i < 32; i++)
		ring_ask(&rig, 0, READ, 100 + i, 0, i);
	ck_assert(!ring_answered(&rig, 0, &response));
	ck_assert_int_eq(probe.held_count, 32);
	probe_release(0);
	for (i = 0; i < 32; i++) {
		response = ring_wait(&rig, 0);
		ck_assert_uint_ge(response.id, 100);
		ck_assert_int_eq(response.status, 0);
	}
}
END_TEST

START_TEST(a_ring_with_a_late_request_goes)
{
	bool is_forced = _i;
	size_t left = buffers_left(pool());

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	hang(READ, 1);
	ck_assert_int_eq(blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, is_forced, NULL, NULL),
			 0);
	ring_turn(&rig);
	ck_assert_uint_eq(guest_mapped(&rig.guest), is_forced ? 0 : 1);
	ck_assert_uint_eq(buffers_left(pool()), left - PAGE);
	probe_release(0);
	ring_turn(&rig);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert_uint_eq(buffers_left(pool()), left);
}
END_TEST

/* ---- slow guests ------------------------------------------------------------------------------
 */

START_TEST(answers_wait_for_a_slow_guest)
{
	struct front_queue *queue = &rig.queues[0];
	struct front_response response;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_turn(&rig);
	front_was_kicked(queue);
	ring_fill(probe.store, 32 * PAGE, 2);
	for (i = 0; i < 32; i++) {
		ring_ask(&rig, 0, READ, 50 + i, i * 8, i);
		ring_turn(&rig);
		/* It asked to be told of the first answer, and has not looked since. */
		ck_assert_int_eq(front_was_kicked(queue), i == 0);
	}
	ck_assert_uint_eq(atomic_load(front_word(queue, FRONT_RSP_PROD)), 32);
	for (i = 0; i < 32; i++) {
		ck_assert(front_response(queue, &response));
		ck_assert_uint_eq(response.id, 50 + i);
		ck_assert_int_eq(response.status, 0);
	}
	ck_assert(!front_response(queue, &response));
	ck_assert_mem_eq(rig.data, probe.store, 32 * PAGE);
	/* Now that it has looked, it is told again. */
	ring_ask(&rig, 0, READ, 99, 0, 0);
	ring_turn(&rig);
	ck_assert(front_was_kicked(queue));
}
END_TEST

START_TEST(the_guest_is_told_when_its_mark_is_passed)
{
	struct front_queue *queue = &rig.queues[0];
	struct ring_form form = { .start = 0xfffffff0 }; /* the counters wrap on the way */
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_turn(&rig);
	front_was_kicked(queue);
	atomic_store(front_word(queue, FRONT_RSP_EVENT), form.start + 20);
	for (i = 1; i <= 32; i++) {
		ring_ask(&rig, 0, READ, i, 0, 0);
		ring_turn(&rig);
		ck_assert_int_eq(front_was_kicked(queue), i == 20);
	}
}
END_TEST

START_TEST(the_mark_may_lie_within_a_batch)
{
	struct front_queue *queue = &rig.queues[0];
	struct front_segment segment;
	unsigned i, batch;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_turn(&rig);
	front_was_kicked(queue);
	segment = ring_segment(&rig, 0, 0, 7);
	atomic_store(front_word(queue, FRONT_RSP_EVENT), 11);
	for (batch = 0; batch < 4; batch++) { /* answers 1..8, 9..16, ... */
		for (i = 0; i < 8; i++)
			front_direct(queue, READ, i, 0, &segment, 1);
		front_push(queue);
		ring_turn(&rig);
		ck_assert_int_eq(front_was_kicked(queue), batch == 1);
	}
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("ring limits");
	TCase *tests = tcase_create("limits");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, without_memory_requests_wait_and_do_not_fail, READ, WRITE + 1);
	tcase_add_test(tests, indirect_requests_wait_for_memory_twice);
	tcase_add_loop_test(tests, a_pause_waits_for_memory, READ, WRITE + 1);
	tcase_add_test(tests, a_disconnect_waits_for_memory);
	tcase_add_test(tests, by_force_memory_is_not_waited_for);
	tcase_add_test(tests, a_close_does_not_wait_for_memory);
	tcase_add_test(tests, pages_of_segments_leave_memory_to_data);
	tcase_add_test(tests, one_guest_leaves_memory_to_others);
	tcase_add_test(tests, every_guest_has_its_turn);
	tcase_add_test(tests, a_late_read_does_not_reach_the_guest);
	tcase_add_loop_test(tests, a_late_write_is_answered_once, WRITE, BARRIER + 1);
	tcase_add_test(tests, all_places_of_a_ring_may_be_late);
	tcase_add_loop_test(tests, a_ring_with_a_late_request_goes, 0, 2);
	tcase_add_test(tests, answers_wait_for_a_slow_guest);
	tcase_add_test(tests, the_guest_is_told_when_its_mark_is_passed);
	tcase_add_test(tests, the_mark_may_lie_within_a_batch);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return ring_run(suite());
}
