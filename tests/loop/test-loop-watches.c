/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors are called for while they are ready, whatever happens to the others meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/loop/loop-rig.h"

/* A watched end of a pipe or socket. */
struct end {
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	unsigned calls;
	unsigned events;    /* of the last call */
	bool reads;         /* one byte per call */
	struct end *victim; /* is unwatched, or masked, by the call */
	bool only_masks;
};

static void
called(void *arg, unsigned events)
{
	struct end *end = arg;
	char byte;

	end->calls++;
	end->events = events;
	ck_assert_uint_ne(events, 0);
	if (end->reads)
		ck_assert_int_eq(read(end->fd, &byte, 1), 1);
	if (end->victim && end->only_masks) {
		loop_watch_set(end->victim->watch, 0);
	} else if (end->victim) {
		loop_unwatch(end->victim->watch);
		end->victim->watch = NULL;
	}
}

static void
watch(struct end *end, struct loop *loop, int fd, unsigned events)
{
	memset(end, 0, sizeof(*end));
	end->loop = loop;
	end->fd = fd;
	ck_assert_int_eq(loop_watch(loop, fd, events, called, end, &end->watch), 0);
}

static void
turns(struct loop *loop, int count)
{
	while (count--)
		ck_assert_int_eq(loop_turn(loop, 0), 0);
}

static void
say(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
}

