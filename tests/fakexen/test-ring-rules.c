/* SPDX-License-Identifier: BSD-2-Clause */
/* The shared memory by itself: where everything lies, and the arithmetic of its counters. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h>

#include "common/bytes.h"
#include "drivers/frontend/blkif-ring.h"
#include "tests/engine/rig.h"

#define PAGES 16

static _Alignas(4096) uint8_t shared[PAGES * 4096];

static const struct blkif_layout *
layout(int i)
{
	return i ? &blkif_layout_32 : &blkif_layout_64;
}

/* READ of one segment, grant 5, all sectors of its page, to sector 8. */
static const uint8_t read_64[] = {
	0x00, 0x01, 0x00, 0xca, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
	0x08, 0,    0,    0,    0, 0, 0, 0, 0x05, 0,    0,    0,    0,    0x07, 0,    0,
};
static const uint8_t read_32[] = {
	0x00, 0x01, 0x00, 0xca, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x08, 0,
	0,    0,    0,    0,    0,    0,    0x05, 0,    0,    0,    0,    0x07, 0,    0,
};

START_TEST(fields_lie_where_guests_put_them)
{
	uint8_t slot[BLKIF_SLOT_MAX] = { 0 };
	struct blkif_request request;

	memcpy(slot, _i ? read_32 : read_64, _i ? sizeof(read_32) : sizeof(read_64));
	blkif_decode(&request, layout(_i), slot);
	ck_assert_uint_eq(request.op, BLKIF_OP_READ);
	ck_assert_uint_eq(request.id, 0x1122334455667788);
	ck_assert_uint_eq(request.sector, 8);
	ck_assert_uint_eq(request.segments, 1);
	ck_assert_uint_eq(request.segment[0].gref, 5);
	ck_assert_uint_eq(request.segment[0].first, 0);
	ck_assert_uint_eq(request.segment[0].last, 7);
}
END_TEST

START_TEST(other_requests_have_other_fields)
{
	const unsigned body = layout(_i)->id;
	uint8_t slot[BLKIF_SLOT_MAX] = { 0 };
	struct blkif_request request;
	unsigned i;

	slot[0] = BLKIF_OP_DISCARD;
	slot[1] = 1; /* securely */
	put_le64(slot + body, 77);
	put_le64(slot + body + 8, 1000);
	put_le64(slot + body + 16, 0x123456789abc);
	blkif_decode(&request, layout(_i), slot);
	ck_assert_uint_eq(request.id, 77);
	ck_assert_uint_eq(request.sector, 1000);
	ck_assert_uint_eq(request.sectors, 0x123456789abc);
	ck_assert_uint_eq(request.segments, 0);

	slot[0] = BLKIF_OP_INDIRECT;
	slot[1] = BLKIF_OP_WRITE;
	put_le16(slot + 2, 4096);
	for (i = 0; i < BLKIF_INDIRECT_PAGES; i++)
		put_le32(slot + body + 20 + 4 * i, 900 + i);
	blkif_decode(&request, layout(_i), slot);
	ck_assert_uint_eq(blkif_effective_op(&request), BLKIF_OP_WRITE);
	ck_assert_uint_eq(request.segments, 4096);
	for (i = 0; i < BLKIF_INDIRECT_PAGES; i++)
		ck_assert_uint_eq(request.page[i], 900 + i);
}
END_TEST

START_TEST(answers_lie_where_guests_look_for_them)
{
	static const uint8_t expected[16] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
					      0x03, 0,    0xff, 0xff, 0,    0,    0,    0 };
	uint8_t raw[16];
	unsigned bytes = layout(_i)->response_bytes;

	ck_assert_uint_eq(bytes, _i ? 12 : 16);
	memset(raw, 0xee, sizeof(raw));
	blkif_encode_response(raw, layout(_i), 0x1122334455667788, BLKIF_OP_FLUSH_DISKCACHE,
			      BLKIF_RSP_ERROR);
	ck_assert_mem_eq(raw, expected, bytes);
	for (; bytes < sizeof(raw); bytes++)
		ck_assert_uint_eq(raw[bytes], 0xee);
}
END_TEST

START_TEST(both_layouts_have_as_many_slots)
{
	unsigned order;

	for (order = 0; order <= 4; order++)
		ck_assert_uint_eq(blkif_ring_slots(layout(_i), order), 32u << order);
}
END_TEST

/* ---- counters ---------------------------------------------------------------------------------
 */

static uint64_t
draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

START_TEST(a_mark_is_passed_when_it_lies_between)
{
	const char *given = getenv("SEED");
	unsigned long seed = given ? strtoul(given, NULL, 10) : (unsigned long)time(NULL);
	uint64_t random = seed * 2654435761u + 1;
	uint32_t old, now, mark, step;
	bool expected;
	int i;

	printf("# SEED=%lu\n", seed);
	for (i = 0; i < 200000; i++) {
		old = (uint32_t)draw(&random);
		now = old + (uint32_t)(draw(&random) % 600);
		mark = draw(&random) % 4 ? old + (uint32_t)(draw(&random) % 1200) - 300
					 : (uint32_t)draw(&random);
		expected = false;
		for (step = old; step != now && !expected;)
			expected = ++step == mark;
		ck_assert_int_eq(blkif_ring_passes(old, now, mark), expected);
	}
}
END_TEST

