/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests that ask for what they must not have, one thing at a time and at random. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "drivers/core/tlog.h"
#include "tests/fakexen/hostile.h"
#include "tests/fakexen/ring-rig.h"

#define ERROR (-1)
#define EOPNOTSUPPORTED (-2)

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

/* The status of a request of one segment. */
static int
one(uint8_t op, uint64_t sector, struct front_segment segment, unsigned count)
{
	struct front_segment segments[11] = { segment };
	unsigned i;

	for (i = 1; i < 11; i++)
		segments[i] = segment;
	front_direct(&rig.queues[0], op, 1, sector, segments, count);
	return ring_wait(&rig, 0).status;
}

START_TEST(segments_are_checked)
{
	struct front_segment fine = ring_segment(&rig, 0, 0, 7), bad;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(one(READ, 0, fine, 11), 0);
	ck_assert_int_eq(one(READ, 0, fine, 0), ERROR);
	ck_assert_int_eq(one(READ, 0, fine, 12), ERROR);
	ck_assert_int_eq(one(READ, 0, fine, 255), ERROR);
	bad = ring_segment(&rig, 0, 5, 4);
	ck_assert_int_eq(one(READ, 0, bad, 1), ERROR);
	bad = ring_segment(&rig, 0, 0, 8);
	ck_assert_int_eq(one(READ, 0, bad, 1), ERROR);
	bad = ring_segment(&rig, 0, 0, 255);
	ck_assert_int_eq(one(WRITE, 0, bad, 1), ERROR);
	ck_assert_int_eq(one(READ, PROBE_SECTORS - 8, fine, 1), 0);
	ck_assert_int_eq(one(READ, PROBE_SECTORS - 7, fine, 1), ERROR);
	ck_assert_int_eq(one(READ, UINT64_MAX, fine, 1), ERROR);
	ck_assert_int_eq(one(READ, UINT64_MAX - 7, fine, 1), ERROR);
	ck_assert_int_eq(one(READ, 0, fine, 1), 0);
}
END_TEST

START_TEST(unknown_operations_are_not_supported)
{
	static const uint8_t ops[] = { 4, 7, 8, 255 };
	struct ring_form form = { .offers = BLKIF_OFFERS_FLUSH };
	size_t i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	for (i = 0; i < sizeof(ops); i++)
		ck_assert_int_eq(one(ops[i], 0, ring_segment(&rig, 0, 0, 7), 1), EOPNOTSUPPORTED);
	front_discard(&rig.queues[0], 1, 0, 8); /* the disk cannot */
	ck_assert_int_eq(ring_wait(&rig, 0).status, EOPNOTSUPPORTED);
	/* What was not offered is not there. */
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(one(2, 0, ring_segment(&rig, 0, 0, 7), 1), EOPNOTSUPPORTED);
	ck_assert_int_eq(one(6, 0, ring_segment(&rig, 0, 0, 7), 1), EOPNOTSUPPORTED);
	ck_assert_int_eq(one(3, 0, ring_segment(&rig, 0, 0, 7), 0), 0);
}
END_TEST

