/* SPDX-License-Identifier: BSD-2-Clause */
/* What monitors read about rings: pages in shared memory, and the statistics of the disk. */
#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "tests/fakexen/ring-rig.h"

/* Places in the page of a disk or a ring ... */
enum { VERSION = 0, BUSY = 8, READS = 16, WRITES = 48, ERRORS = 80 };
/* ... and in that of a guest's device. */
enum { DISCARDS = 0, FLUSHES = 8, RING_READS = 24, RING_WRITES = 64 };

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
path_of(char path[160], const char *name)
{
	snprintf(path, 160, "%s/%s", rig.dir, name);
}

static void
path_of_page(char path[160], const char *name)
{
	snprintf(path, 160, "%s/td3-%d/%s", rig.dir, (int)getpid(), name);
}

static size_t
read_file(const char *path, uint8_t *content, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t bytes;

	ck_assert_msg(file != NULL, "%s", path);
	bytes = fread(content, 1, room, file);
	ck_assert_int_eq(fclose(file), 0);
	return bytes;
}

/* Numbers from at on, 64 bits each, in the host's order. */
static void
check_numbers(const uint8_t *page, unsigned at, const uint64_t *expected, unsigned count)
{
	uint64_t number;
	unsigned i;

	for (i = 0; i < count; i++) {
		memcpy(&number, page + at + 8 * i, sizeof(number));
		ck_assert_msg(number == expected[i], "at %u: %llu", at + 8 * i,
			      (unsigned long long)number);
	}
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
read_pages(uint8_t page[PAGE], uint8_t device[PAGE])
{
	char path[160];

	path_of_page(path, "vbd-5-51712");
	ck_assert_uint_eq(read_file(path, page, PAGE), PAGE);
	path_of(path, "vbd3-5-51712/statistics");
	ck_assert_uint_eq(read_file(path, device, PAGE), PAGE);
}

START_TEST(each_request_is_counted_once)
{
	uint8_t page[PAGE], device[PAGE];
	uint32_t version;

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 3), 0);
	ck_assert_int_eq(ring_indirect(&rig, READ, 0, 20), 0);
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 2), 0);
	ck_assert_int_eq(ring_indirect(&rig, WRITE, 0, 16), 0);
	ck_assert_int_eq(ring_do(&rig, BARRIER, 0, 1), 0);
	ck_assert_int_eq(ring_do(&rig, BARRIER, 0, 0), 0); /* moves nothing */
	ck_assert_int_eq(ring_do(&rig, FLUSH, 0, 0), 0);
	ck_assert_int_eq(ring_do(&rig, FLUSH, 0, 0), 0);
	ck_assert_int_eq(ring_do(&rig, READ, PROBE_SECTORS, 1), -1);
	front_discard(&rig.queues[0], 1, 0, 8);
	ck_assert_int_eq(ring_wait(&rig, 0).status, -2); /* no error: it cannot be done */
	read_pages(page, device);
	memcpy(&version, page + VERSION, sizeof(version));
	ck_assert_uint_eq(version, 1);
	check_numbers(page, BUSY, (uint64_t[]){ 0 }, 1);
	check_numbers(page, READS, (uint64_t[]){ 4, 4, 24 * 8 }, 3);
	check_numbers(page, WRITES, (uint64_t[]){ 4, 4, 19 * 8 }, 3);
	check_numbers(page, ERRORS, (uint64_t[]){ 1, 0 }, 2);
	check_numbers(device, DISCARDS, (uint64_t[]){ 1, 2, 0 }, 3);
	check_numbers(device, RING_READS, (uint64_t[]){ 4, 4, 24 * 8 }, 3);
	check_numbers(device, RING_WRITES, (uint64_t[]){ 4, 4, 19 * 8 }, 3);
	check_numbers(device, 104, (uint64_t[]){ 0 }, 1);
}
END_TEST

