/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What peers may not do: take their time, leave half way, read nothing, pass descriptors that
 * nobody wants, be somebody else.  And how the process leaves.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "tests/control/control-rig.h"

#define NOBODY 65534

static struct control_rig rig;

/* Each test sets what it needs in rig.config first. */
static void
begin(void)
{
	control_rig_setup(&rig);
}

static void
finish(void)
{
	control_rig_teardown(&rig);
}

/* ---- time ---------------------------------------------------------------------------------------
 */

static void
expect_dropped(const void *data, size_t length)
{
	struct client client;

	client_open(&client, &rig);
	client_send(&client, data, length);
	client_expect_end(&client);
}

START_TEST(a_silent_peer_is_dropped)
{
	rig.config.limits.first_byte_ms = 1;
	begin();
	expect_dropped("", 0);
	finish();
}
END_TEST

START_TEST(a_peer_that_stops_is_dropped)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_PID, -1);

	rig.config.limits.progress_ms = 1;
	begin();
	expect_dropped(&message, 1);
	expect_dropped(&message, 8);
	expect_dropped(&message, 543);
	expect_dropped("BTC", 3);
	expect_dropped("BTC2", 4);
	finish();
}
END_TEST

START_TEST(a_message_has_a_time_in_all)
{
	rig.config.limits.message_ms = 1;
	begin();
	expect_dropped("\3", 1);
	finish();
}
END_TEST

START_TEST(a_log_path_that_never_comes_leaves_no_trace)
{
	tapdisk_message_t message;

	rig.config.limits.progress_ms = 1;
	begin();
	message = message_for(TAPDISK_MESSAGE_OPEN, rig.engine.minor);
	message.u.params.flags = TAPDISK_MESSAGE_FLAG_ADD_LOG;
	expect_dropped(&message, sizeof(message));
	ck_assert(!vbd_is_busy(rig.engine.vbd));
	ck_assert_uint_eq(vbd_state(rig.engine.vbd), 0);
	finish();
}
END_TEST

START_TEST(an_idle_session_ends)
{
	struct client client;

	rig.config.limits.idle_ms = 1;
	begin();
	client_greet(&client, &rig);
	client_expect_end(&client);
	finish();
}
END_TEST

START_TEST(a_subscriber_may_be_idle)
{
	struct frame hello = { .version = 1, .type = TAPDISK_FRAME_HELLO };
	struct frame subscribe = { .version = 1, .type = TAPDISK_FRAME_SUBSCRIBE };
	struct frame_writer first, second;
	struct client client;
	struct reply reply;

	rig.config.limits.idle_ms = 1;
	begin();
	frame_begin(&first, &hello);
	frame_put_u32(&first, TAPDISK_ATTR_VERSION_MAX, 1);
	frame_end(&first, 100);
	frame_begin(&second, &subscribe);
	frame_end(&second, 100);
	client_open(&client, &rig);
	client_send(&client, first.at, first.length);
	client_send(&client, second.at, second.length);
	ck_assert(client_reply(&client, &reply));
	ck_assert(client_reply(&client, &reply));
	/* Longer than idle_ms, and nothing happens. */
	loop_turn(tapdisk_server_loop(rig.engine.server), 5);
	loop_turn(tapdisk_server_loop(rig.engine.server), 5);
	ck_assert(!client_has_input(&client));
	client_close(&client);
	frame_writer_free(&first);
	frame_writer_free(&second);
	finish();
}
END_TEST

/* ---- halves and surplus -------------------------------------------------------------------------
 */

START_TEST(half_a_message_has_no_effect)
{
	tapdisk_message_t message;
	struct client client;
	size_t length;

	begin();
	message = message_for(TAPDISK_MESSAGE_DETACH, rig.engine.minor);
	for (length = 0; length < sizeof(message); length += 17) {
		client_open(&client, &rig);
		client_send(&client, &message, length);
		control_rig_settle(&rig);
		client_close(&client);
		control_rig_settle(&rig);
	}
	ck_assert_uint_eq(tapdisk_server_count(rig.engine.server), 1);
	finish();
}
END_TEST

START_TEST(surplus_is_ignored)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_PID, -1);
	struct client client;

	begin();
	client_open(&client, &rig);
	client_tell(&client, &message, "x", 1);
	client_hear(&client, &message);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_PID_RSP);
	client_expect_end(&client);
	finish();
}
END_TEST

START_TEST(bytes_may_come_one_by_one)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_PID, -1);
	struct client client;
	size_t i;

	begin();
	client_open(&client, &rig);
	for (i = 0; i < sizeof(message); i++) {
		client_send(&client, (const char *)&message + i, 1);
		control_rig_turn(&rig);
	}
	client_hear(&client, &message);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_PID_RSP);
	client_close(&client);
	finish();
}
END_TEST