static int
indirect(uint8_t op, unsigned count, uint32_t gref)
{
	struct front_segment segments[256];
	unsigned i;

	for (i = 0; i < 256; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	front_indirect(&rig.queues[0], op, 1, 0, segments, count > 256 ? 256 : count, rig.page,
		       gref);
	put_le16(rig.queues[0].last + 2, (uint16_t)count);
	return ring_wait(&rig, 0).status;
}

START_TEST(indirect_requests_are_checked)
{
	uint32_t missing = rig.guest.next_grant + 1;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(indirect(READ, 256, rig.page_gref), 0);
	ck_assert_int_eq(indirect(READ, 0, rig.page_gref), ERROR);
	ck_assert_int_eq(indirect(READ, 257, rig.page_gref), ERROR);
	ck_assert_int_eq(indirect(READ, 65535, rig.page_gref), ERROR);
	ck_assert_int_eq(indirect(2, 4, rig.page_gref), ERROR);
	ck_assert_int_eq(indirect(3, 4, rig.page_gref), ERROR);
	ck_assert_int_eq(indirect(5, 4, rig.page_gref), ERROR);
	ck_assert_int_eq(indirect(6, 4, rig.page_gref), ERROR);
	ck_assert_int_eq(indirect(READ, 4, missing), ERROR);
	ck_assert_int_eq(indirect(READ, 4, UINT32_MAX), ERROR);
	ck_assert_int_eq(indirect(WRITE, 256, rig.page_gref), 0);
}
END_TEST

START_TEST(an_indirect_page_is_read_once)
{
	struct front_segment segments[2] = { ring_segment(&rig, 0, 0, 7),
					     ring_segment(&rig, 1, 0, 7) };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	front_indirect(&rig.queues[0], READ, 1, 0, segments, 2, rig.page, rig.page_gref);
	front_push(&rig.queues[0]);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, 1);
	/* The disk reads; now the page names other bounds, which nobody looks at. */
	memset(rig.page, 0xff, 4096);
	memset(rig.data, 0x11, 3 * 4096);
	probe_release(0);
	ck_assert_int_eq(ring_wait(&rig, 0).status, 0);
	ck_assert_int_eq(rig.data[4096], 0);
	ck_assert_int_eq(rig.data[2 * 4096], 0x11);
}
END_TEST

START_TEST(segments_are_as_many_as_were_offered)
{
	struct ring_form form = { .indirect_max = 32, .is_32 = true };

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(indirect(READ, 32, rig.page_gref), 0);
	ck_assert_int_eq(indirect(READ, 33, rig.page_gref), ERROR);
}
END_TEST

START_TEST(segments_of_a_page_are_checked)
{
	static const struct front_segment bad[] = { { 0, 5, 4 }, { 0, 0, 8 }, { 0, 0, 255 } };
	struct front_segment segments[64];
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	for (i = 0; i < 64; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	segments[63].first = bad[_i].first;
	segments[63].last = bad[_i].last;
	front_indirect(&rig.queues[0], READ, 1, 0, segments, 64, rig.page, rig.page_gref);
	ck_assert_int_eq(ring_wait(&rig, 0).status, ERROR);
	/* Only together they are too many. */
	segments[63] = ring_segment(&rig, 63, 0, 7);
	front_indirect(&rig.queues[0], WRITE, 1, PROBE_SECTORS - 64 * 8 + 1, segments, 64, rig.page,
		       rig.page_gref);
	ck_assert_int_eq(ring_wait(&rig, 0).status, ERROR);
	ck_assert_int_eq(probe.reads + probe.writes, 0);
}
END_TEST

/* A page of segments that is a page of data, too: what is read overwrites the segments. */
START_TEST(an_indirect_page_may_be_overwritten)
{
	struct front_segment segments[8];
	struct front_response response;
	unsigned i, round;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	for (i = 0; i < sizeof(probe.store); i++)
		probe.store[i] = (char)(i * 7 + i / 512);
	for (i = 0; i < 8; i++)
		segments[i] = ring_segment(&rig, i, 0, 7);
	/* Two requests share it. */
	for (round = 0; round < 2; round++)
		front_indirect(&rig.queues[0], READ, round, 0, segments, 8, rig.data + 3 * 4096,
			       rig.grefs[3]);
	for (round = 0; round < 2; round++) {
		response = ring_wait(&rig, 0);
		ck_assert_int_eq(response.status, 0);
	}
	ck_assert_mem_eq(rig.data, probe.store, 8 * 4096);
}
END_TEST

START_TEST(a_request_is_read_once)
{
	struct front_queue *queue = &rig.queues[0];
	struct front_segment segment = ring_segment(&rig, 0, 0, 7);
	struct front_response response;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	memset(rig.data, 0x21, 4096);
	front_direct(queue, WRITE, 4711, 8, &segment, 1);
	front_push(queue);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, 1);
	/* Now it is another request, with other data, that nobody looks at. */
	memset(queue->last, 0xff, 112);
	memset(rig.data, 0x99, 4096);
	probe_release(0);
	response = ring_wait(&rig, 0);
	ck_assert_uint_eq(response.id, 4711);
	ck_assert_uint_eq(response.op, WRITE);
	ck_assert_int_eq(response.status, 0);
	ck_assert_int_eq(probe.store[8 * 512], 0x21);
	ck_assert_int_eq(probe.store[8 * 512 + 4095], 0x21);
	ck_assert_int_eq(probe.store[8 * 512 + 4096], 0);
}
END_TEST