START_TEST(what_is_under_way_can_be_told)
{
	struct front_segment segment = ring_segment(&rig, 0, 0, 7);
	uint8_t page[PAGE], device[PAGE];
	uint64_t usecs, longest;
	bool is_over = false;
	struct loop_timer timer = { .fn = ring_flag, .arg = &is_over };

	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	probe.hold = true;
	front_direct(&rig.queues[0], WRITE, 1, 0, &segment, 1);
	front_push(&rig.queues[0]);
	ring_turn(&rig);
	read_pages(page, device);
	check_numbers(page, WRITES, (uint64_t[]){ 1, 0, 0, 0 }, 4);
	check_numbers(device, RING_WRITES, (uint64_t[]){ 1, 0, 0, 0, 0 }, 5);
	ck_assert_int_eq(loop_timer_set(tapdisk_server_loop(rig.engine.server), &timer, 20), 0);
	rig_until(&rig.engine, &is_over);
	probe_release(0);
	ck_assert_int_eq(ring_wait(&rig, 0).status, 0);
	read_pages(page, device);
	check_numbers(page, WRITES, (uint64_t[]){ 1, 1, 8 }, 3);
	memcpy(&usecs, page + WRITES + 24, sizeof(usecs));
	ck_assert_uint_ge(usecs, 20000);
	check_numbers(device, RING_WRITES, (uint64_t[]){ 1, 1, 8, usecs, usecs }, 5);
	/* Another adds to the sum, and not to the longest. */
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 1), 0);
	read_pages(page, device);
	memcpy(&longest, device + RING_WRITES + 32, sizeof(longest));
	ck_assert_uint_ge(longest, usecs);
	memcpy(&usecs, device + RING_WRITES + 24, sizeof(usecs));
	ck_assert_uint_ge(usecs, longest);
}
END_TEST

/* Refused at the door, or given up while the disk was paused: not in flight any more. */
START_TEST(what_no_driver_has_seen_is_counted_to_its_end)
{
	struct outcome paused = { 0 }, closed = { 0 };
	struct ask ask = { .err = 0 };
	uint8_t page[PAGE];
	char name[32], path[160], data[512];

	snprintf(name, sizeof(name), "vdi-%d", rig.engine.minor);
	path_of_page(path, name);
	ck_assert_int_eq(ask_run(&rig.engine, TD_OP_READ, PROBE_SECTORS, 1, data), -EINVAL);
	ck_assert_int_eq(ask_run(&rig.engine, TD_OP_READ, 0, 1, data), 0);
	read_file(path, page, PAGE);
	check_numbers(page, READS, (uint64_t[]){ 2, 2, 1 }, 3);
	check_numbers(page, ERRORS, (uint64_t[]){ 1 }, 1);
	vbd_pause(rig.engine.vbd, outcome_done, &paused);
	rig_until(&rig.engine, &paused.ended);
	ask_start(&rig.engine, &ask, TD_OP_WRITE, 0, 1, data);
	vbd_close(rig.engine.vbd, false, outcome_done, &closed);
	rig_until(&rig.engine, &closed.ended);
	ck_assert_int_eq(ask_wait(&rig.engine, &ask), -ESHUTDOWN);
	read_file(path, page, PAGE);
	check_numbers(page, WRITES, (uint64_t[]){ 1, 1, 0 }, 3);
	check_numbers(page, ERRORS, (uint64_t[]){ 2 }, 1);
}
END_TEST

/* ---- how the rings stand ------------------------------------------------------------------------
 */

/* The text of io_ring, whose checksum is right. */
static void
read_io_ring(char *text, size_t room)
{
	uint8_t content[4096];
	unsigned long sum;
	uint32_t computed = 0xffffffff;
	size_t bytes, i;
	char path[160];
	int bit;

	path_of(path, "vbd3-5-51712/io_ring");
	bytes = read_file(path, content, sizeof(content));
	ck_assert_uint_gt(bytes, sizeof(sum));
	memcpy(&sum, content, sizeof(sum));
	for (i = sizeof(sum); i < bytes; i++) {
		computed ^= content[i];
		for (bit = 0; bit < 8; bit++)
			computed = computed & 1 ? computed >> 1 ^ 0xedb88320 : computed >> 1;
	}
	ck_assert_uint_eq(sum, computed ^ 0xffffffff);
	bytes -= sizeof(sum);
	ck_assert_uint_lt(bytes, room);
	memcpy(text, content + sizeof(sum), bytes);
	text[bytes] = '\0';
}

