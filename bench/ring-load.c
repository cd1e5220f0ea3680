/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring-load: what a tapdisk does for a guest on its ring, and what it costs.
 *
 * The guest is this process, on the stand-in for Xen of tests/fakexen (FAKEXEN_DIR): it connects a
 * ring to a running tapdisk2 that uses the same, keeps requests in flight, and disconnects.  It
 * looks for responses without sleeping, on a CPU of its own, so that what is measured is the other
 * side.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tap-ctl.h>

#include "tests/fakexen/hostile.h"

#include "bench/cputime.h"

#define DOMID 7
#define DEVID 51712
#define PAGES 9000
#define SEGMENTS_MAX 256
#define DEPTH_MAX 512
#define PERSISTENT 0x1f /* everything, and grants that stay */

struct options {
	pid_t pid;
	int minor;
	uint32_t domid;
	uint64_t sectors;
	unsigned block; /* bytes, whole pages */
	unsigned depth, order;
	double seconds;
	uint8_t op; /* 0 read, 1 write */
	bool sequential, persistent, hostile;
	int cpu;
};

struct load {
	const struct options *options;
	struct guest guest;
	struct front_queue queue;
	uint32_t *grefs;           /* of the data, depth * block bytes */
	uint8_t *pages[DEPTH_MAX]; /* for indirect segments */
	uint32_t page_grefs[DEPTH_MAX];
	uint16_t idle[DEPTH_MAX]; /* numbers of requests that are not in flight */
	unsigned idle_count;
	uint64_t random, next;
	uint64_t done, errors;
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int
pin_to(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/* ---- the ring ---------------------------------------------------------------------------------
 */

static int
connect_ring(struct load *load)
{
	const struct options *options = load->options;
	struct tap_ctl_ring ring = {
		.size = sizeof(ring),
		.domid = options->domid,
		.devid = DEVID,
		.nr_queues = 1,
		.order = options->order,
		.proto = 3,
		.gref = load->queue.grefs,
		.port = &load->queue.port,
		.features = options->persistent ? PERSISTENT : 0,
	};

	return tap_ctl_connect_xenblkif(options->pid, options->minor, &ring);
}

static int
prepare(struct load *load)
{
	const struct options *options = load->options;
	unsigned segments = options->block / WORLD_PAGE, i;
	uint32_t first;
	int err;

	err = guest_open(&load->guest, world_dir(), options->domid, PAGES);
	if (err)
		return err;
	front_queue_init(&load->queue, &load->guest, false, options->order, 0);
	load->grefs = calloc((size_t)options->depth * segments, sizeof(*load->grefs));
	if (!load->grefs)
		return -ENOMEM;
	for (i = 0; i < options->depth * segments; i++) {
		guest_pages(&load->guest, 1, &first);
		load->grefs[i] = guest_grant(&load->guest, first, false);
	}
	for (i = 0; i < options->depth; i++) {
		load->pages[i] = guest_pages(&load->guest, 1, &first);
		load->page_grefs[i] = guest_grant(&load->guest, first, true);
		load->idle[load->idle_count++] = (uint16_t)i;
	}
	load->random = 88172645463325252ull;
	return connect_ring(load);
}

static uint64_t
next_sector(struct load *load)
{
	uint64_t unit = load->options->block / 512, blocks = load->options->sectors / unit;

	if (load->options->sequential)
		return load->next++ % blocks * unit;
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return load->random % blocks * unit;
}

static void
ask(struct load *load, unsigned id)
{
	unsigned count = load->options->block / WORLD_PAGE, i;
	struct front_segment segments[SEGMENTS_MAX];

	for (i = 0; i < count; i++)
		segments[i] = (struct front_segment){ load->grefs[id * count + i], 0, 7 };
	if (count <= 11)
		front_direct(&load->queue, load->options->op, id, next_sector(load), segments,
			     count);
	else
		front_indirect(&load->queue, load->options->op, id, next_sector(load), segments,
			       count, load->pages[id], load->page_grefs[id]);
}

static void
run(struct load *load, uint64_t until)
{
	struct front_response response;
	unsigned looks = 0;

	while (++looks % 64 || now_ns() < until) {
		if (load->idle_count) {
			while (load->idle_count)
				ask(load, load->idle[--load->idle_count]);
			front_push(&load->queue);
		}
		while (front_response(&load->queue, &response)) {
			load->idle[load->idle_count++] = (uint16_t)response.id;
			load->errors += response.status != 0;
			load->done++;
		}
	}
}

/* Anything but a load: as fast as it can. */
static void
run_hostile(struct load *load, uint64_t until)
{
	struct hostile hostile = {
		.queue = &load->queue,
		.grefs = load->grefs,
		.gref_count = load->options->depth * (load->options->block / WORLD_PAGE),
		.page = load->pages[0],
		.page_gref = load->page_grefs[0],
		.sectors = load->options->sectors,
		.random = load->random,
	};
	unsigned looks = 0;

	while (++looks % 64 || now_ns() < until) {
		hostile_step(&hostile);
		load->done += hostile_take(&hostile);
	}
}

/* ---- the figures ------------------------------------------------------------------------------
 */

static int
measure(struct load *load)
{
	const struct options *options = load->options;
	void (*runner)(struct load *, uint64_t) = options->hostile ? run_hostile : run;
	uint64_t before[2], after[2], started, elapsed, asked;
	const struct world_machine *machine = load->guest.events.machine;
	uint64_t calls, notifies;
	double count;

	runner(load, now_ns() + 200000000);
	asked = load->done;
	calls = machine->copy_calls;
	notifies = machine->notifies;
	started = now_ns();
	if (cputime_of(&options->pid, 1, &before[0]))
		return -ESRCH;
	before[1] = cputime_own();
	runner(load, started + (uint64_t)(options->seconds * 1e9));
	after[1] = cputime_own();
	if (cputime_of(&options->pid, 1, &after[0]))
		return -ESRCH;
	elapsed = now_ns() - started;
	count = load->done > asked ? (double)(load->done - asked) : 1;
	printf("{ \"requests\": %.0f, \"errors\": %llu, \"seconds\": %.3f, \"iops\": %.0f, "
	       "\"mib_per_s\": %.1f, \"server_cpu_us\": %.3f, \"client_cpu_us\": %.3f, "
	       "\"server_busy\": %.3f, \"requests_per_copy\": %.1f, \"notifies\": %.3f }\n",
	       count, (unsigned long long)load->errors, (double)elapsed / 1e9,
	       count * 1e9 / (double)elapsed,
	       count * options->block / (1 << 20) * 1e9 / (double)elapsed,
	       (double)(after[0] - before[0]) / 1000 / count,
	       (double)(after[1] - before[1]) / 1000 / count,
	       (double)(after[0] - before[0]) / (double)elapsed,
	       count / (double)(machine->copy_calls - calls + 1),
	       (double)(machine->notifies - notifies) / count);
	return 0;
}

/* ---- the command line -------------------------------------------------------------------------
 */

static const char usage[] =
	"usage: FAKEXEN_DIR=DIR ring-load --pid PID --minor MINOR [--sectors N] [--block-size "
	"BYTES]\n"
	"       [--depth N] [--order N] [--seconds S] [--write] [--sequential] [--persistent]\n"
	"       [--hostile] [--domid N] [--cpu N]\n";

/* One option, getopt's; false: there is no such option. */
static bool
take(struct options *options, int option)
{
	unsigned long long value = optarg ? strtoull(optarg, NULL, 10) : 0;

	switch (option) {
	case 'p':
		options->pid = (pid_t)value;
		break;
	case 'm':
		options->minor = (int)value;
		break;
	case 's':
		options->sectors = value;
		break;
	case 'b':
		options->block = (unsigned)value;
		break;
	case 'd':
		options->depth = (unsigned)value;
		break;
	case 'o':
		options->order = (unsigned)value;
		break;
	case 't':
		options->seconds = strtod(optarg, NULL);
		break;
	case 'w':
		options->op = 1;
		break;
	case 'q':
		options->sequential = true;
		break;
	case 'g':
		options->persistent = true;
		break;
	case 'h':
		options->hostile = true;
		break;
	case 'D':
		options->domid = (uint32_t)value;
		break;
	case 'c':
		options->cpu = (int)value;
		break;
	default:
		return false;
	}
	return true;
}

/* All that is needed is there, and the ring and the guest's memory have room for the load. */
static bool
is_possible(const struct options *options)
{
	return options->pid && options->minor >= 0 && options->block >= WORLD_PAGE &&
	       options->block % WORLD_PAGE == 0 && options->order <= 4 &&
	       options->block <= SEGMENTS_MAX * WORLD_PAGE && options->depth &&
	       options->depth <= 32u << options->order &&
	       options->depth * (options->block / WORLD_PAGE + 1) < PAGES - 32 &&
	       options->sectors >= options->block / 512 && world_dir();
}

static bool
parse(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "pid", 1, NULL, 'p' },        { "minor", 1, NULL, 'm' },
		{ "sectors", 1, NULL, 's' },    { "block-size", 1, NULL, 'b' },
		{ "depth", 1, NULL, 'd' },      { "order", 1, NULL, 'o' },
		{ "seconds", 1, NULL, 't' },    { "write", 0, NULL, 'w' },
		{ "sequential", 0, NULL, 'q' }, { "persistent", 0, NULL, 'g' },
		{ "hostile", 0, NULL, 'h' },    { "domid", 1, NULL, 'D' },
		{ "cpu", 1, NULL, 'c' },        { NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (!take(options, option))
			return false;
	return is_possible(options);
}

int
main(int argc, char **argv)
{
	struct options options = {
		.minor = -1,
		.domid = DOMID,
		.sectors = 1 << 20,
		.block = WORLD_PAGE,
		.depth = 32,
		.seconds = 1,
		.cpu = -1,
	};
	struct load load = { .options = &options };
	int err;

	if (!parse(&options, argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	err = pin_to(options.cpu);
	if (!err)
		err = prepare(&load);
	if (!err)
		err = measure(&load);
	if (!err)
		err = tap_ctl_disconnect_xenblkif(options.pid, options.minor, options.domid, DEVID,
						  10000);
	if (err)
		fprintf(stderr, "ring-load: %s\n", strerror(-err));
	guest_close(&load.guest);
	free(load.grefs);
	return err ? 1 : 0;
}
