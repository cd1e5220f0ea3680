/* SPDX-License-Identifier: BSD-2-Clause */
/* Data of guests get to the disk and back: layouts, sizes, queues, indirect segments, holes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "tests/fakexen/ring-rig.h"

#if defined(__i386__)
#define NATIVE_IS_32 true
#else
#define NATIVE_IS_32 false
#endif

static struct ring_rig rig;

static void
setup(void)
{
	unsetenv("FAKEXEN_NO_COPY");
	ring_setup(&rig);
}

static void
setup_without_copies(void)
{
	setenv("FAKEXEN_NO_COPY", "1", 1);
	ring_setup(&rig);
}

static void
teardown(void)
{
	ring_teardown(&rig);
}

/* Write and read back pages of the data at sector. */
static void
round_trip(uint64_t sector, unsigned pages, unsigned seed)
{
	static uint8_t wrote[11 * PAGE];
	size_t bytes = (size_t)pages * PAGE;

	ring_fill(rig.data, bytes, seed);
	memcpy(wrote, rig.data, bytes);
	ck_assert_int_eq(ring_do(&rig, WRITE, sector, pages), 0);
	ck_assert_mem_eq(probe.store + sector * 512, wrote, bytes);
	memset(rig.data, 0xee, bytes);
	ck_assert_int_eq(ring_do(&rig, READ, sector, pages), 0);
	ck_assert_mem_eq(rig.data, wrote, bytes);
}

START_TEST(what_is_written_is_read)
{
	struct ring_form form = {
		.order = (unsigned)_i % 5,
		.is_32 = _i >= 5,
		.start = 0xfffffffa, /* the counters wrap */
	};
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	for (i = 0; i < 40; i++)
		round_trip(i * 8, 1 + i % 11, i);
}
END_TEST

START_TEST(without_a_layout_it_is_that_of_this_machine)
{
	struct ring_form form = { .is_native = true, .is_32 = NATIVE_IS_32 };

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	round_trip(8, 11, 4);
}
END_TEST

START_TEST(a_full_ring_is_served_in_one_turn)
{
	struct world_machine *machine = rig.guest.events.machine;
	struct front_queue *queue = &rig.queues[0];
	uint64_t calls, kicks;
	struct front_segment segment;
	struct front_response response;
	unsigned i, seen = 0;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_turn(&rig);
	calls = machine->copy_calls;
	kicks = machine->notifies;
	ring_fill(probe.store, 32 * PAGE, 9);
	for (i = 0; i < 32; i++) {
		segment = ring_segment(&rig, i, 0, 7);
		front_direct(queue, READ, 1000 + i, i * 8, &segment, 1);
	}
	ck_assert(front_push(queue));
	ring_turn(&rig);
	/* All copies are one call, and all answers one notification besides our own. */
	ck_assert_uint_eq(machine->copy_calls - calls, 1);
	ck_assert_uint_eq(machine->notifies - kicks, 2);
	while (front_response(queue, &response)) {
		ck_assert_int_eq(response.status, 0);
		ck_assert_uint_ge(response.id, 1000);
		seen++;
	}
	ck_assert_uint_eq(seen, 32);
	ck_assert_mem_eq(rig.data, probe.store, 32 * PAGE);
}
END_TEST

START_TEST(the_guest_is_notified_only_when_it_asks)
{
	struct front_queue *queue = &rig.queues[0];
	struct front_segment segment;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_turn(&rig);
	front_was_kicked(queue);
	atomic_store(front_word(queue, FRONT_RSP_EVENT), 100);
	segment = ring_segment(&rig, 0, 0, 7);
	front_direct(queue, READ, 1, 0, &segment, 1);
	front_push(queue);
	ring_turn(&rig);
	ck_assert_uint_eq(atomic_load(front_word(queue, FRONT_RSP_PROD)), 1);
	ck_assert(!front_was_kicked(queue));
}
END_TEST

START_TEST(parts_of_pages_lie_one_after_the_other)
{
	struct front_segment segments[3];
	struct front_response response;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	segments[0] = ring_segment(&rig, 0, 3, 3);
	segments[1] = ring_segment(&rig, 0, 0, 1); /* the same page again */
	segments[2] = ring_segment(&rig, 1, 6, 7);
	ring_fill(rig.data, 2 * PAGE, 1);
	front_direct(&rig.queues[0], WRITE, 5, 100, segments, 3);
	response = ring_wait(&rig, 0);
	ck_assert_int_eq(response.status, 0);
	ck_assert_mem_eq(probe.store + 100 * 512, rig.data + 3 * 512, 512);
	ck_assert_mem_eq(probe.store + 101 * 512, rig.data, 1024);
	ck_assert_mem_eq(probe.store + 103 * 512, rig.data + PAGE + 6 * 512, 1024);
}
END_TEST