START_TEST(the_counters_of_a_ring_are_shown)
{
	struct ring_form form = { .order = 1, .start = 0xffffffff };
	char text[1024], before[1024];

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	read_io_ring(text, sizeof(text));
	ck_assert_str_eq(text, "nr_ents 64\n"
			       "req prod 4294967295 cons -1 event 0\n"
			       "rsp prod 4294967295 pvt -1 event 0\n");
	memcpy(before, text, sizeof(text));
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	/* A few seconds later it is shown how they are now. */
	while (strcmp(text, before) == 0) {
		ck_assert_int_eq(loop_turn(tapdisk_server_loop(rig.engine.server), -1), 0);
		read_io_ring(text, sizeof(text));
	}
	ck_assert_str_eq(text, "nr_ents 64\n"
			       "req prod 0 cons 0 event 1\n"
			       "rsp prod 0 pvt 0 event 0\n");
}
END_TEST

START_TEST(all_queues_are_shown)
{
	struct ring_form form = { .queues = 8, .start = 4000000000u, .order = 4 };
	char text[2048], *line = text;
	int lines = 0;

	ck_assert_int_eq(ring_connect(&rig, &form), 0);
	read_io_ring(text, sizeof(text));
	while ((line = strchr(line, '\n'))) {
		line++;
		lines++;
	}
	ck_assert_int_eq(lines, 24);
	ck_assert_ptr_nonnull(strstr(text, "req prod 4000000000 cons -294967296 event 4000000001"));
}
END_TEST

/* ---- files ------------------------------------------------------------------------------------
 */

static void
check_mode(const char *path, mode_t mode)
{
	struct stat found;

	ck_assert_int_eq(lstat(path, &found), 0);
	ck_assert_uint_eq(found.st_mode & 07777, mode);
}

START_TEST(pages_are_there_as_long_as_the_ring)
{
	struct front_segment segment;
	char page[160], directory[160], other[160];

	path_of_page(page, "vbd-5-51712");
	path_of(directory, "vbd3-5-51712");
	path_of(other, "vbd3-5-51712/statistics");
	ck_assert(!exists(page) && !exists(directory));
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	check_mode(page, 0600);
	check_mode(directory, 0700);
	check_mode(other, 0600);
	/* One that goes is not there any more, whatever is in flight; the next one is. */
	probe.hold = true;
	segment = ring_segment(&rig, 0, 0, 7);
	front_direct(&rig.queues[0], READ, 1, 0, &segment, 1);
	front_push(&rig.queues[0]);
	ring_turn(&rig);
	ck_assert_int_eq(blkif_disconnect(rig.blkif, RING_DOMID, RING_DEVID, false, NULL, NULL), 0);
	ck_assert(!exists(page) && !exists(directory));
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert(exists(page) && exists(other));
	probe_release(0);
	ring_turn(&rig);
	ck_assert_uint_eq(guest_mapped(&rig.guest), 1);
	ck_assert(exists(page) && exists(other));
	ck_assert_int_eq(ring_disconnect(&rig, true), 0);
	ck_assert(!exists(page) && !exists(directory));
}
END_TEST

static void
write_file(const char *path)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs("stale", file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(what_another_left_is_replaced)
{
	char path[160], target[160];
	uint8_t page[PAGE], device[PAGE];

	path_of(target, "target");
	write_file(target);
	path_of_page(path, "vbd-5-51712");
	ck_assert_int_eq(symlink(target, path), 0);
	path_of(path, "vbd3-5-51712");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	path_of(path, "vbd3-5-51712/statistics");
	ck_assert_int_eq(symlink(target, path), 0);
	path_of(path, "vbd3-5-51712/io_ring~");
	write_file(path);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert(!exists(path));
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	read_pages(page, device);
	check_numbers(page, READS, (uint64_t[]){ 1, 1, 8 }, 3);
	check_numbers(device, RING_READS, (uint64_t[]){ 1, 1, 8 }, 3);
	ck_assert_uint_eq(read_file(target, page, PAGE), strlen("stale"));
	ck_assert_int_eq(unlink(target), 0);
}
END_TEST

/* A directory that is open to others, or no directory: what a ring does without. */
START_TEST(without_pages_a_ring_is_served)
{
	char path[160];

	path_of(path, "vbd3-5-51712");
	if (_i) {
		write_file(path);
	} else {
		ck_assert_int_eq(mkdir(path, 0700), 0);
		ck_assert_int_eq(chmod(path, 0777), 0);
	}
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 3), 0);
	ck_assert_int_eq(ring_disconnect(&rig, false), 0);
	ck_assert_int_eq(_i ? unlink(path) : rmdir(path), 0);
}
END_TEST

