/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything at once, at random: descriptors come, talk, go and are masked, timers and tasks are
 * set and cancelled, files are read and written against a model, work is done on threads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/loop/loop-rig.h"

#define ROUNDS 3000
#define LINES 40
#define TIMERS 40
#define TASKS 20
#define SLOTS 60
#define PAGE 4096
#define PAGES SLOTS /* each slot has its own, or a run of neighbours with one owner */
#define FILES 2

struct world;

/* A connection: what is sent arrives. */
struct line {
	struct world *world;
	struct loop_watch *watch; /* NULL: not there */
	int fds[2];
	unsigned wanted;
	size_t sent, received;
};

struct timed {
	struct world *world;
	struct loop_timer timer;
	bool expected;
};

struct deferred {
	struct world *world;
	struct loop_task task;
	bool expected;
};

/* One page of a file, read or written by one tiocb at a time. */
struct slot {
	struct world *world;
	struct tiocb tiocb;
	bool busy;
	unsigned char content; /* of the page, by the model */
	char *buf;
};

struct world {
	struct loop *loop;
	unsigned long long events;
	int files[FILES];
	struct line lines[LINES];
	struct timed timers[TIMERS];
	struct deferred tasks[TASKS];
	struct slot slots[FILES][SLOTS];
	unsigned working;
};

static void step(struct world *world);

static unsigned
dice(unsigned sides)
{
	return (unsigned)random() % sides;
}

/* ---- connections ---- */

static void
hang_up(struct line *line)
{
	loop_unwatch(line->watch);
	line->watch = NULL;
	close(line->fds[0]);
	close(line->fds[1]);
}

static void
heard(void *arg, unsigned events)
{
	struct line *line = arg;
	char bytes[64];
	ssize_t n;

	ck_assert_ptr_nonnull(line->watch);
	ck_assert_uint_eq(events & ~line->wanted, 0);
	line->world->events++;
	if (events & LOOP_READ) {
		n = recv(line->fds[0], bytes, 1 + dice(sizeof(bytes)), MSG_DONTWAIT);
		ck_assert_int_gt(n, 0);
		line->received += (size_t)n;
		ck_assert_uint_le(line->received, line->sent);
	}
	if (!dice(4))
		step(line->world);
}

static void
play_line(struct world *world)
{
	struct line *line = &world->lines[dice(LINES)];
	char bytes[100] = { 0 };
	ssize_t n;

	if (!line->watch) {
		*line = (struct line){ .world = world, .wanted = dice(4) };
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line->fds), 0);
		ck_assert_int_eq(loop_watch(world->loop, line->fds[0], line->wanted, heard, line,
					    &line->watch),
				 0);
		return;
	}
	switch (dice(5)) {
	case 0:
		hang_up(line);
		break;
	case 1:
		line->wanted = dice(4);
		loop_watch_set(line->watch, line->wanted);
		break;
	default:
		n = send(line->fds[1], bytes, 1 + dice(sizeof(bytes)), MSG_DONTWAIT);
		if (n > 0)
			line->sent += (size_t)n;
	}
}

/* ---- timers and tasks ---- */

static void
rang(void *arg)
{
	struct timed *timed = arg;

	ck_assert(timed->expected);
	timed->expected = false;
	timed->world->events++;
	step(timed->world);
}

static void
play_timer(struct world *world)
{
	struct timed *timed = &world->timers[dice(TIMERS)];

	timed->expected = dice(4);
	if (timed->expected)
		ck_assert_int_eq(loop_timer_set(world->loop, &timed->timer, dice(8)), 0);
	else
		loop_timer_cancel(world->loop, &timed->timer);
}

static void
ran(void *arg)
{
	struct deferred *deferred = arg;

	ck_assert(deferred->expected);
	deferred->expected = false;
	deferred->world->events++;
	step(deferred->world);
}

static void
play_task(struct world *world)
{
	struct deferred *deferred = &world->tasks[dice(TASKS)];

	deferred->expected = dice(4);
	if (deferred->expected)
		loop_defer(world->loop, &deferred->task);
	else
		loop_defer_cancel(world->loop, &deferred->task);
}

/* ---- files ---- */

static void
moved(void *arg, struct tiocb *tiocb, int err)
{
	struct slot *slot = arg;
	size_t i = 0;

	ck_assert(slot->busy);
	ck_assert_int_eq(err, 0);
	slot->busy = false;
	slot->world->events++;
	if (tiocb->op == TIOCB_READ)
		while (i < PAGE && (unsigned char)slot->buf[i] == slot->content)
			i++;
	ck_assert(tiocb->op != TIOCB_READ || i == PAGE);
	if (!dice(3))
		step(slot->world);
}

