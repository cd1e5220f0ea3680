/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and values from xenstore: what is taken, and that nothing else is.
 */
#include <check.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/locate.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/parse.h"
#include "tests/tapback/ring-nodes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- numbers and names ------------------------------------------------------------------------
 */

START_TEST(numbers_are_strictly_decimal)
{
	static const char *const wrong[] = { "",
					     "-1",
					     "+1",
					     " 1",
					     "1 ",
					     "1x",
					     "0x1",
					     "1\n",
					     "4294967296",
					     "00000000001",
					     "९",
					     "1e3",
					     "99999999999999999999" };
	uint32_t number = 7;
	size_t i;

	for (i = 0; i < COUNT(wrong); i++)
		ck_assert_msg(!parse_number(wrong[i], UINT32_MAX, &number), "%s", wrong[i]);
	ck_assert(!parse_number("5", 4, &number));
	ck_assert_uint_eq(number, 7);
	ck_assert(parse_number("4294967295", UINT32_MAX, &number));
	ck_assert_uint_eq(number, UINT32_MAX);
	ck_assert(parse_number("0", 0, &number));
	ck_assert_uint_eq(number, 0);
}
END_TEST

START_TEST(states_are_one_of_nine)
{
	ck_assert_int_eq(parse_state("0"), XENBUS_UNKNOWN);
	ck_assert_int_eq(parse_state("8"), XENBUS_RECONFIGURED);
	ck_assert_int_eq(parse_state("9"), XENBUS_INVALID);
	ck_assert_int_eq(parse_state("10"), XENBUS_INVALID);
	ck_assert_int_eq(parse_state("-5"), XENBUS_INVALID);
	ck_assert_int_eq(parse_state("4\n"), XENBUS_INVALID);
	ck_assert_int_eq(parse_state(""), XENBUS_INVALID);
}
END_TEST