/* ---- of the disk ------------------------------------------------------------------------------
 */

static const char *
text_of(struct json_object *object)
{
	return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
}

START_TEST(the_disk_tells_about_its_rings)
{
	struct json_object *stats, *rings, *xenbus;
	struct ring_other other;
	const char *second;

	ring_other_open(&rig, &other, false);
	ck_assert_int_eq(ring_other_connect(&rig, &other, NULL), 0);
	ck_assert_int_eq(ring_connect(&rig, NULL), 0);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), 0);
	ck_assert_int_eq(ring_do(&rig, READ, PROBE_SECTORS, 1), -1);
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 0), -1);
	probe.fail_after = 1;
	probe.fail_with = -EIO;
	ck_assert_int_eq(ring_do(&rig, WRITE, 0, 1), -1);
	guest_revoke(&rig.guest, rig.grefs[0]);
	ck_assert_int_eq(ring_do(&rig, READ, 0, 1), -1);
	stats = vbd_stats(rig.engine.vbd);
	ck_assert(json_object_object_get_ex(stats, "rings", &rings));
	ck_assert_uint_eq(json_object_array_length(rings), 2);
	ck_assert(json_object_object_get_ex(stats, "xenbus", &xenbus));
	ck_assert_str_eq(text_of(xenbus), text_of(json_object_array_get_idx(rings, 0)));
	ck_assert_str_eq(text_of(xenbus),
			 "{\"pool\":\"td-xenio-default\",\"domid\":6,\"devid\":51712,"
			 "\"reqs\":[0,0],\"kicks\":[1,0],"
			 "\"errors\":{\"msg\":0,\"map\":0,\"vbd\":0,\"img\":0}}");
	second = text_of(json_object_array_get_idx(rings, 1));
	ck_assert_ptr_nonnull(strstr(second, "\"domid\":5,\"devid\":51712,\"reqs\":[5,5],"));
	ck_assert_ptr_nonnull(
		strstr(second, "\"errors\":{\"msg\":2,\"map\":1,\"vbd\":0,\"img\":1}}"));
	json_object_put(stats);
	/* One that is broken is not the one that is connected. */
	atomic_store(front_word(&other.queue, FRONT_REQ_PROD), 4711);
	front_kick(&other.queue);
	ring_turn(&rig);
	stats = vbd_stats(rig.engine.vbd);
	ck_assert(json_object_object_get_ex(stats, "xenbus", &xenbus));
	ck_assert_ptr_nonnull(strstr(text_of(xenbus), "\"domid\":5,"));
	json_object_put(stats);
	ck_assert_int_eq(ring_other_disconnect(&rig), 0);
	ring_other_close(&rig, &other);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("ring statistics");
	TCase *tests = tcase_create("statistics");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, each_request_is_counted_once);
	tcase_add_test(tests, what_is_under_way_can_be_told);
	tcase_add_test(tests, what_no_driver_has_seen_is_counted_to_its_end);
	tcase_add_test(tests, the_counters_of_a_ring_are_shown);
	tcase_add_test(tests, all_queues_are_shown);
	tcase_add_test(tests, pages_are_there_as_long_as_the_ring);
	tcase_add_test(tests, what_another_left_is_replaced);
	tcase_add_loop_test(tests, without_pages_a_ring_is_served, 0, 2);
	tcase_add_test(tests, the_disk_tells_about_its_rings);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return ring_run(suite());
}