START_TEST(is_level_triggered)
{
	struct loop *loop = rig_loop(_i);
	struct end end;
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	watch(&end, loop, fds[0], LOOP_READ);
	turns(loop, 3);
	ck_assert_uint_eq(end.calls, 0);
	say(fds[1], "abc");
	turns(loop, 2);
	ck_assert_uint_eq(end.calls, 2);
	ck_assert_uint_eq(end.events, LOOP_READ);
	end.reads = true;
	turns(loop, 5);
	ck_assert_uint_eq(end.calls, 5);
	loop_unwatch(end.watch);
	say(fds[1], "d");
	turns(loop, 2);
	ck_assert_uint_eq(end.calls, 5);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(is_called_for_what_is_wanted)
{
	struct loop *loop = rig_loop(_i);
	struct end end;
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	watch(&end, loop, fds[0], LOOP_READ);
	turns(loop, 2);
	ck_assert_uint_eq(end.calls, 0);
	loop_watch_set(end.watch, LOOP_READ | LOOP_WRITE);
	while (!end.calls)
		turns(loop, 1);
	ck_assert_uint_eq(end.events, LOOP_WRITE);
	say(fds[1], "a");
	while (end.events == LOOP_WRITE)
		turns(loop, 1);
	ck_assert_uint_eq(end.events, LOOP_READ | LOOP_WRITE);
	loop_watch_set(end.watch, LOOP_READ);
	end.calls = 0;
	turns(loop, 2);
	ck_assert_uint_gt(end.calls, 0);
	ck_assert_uint_eq(end.events, LOOP_READ);
	loop_watch_set(end.watch, LOOP_WRITE);
	end.calls = 0;
	while (!end.calls)
		turns(loop, 1);
	ck_assert_uint_eq(end.events, LOOP_WRITE);
	loop_unwatch(end.watch);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(mask_keeps_the_event)
{
	struct loop *loop = rig_loop(_i);
	struct end end;
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	watch(&end, loop, fds[0], LOOP_READ);
	turns(loop, 1);
	loop_watch_set(end.watch, 0);
	say(fds[1], "a");
	turns(loop, 3);
	ck_assert_uint_eq(end.calls, 0);
	loop_watch_set(end.watch, LOOP_READ);
	while (!end.calls)
		turns(loop, 1);
	ck_assert_uint_eq(end.events, LOOP_READ);
	loop_unwatch(end.watch);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(watch_may_begin_masked)
{
	struct loop *loop = rig_loop(_i);
	struct end end;
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	say(fds[1], "a");
	watch(&end, loop, fds[0], 0);
	turns(loop, 3);
	ck_assert_uint_eq(end.calls, 0);
	loop_watch_set(end.watch, LOOP_READ);
	turns(loop, 1);
	ck_assert_uint_eq(end.calls, 1);
	loop_unwatch(end.watch);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Two pipes are ready in one batch: whichever is called first takes the other one out of it. */
static void
two_ready(struct loop *loop, struct end *ends, int fds[2][2], bool only_masks)
{
	int i;

	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe(fds[i]), 0);
		watch(&ends[i], loop, fds[i][0], LOOP_READ);
		ends[i].victim = &ends[1 - i];
		ends[i].only_masks = only_masks;
	}
	turns(loop, 1);
	say(fds[0][1], "a");
	say(fds[1][1], "b");
	turns(loop, 1);
	ck_assert_uint_eq(ends[0].calls + ends[1].calls, 1);
}

START_TEST(other_may_be_unwatched)
{
	struct loop *loop = rig_loop(_i);
	struct end ends[2];
	int fds[2][2];
	int i;

	if (!loop)
		return;
	two_ready(loop, ends, fds, false);
	turns(loop, 3);
	ck_assert_uint_eq(ends[0].calls + ends[1].calls, 4);
	ck_assert(!ends[0].calls || !ends[1].calls);
	for (i = 0; i < 2; i++) {
		loop_unwatch(ends[i].watch);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	loop_free(loop);
}
END_TEST

START_TEST(other_may_be_masked)
{
	struct loop *loop = rig_loop(_i);
	struct end ends[2];
	int fds[2][2];
	int first;
	int i;

	if (!loop)
		return;
	two_ready(loop, ends, fds, true);
	first = ends[0].calls ? 0 : 1;
	ends[first].victim = NULL;
	ends[1 - first].victim = NULL;
	loop_watch_set(ends[1 - first].watch, LOOP_READ);
	while (!ends[1 - first].calls)
		turns(loop, 1);
	for (i = 0; i < 2; i++) {
		loop_unwatch(ends[i].watch);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	loop_free(loop);
}
END_TEST

START_TEST(own_may_be_unwatched)
{
	struct loop *loop = rig_loop(_i);
	struct end end;
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	watch(&end, loop, fds[0], LOOP_READ);
	end.victim = &end;
	say(fds[1], "a");
	turns(loop, 4);
	ck_assert_uint_eq(end.calls, 1);
	ck_assert_ptr_null(end.watch);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(number_may_be_used_again)
{
	struct loop *loop = rig_loop(_i);
	struct end old, new;
	int fds[2], more[2];
	int round;

	if (!loop)
		return;
	for (round = 0; round < 50; round++) {
		ck_assert_int_eq(pipe(fds), 0);
		watch(&old, loop, fds[0], LOOP_READ);
		if (round % 2)
			turns(loop, 1);
		say(fds[1], "a");
		if (round % 3 == 0)
			turns(loop, 1);
		loop_unwatch(old.watch);
		old.calls = 0;
		close(fds[0]);
		ck_assert_int_eq(pipe(more), 0);
		ck_assert_int_eq(more[0], fds[0]);
		watch(&new, loop, more[0], LOOP_READ);
		turns(loop, 3);
		ck_assert_uint_eq(old.calls, 0);
		ck_assert_uint_eq(new.calls, 0);
		say(more[1], "b");
		turns(loop, 1);
		ck_assert_uint_eq(new.calls, 1);
		loop_unwatch(new.watch);
		close(fds[1]);
		close(more[0]);
		close(more[1]);
	}
	loop_free(loop);
}
END_TEST

START_TEST(hangup_counts_as_wanted)
{
	struct loop *loop = rig_loop(_i);
	struct end in, out;
	int fds[2], more[2];

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pipe(more), 0);
	watch(&in, loop, fds[0], LOOP_READ);
	watch(&out, loop, more[1], LOOP_WRITE);
	close(fds[1]);
	close(more[0]);
	turns(loop, 1);
	ck_assert_uint_eq(in.calls, 1);
	ck_assert_uint_eq(in.events, LOOP_READ);
	ck_assert_uint_eq(out.calls, 1);
	ck_assert_uint_eq(out.events, LOOP_WRITE);
	loop_watch_set(in.watch, 0);
	loop_watch_set(out.watch, 0);
	turns(loop, 5);
	ck_assert_uint_eq(in.calls, 1);
	ck_assert_uint_eq(out.calls, 1);
	loop_watch_set(in.watch, LOOP_READ);
	turns(loop, 1);
	ck_assert_uint_eq(in.calls, 2);
	loop_unwatch(in.watch);
	loop_unwatch(out.watch);
	loop_free(loop);
	close(fds[0]);
	close(more[1]);
}
END_TEST

static void
rang(void *arg)
{
	*(bool *)arg = true;
}

/* What is ready but not wanted lets the loop sleep: it wakes for the timer only. */
START_TEST(masked_ones_do_not_wake)
{
	struct loop *loop = rig_loop(_i);
	bool done = false;
	struct loop_timer timer = { .fn = rang, .arg = &done };
	struct end hung_up, readable;
	int fds[2], more[2];
	int count = 0;

	if (!loop)
		return;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pipe(more), 0);
	watch(&hung_up, loop, fds[0], LOOP_READ);
	watch(&readable, loop, more[0], LOOP_READ);
	close(fds[1]);
	say(more[1], "a");
	turns(loop, 2);
	loop_watch_set(hung_up.watch, 0);
	loop_watch_set(readable.watch, 0);
	hung_up.calls = 0;
	readable.calls = 0;
	ck_assert_int_eq(loop_timer_set(loop, &timer, 20), 0);
	while (!done) {
		ck_assert_int_eq(loop_turn(loop, -1), 0);
		count++;
	}
	ck_assert_int_le(count, 6);
	ck_assert_uint_eq(hung_up.calls + readable.calls, 0);
	loop_unwatch(hung_up.watch);
	loop_unwatch(readable.watch);
	loop_free(loop);
	close(fds[0]);
	close(more[0]);
	close(more[1]);
}
END_TEST

/* The kernel's part of a watch must not keep the connection open. */
START_TEST(peer_sees_the_close)
{
	struct loop *loop = rig_loop(_i);
	struct end end;
	int fds[2];
	char byte;

	if (!loop)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	watch(&end, loop, fds[0], LOOP_READ);
	turns(loop, 2);
	loop_unwatch(end.watch);
	close(fds[0]);
	turns(loop, 1);
	ck_assert_int_eq(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
	loop_free(loop);
	close(fds[1]);
}
END_TEST

START_TEST(loop_free_lets_go)
{
	struct loop *loop = rig_loop(_i);
	struct end end;
	int fds[2];
	char byte;

	if (!loop)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	watch(&end, loop, fds[0], LOOP_READ);
	turns(loop, 2);
	loop_unwatch(end.watch);
	loop_free(loop);
	close(fds[0]);
	ck_assert_int_eq(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
	close(fds[1]);
}
END_TEST

START_TEST(refusals)
{
	struct loop *loop = rig_loop(_i);
	struct loop_watch *made = NULL;
	int file = rig_file(0);
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(loop_watch(loop, file, LOOP_READ, called, NULL, &made), -EPERM);
	ck_assert_int_eq(pipe(fds), 0);
	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(loop_watch(loop, fds[0], LOOP_READ, called, NULL, &made), -EBADF);
	ck_assert_ptr_null(made);
	loop_unwatch(NULL);
	loop_free(loop);
	close(file);
}
END_TEST

START_TEST(one_descriptor_may_have_two_watches)
{
	struct loop *loop = rig_loop(_i);
	struct end in, out;
	int fds[2];

	if (!loop)
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	watch(&in, loop, fds[0], LOOP_READ);
	watch(&out, loop, fds[0], LOOP_WRITE);
	turns(loop, 1);
	ck_assert_uint_eq(in.calls, 0);
	ck_assert_uint_eq(out.calls, 1);
	loop_unwatch(out.watch);
	say(fds[1], "a");
	turns(loop, 2);
	ck_assert_uint_eq(in.calls, 2);
	ck_assert_uint_eq(out.calls, 1);
	loop_unwatch(in.watch);
	loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(all_that_are_ready_have_their_turn)
{
	enum { MANY = 300, TURNS = 20 };
	struct loop *loop = rig_loop(_i);
	static struct end ends[MANY];
	unsigned least, most, calls;
	int i;

	if (!loop)
		return;
	for (i = 0; i < MANY; i++)
		watch(&ends[i], loop, eventfd(1, EFD_CLOEXEC), LOOP_READ);
	for (calls = 0; calls < MANY * TURNS;) {
		turns(loop, 1);
		for (calls = 0, i = 0; i < MANY; i++)
			calls += ends[i].calls;
	}
	for (least = most = ends[0].calls, i = 1; i < MANY; i++) {
		least = ends[i].calls < least ? ends[i].calls : least;
		most = ends[i].calls > most ? ends[i].calls : most;
	}
	/* An engine may find only a part of them per turn, but in rotation. */
	ck_assert_uint_le(most - least, 1 + MANY / 64);
	for (i = 0; i < MANY; i++) {
		loop_unwatch(ends[i].watch);
		close(ends[i].fd);
	}
	loop_free(loop);
}
END_TEST

static void
stop(void *arg, unsigned events)
{
	(void)events;
	loop_stop(arg);
}

START_TEST(run_ends_with_stop)
{
	struct loop *loop = rig_loop(_i);
	struct loop_watch *made;
	int fd = eventfd(1, EFD_CLOEXEC);

	if (!loop)
		return;
	ck_assert_int_eq(loop_watch(loop, fd, LOOP_READ, stop, loop, &made), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_unwatch(made);
	loop_free(loop);
	close(fd);
}
END_TEST

static void
interrupted(int signal)
{
	(void)signal;
}

START_TEST(signals_do_not_end_the_wait_with_an_error)
{
	struct loop *loop = rig_loop(_i);
	struct sigaction interrupt = { .sa_handler = interrupted };
	struct loop_watch *made;
	int fd = eventfd(0, EFD_CLOEXEC);
	pid_t child;

	if (!loop)
		return;
	ck_assert_int_eq(sigaction(SIGUSR1, &interrupt, NULL), 0);
	ck_assert_int_eq(loop_watch(loop, fd, LOOP_READ, stop, loop, &made), 0);
	child = fork();
	if (!child) {
		eventfd_t one = 1;

		kill(getppid(), SIGUSR1);
		_exit(write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one) ? 0 : 1);
	}
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(loop_run(loop), 0);
	loop_unwatch(made);
	loop_free(loop);
	close(fd);
}
END_TEST

START_TEST(nothing_is_left_behind)
{
	struct loop *loop = rig_loop(_i);
	unsigned before;
	struct end end;
	int fds[2];
	int round;

	if (!loop)
		return;
	loop_free(loop);
	ck_assert_int_eq(pipe(fds), 0);
	before = rig_count_fds();
	for (round = 0; round < 20; round++) {
		loop = rig_loop(_i);
		watch(&end, loop, fds[0], LOOP_READ);
		turns(loop, round % 3);
		loop_unwatch(end.watch);
		loop_free(loop);
	}
	ck_assert_uint_eq(rig_count_fds(), before);
}
END_TEST

START_TEST(unknown_engine)
{
	struct loop *loop = NULL;

	ck_assert_int_eq(loop_new(&loop, "steam"), -EINVAL);
	ck_assert_ptr_null(loop);
	loop_free(NULL);
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	loop_free(loop);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		is_level_triggered,
		is_called_for_what_is_wanted,
		mask_keeps_the_event,
		watch_may_begin_masked,
		other_may_be_unwatched,
		other_may_be_masked,
		own_may_be_unwatched,
		number_may_be_used_again,
		hangup_counts_as_wanted,
		masked_ones_do_not_wake,
		peer_sees_the_close,
		loop_free_lets_go,
		refusals,
		one_descriptor_may_have_two_watches,
		all_that_are_ready_have_their_turn,
		run_ends_with_stop,
		signals_do_not_end_the_wait_with_an_error,
		nothing_is_left_behind,
		unknown_engine,
	};

	return rig_run("loop-watches", tests, sizeof(tests) / sizeof(tests[0]));
}