START_TEST(ids_mean_nothing)
{
	struct front_segment segment;
	struct front_response response;
	unsigned i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	for (i = 0; i < 32; i++) {
		memset(rig.data + i * 4096, (int)i + 1, 4096);
		segment = ring_segment(&rig, i, 0, 7);
		front_direct(&rig.queues[0], WRITE, UINT64_MAX, i * 8, &segment, 1);
	}
	front_push(&rig.queues[0]);
	ring_turn(&rig);
	ck_assert_int_eq(probe.held_count, 32);
	probe_release(0);
	for (i = 0; i < 32; i++) {
		response = ring_wait(&rig, 0);
		ck_assert_uint_eq(response.id, UINT64_MAX);
		ck_assert_int_eq(response.status, 0);
	}
	ck_assert_mem_eq(probe.store, rig.data, 32 * 4096);
}
END_TEST

START_TEST(one_bad_grant_of_many_fails_the_request)
{
	struct front_segment segments[11];
	int i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	for (i = 0; i < 11; i++)
		segments[i] = ring_segment(&rig, (unsigned)i, 0, 7);
	guest_revoke(&rig.guest, rig.grefs[7]);
	front_direct(&rig.queues[0], WRITE, 1, 0, segments, 11);
	ck_assert_int_eq(ring_wait(&rig, 0).status, ERROR);
	ck_assert_int_eq(probe.writes, 0);
	front_direct(&rig.queues[0], READ, 1, 0, segments, 11);
	ck_assert_int_eq(ring_wait(&rig, 0).status, ERROR);
	/* A page that we may not write to. */
	segments[0] = (struct front_segment){ rig.page_gref, 0, 7 };
	front_direct(&rig.queues[0], READ, 1, 0, segments, 1);
	ck_assert_int_eq(ring_wait(&rig, 0).status, ERROR);
	front_direct(&rig.queues[0], WRITE, 1, 0, segments, 1);
	ck_assert_int_eq(ring_wait(&rig, 0).status, 0);
}
END_TEST

START_TEST(padding_of_answers_is_zero)
{
	struct front_response response;
	struct front_segment segment = ring_segment(&rig, 0, 0, 7);
	static const uint8_t expected[16] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	front_direct(&rig.queues[0], READ, 0x1122334455667788, 8, &segment, 1);
	memset(rig.queues[0].last + 2, 0xca, 6);
	response = ring_wait(&rig, 0);
	ck_assert_mem_eq(response.raw, expected, 16);
}
END_TEST

static unsigned
ring_state(void)
{
	return ring_state_of(&rig);
}

START_TEST(a_jumping_producer_ends_the_ring)
{
	static const uint32_t jumps[] = { 33, 34, 0x80000000, 0xffffffff };
	struct front_response response;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	atomic_store(front_word(&rig.queues[0], FRONT_REQ_PROD), 1 + jumps[_i]);
	front_kick(&rig.queues[0]);
	ring_turn(&rig);
	ck_assert_uint_eq(ring_state(), BLKIF_FAILED);
	/* It is not looked at again, however it looks now. */
	rig.queues[0].req_prod = 1;
	front_direct(&rig.queues[0], 3, 9, 0, NULL, 0);
	atomic_store(front_word(&rig.queues[0], FRONT_REQ_PROD), 2);
	front_kick(&rig.queues[0]);
	ring_turn(&rig);
	ck_assert(!front_response(&rig.queues[0], &response));
	/* Others are: this one can be had anew. */
	ck_assert_int_eq(ring_connect(&rig, NULL), -EALREADY);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
}
END_TEST