static const struct {
	const char *path, *base;
	int level; /* -1: none */
	uint32_t domid, devid;
} paths[] = {
	{ "backend/vbd3", "backend/vbd3", BACKEND_ALL, 0, 0 },
	{ "backend/vbd3/7", "backend/vbd3", BACKEND_DOMAIN, 7, 0 },
	{ "backend/vbd3/7/51712", "backend/vbd3", BACKEND_DEVICE, 7, 51712 },
	{ "backend/vbd3/7/51712/state", "backend/vbd3", BACKEND_DEVICE, 7, 51712 },
	{ "backend/vbd3/0/4294967295", "backend/vbd3", BACKEND_DEVICE, 0, 4294967295u },
	{ "backend/vbd3/7", "backend/vbd3/7", BACKEND_DOMAIN, 7, 0 },
	{ "backend/vbd3/7/5/x", "backend/vbd3/7", BACKEND_DEVICE, 7, 5 },
	{ "backend/vbd3/70/5", "backend/vbd3/7", -1, 0, 0 },
	{ "backend/vbd3x/7", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd", "backend/vbd3", -1, 0, 0 },
	{ "/local/domain/0/backend/vbd3/7", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/x/1", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/07/1", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/7/", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/7/1x", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/7/-1", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/7/4294967296", "backend/vbd3", -1, 0, 0 },
	{ "backend/vbd3/32752/1", "backend/vbd3", -1, 0, 0 },
};

START_TEST(backend_paths_name_a_device)
{
	struct backend_path found = { .level = BACKEND_ALL };
	bool is_path = parse_backend_path(paths[_i].path, paths[_i].base, &found);

	ck_assert_msg(is_path == (paths[_i].level >= 0), "%s", paths[_i].path);
	if (!is_path)
		return;
	ck_assert_int_eq((int)found.level, paths[_i].level);
	ck_assert_uint_eq(found.domid, paths[_i].domid);
	ck_assert_uint_eq(found.devid, paths[_i].devid);
}
END_TEST

START_TEST(frontend_paths_are_those_of_the_device)
{
	ck_assert(is_frontend_path("/local/domain/7/device/vbd/5", 7, 5));
	ck_assert(!is_frontend_path("/local/domain/8/device/vbd/5", 7, 5));
	ck_assert(!is_frontend_path("/local/domain/7/device/vbd/6", 7, 5));
	ck_assert(!is_frontend_path("/local/domain/7/device/vbd/5/", 7, 5));
	ck_assert(!is_frontend_path("/local/domain/07/device/vbd/5", 7, 5));
	ck_assert(!is_frontend_path("local/domain/7/device/vbd/5", 7, 5));
	ck_assert(!is_frontend_path("/local/domain/7/device/vif/5", 7, 5));
	ck_assert(!is_frontend_path("", 7, 5));
}
END_TEST

START_TEST(disk_paths_name_a_process_and_a_minor)
{
	const char *dir = "/run/blktap-control";
	uint32_t pid = 0, minor = 0;

	ck_assert(parse_disk_path("/run/blktap-control/nbd253.0", dir, &pid, &minor));
	ck_assert_uint_eq(pid, 253);
	ck_assert_uint_eq(minor, 0);
	ck_assert(parse_disk_path("/var/run/blktap-control/nbd1.16383", dir, &pid, &minor));
	ck_assert_uint_eq(minor, 16383);
	ck_assert(!parse_disk_path("/run/blktap-control/nbd0.0", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/run/blktap-control/nbd1.16384", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/run/blktap-control/nbd1", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/run/blktap-control/nbd1.", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/run/blktap-control/nbd1.0x", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/run/blktap-control/nbd01.0", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/run/blktap-control/nbd99999999.0", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/tmp/nbd1.0", dir, &pid, &minor));
	ck_assert(!parse_disk_path("/var/tmp/nbd1.0", "/tmp", &pid, &minor));
	ck_assert(!parse_disk_path("", dir, &pid, &minor));
}
END_TEST

START_TEST(device_numbers_are_hexadecimal)
{
	uint32_t major = 0, minor = 0;

	ck_assert(parse_device_number("fd:1A", &major, &minor));
	ck_assert_uint_eq(major, 0xfd);
	ck_assert_uint_eq(minor, 0x1a);
	ck_assert(!parse_device_number("fd:", &major, &minor));
	ck_assert(!parse_device_number(":1", &major, &minor));
	ck_assert(!parse_device_number("fd1", &major, &minor));
	ck_assert(!parse_device_number("1:2:3", &major, &minor));
	ck_assert(!parse_device_number("1:123456", &major, &minor));
	ck_assert(!parse_device_number("g:1", &major, &minor));
}
END_TEST

/* Inodes are those of a file system; a program that locks one of another is no tapdisk. */
START_TEST(a_lock_elsewhere_is_none_of_a_marker)
{
	static const char text[] = "1: FLOCK  ADVISORY  WRITE 700 08:01:8123 0 EOF\n"
				   "2: POSIX  ADVISORY  WRITE 731 00:1a:8123 0 EOF\n"
				   "3: FLOCK  ADVISORY  WRITE 731 00:1a:812 0 EOF\n"
				   "4: FLOCK  ADVISORY  WRITE 732 00:1a:8123 0 EOF\n";
	char dir[] = "/tmp/locate.XXXXXX", socket[sizeof(dir) + 8];
	uint32_t pid = 0;
	FILE *locks;
	int i;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (i = 731; i <= 732; i++) {
		snprintf(socket, sizeof(socket), "%s/ctl%d", dir, i);
		fclose(fopen(socket, "w"));
	}
	locks = fmemopen((void *)(uintptr_t)text, sizeof(text) - 1, "r");
	ck_assert_int_eq(locate_holder(locks, 8123, dir, &pid), 0);
	ck_assert_uint_eq(pid, 732);
	ck_assert_int_eq(locate_holder(locks, 8123, dir, &pid), -ENOENT);
	fclose(locks);
	for (i = 731; i <= 732; i++) {
		snprintf(socket, sizeof(socket), "%s/ctl%d", dir, i);
		unlink(socket);
	}
	rmdir(dir);
}
END_TEST

START_TEST(foreign_text_is_shown_safely)
{
	char out[6];

	ck_assert_str_eq(escape("a\033\n\200b", out, sizeof(out)), "a???b");
	ck_assert_str_eq(escape("longer than that", out, sizeof(out)), "longe");
}
END_TEST

/* ---- rings ------------------------------------------------------------------------------------
 */

static int
read_nodes(const char *nodes, size_t size, struct ring *ring, struct reason *why)
{
	struct ring_nodes place = { .at = nodes, .size = size };
	const struct ring_source source = { .get = ring_nodes_get, .arg = &place };
	const struct ring_limits limits = { .max_queues = 8,
					    .max_order = 4,
					    .default_proto = RING_PROTO_NATIVE };

	return ring_read(&source, &limits, ring, why);
}

#define READ(nodes) read_nodes(nodes, sizeof(nodes) - 1, &ring, &why)

START_TEST(rings_of_all_shapes_are_read)
{
	struct reason why;
	struct ring ring;

	ck_assert_int_eq(READ("ring-ref=8\0event-channel=9\0protocol=x86_32-abi"), 0);
	ck_assert_uint_eq(ring.proto, RING_PROTO_X86_32);
	ck_assert_uint_eq(ring.queue_count, 1);
	ck_assert_uint_eq(ring.queue[0].gref[0], 8);
	ck_assert_uint_eq(ring.queue[0].port, 9);
	ck_assert_int_eq(READ("ring-ref0=8\0event-channel=9"), 0);
	ck_assert_uint_eq(ring.proto, RING_PROTO_NATIVE);
	ck_assert_int_eq(READ("ring-page-order=1\0ring-ref0=8\0ring-ref1=7\0event-channel=9\0"
			      "protocol=arm-abi\0num-ring-pages=2"),
			 0);
	ck_assert_uint_eq(ring.queue[0].order, 1);
	ck_assert_uint_eq(ring.queue[0].gref[1], 7);
	ck_assert_int_eq(READ("num-ring-pages=2\0ring-ref0=8\0ring-ref1=7\0event-channel=9"), 0);
	ck_assert_uint_eq(ring.queue[0].order, 1);
	ck_assert_int_eq(READ("multi-queue-num-queues=1\0ring-ref=8\0event-channel=9"), 0);
	ck_assert_int_eq(READ("multi-queue-num-queues=2\0queue-0/ring-ref=8\0queue-1/ring-ref=5\0"
			      "queue-0/event-channel=9\0queue-1/event-channel=6"),
			 0);
	ck_assert_uint_eq(ring.queue_count, 2);
	ck_assert_uint_eq(ring.queue[1].gref[0], 5);
	ck_assert_uint_eq(ring.queue[1].port, 6);
}
END_TEST

START_TEST(the_top_level_is_not_a_queue_of_many)
{
	struct reason why;
	struct ring ring;

	ck_assert_int_eq(READ("multi-queue-num-queues=2\0ring-ref=8\0event-channel=9"), -EPROTO);
	ck_assert_str_eq(why.text, "queue-0/ring-ref0: missing");
}
END_TEST

START_TEST(rings_are_compared_by_what_they_are)
{
	struct reason why;
	struct ring ring, other;

	ck_assert_int_eq(READ("ring-ref=8\0event-channel=9"), 0);
	other = ring;
	ck_assert(ring_is_equal(&ring, &other));
	other.queue[0].port++;
	ck_assert(!ring_is_equal(&ring, &other));
}
END_TEST

/* ---- the configuration file -------------------------------------------------------------------
 */

static void
count_line(void *arg, const char *line)
{
	(void)line;
	++*(int *)arg;
}

static void
write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static struct tb_options
given(const char *config, const char *option)
{
	char *argv[] = { "tapback", "-c", (char *)config, (char *)option, NULL };
	struct tb_options options;
	int status;

	optind = 0;
	ck_assert(!tb_options_parse(&options, option ? 4 : 3, argv, &status));
	return options;
}

START_TEST(the_command_line_goes_before_the_file)
{
	char path[] = "/tmp/tapback-conf.XXXXXX";
	struct tb_options from, options;
	int wrong = 0;

	write_file(path, "# a comment\n\n tapback-mode = xapi # as it is\ntapback-max-queues=2\n"
			 "tapback-max-ring-order = 0\ntapback-barrier = 0\ncontrol-dir = /x\n"
			 "tapback-persistent-grants = 1\ntapback-persistent-grants = 2\n"
			 "tapback-max-queues = 9\nnonsense\ntapback-mode = xend\n");
	from = given(path, NULL);
	ck_assert_int_eq(tb_options_read(&options, &from, count_line, &wrong), 0);
	ck_assert_int_eq(wrong, 4);
	ck_assert_int_eq((int)options.mode, TB_MODE_XAPI);
	ck_assert_uint_eq(options.max_queues, 2);
	ck_assert_uint_eq(options.max_order, 0);
	ck_assert(options.no_barrier);
	ck_assert(options.persistent);
	from = given(path, "--max-queues=5");
	ck_assert_int_eq(tb_options_read(&options, &from, count_line, &wrong), 0);
	ck_assert_uint_eq(options.max_queues, 5);
	unlink(path);
	from = given(path, "-mauto");
	ck_assert_int_eq(tb_options_read(&options, &from, count_line, &wrong), 0);
	ck_assert_int_eq((int)options.mode, TB_MODE_AUTO);
	ck_assert_uint_eq(options.max_queues, 8);
	ck_assert_uint_eq(options.max_order, 4);
	ck_assert(!options.no_barrier);
	ck_assert(!options.persistent);
}
END_TEST

/* ---- the log ----------------------------------------------------------------------------------
 */

START_TEST(lines_have_a_limit)
{
	struct tb_log_limit limit = { 0 };
	unsigned i, left_out, written = 0;

	for (i = 0; i < 100; i++)
		written += tb_log_may(&limit, 1000 + i, &left_out);
	ck_assert_uint_eq(written, TB_LOG_LINES);
	ck_assert(tb_log_may(&limit, 1000 + TB_LOG_PERIOD_MS, &left_out));
	ck_assert_uint_eq(left_out, 100 - TB_LOG_LINES);
	ck_assert(tb_log_may(&limit, 1001 + TB_LOG_PERIOD_MS, &left_out));
	ck_assert_uint_eq(left_out, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tapback-parse");
	TCase *tests = tcase_create("parse");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, numbers_are_strictly_decimal);
	tcase_add_test(tests, states_are_one_of_nine);
	tcase_add_loop_test(tests, backend_paths_name_a_device, 0, COUNT(paths));
	tcase_add_test(tests, frontend_paths_are_those_of_the_device);
	tcase_add_test(tests, disk_paths_name_a_process_and_a_minor);
	tcase_add_test(tests, device_numbers_are_hexadecimal);
	tcase_add_test(tests, a_lock_elsewhere_is_none_of_a_marker);
	tcase_add_test(tests, foreign_text_is_shown_safely);
	tcase_add_test(tests, rings_of_all_shapes_are_read);
	tcase_add_test(tests, the_top_level_is_not_a_queue_of_many);
	tcase_add_test(tests, rings_are_compared_by_what_they_are);
	tcase_add_test(tests, the_command_line_goes_before_the_file);
	tcase_add_test(tests, lines_have_a_limit);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