/* ---- output -------------------------------------------------------------------------------------
 */

static unsigned asked;

/* Ask, and never read, until the server has had enough. */
static void
ask_without_reading(void)
{
	struct frame frame = { .version = 1,
			       .type = TAPDISK_FRAME_STATS,
			       .minor = TAPDISK_FRAME_NO_MINOR };
	struct frame_writer writer;
	struct client client;

	asked = 0;
	client_greet(&client, &rig);
	frame_begin(&writer, &frame);
	frame_end(&writer, 100);
	for (;; asked++) {
		ssize_t sent = send(client.fd, writer.at, writer.length, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			break;
		control_rig_turn(&rig);
	}
	frame_writer_free(&writer);
	client_close(&client);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PID, -1), 0);
}

START_TEST(a_peer_that_reads_nothing_is_dropped_by_size)
{
	begin();
	ask_without_reading();
	finish();
}
END_TEST

START_TEST(a_peer_that_reads_nothing_is_dropped_by_time)
{
	rig.config.limits.send_ms = 1;
	begin();
	ask_without_reading();
	/* Long before there was too much. */
	ck_assert_uint_lt(asked, 2000);
	finish();
}
END_TEST

/* ---- descriptors --------------------------------------------------------------------------------
 */

static int passed;
static int passed_err;

static int
take_fd(void *arg, const char *purpose, const char *name, int minor, int fd)
{
	struct stat file;

	(void)arg;
	ck_assert_str_eq(purpose, "nbd-client");
	ck_assert_str_eq(name, "somebody");
	ck_assert_int_eq(minor, 3);
	ck_assert_int_eq(fstat(fd, &file), 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	close(fd);
	passed++;
	return passed_err;
}

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void
begin_pass(struct client *client, struct frame_writer *writer)
{
	client_begin(client, writer, TAPDISK_FRAME_PASS_FD, 3);
	frame_put_text(writer, TAPDISK_ATTR_NAME, "somebody");
	frame_put_text(writer, TAPDISK_ATTR_PURPOSE, "nbd-client");
	frame_end(writer, 4096);
}

/* PASS_FD with so many descriptors: the error. */
static int
pass(struct client *client, const int *fds, int count)
{
	struct frame_writer writer;

	begin_pass(client, &writer);
	client_send_fds(client, writer.at, writer.length, fds, count);
	frame_writer_free(&writer);
	return client_expect(client, client->last_id);
}

START_TEST(exactly_one_descriptor_is_taken)
{
	struct client client;
	int fds[253], before, i;

	passed = passed_err = 0;
	rig.config.pass_fd = take_fd;
	begin();
	for (i = 0; i < 253; i++)
		fds[i] = STDIN_FILENO;
	client_greet(&client, &rig);
	before = count_fds();
	ck_assert_int_eq(pass(&client, fds, 0), EINVAL);
	ck_assert_int_eq(pass(&client, fds, 2), EINVAL);
	ck_assert_int_eq(pass(&client, fds, 253), EINVAL);
	ck_assert_int_eq(passed, 0);
	ck_assert_int_eq(pass(&client, fds, 1), 0);
	ck_assert_int_eq(passed, 1);
	passed_err = -ENOSPC;
	ck_assert_int_eq(pass(&client, fds, 1), ENOSPC);
	ck_assert_int_eq(count_fds(), before);
	client_close(&client);
	finish();
}
END_TEST

START_TEST(without_a_taker_descriptors_are_closed)
{
	static const int fds[2] = { STDIN_FILENO, STDIN_FILENO };
	struct client client;
	int before;

	begin();
	client_greet(&client, &rig);
	before = count_fds();
	ck_assert_int_eq(pass(&client, fds, 1), EOPNOTSUPP);
	ck_assert_int_eq(count_fds(), before);
	client_close(&client);
	finish();
}
END_TEST

START_TEST(descriptors_belong_to_their_own_message)
{
	static const int fds[2] = { STDIN_FILENO, STDIN_FILENO };
	struct frame_writer writer;
	struct client client;
	unsigned type;
	int before, count;

	passed = passed_err = 0;
	rig.config.pass_fd = take_fd;
	begin();
	client_greet(&client, &rig);
	before = count_fds();
	for (type = TAPDISK_FRAME_PING; type <= TAPDISK_FRAME_CANCEL; type++) {
		if (type == TAPDISK_FRAME_EXIT || type == TAPDISK_FRAME_DETACH)
			continue;
		count = 1 + (int)(type % 2);
		client_begin(&client, &writer, type, 99);
		frame_end(&writer, 100);
		client_send_fds(&client, writer.at, writer.length, fds, count);
		frame_writer_free(&writer);
		client_expect(&client, client.last_id);
	}
	ck_assert_int_eq(count_fds(), before);
	/* One that came with PING is not there for the next. */
	ck_assert_int_eq(pass(&client, NULL, 0), EINVAL);
	ck_assert_int_eq(passed, 0);
	client_close(&client);
	finish();
}
END_TEST

START_TEST(legacy_messages_bring_no_descriptors)
{
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_PID, -1);
	int fds[253], before, i, count;
	struct client client;

	begin();
	for (i = 0; i < 253; i++)
		fds[i] = STDIN_FILENO;
	before = count_fds();
	for (count = 1; count <= 253; count += 252) {
		client_open(&client, &rig);
		client_send_fds(&client, &message, sizeof(message), fds, count);
		client_expect_end(&client);
	}
	control_rig_settle(&rig);
	ck_assert_int_eq(count_fds(), before);
	finish();
}
END_TEST

