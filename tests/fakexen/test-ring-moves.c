/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests that suspend, resume, move and reboot: rings that go and come again. */
#include <stdlib.h>
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

/* Requests of one page each, dealt out to the queues. */
static void
ask_pages(uint8_t op, unsigned first, unsigned end)
{
	struct front_segment segment;
	unsigned page;

	for (page = first; page < end; page++) {
		segment = ring_segment(&rig, page, 0, 7);
		front_direct(&rig.queues[page % rig.queue_count], op, page, page * 8, &segment, 1);
		front_push(&rig.queues[page % rig.queue_count]);
	}
	ring_turn(&rig);
}

static void
await_pages(unsigned first, unsigned end)
{
	struct front_response response;
	unsigned page;

	for (page = first; page < end; page++) {
		response = ring_wait(&rig, page % rig.queue_count);
		ck_assert_int_eq(response.status, 0);
		ck_assert_uint_ge(response.id, first);
		ck_assert_uint_lt(response.id, end);
	}
}

/* What a guest forgets whose rings are new. */
static void
forget_rings(void)
{
	unsigned i;

	for (i = 0; i < rig.queue_count; i++)
		front_queue_end(&rig.queues[i]);
}

static unsigned
ports_in_use(void)
{
	unsigned count = 0, i;

	for (i = 0; i < WORLD_PORTS; i++)
		count += (atomic_load(&rig.guest.events.machine->ports[i].word) & PORT_USED) != 0;
	return count;
}

/* Saved and restored, or moved: the rings are new, what was not answered is asked again. */
START_TEST(a_restored_guest_asks_again)
{
	struct ring_form before = { .queues = 8, .order = 2, .is_32 = _i & 1 };
	struct ring_form after = { .queues = 3, .order = 4, .is_32 = !(_i & 1) };
	bool is_forced = _i & 2, is_gone = false;
	int err;

	ck_assert_int_eq(ring_connect(&rig, &before), 0);
	ring_fill(rig.data, 96 * PAGE, 1);
	ask_pages(WRITE, 0, 32);
	await_pages(0, 32);
	probe.hold = true;
	ask_pages(WRITE, 32, 64);
	ck_assert_int_eq(probe.held_count, 32);
	err = blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, is_forced, ring_flag, &is_gone);
	ck_assert_int_eq(err, 0);
	ck_assert_int_eq(is_gone, is_forced);
	forget_rings();
	ck_assert_int_eq(ring_connect(&rig, &after), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 3 * 16 + (is_forced ? 0 : 8 * 4));
	ask_pages(WRITE, 32, 64);
	ck_assert_int_eq(probe.held_count, 64);
	probe_release(0);
	await_pages(32, 64);
	ring_turn(&rig);
	ck_assert(is_gone);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 3 * 16);
	ck_assert_mem_eq(probe.store, rig.data, 64 * PAGE);
	ask_pages(WRITE, 64, 96);
	await_pages(64, 96);
	ck_assert_mem_eq(probe.store, rig.data, 96 * PAGE);
}
END_TEST

/* A suspend that was called off: the same rings, at other ports. */
START_TEST(rings_go_on_where_they_were)
{
	struct ring_form form = {
		.queues = 4, .order = (unsigned)_i % 5, .is_32 = _i >= 5, .start = 0xffffffe0
	};

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_fill(rig.data, 128 * PAGE, 6);
	ask_pages(WRITE, 0, 40);
	await_pages(0, 40);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ask_pages(WRITE, 40, 128); /* nobody sees them yet */
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert_int_eq(ring_reconnect(&rig), 0);
	await_pages(40, 128);
	ck_assert_mem_eq(probe.store, rig.data, 128 * PAGE);
}
END_TEST

/* Boot loader, kernel, crash kernel, ... : each has rings to its own taste. */
START_TEST(rings_come_and_go_without_a_trace)
{
	static uint8_t wrote[11 * PAGE];
	struct ring_form form = { 0 };
	unsigned ports = ports_in_use(), i;

	for (i = 0; i < 40; i++) {
		form.queues = 1 + i % 8;
		form.order = i % 5;
		form.is_32 = i % 2;
		form.start = i * 0x11111111;
		form.offers = i % 3 ? 0 : 0x1f;
		rig.guest.next_page = rig.first_ring_page;
		ck_assert_int_eq(ring_connect(&rig, &form), 0);
		ring_fill(rig.data, sizeof(wrote), i);
		memcpy(wrote, rig.data, sizeof(wrote));
		ck_assert_int_eq(ring_do(&rig, WRITE, i * 8, 11), 0);
		memset(rig.data, 0, sizeof(wrote));
		ck_assert_int_eq(ring_do(&rig, READ, i * 8, 11), 0);
		ck_assert_mem_eq(rig.data, wrote, sizeof(wrote));
		ck_assert_int_eq(ring_disconnect(&rig, i % 2), 0);
		ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
		forget_rings();
		rig.guest.next_grant = rig.first_ring_grant;
	}
	ck_assert_uint_eq(ports_in_use(), ports);
}
END_TEST

/* The domain dies with everything: its grants go while requests are under way. */
START_TEST(a_guest_that_dies_leaves_nothing)
{
	unsigned ports = ports_in_use(), i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	ask_pages(_i ? WRITE : READ, 0, 16);
	ck_assert_int_eq(probe.held_count, 16);
	for (i = 0; i < RING_DATA_PAGES; i++)
		guest_revoke(&rig.guest, rig.grefs[i]);
	forget_rings();
	probe_release(0);
	ring_turn(&rig);
	ck_assert_int_eq(ring_disconnect(&rig, true), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert_uint_eq(ports_in_use(), ports);
	ck_assert_uint_eq(ring_state_of(&rig), 0);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("ring moves");
	TCase *tests = tcase_create("moves");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_loop_test(tests, a_restored_guest_asks_again, 0, 4);
	tcase_add_loop_test(tests, rings_go_on_where_they_were, 0, 10);
	tcase_add_test(tests, rings_come_and_go_without_a_trace);
	tcase_add_loop_test(tests, a_guest_that_dies_leaves_nothing, 0, 2);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return ring_run(suite());
}