START_TEST(one_broken_queue_ends_all_of_the_guest_and_of_nobody_else)
{
	struct ring_form form = { .queues = 4, .order = 1 };
	struct front_response response;
	struct ring_other other;

	ring_other_open(&rig, &other, false);
	ck_assert_int_eq(ring_other_connect(&rig, &other, NULL), 0);
	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ring_turn(&rig);
	atomic_store(front_word(&rig.queues[2], FRONT_REQ_PROD), 4711);
	front_kick(&rig.queues[2]);
	ring_turn(&rig);
	front_direct(&rig.queues[0], 3, 9, 0, NULL, 0);
	front_push(&rig.queues[0]);
	front_direct(&other.queue, 3, 10, 0, NULL, 0);
	front_push(&other.queue);
	ring_turn(&rig);
	ck_assert(!front_response(&rig.queues[0], &response));
	ck_assert(front_response(&other.queue, &response));
	ck_assert_uint_eq(response.id, 10);
	ck_assert_int_eq(response.status, 0);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert_int_eq(ring_other_disconnect(&rig), 0);
	ring_other_close(&rig, &other);
}
END_TEST

START_TEST(what_is_in_flight_of_a_broken_ring_is_not_answered)
{
	struct front_segment segment = ring_segment(&rig, 0, 0, 7);

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	front_direct(&rig.queues[0], WRITE, 1, 0, &segment, 1);
	front_push(&rig.queues[0]);
	ring_turn(&rig);
	atomic_store(front_word(&rig.queues[0], FRONT_REQ_PROD), 4711);
	front_kick(&rig.queues[0]);
	ring_turn(&rig);
	ck_assert_uint_eq(ring_state(), BLKIF_FAILED);
	probe_release(0);
	ring_turn(&rig);
	ck_assert_uint_eq(atomic_load(front_word(&rig.queues[0], FRONT_RSP_PROD)), 0);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
}
END_TEST

START_TEST(a_page_may_be_granted_twice_for_a_ring)
{
	struct ring_form form = { .order = 2 };
	struct front_queue *queue = &rig.queues[0];
	struct blkif_queue_config config_queue;
	struct blkif_config config = {
		.domid = RING_DOMID,
		.devid = RING_DEVID,
		.proto = BLKIF_PROTO_X86_64,
		.queue_count = 1,
		.queues = &config_queue,
	};
	const char *why;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	queue->grefs[1] = queue->grefs[2] = queue->grefs[3] = queue->grefs[0];
	world_unbind(&rig.guest.events, queue->port);
	queue->port = (uint32_t)world_listen(&rig.guest.events, rig.guest.backend);
	config_queue = (struct blkif_queue_config){ 2, queue->port, queue->grefs };
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 4);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
}
END_TEST

START_TEST(rings_beyond_the_limits_are_refused)
{
	const uint32_t grefs[32] = { 0 };
	struct blkif_queue_config queues[BLKIF_MAX_QUEUES + 1];
	struct blkif_config fine = { .domid = 5, .queue_count = 1, .queues = queues }, config;
	const char *why;
	unsigned i;

	for (i = 0; i <= BLKIF_MAX_QUEUES; i++)
		queues[i] = (struct blkif_queue_config){ 0, 1, grefs };
	config = fine;
	config.queue_count = 0;
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), -EINVAL);
	config.queue_count = BLKIF_MAX_QUEUES + 1;
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), -EINVAL);
	config.queue_count = UINT32_MAX;
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), -EINVAL);
	config = fine;
	config.domid = 0x7ff0;
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), -EINVAL);
	config = fine;
	config.indirect_max = BLKIF_MAX_INDIRECT + 1;
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &config, &why), -EINVAL);
	queues[0].order = BLKIF_MAX_ORDER + 1;
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &fine, &why), -EINVAL);
	queues[0].order = UINT32_MAX;
	ck_assert_int_eq(blkif_connect(rig.blkif, rig.engine.vbd, &fine, &why), -EINVAL);
	ck_assert_uint_eq(ring_state(), 0);
}
END_TEST

START_TEST(a_ring_that_is_broken_already_is_refused)
{
	struct ring_form form = { .start = 7 }, many = { .queues = 8 };

	rig.producer_ahead = 33;
	ck_assert_int_eq(ring_connect(&rig, &form), -EPROTO);
	rig.producer_ahead = 0;
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	rig.bad_gref = true;
	ck_assert_int_eq(ring_connect(&rig, NULL), -EINVAL);
	ck_assert_int_eq(ring_connect(&rig, &many), -EINVAL); /* the last of them */
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	rig.bad_gref = false;
	rig.bad_port = true;
	ck_assert_int_eq(ring_connect(&rig, NULL), -EINVAL);
	rig.bad_port = false;
	ck_assert_uint_eq(guest_mapped(&rig.guest), 0);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
}
END_TEST