START_TEST(short_descriptors_delay_connections)
{
	struct rlimit old, low = { .rlim_cur = 0 };
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_PID, -1);
	struct client client;
	bool is_short;

	rig.config.limits.accept_ms = 1;
	begin();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	client_open(&client, &rig);
	low.rlim_max = old.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	is_short = dup(STDIN_FILENO) < 0; /* not so under valgrind */
	client_tell(&client, &message, NULL, 0);
	control_rig_settle(&rig);
	ck_assert_int_ne(is_short, client_has_input(&client));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	client_hear(&client, &message);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_PID_RSP);
	client_close(&client);
	finish();
}
END_TEST

/* ---- peers --------------------------------------------------------------------------------------
 */

/* As somebody else: bytes of an answer to PID, or -1 when there is not even a connection. */
static int
ask_as(uid_t uid, gid_t gid)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	tapdisk_message_t message = message_for(TAPDISK_MESSAGE_PID, -1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t got;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", control_server_path(rig.control));
	if (fd < 0 || setresgid(gid, gid, gid) || setresuid(uid, uid, uid) ||
	    connect(fd, (struct sockaddr *)&name, sizeof(name)))
		return -1;
	if (send(fd, &message, sizeof(message), MSG_NOSIGNAL) != (ssize_t)sizeof(message))
		return 0;
	got = recv(fd, &message, sizeof(message), MSG_WAITALL);
	return got < 0 ? 0 : (int)got;
}

/* The same in a process of its own: 1 answered, 0 closed, 2 not even connected. */
static int
try_as(uid_t uid, gid_t gid)
{
	pid_t pid = fork();
	int status, got;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		got = ask_as(uid, gid);
		_exit(got < 0 ? 2 : got == (int)sizeof(tapdisk_message_t));
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		control_rig_turn(&rig);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(strangers_are_not_answered)
{
	begin();
	if (geteuid() == 0) {
		ck_assert_int_eq(try_as(NOBODY, NOBODY), 2);
		/* Even where the file system would let them. */
		ck_assert_int_eq(chmod(rig.engine.dir, 0711), 0);
		ck_assert_int_eq(chmod(control_server_path(rig.control), 0666), 0);
		ck_assert_int_eq(try_as(NOBODY, NOBODY), 0);
		ck_assert_int_eq(try_as(0, 0), 1);
	}
	finish();
}
END_TEST

START_TEST(members_of_the_group_are_answered)
{
	struct stat file;

	rig.config.has_group = true;
	rig.config.group = geteuid() == 0 ? 4242 : getegid();
	begin();
	ck_assert_int_eq(stat(control_server_path(rig.control), &file), 0);
	ck_assert_uint_eq(file.st_mode & 0777, 0660);
	ck_assert_uint_eq(file.st_gid, rig.config.group);
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(rig.engine.dir, 0711), 0);
		ck_assert_int_eq(try_as(NOBODY, 4242), 1);
		ck_assert_int_eq(try_as(NOBODY, NOBODY), 2);
	}
	finish();
}
END_TEST

START_TEST(the_socket_is_ours_alone)
{
	struct control_server *second;
	struct stat file;
	const char *why;

	begin();
	ck_assert_int_eq(stat(control_server_path(rig.control), &file), 0);
	ck_assert_uint_eq(file.st_mode & 0777, 0600);
	ck_assert_int_eq(control_server_new(&second, &rig.config, &why), -EADDRINUSE);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PID, -1), 0);
	finish();
}
END_TEST

START_TEST(a_stale_socket_is_replaced)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct control_server *again;
	const char *why;
	int fd;

	begin();
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", control_server_path(rig.control));
	control_server_free(rig.control);
	rig.control = NULL;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
	ck_assert_int_eq(control_server_new(&again, &rig.config, &why), 0);
	rig.control = again;
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_PID, -1), 0);
	finish();
}
END_TEST

/* ---- leaving ------------------------------------------------------------------------------------
 */

