/* SPDX-License-Identifier: BSD-2-Clause */
/* Data of guests get to the disk and back: layouts, sizes, queues, indirect segments. */
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

START_TEST(what_is_written_is_read)
{
	static uint8_t wrote[11 * PAGE];

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	fill(rig.data, sizeof(wrote), 3);
	memcpy(wrote, rig.data, sizeof(wrote));
	ck_assert_int_eq(ring_do(&rig, WRITE, 24, 11), 0);
	ck_assert_mem_eq(probe.store + 24 * 512, wrote, sizeof(wrote));
	memset(rig.data, 0xee, sizeof(wrote));
	ck_assert_int_eq(ring_do(&rig, READ, 24, 11), 0);
	ck_assert_mem_eq(rig.data, wrote, sizeof(wrote));
}
END_TEST

START_TEST(indirect_requests_are_answered_as_what_they_carry)
{
	struct front_segment segments[32];
	struct front_response response;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	fill(probe.store, 32 * PAGE, 5);
	for (i = 0; i < 32; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	front_indirect(&rig.queues[0], READ, 78, 0, segments, 32, rig.page, rig.page_gref);
	response = ring_wait(&rig, 0);
	ck_assert_uint_eq(response.id, 78);
	ck_assert_uint_eq(response.op, READ);
	ck_assert_int_eq(response.status, 0);
	ck_assert_mem_eq(rig.data, probe.store, 32 * PAGE);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("ring data");
	TCase *tests = tcase_create("data");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, what_is_written_is_read);
	tcase_add_test(tests, indirect_requests_are_answered_as_what_they_carry);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return ring_run(suite());
}
