/* SPDX-License-Identifier: BSD-2-Clause */
/* Sockets at paths: whom they replace, whom they leave alone, and what a shortage does. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "drivers/core/loop.h"
#include "drivers/frontend/listener.h"

struct place {
	char dir[32];
	char path[64];
	struct loop *loop;
	int accepted; /* peers */
};

static void
on_peer(void *arg, int fd)
{
	struct place *place = arg;

	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	place->accepted++;
	close(fd);
}

static void
set_up(struct place *place)
{
	*place = (struct place){ .dir = "/tmp/listener.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(place->dir));
	snprintf(place->path, sizeof(place->path), "%s/socket", place->dir);
	ck_assert_int_eq(loop_new(&place->loop, NULL), 0);
}

/* Nothing may be left at the path. */
static void
tear_down(struct place *place)
{
	loop_free(place->loop);
	ck_assert_int_eq(rmdir(place->dir), 0);
}

static int
listen_at(struct place *place, struct listener **listener)
{
	return listener_new(listener, place->loop, place->path, 5, on_peer, place);
}

static int
connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	memcpy(address.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

START_TEST(it_is_private_and_goes_with_its_owner)
{
	struct listener *listener;
	struct place place;
	struct stat st;
	int fd;

	set_up(&place);
	ck_assert_int_eq(listen_at(&place, &listener), 0);
	ck_assert_int_eq(stat(place.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	fd = connect_to(place.path);
	while (!place.accepted)
		ck_assert_int_eq(loop_turn(place.loop, -1), 0);
	close(fd);
	listener_free(listener);
	tear_down(&place);
}
END_TEST

START_TEST(a_stale_socket_is_replaced)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct listener *listener;
	struct place place;
	int fd;

	set_up(&place);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(address.sun_path, place.path, strlen(place.path) + 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	ck_assert_int_eq(listen_at(&place, &listener), 0);
	close(connect_to(place.path));
	listener_free(listener);
	tear_down(&place);
}
END_TEST

START_TEST(a_live_socket_is_left_alone)
{
	struct listener *listener, *other;
	struct place place;

	set_up(&place);
	ck_assert_int_eq(listen_at(&place, &listener), 0);
	ck_assert_int_eq(listen_at(&place, &other), -EADDRINUSE);
	close(connect_to(place.path));
	listener_free(listener);
	tear_down(&place);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
	struct listener *listener;
	struct place place;
	int fd;

	set_up(&place);
	fd = open(place.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(listen_at(&place, &listener), -EADDRINUSE);
	ck_assert_int_eq(unlink(place.path), 0);
	ck_assert_int_eq(symlink("elsewhere", place.path), 0);
	ck_assert_int_eq(listen_at(&place, &listener), -EADDRINUSE);
	ck_assert_int_eq(unlink(place.path), 0);
	tear_down(&place);
}
END_TEST

START_TEST(a_successor_keeps_its_path)
{
	struct listener *listener, *successor;
	struct place place;

	set_up(&place);
	ck_assert_int_eq(listen_at(&place, &listener), 0);
	ck_assert_int_eq(unlink(place.path), 0);
	ck_assert_int_eq(listen_at(&place, &successor), 0);
	listener_free(listener);
	ck_assert_int_eq(access(place.path, F_OK), 0);
	listener_free(successor);
	tear_down(&place);
}
END_TEST

START_TEST(a_long_path_is_refused)
{
	struct listener *listener;
	char path[200];
	struct place place;

	set_up(&place);
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(listener_new(&listener, place.loop, path, 5, on_peer, &place),
			 -ENAMETOOLONG);
	tear_down(&place);
}
END_TEST

START_TEST(a_masked_one_lets_peers_wait)
{
	struct listener *listener;
	struct place place;
	int fd;

	set_up(&place);
	ck_assert_int_eq(listen_at(&place, &listener), 0);
	listener_mask(listener, true);
	fd = connect_to(place.path);
	ck_assert_int_eq(loop_turn(place.loop, 0), 0);
	ck_assert_int_eq(loop_turn(place.loop, 0), 0);
	ck_assert_int_eq(place.accepted, 0);
	listener_mask(listener, false);
	while (!place.accepted)
		ck_assert_int_eq(loop_turn(place.loop, -1), 0);
	close(fd);
	listener_free(listener);
	tear_down(&place);
}
END_TEST

/* Without descriptors the event stays: the listener must not turn around it, but come back. */
START_TEST(a_shortage_of_descriptors_passes)
{
	struct rlimit limit, none;
	struct listener *listener;
	struct place place;
	int fd, turns = 0;

	set_up(&place);
	ck_assert_int_eq(listen_at(&place, &listener), 0);
	fd = connect_to(place.path);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(loop_turn(place.loop, -1), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (; !place.accepted; turns++)
		ck_assert_int_eq(loop_turn(place.loop, -1), 0);
	ck_assert_int_le(turns, 10);
	close(fd);
	listener_free(listener);
	tear_down(&place);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("listener");
	TCase *tcase = tcase_create("sockets");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, it_is_private_and_goes_with_its_owner);
	tcase_add_test(tcase, a_stale_socket_is_replaced);
	tcase_add_test(tcase, a_live_socket_is_left_alone);
	tcase_add_test(tcase, what_is_no_socket_is_left_alone);
	tcase_add_test(tcase, a_successor_keeps_its_path);
	tcase_add_test(tcase, a_long_path_is_refused);
	tcase_add_test(tcase, a_masked_one_lets_peers_wait);
	tcase_add_test(tcase, a_shortage_of_descriptors_passes);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