static _Atomic uint32_t *
word(unsigned at)
{
	return (_Atomic uint32_t *)(void *)(shared + at);
}

enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12 };

static void
attach(struct blkif_ring *ring, uint32_t start)
{
	atomic_store(word(REQ_PROD), start);
	atomic_store(word(RSP_PROD), start);
	ck_assert_int_eq(blkif_ring_attach(ring, shared, 0, &blkif_layout_64), 0);
}

START_TEST(requests_are_counted_across_the_wrap)
{
	struct blkif_ring ring;
	uint8_t slot[BLKIF_SLOT_MAX];
	uint32_t available;
	unsigned i;

	attach(&ring, 0xfffffff0);
	atomic_store(word(REQ_PROD), 16); /* 32 more */
	ck_assert_int_eq(blkif_ring_available(&ring, &available), 0);
	ck_assert_uint_eq(available, 32);
	for (i = 0; i < 32; i++)
		blkif_ring_take(&ring, slot);
	ck_assert_int_eq(blkif_ring_available(&ring, &available), 0);
	ck_assert_uint_eq(available, 0);
	/* Nothing is answered: not one more fits. */
	atomic_store(word(REQ_PROD), 17);
	ck_assert_int_eq(blkif_ring_available(&ring, &available), -EPROTO);
	blkif_ring_respond(&ring, 1, 0, 0);
	ck_assert_int_eq(blkif_ring_available(&ring, &available), 0);
	ck_assert_uint_eq(available, 1);
	/* Back behind what was taken. */
	atomic_store(word(REQ_PROD), 15);
	ck_assert_int_eq(blkif_ring_available(&ring, &available), -EPROTO);
}
END_TEST

START_TEST(a_ring_goes_on_where_it_was_answered)
{
	struct blkif_ring ring;
	uint32_t available;

	atomic_store(word(RSP_PROD), 0xfffffffe);
	atomic_store(word(REQ_PROD), 0xfffffffe + 32);
	ck_assert_int_eq(blkif_ring_attach(&ring, shared, 0, &blkif_layout_64), 0);
	ck_assert_int_eq(blkif_ring_available(&ring, &available), 0);
	ck_assert_uint_eq(available, 32);
	atomic_store(word(REQ_PROD), 0xfffffffe + 33);
	ck_assert_int_eq(blkif_ring_attach(&ring, shared, 0, &blkif_layout_64), -EPROTO);
	atomic_store(word(REQ_PROD), 0xfffffffd);
	ck_assert_int_eq(blkif_ring_attach(&ring, shared, 0, &blkif_layout_64), -EPROTO);
}
END_TEST

START_TEST(a_request_in_the_last_moment_is_seen)
{
	struct blkif_ring ring;
	uint8_t slot[BLKIF_SLOT_MAX];
	uint32_t available;

	attach(&ring, 5);
	atomic_store(word(REQ_PROD), 6);
	blkif_ring_take(&ring, slot);
	/* The guest looks whether it is to notify, just before it is asked to. */
	atomic_store(word(REQ_EVENT), 6);
	atomic_store(word(REQ_PROD), 7);
	blkif_ring_arm(&ring);
	ck_assert_uint_eq(atomic_load(word(REQ_EVENT)), 7);
	ck_assert_int_eq(blkif_ring_available(&ring, &available), 0);
	ck_assert_uint_eq(available, 1);
}
END_TEST

START_TEST(answers_are_published_together)
{
	struct blkif_ring ring;
	uint8_t slot[BLKIF_SLOT_MAX];

	attach(&ring, 0);
	atomic_store(word(REQ_PROD), 3);
	atomic_store(word(RSP_EVENT), 2);
	blkif_ring_take(&ring, slot);
	blkif_ring_take(&ring, slot);
	ck_assert(!blkif_ring_publish(&ring)); /* there is nothing */
	blkif_ring_respond(&ring, 1, 0, 0);
	blkif_ring_respond(&ring, 2, 0, 0);
	ck_assert_uint_eq(atomic_load(word(RSP_PROD)), 0);
	ck_assert(blkif_ring_publish(&ring));
	ck_assert_uint_eq(atomic_load(word(RSP_PROD)), 2);
	blkif_ring_take(&ring, slot);
	blkif_ring_respond(&ring, 3, 0, 0);
	/* What the guest has scribbled over our counter is not believed. */
	atomic_store(word(RSP_PROD), 4711);
	ck_assert(!blkif_ring_publish(&ring));
	ck_assert_uint_eq(atomic_load(word(RSP_PROD)), 3);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("ring rules");
	TCase *tests = tcase_create("rules");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, fields_lie_where_guests_put_them, 0, 2);
	tcase_add_loop_test(tests, other_requests_have_other_fields, 0, 2);
	tcase_add_loop_test(tests, answers_lie_where_guests_look_for_them, 0, 2);
	tcase_add_loop_test(tests, both_layouts_have_as_many_slots, 0, 2);
	tcase_add_test(tests, a_mark_is_passed_when_it_lies_between);
	tcase_add_test(tests, requests_are_counted_across_the_wrap);
	tcase_add_test(tests, a_ring_goes_on_where_it_was_answered);
	tcase_add_test(tests, a_request_in_the_last_moment_is_seen);
	tcase_add_test(tests, answers_are_published_together);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return rig_run(suite());
}