START_TEST(large_sectors_are_not_divided)
{
	rig_close(&rig.engine);
	probe.sector_size = 4096;
	ck_assert_int_eq(rig_open(&rig.engine, "probe:x", 0), 0);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(one(READ, 8, ring_segment(&rig, 0, 0, 7), 1), 0);
	ck_assert_int_eq(one(READ, 8, ring_segment(&rig, 0, 0, 6), 1), ERROR);
	ck_assert_int_eq(one(READ, 8, ring_segment(&rig, 0, 1, 7), 1), ERROR);
	ck_assert_int_eq(one(READ, 9, ring_segment(&rig, 0, 0, 7), 1), ERROR);
}
END_TEST

/* The disk could be written to: it is the ring that must not. */
START_TEST(a_read_only_ring_writes_nothing)
{
	struct front_segment fine = ring_segment(&rig, 0, 0, 7);
	struct ring_form form = { .read_only = true };

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	ck_assert_int_eq(one(WRITE, 0, fine, 1), ERROR);
	ck_assert_int_eq(one(BARRIER, 0, fine, 1), ERROR);
	ck_assert_int_eq(one(FLUSH, 0, fine, 1), ERROR);
	ck_assert_int_eq(indirect(WRITE, 4, rig.page_gref), ERROR);
	ck_assert_int_eq(probe.writes, 0);
	ck_assert_int_eq(indirect(READ, 4, rig.page_gref), 0);
}
END_TEST

/* ---- what is told -------------------------------------------------------------------------------
 */

static char log_dir[] = "/tmp/fakexen-log.XXXXXX";
static unsigned ring_errors;

static void
note_event(void *arg, struct vbd *vbd, const char *kind)
{
	(void)arg;
	(void)vbd;
	ring_errors += strcmp(kind, "ring-error") == 0;
}

static void
setup_with_log(void)
{
	ck_assert_ptr_nonnull(mkdtemp(log_dir));
	rig.engine.log = tlog_new(log_dir, "/nowhere", false);
	ck_assert_ptr_nonnull(rig.engine.log);
	rig.engine.event = note_event;
	ring_setup(&rig);
}

static void
log_path(char path[64])
{
	snprintf(path, 64, "%s/tapdisk.%d.log", log_dir, (int)getpid());
}

static void
teardown_with_log(void)
{
	char path[64];

	ring_teardown(&rig);
	tlog_free(rig.engine.log);
	log_path(path);
	unlink(path);
	ck_assert_int_eq(rmdir(log_dir), 0);
}

/* Lines of the log that have text. */
static unsigned
lines_with(const char *text)
{
	char path[64], line[2048];
	unsigned count = 0;
	FILE *log;

	log_path(path);
	log = fopen(path, "r");
	ck_assert_ptr_nonnull(log);
	while (fgets(line, sizeof(line), log))
		count += strstr(line, text) != NULL;
	ck_assert_int_eq(fclose(log), 0);
	return count;
}

START_TEST(a_broken_ring_is_told_once_and_bad_requests_never)
{
	struct front_segment bad = ring_segment(&rig, 0, 5, 4), missing = { UINT32_MAX, 0, 7 };
	unsigned lines, i;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	lines = lines_with("");
	for (i = 0; i < 300; i++) {
		ck_assert_int_eq(one(READ, 0, bad, 1), ERROR);
		ck_assert_int_eq(one(WRITE, 0, missing, 1), ERROR);
		ck_assert_int_eq(one(255, 0, bad, 1), EOPNOTSUPPORTED);
	}
	ck_assert_uint_eq(lines_with(""), lines);
	ck_assert_uint_eq(ring_errors, 0);
	for (i = 0; i < 300; i++) {
		atomic_store(front_word(&rig.queues[0], FRONT_REQ_PROD), 0x40000000 + i);
		front_kick(&rig.queues[0]);
		ring_turn(&rig);
	}
	ck_assert_uint_eq(lines_with(""), lines + 1);
	ck_assert_uint_eq(lines_with("domain 5, device 51712 is closed: more requests than"), 1);
	ck_assert_uint_eq(ring_errors, 1);
}
END_TEST