START_TEST(answers_are_sent_before_the_process_leaves)
{
	tapdisk_message_t message;
	struct client detach, late, idle;
	int other;

	begin();
	other = control_rig_minor(&rig);
	client_open(&idle, &rig);
	client_open(&detach, &rig);
	client_open(&late, &rig);
	message = message_for(TAPDISK_MESSAGE_DETACH, rig.engine.minor);
	client_tell(&detach, &message, NULL, 0);
	message = message_for(TAPDISK_MESSAGE_ATTACH, other);
	client_tell(&late, &message, NULL, 0);
	ck_assert_int_eq(loop_run(tapdisk_server_loop(rig.engine.server)), 0);
	ck_assert_int_ne(access(control_server_path(rig.control), F_OK), 0);
	ck_assert(client_has_input(&detach));
	client_hear(&detach, &message);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_DETACH_RSP);
	ck_assert(client_has_input(&late));
	client_hear(&late, &message);
	ck_assert_uint_eq(message.type, TAPDISK_MESSAGE_ERROR);
	ck_assert_int_eq(message.u.response.error, EAGAIN);
	client_close(&detach);
	client_close(&late);
	client_close(&idle);
	finish();
}
END_TEST

START_TEST(an_empty_process_exits_when_told)
{
	struct client client;
	uint64_t detach, leave;

	begin();
	client_greet(&client, &rig);
	detach = client_request(&client, TAPDISK_FRAME_DETACH, rig.engine.minor);
	ck_assert_int_eq(loop_run(tapdisk_server_loop(rig.engine.server)), 0);
	ck_assert_int_eq(client_expect(&client, detach), 0);
	leave = client_request(&client, TAPDISK_FRAME_EXIT, -1);
	ck_assert_int_eq(loop_run(tapdisk_server_loop(rig.engine.server)), 0);
	ck_assert_int_eq(client_expect(&client, leave), 0);
	client_close(&client);
	finish();
}
END_TEST

START_TEST(a_peer_that_reads_nothing_does_not_keep_the_process)
{
	struct frame frame = { .version = 1,
			       .type = TAPDISK_FRAME_STATS,
			       .minor = TAPDISK_FRAME_NO_MINOR };
	struct frame_writer writer;
	struct client client;
	int i;

	rig.config.limits.leave_ms = 1;
	begin();
	client_greet(&client, &rig);
	frame_begin(&writer, &frame);
	frame_end(&writer, 100);
	/* More than the socket takes, less than the server keeps. */
	for (i = 0; i < 2000; i++)
		client_send(&client, writer.at, writer.length);
	control_rig_settle(&rig);
	frame_writer_free(&writer);
	ck_assert_int_eq(client_do(&rig, TAPDISK_MESSAGE_DETACH, rig.engine.minor), 0);
	ck_assert_int_eq(loop_run(tapdisk_server_loop(rig.engine.server)), 0);
	client_close(&client);
	finish();
}
END_TEST

static TCase *
time_limits(void)
{
	TCase *tests = tcase_create("time");

	tcase_add_test(tests, a_silent_peer_is_dropped);
	tcase_add_test(tests, a_peer_that_stops_is_dropped);
	tcase_add_test(tests, a_message_has_a_time_in_all);
	tcase_add_test(tests, a_log_path_that_never_comes_leaves_no_trace);
	tcase_add_test(tests, an_idle_session_ends);
	tcase_add_test(tests, a_subscriber_may_be_idle);
	tcase_add_test(tests, half_a_message_has_no_effect);
	tcase_add_test(tests, surplus_is_ignored);
	tcase_add_test(tests, bytes_may_come_one_by_one);
	tcase_add_test(tests, a_peer_that_reads_nothing_is_dropped_by_size);
	tcase_add_test(tests, a_peer_that_reads_nothing_is_dropped_by_time);
	return tests;
}

static TCase *
peers(void)
{
	TCase *tests = tcase_create("peers");

	tcase_add_test(tests, exactly_one_descriptor_is_taken);
	tcase_add_test(tests, without_a_taker_descriptors_are_closed);
	tcase_add_test(tests, descriptors_belong_to_their_own_message);
	tcase_add_test(tests, legacy_messages_bring_no_descriptors);
	tcase_add_test(tests, short_descriptors_delay_connections);
	tcase_add_test(tests, strangers_are_not_answered);
	tcase_add_test(tests, members_of_the_group_are_answered);
	tcase_add_test(tests, the_socket_is_ours_alone);
	tcase_add_test(tests, a_stale_socket_is_replaced);
	tcase_add_test(tests, answers_are_sent_before_the_process_leaves);
	tcase_add_test(tests, an_empty_process_exits_when_told);
	tcase_add_test(tests, a_peer_that_reads_nothing_does_not_keep_the_process);
	return tests;
}

int
main(void)
{
	TCase *cases[] = { time_limits(), peers() };
	Suite *all = suite_create("limits");
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(all, cases[i]);
	}
	return control_rig_run(all);
}
