/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far a command is: a percentage for programs, with rate and time left for people.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vhd/vhd-util.h"

#define SHOW_EVERY_MS 200
#define QUIET_MS 1000 /* nobody wants to know about what takes less */

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
progress_begin(struct progress *progress, uint64_t total, bool plain, bool rich)
{
	memset(progress, 0, sizeof(*progress));
	progress->total = total;
	progress->plain = plain;
	progress->rich = rich || (!plain && isatty(STDERR_FILENO));
	progress->began_ms = now_ms();
	progress->shown_ms = progress->began_ms + (rich || plain ? 0 : QUIET_MS) - SHOW_EVERY_MS;
}

static double
percentage(const struct progress *progress)
{
	double part = progress->total ? (double)progress->done / (double)progress->total : 0;

	return part < 1 ? 100 * part : 100;
}

/* " 12.34%  1234.5 MiB/s  0:01:23 left" */
static void
show_rich(struct progress *progress, int64_t now)
{
	double seconds = (double)(now - progress->began_ms) / 1000;
	double rate = seconds > 0 ? (double)progress->done / seconds : 0;

	fprintf(stderr, "\r%6.2f%%  %.1f MiB/s", percentage(progress), rate / (1 << 20));
	if (rate > 0 && progress->total >= progress->done) {
		uint64_t left = (uint64_t)((double)(progress->total - progress->done) / rate + 0.5);

		fprintf(stderr, "  %" PRIu64 ":%02d:%02d left", left / 3600, (int)(left / 60 % 60),
			(int)(left % 60));
	}
	fputs("   ", stderr);
	fflush(stderr);
}

void
progress_set(struct progress *progress, uint64_t done)
{
	int64_t now;

	progress->done = done;
	if (!progress->plain && !progress->rich)
		return;
	now = now_ms();
	if (now - progress->shown_ms < SHOW_EVERY_MS)
		return;
	progress->shown_ms = now;
	progress->shown = true;
	if (progress->plain) {
		printf("\r%6.2f%%", percentage(progress));
		fflush(stdout);
	} else {
		show_rich(progress, now);
	}
}

void
progress_end(struct progress *progress, bool complete)
{
	if (complete)
		progress->done = progress->total;
	if (progress->plain && (complete || progress->shown))
		fputs(complete ? "\r100.00%\n" : "\n", stdout);
	else if (progress->rich && progress->shown) {
		show_rich(progress, now_ms());
		fputc('\n', stderr);
	}
}

int
progress_step(void *arg, uint64_t done, uint64_t total)
{
	struct progress *progress = arg;

	if (vhd_util_interrupted())
		return -EINTR;
	progress->total = total;
	progress_set(progress, done);
	return 0;
}