START_TEST(a_megabyte_is_one_request)
{
	static uint8_t wrote[256 * PAGE];
	struct ring_form form = { .is_32 = _i };

	rig_close(&rig.engine);
	ck_assert_int_eq(rig_open(&rig.engine, "big:x", 0), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_fill(rig.data, sizeof(wrote), 77);
	memcpy(wrote, rig.data, sizeof(wrote));
	ck_assert_int_eq(ring_indirect(&rig, WRITE, 8, 256), 0);
	ck_assert_int_eq(probe.writes, 1);
	ck_assert_mem_eq(probe.store + 8 * 512, wrote, sizeof(wrote));
	memset(rig.data, 0, sizeof(wrote));
	ck_assert_int_eq(ring_indirect(&rig, READ, 8, 256), 0);
	ck_assert_int_eq(probe.reads, 1);
	ck_assert_mem_eq(rig.data, wrote, sizeof(wrote));
	ck_assert_int_eq(ring_indirect(&rig, READ, 8, 1), 0);
}
END_TEST

START_TEST(queues_are_served_side_by_side)
{
	struct ring_form form = { .queues = 8, .order = 4, .is_32 = _i };
	static uint8_t wrote[8 * 32 * PAGE];
	struct front_segment segment;
	struct front_response response;
	unsigned page, queue;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_fill(wrote, sizeof(wrote), 3);
	memcpy(rig.data, wrote, sizeof(wrote));
	for (page = 0; page < 8 * 32; page++) {
		segment = ring_segment(&rig, page, 0, 7);
		front_direct(&rig.queues[page % 8], WRITE, page, page * 8, &segment, 1);
	}
	for (queue = 0; queue < 8; queue++)
		front_push(&rig.queues[queue]);
	for (page = 0; page < 8 * 32; page++) {
		response = ring_wait(&rig, page % 8);
		ck_assert_uint_eq(response.id % 8, page % 8);
		ck_assert_int_eq(response.status, 0);
	}
	ck_assert_mem_eq(probe.store, wrote, sizeof(wrote));
}
END_TEST

START_TEST(two_guests_share_a_disk)
{
	struct ring_form form = { .read_only = true };
	struct front_response response;
	struct front_segment segment;
	struct ring_other other;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ring_other_open(&rig, &other, true);
	ck_assert_int_eq(ring_other_connect(&rig, &other, &form), 0);
	ck_assert_int_eq(ring_other_connect(&rig, &other, &form), -EALREADY);
	round_trip(0, 3, 5);
	/* The second one may read what the first one writes. */
	segment = (struct front_segment){ other.gref, 0, 7 };
	front_direct(&other.queue, WRITE, 1, 0, &segment, 1);
	front_direct(&other.queue, READ, 2, 0, &segment, 1);
	front_push(&other.queue);
	ring_turn(&rig);
	ck_assert(front_response(&other.queue, &response));
	ck_assert_uint_eq(response.id, 1);
	ck_assert_int_eq(response.status, -1);
	ck_assert(front_response(&other.queue, &response));
	ck_assert_int_eq(response.status, 0);
	ck_assert_mem_eq(other.guest.view.domain->pages + PAGE, rig.data, PAGE);
	ck_assert_uint_eq(guest_mapped(&other.guest), 1);
	ck_assert_int_eq(ring_other_disconnect(&rig), 0);
	ck_assert_int_eq(ring_other_disconnect(&rig), -ENODEV);
	round_trip(0, 3, 6);
	ring_other_close(&rig, &other);
}
END_TEST

START_TEST(grants_that_stay_are_mapped_once)
{
	struct world_machine *machine = rig.guest.events.machine;
	struct ring_form form = { .offers = 0x1f };
	uint64_t calls, maps;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	round_trip(0, 11, 1);
	calls = machine->copy_calls;
	maps = machine->maps;
	for (i = 0; i < 20; i++)
		round_trip(i * 8, 11, i);
	ck_assert_uint_eq(machine->maps, maps);
	ck_assert_uint_eq(machine->copy_calls, calls);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1 + 11);
	/* One that cannot be mapped is copied, and refused there. */
	guest_revoke(&rig.guest, rig.grefs[20]);
	rig.grefs[0] = rig.grefs[20];
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), -1);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
}
END_TEST