/* ---- at random ----------------------------------------------------------------------------------
 */

static unsigned long
number_from(const char *variable, unsigned long otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

START_TEST(noise_harms_nobody)
{
	unsigned long seed = number_from("SEED", (unsigned long)time(NULL)), i;
	unsigned long steps = number_from("STEPS", 20000);
	struct ring_form form = { 0 };
	struct hostile hostile = {
		.queue = &rig.queues[0],
		.grefs = rig.grefs,
		.gref_count = 256,
		.page = rig.page,
		.page_gref = rig.page_gref,
		.sectors = PROBE_SECTORS,
		.random = seed * 2654435761u + 1,
		.breaks_ring = true,
	};
	bool connected = false;

	printf("# SEED=%lu STEPS=%lu\n", seed, steps);
	for (i = 0; i < steps; i++) {
		if (!connected) {
			rig.guest.next_page = rig.first_ring_page;
			form.order = (unsigned)(hostile_draw(&hostile) % 5);
			form.is_32 = hostile_draw(&hostile) % 2;
			form.offers = hostile_draw(&hostile) % 2 ? 0x1f : 0;
			form.start = (uint32_t)hostile_draw(&hostile);
			ck_assert_int_eq(ring_connect(&rig, &form), 0);
			connected = true;
		}
		connected = hostile_step(&hostile);
		if (i % 3 == 0)
			rig_turn(&rig.engine);
		hostile_take(&hostile);
		probe.hold = hostile_draw(&hostile) % 8 == 0;
		if (!probe.hold)
			probe_release(0);
		if (!connected) {
			probe_release(0);
			ring_turn(&rig);
			ck_assert_int_eq(ring_disconnect(&rig, hostile_draw(&hostile) % 2), 0);
			front_queue_end(&rig.queues[0]);
			rig.guest.next_grant = rig.first_ring_grant;
		}
	}
	probe_release(0);
	ring_turn(&rig);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("hostile rings");
	TCase *tests = tcase_create("hostile"), *told = tcase_create("told");

	tcase_set_timeout(tests, 600);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, segments_are_checked);
	tcase_add_test(tests, unknown_operations_are_not_supported);
	tcase_add_test(tests, indirect_requests_are_checked);
	tcase_add_test(tests, an_indirect_page_is_read_once);
	tcase_add_test(tests, segments_are_as_many_as_were_offered);
	tcase_add_loop_test(tests, segments_of_a_page_are_checked, 0, 3);
	tcase_add_test(tests, an_indirect_page_may_be_overwritten);
	tcase_add_test(tests, a_request_is_read_once);
	tcase_add_test(tests, ids_mean_nothing);
	tcase_add_test(tests, one_bad_grant_of_many_fails_the_request);
	tcase_add_test(tests, padding_of_answers_is_zero);
	tcase_add_loop_test(tests, a_jumping_producer_ends_the_ring, 0, 4);
	tcase_add_test(tests, one_broken_queue_ends_all_of_the_guest_and_of_nobody_else);
	tcase_add_test(tests, what_is_in_flight_of_a_broken_ring_is_not_answered);
	tcase_add_test(tests, a_page_may_be_granted_twice_for_a_ring);
	tcase_add_test(tests, rings_beyond_the_limits_are_refused);
	tcase_add_test(tests, a_ring_that_is_broken_already_is_refused);
	tcase_add_test(tests, large_sectors_are_not_divided);
	tcase_add_test(tests, a_read_only_ring_writes_nothing);
	tcase_add_test(tests, noise_harms_nobody);
	tcase_set_timeout(told, 60);
	tcase_add_checked_fixture(told, setup_with_log, teardown_with_log);
	tcase_add_test(told, a_broken_ring_is_told_once_and_bad_requests_never);
	suite_add_tcase(all, tests);
	suite_add_tcase(all, told);
	return all;
}

int
main(void)
{
	return ring_run(suite());
}
