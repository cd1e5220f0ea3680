/* SPDX-License-Identifier: BSD-2-Clause */
/* Data of guests get to the disk and back: layouts, sizes, queues, indirect segments. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fakexen/ring-rig.h"

#define READ 0
#define WRITE 1
#define PAGE 4096

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

static void
fill(void *at, size_t bytes, unsigned seed)
{
	uint8_t *byte = at;
	size_t i;

	for (i = 0; i < bytes; i++)
		byte[i] = (uint8_t)(seed + i * 7 + i / 512 * 13);
}

/* Write and read back pages of the data at sector. */
static void
round_trip(uint64_t sector, unsigned pages, unsigned seed)
{
	static uint8_t wrote[11 * PAGE];
	size_t bytes = (size_t)pages * PAGE;

	fill(rig.data, bytes, seed);
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
	fill(probe.store, 32 * PAGE, 9);
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
	fill(rig.data, 2 * PAGE, 1);
	front_direct(&rig.queues[0], WRITE, 5, 100, segments, 3);
	response = ring_wait(&rig, 0);
	ck_assert_int_eq(response.status, 0);
	ck_assert_mem_eq(probe.store + 100 * 512, rig.data + 3 * 512, 512);
	ck_assert_mem_eq(probe.store + 101 * 512, rig.data, 1024);
	ck_assert_mem_eq(probe.store + 103 * 512, rig.data + PAGE + 6 * 512, 1024);
}
END_TEST

static int
indirect(uint8_t op, uint64_t sector, unsigned pages)
{
	struct front_segment segments[256];
	struct front_response response;
	unsigned i;

	for (i = 0; i < pages; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	front_indirect(&rig.queues[0], op, 9, sector, segments, pages, rig.page, rig.page_gref);
	response = ring_wait(&rig, 0);
	ck_assert_uint_eq(response.op, op); /* not 6: what it carries is told */
	return response.status;
}

START_TEST(a_megabyte_is_one_request)
{
	static uint8_t wrote[256 * PAGE];

	rig_close(&rig.engine);
	ck_assert_int_eq(rig_open(&rig.engine, "big:x", 0), 0);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	fill(rig.data, sizeof(wrote), 77);
	memcpy(wrote, rig.data, sizeof(wrote));
	ck_assert_int_eq(indirect(WRITE, 8, 256), 0);
	ck_assert_int_eq(probe.writes, 1);
	ck_assert_mem_eq(probe.store + 8 * 512, wrote, sizeof(wrote));
	memset(rig.data, 0, sizeof(wrote));
	ck_assert_int_eq(indirect(READ, 8, 256), 0);
	ck_assert_int_eq(probe.reads, 1);
	ck_assert_mem_eq(rig.data, wrote, sizeof(wrote));
	ck_assert_int_eq(indirect(READ, 8, 1), 0);
}
END_TEST

START_TEST(queues_are_served_side_by_side)
{
	struct ring_form form = { .queues = 4, .order = 1 };
	struct front_segment segment;
	struct front_response response;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	for (i = 0; i < 4; i++) {
		segment = ring_segment(&rig, i, 0, 7);
		memset(rig.data + i * PAGE, (int)i + 1, PAGE);
		front_direct(&rig.queues[i], WRITE, i, i * 8, &segment, 1);
		front_push(&rig.queues[i]);
	}
	for (i = 0; i < 4; i++) {
		response = ring_wait(&rig, i);
		ck_assert_uint_eq(response.id, i);
		ck_assert_int_eq(probe.store[i * PAGE], (int)i + 1);
	}
}
END_TEST

START_TEST(two_guests_share_a_disk)
{
	const char *why;
	struct guest other;
	struct front_queue queue;
	struct blkif_queue_config config_queue;
	struct blkif_config config = {
		.domid = 6,
		.devid = RING_DEVID,
		.proto = BLKIF_PROTO_X86_64,
		.read_only = true,
		.queue_count = 1,
		.queues = &config_queue,
	};

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(guest_open(&other, rig.dir, 6, 16), 0);
	front_queue_init(&queue, &other, true, 0, 0);
	config.proto = BLKIF_PROTO_X86_32;
	config_queue = (struct blkif_queue_config){ 0, queue.port, queue.grefs };
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), 0);
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), -EALREADY);
	round_trip(0, 3, 5);
	ck_assert_uint_eq(guest_mapped(&other), 1);
	ck_assert_int_eq(blkif_disconnect(rig.blkif, 6, RING_DEVID, false, NULL, NULL), 0);
	ck_assert_uint_eq(guest_mapped(&other), 0);
	ck_assert_int_eq(blkif_disconnect(rig.blkif, 6, RING_DEVID, false, NULL, NULL), -ENODEV);
	round_trip(0, 3, 6);
	guest_close(&other);
	ck_assert_int_eq(ring_remove_domain(&rig, 6), 0);
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
	struct ring_form form = { .offers = 0x1f };

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(indirect(READ, 0, 256), 0);
	memmove(rig.grefs, rig.grefs + 250, 256 * sizeof(rig.grefs[0]));
	ck_assert_int_eq(indirect(READ, 0, 256), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1 + 32 * 11);
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
	tcase_add_test(tests, a_full_ring_is_served_in_one_turn);
	tcase_add_test(tests, the_guest_is_notified_only_when_it_asks);
	tcase_add_test(tests, parts_of_pages_lie_one_after_the_other);
	tcase_add_test(tests, a_megabyte_is_one_request);
	tcase_add_test(tests, queues_are_served_side_by_side);
	tcase_add_test(tests, two_guests_share_a_disk);
	tcase_add_test(tests, grants_that_stay_are_mapped_once);
	tcase_add_test(tests, more_grants_than_are_kept_are_copied);
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