START_TEST(more_grants_than_are_kept_are_copied)
{
	static uint8_t wrote[256 * PAGE];
	struct ring_form form = { .offers = 0x1f };
	const unsigned kept = 32 * 11;

	rig_close(&rig.engine);
	ck_assert_int_eq(rig_open(&rig.engine, "big:x", 0), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(ring_indirect(&rig, READ, 0, 256), 0);
	/* Of these some are mapped already, some still can be, and some cannot. */
	memmove(rig.grefs, rig.grefs + 150, 256 * sizeof(rig.grefs[0]));
	ring_fill(rig.data + 150 * PAGE, sizeof(wrote), 8);
	memcpy(wrote, rig.data + 150 * PAGE, sizeof(wrote));
	ck_assert_int_eq(ring_indirect(&rig, WRITE, 8, 256), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1 + kept);
	ck_assert_mem_eq(probe.store + 8 * 512, wrote, sizeof(wrote));
	memset(rig.data, 0xee, 512 * PAGE);
	ck_assert_int_eq(ring_indirect(&rig, READ, 8, 256), 0);
	ck_assert_mem_eq(rig.data + 150 * PAGE, wrote, sizeof(wrote));
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1 + kept);
}
END_TEST

/* A request of 11 pages of the data, from page on. */
static void
eleven(uint8_t op, unsigned page)
{
	struct front_segment segments[11];
	unsigned i;

	for (i = 0; i < 11; i++)
		segments[i] = ring_segment(&rig, page + i, 0, 7);
	front_direct(&rig.queues[0], op, 1, 0, segments, 11);
	ck_assert_int_eq(ring_wait(&rig, 0).status, 0);
}

START_TEST(a_grant_that_is_not_used_makes_room)
{
	const struct world_machine *machine = rig.guest.events.machine;
	struct loop *loop = tapdisk_server_loop(rig.engine.server);
	struct loop_timer timer = { .fn = ring_flag };
	struct ring_form form = { .offers = 0x1f };
	const unsigned kept = 32 * 11;
	bool is_over = false;
	uint64_t copies;
	unsigned page;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	for (page = 0; page < kept; page += 11)
		eleven(READ, page);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1 + kept);
	timer.arg = &is_over;
	ck_assert_int_eq(loop_timer_set(loop, &timer, 1100), 0); /* a second is long */
	rig_until(&rig.engine, &is_over);
	ring_fill(rig.data + kept * PAGE, 11 * PAGE, 5);
	eleven(WRITE, kept);
	ck_assert_mem_eq(probe.store, rig.data + kept * PAGE, 11 * PAGE);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1 + kept);
	/* They are mapped now: the hypervisor has nothing to do any more. */
	copies = machine->copies;
	memset(rig.data + kept * PAGE, 0, 11 * PAGE);
	eleven(READ, kept);
	ck_assert_mem_eq(probe.store, rig.data + kept * PAGE, 11 * PAGE);
	ck_assert_uint_eq(machine->copies, copies);
}
END_TEST

/* The process keeps so many of them, of all guests together. */
START_TEST(no_guest_keeps_more_than_the_process_can)
{
	struct ring_form greedy = { .queues = 8, .order = 4, .offers = 0x1f };
	struct ring_form form = { .offers = 0x1f };
	struct front_segment segment;
	struct ring_other other;
	unsigned i;

	ring_other_open(&rig, &other, false);
	segment = (struct front_segment){ other.gref, 0, 7 };
	for (i = 0; i < 2; i++) {
		rig.guest.next_page = rig.first_ring_page;
		ck_assert_int_eq(ring_connect(&rig, i ? NULL : &greedy), 0);
		ck_assert_int_eq(ring_other_connect(&rig, &other, &form), 0);
		front_direct(&other.queue, READ, 1, 0, &segment, 1);
		front_push(&other.queue);
		ring_turn(&rig);
		ck_assert_uint_eq(guest_mapped(&other.guest), i ? 2 : 1);
		ck_assert_int_eq(ring_other_disconnect(&rig), 0);
		ck_assert_int_eq(ring_disconnect(&rig, false), 0);
		world_unbind(&other.guest.events, other.queue.port);
		other.queue.port = (uint32_t)world_listen(&other.guest.events, other.guest.backend);
	}
	ring_other_close(&rig, &other);
}
END_TEST

/* ---- discard ---- */

static int
discard(uint64_t sector, uint64_t sectors, bool is_secure)
{
	front_discard(&rig.queues[0], 6, sector, sectors);
	rig.queues[0].last[1] = is_secure;
	return ring_wait(&rig, 0).status;
}

static void
open_holes(uint32_t sector_size)
{
	rig_close(&rig.engine);
	probe.sector_size = sector_size;
	ck_assert_int_eq(rig_open(&rig.engine, "holes:x", 0), 0);
	ring_fill(probe.store, sizeof(probe.store), 21);
}