static void
start(struct world *world, unsigned file, unsigned i, int op)
{
	struct slot *slot = &world->slots[file][i];

	if (slot->busy)
		return;
	slot->busy = true;
	if (op == TIOCB_WRITE) {
		slot->content = (unsigned char)dice(256);
		memset(slot->buf, slot->content, PAGE);
	} else {
		memset(slot->buf, ~slot->content, PAGE);
	}
	slot->tiocb = (struct tiocb){ .cb = moved,
				      .arg = slot,
				      .op = op,
				      .fd = world->files[file],
				      .buf = slot->buf,
				      .bytes = op == TIOCB_FSYNC ? 0 : PAGE,
				      .offset = (long long)i * PAGE };
	loop_queue_tiocb(world->loop, &slot->tiocb, (uint64_t)PAGES * PAGE);
}

static void
play_file(struct world *world)
{
	static const int what[] = { TIOCB_READ, TIOCB_WRITE, TIOCB_READ, TIOCB_WRITE, TIOCB_FSYNC };
	unsigned file = dice(FILES);
	unsigned from = dice(SLOTS);
	unsigned count = dice(3) ? 1 : 1 + dice(20);
	int op = what[dice(5)];

	while (count-- && from < SLOTS)
		start(world, file, from++, op);
}

/* ---- work ---- */

static int
work(void *arg)
{
	(void)arg;
	return 7;
}

static void
worked(void *arg, int result)
{
	struct world *world = arg;

	ck_assert_int_eq(result, 7);
	world->working--;
	world->events++;
	step(world);
}

static void
play_work(struct world *world)
{
	if (!loop_work(world->loop, work, worked, world))
		world->working++;
}

static void
step(struct world *world)
{
	switch (dice(12)) {
	case 0:
		play_task(world);
		break;
	case 1:
	case 2:
		play_timer(world);
		break;
	case 3:
		play_work(world);
		break;
	case 4:
	case 5:
	case 6:
		play_file(world);
		break;
	default:
		play_line(world);
	}
}

/* ---- the test ---- */

static void
begin(struct world *world)
{
	unsigned file, i;

	for (file = 0; file < FILES; file++) {
		/* In memory, and on the disk: direct, if it can be. */
		world->files[file] = rig_file(file ? 2 : 0);
		if (world->files[file] < 0)
			world->files[file] = rig_file(1);
		for (i = 0; i < SLOTS; i++) {
			world->slots[file][i].world = world;
			ck_assert_int_eq(
				posix_memalign((void **)&world->slots[file][i].buf, PAGE, PAGE), 0);
		}
	}
	for (i = 0; i < TIMERS; i++) {
		world->timers[i].world = world;
		world->timers[i].timer.fn = rang;
		world->timers[i].timer.arg = &world->timers[i];
	}
	for (i = 0; i < TASKS; i++) {
		world->tasks[i].world = world;
		world->tasks[i].task.fn = ran;
		world->tasks[i].task.arg = &world->tasks[i];
	}
}

/* What was sent arrives at last, and nothing is forgotten. */
static void
end(struct world *world)
{
	unsigned file, i;
	bool left = true;

	for (i = 0; i < TIMERS; i++)
		ck_assert(world->timers[i].expected == loop_timer_is_set(&world->timers[i].timer));
	while (left || world->working || loop_tiocbs_pending(world->loop)) {
		ck_assert_int_eq(loop_turn(world->loop, 1), 0);
		left = false;
		for (i = 0; i < LINES; i++) {
			if (!world->lines[i].watch)
				continue;
			world->lines[i].wanted |= LOOP_READ;
			loop_watch_set(world->lines[i].watch, world->lines[i].wanted);
			left = left || world->lines[i].received < world->lines[i].sent;
		}
	}
	for (i = 0; i < LINES; i++)
		if (world->lines[i].watch)
			hang_up(&world->lines[i]);
	for (i = 0; i < TIMERS; i++)
		loop_timer_cancel(world->loop, &world->timers[i].timer);
	for (i = 0; i < TASKS; i++)
		loop_defer_cancel(world->loop, &world->tasks[i].task);
	for (file = 0; file < FILES; file++) {
		close(world->files[file]);
		for (i = 0; i < SLOTS; i++)
			free(world->slots[file][i].buf);
	}
}

START_TEST(everything_at_once)
{
	struct world *world = calloc(1, sizeof(*world));
	unsigned fds;
	int round;

	world->loop = rig_loop(_i);
	if (!world->loop) {
		free(world);
		return;
	}
	rig_seed();
	loop_free(world->loop);
	fds = rig_count_fds();
	world->loop = rig_loop(_i);
	begin(world);
	for (round = 0; round < ROUNDS; round++) {
		step(world);
		if (!dice(3))
			ck_assert_int_eq(loop_turn(world->loop, (int)dice(2)), 0);
	}
	end(world);
	ck_assert_uint_gt(world->events, 100);
	loop_free(world->loop);
	ck_assert_uint_eq(rig_count_fds(), fds);
	free(world);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { everything_at_once };

	return rig_run("loop-stress", tests, 1);
}