/* What the disk has is what it had, but for zeroes in first..end. */
static void
check_hole(uint64_t first, uint64_t end)
{
	static uint8_t expected[sizeof(probe.store)];

	ring_fill(expected, sizeof(expected), 21);
	memset(expected + first * 512, 0, (end - first) * 512);
	ck_assert_mem_eq(probe.store, expected, sizeof(expected));
}

START_TEST(a_discard_clears_what_it_names_and_nothing_else)
{
	struct ring_form form = { .is_32 = _i };

	open_holes(512);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(discard(101, 203, false), 0);
	check_hole(101, 304);
	/* As the guest sees it. */
	ck_assert_int_eq(ring_do(&rig, READ, 100, 11), 0);
	ck_assert_mem_eq(rig.data, probe.store + 100 * 512, 11 * PAGE);
	/* That it be done securely is not promised, and not refused. */
	ck_assert_int_eq(discard(304, 16, true), 0);
	check_hole(101, 320);
	ck_assert_int_eq(probe.discards, 2);
	ck_assert_int_eq(discard(0, PROBE_SECTORS, false), 0);
	check_hole(0, PROBE_SECTORS);
}
END_TEST

START_TEST(a_discard_leaves_parts_of_sectors_alone)
{
	open_holes(4096);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(discard(5, 30, false), 0); /* 5..35 */
	check_hole(8, 32);
	ck_assert_int_eq(discard(41, 7, false), 0);
	ck_assert_int_eq(discard(41, 14, false), 0);
	check_hole(8, 32);
	ck_assert_int_eq(probe.discards, 1);
}
END_TEST

START_TEST(what_cannot_be_discarded_is_told)
{
	struct ring_form read_only = { .read_only = true }, without = { .no_discard = true };

	open_holes(512);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(discard(8, 0, false), 0); /* nothing is fine */
	ck_assert_int_eq(discard(PROBE_SECTORS, 0, false), 0);
	ck_assert_int_eq(discard(PROBE_SECTORS + 1, 0, false), -1);
	ck_assert_int_eq(discard(PROBE_SECTORS - 8, 9, false), -1);
	ck_assert_int_eq(discard(0, PROBE_SECTORS + 1, false), -1);
	ck_assert_int_eq(discard(UINT64_MAX - 7, 16, false), -1); /* the sum is 8 */
	ck_assert_int_eq(discard(16, UINT64_MAX - 7, false), -1);
	ck_assert_int_eq(probe.discards, 0);
	probe.discard_err = -EIO;
	ck_assert_int_eq(discard(8, 8, false), -1);
	probe.discard_err = -EOPNOTSUPP;
	ck_assert_int_eq(discard(8, 8, false), -2);
	probe.discard_err = 0;
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_int_eq(ring_connect(&rig, &read_only), 0);
	ck_assert_int_eq(discard(8, 8, false), -1);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_int_eq(ring_connect(&rig, &without), 0);
	ck_assert_int_eq(discard(8, 8, false), -2);
	check_hole(0, 0);
}
END_TEST

START_TEST(old_kernels_map_instead_of_copying)
{
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	round_trip(0, 11, 3);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1);
	guest_revoke(&rig.guest, rig.grefs[0]);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), -1);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("ring data");
	TCase *tests = tcase_create("data"), *without = tcase_create("without copies");

	tcase_set_timeout(tests, 60);
	tcase_set_timeout(without, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_checked_fixture(without, setup_without_copies, teardown);
	tcase_add_loop_test(tests, what_is_written_is_read, 0, 10);
	tcase_add_test(tests, without_a_layout_it_is_that_of_this_machine);
	tcase_add_test(tests, a_full_ring_is_served_in_one_turn);
	tcase_add_test(tests, the_guest_is_notified_only_when_it_asks);
	tcase_add_test(tests, parts_of_pages_lie_one_after_the_other);
	tcase_add_loop_test(tests, a_megabyte_is_one_request, 0, 2);
	tcase_add_loop_test(tests, queues_are_served_side_by_side, 0, 2);
	tcase_add_test(tests, two_guests_share_a_disk);
	tcase_add_test(tests, grants_that_stay_are_mapped_once);
	tcase_add_test(tests, more_grants_than_are_kept_are_copied);
	tcase_add_test(tests, a_grant_that_is_not_used_makes_room);
	tcase_add_test(tests, no_guest_keeps_more_than_the_process_can);
	tcase_add_loop_test(tests, a_discard_clears_what_it_names_and_nothing_else, 0, 2);
	tcase_add_test(tests, a_discard_leaves_parts_of_sectors_alone);
	tcase_add_test(tests, what_cannot_be_discarded_is_told);
	tcase_add_test(without, old_kernels_map_instead_of_copying);
	suite_add_tcase(all, tests);
	suite_add_tcase(all, without);
	return all;
}

int
main(void)
{
	return ring_run(suite());
}
