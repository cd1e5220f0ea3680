/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recorded runs, and cuts through them.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/core/loop.h"
#include "tests/crash/crash-run.h"
#include "tests/crash/record.h"

#define DEFAULT_SEED 1 /* the same cuts for everybody; CRASH_SEED=$RANDOM looks elsewhere */
#define FLIGHT 6
#define DEFAULT_STATES 40
#define BUFFER_ALIGN 4096
#define CHOSEN_EVERY 40 /* states between those that dear checks look at */

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(99);
}

/* ---- birth and death --------------------------------------------------------------------------
 */

void
crash_run_begin(struct crash_run *run, const char *handle)
{
	memset(run, 0, sizeof(*run));
	run->seed = (unsigned)kit_number("CRASH_SEED", DEFAULT_SEED);
	run->kit.seed = run->seed;
	run->guest.next_number = 1;
	/* Thousands of files are made and emptied: best in memory. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	kit_choose(&run->kit, handle);
	kit_begin(&run->kit);
	snprintf(run->images, sizeof(run->images), "%s/images", run->kit.dir);
	snprintf(run->after, sizeof(run->after), "%s/after", run->kit.dir);
	must(mkdir(run->images, 0700) == 0 && mkdir(run->after, 0700) == 0, "folders");
}

static void
remove_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	must(folder != NULL, path);
	while ((entry = readdir(folder)))
		unlinkat(dirfd(folder), entry->d_name, 0); /* fails for the folders themselves */
	closedir(folder);
	rmdir(path);
}

void
crash_run_end(struct crash_run *run)
{
	remove_folder(run->images);
	remove_folder(run->after);
	history_free(&run->history);
	kit_end(&run->kit);
	free(run->kit.types);
}

/* ---- a guest ----------------------------------------------------------------------------------
 */

struct guest_request {
	struct vbd_request req;
	struct iovec iov;
	struct crash_run *run;
	size_t write; /* of the guest, or its flush */
	uint8_t *buf;
	size_t bytes;
	bool ended;
	int err;
};

static void
guest_request_done(struct vbd_request *req, int err)
{
	struct guest_request *request = req->arg;
	struct crash_run *run = request->run;
	uint64_t now = run->history.now++;

	request->ended = true;
	request->err = err;
	if (err)
		return;
	if (req->op == TD_OP_FLUSH)
		run->guest.flushes[request->write].end = now;
	else if (req->op != TD_OP_READ)
		run->guest.writes[request->write].end = now;
}

static void
note_write(struct guest_request *request, uint32_t number)
{
	struct guest *guest = &request->run->guest;

	must(guest->write_count < GUEST_WRITES, "too many writes");
	request->write = guest->write_count++;
	guest->writes[request->write] =
		(struct guest_write){ .begin = request->run->history.now++,
				      .end = GUEST_NEVER,
				      .sector = request->req.sector,
				      .sectors = request->req.sectors,
				      .number = number,
				      .may_be_older = request->req.op == TD_OP_DISCARD,
				      .is_durable = request->req.flags & TD_REQ_FUA };
}

static void
note_flush(struct guest_request *request)
{
	struct guest *guest = &request->run->guest;

	must(guest->flush_count < GUEST_WRITES, "too many flushes");
	request->write = guest->flush_count++;
	guest->flushes[request->write] =
		(struct guest_flush){ .begin = request->run->history.now++, .end = GUEST_NEVER };
}

static void
submit(struct crash_run *run, struct guest_request *request, int op, uint64_t sector,
       uint64_t sectors, uint32_t flags)
{
	uint32_t number = op == TD_OP_WRITE ? run->guest.next_number++ : 0;

	*request = (struct guest_request){ .run = run };
	request->req = (struct vbd_request){ .op = op,
					     .flags = flags,
					     .sector = sector,
					     .sectors = sectors,
					     .done = guest_request_done,
					     .arg = request };
	if (op == TD_OP_WRITE || op == TD_OP_READ) {
		request->bytes = (size_t)sectors << SECTOR_SHIFT;
		must(posix_memalign((void **)&request->buf, BUFFER_ALIGN, request->bytes) == 0,
		     "buffer");
		guest_fill(request->buf, sector, sectors, number);
		request->iov = (struct iovec){ request->buf, request->bytes };
		request->req.iov = &request->iov;
		request->req.iovcnt = 1;
	}
	if (op == TD_OP_FLUSH)
		note_flush(request);
	else if (op != TD_OP_READ)
		note_write(request, number);
	vbd_submit(run->kit.vbd, &request->req);
}

static void
wait_for(struct crash_run *run, const struct guest_request *request)
{
	while (!request->ended)
		loop_turn(tapdisk_server_loop(run->kit.server), 0);
}

static int
await(struct crash_run *run, struct guest_request *request)
{
	wait_for(run, request);
	free(request->buf);
	return request->err;
}

static int
random_op(struct crash_run *run, const struct crash_work *work)
{
	switch (kit_random(&run->kit, 12)) {
	case 5:
	case 6:
		if (!work->block)
			return TD_OP_WRITE;
		return TD_OP_DISCARD;
	case 0:
		return work->discards ? TD_OP_DISCARD : TD_OP_WRITE;
	case 1:
		return work->zeroes ? TD_OP_WRITE_ZEROES : TD_OP_WRITE;
	case 2:
	case 3:
		return TD_OP_FLUSH;
	case 4:
		return TD_OP_READ;
	default:
		return TD_OP_WRITE;
	}
}

static void
submit_random(struct crash_run *run, const struct crash_work *work, struct guest_request *request)
{
	int op = random_op(run, work);
	uint32_t flags = 0;
	uint64_t sector = kit_random(&run->kit, run->sectors);
	uint64_t sectors = 1 + kit_random(&run->kit, work->largest);

	/* Often where something was before. */
	if (run->guest.write_count && kit_random(&run->kit, 2))
		sector = run->guest.writes[kit_random(&run->kit, run->guest.write_count)].sector;
	if (work->block && (op == TD_OP_DISCARD || op == TD_OP_WRITE_ZEROES) &&
	    kit_random(&run->kit, 3)) {
		sector -= sector % work->block;
		sectors = work->block * (1 + kit_random(&run->kit, 4));
	}
	if (sectors > run->sectors - sector)
		sectors = run->sectors - sector;
	if (op == TD_OP_FLUSH)
		sector = sectors = 0;
	if (work->fua && op != TD_OP_FLUSH && op != TD_OP_READ && kit_random(&run->kit, 5) == 0)
		flags = TD_REQ_FUA;
	submit(run, request, op, sector, sectors, flags);
}

/* A passing trouble of one of the next operations: whoever asked for it will ask again. */
static void
fail_soon(struct crash_run *run)
{
	kit_control(&run->kit)->fail_at = 1 + (long)kit_random(&run->kit, 16);
	kit_control(&run->kit)->fail_with = -EAGAIN;
}

static bool
work_steps(struct crash_run *run, const struct crash_work *work)
{
	/* Where room is given back it should be found again, too. */
	const int between_pauses = work->block ? work->steps / 6 : work->steps / 2;
	struct guest_request requests[FLIGHT];
	int step, i, err = 0;

	for (step = 0; step < work->steps && !err; step++) {
		int count = 1 + (int)kit_random(&run->kit, FLIGHT);

		if (work->errors && kit_random(&run->kit, 2))
			fail_soon(run);
		for (i = 0; i < count; i++)
			submit_random(run, work, &requests[i]);
		for (i = 0; i < count; i++) {
			int one = await(run, &requests[i]);

			/* What cannot be discarded stays. */
			if (one == -EOPNOTSUPP && requests[i].req.op == TD_OP_DISCARD)
				one = 0;
			err = err ? err : one;
		}
		kit_control(&run->kit)->fail_at = 0;
		if (!err && work->pauses && step && step % between_pauses == 0) {
			err = kit_pause(&run->kit);
			if (!err)
				err = kit_resume(&run->kit);
		}
	}
	return !err || kit_fail(&run->kit, "a request failed: %s", strerror(-err));
}

void
crash_run_holds(struct crash_run *run, uint64_t sector, uint64_t sectors, uint32_t number)
{
	struct guest *guest = &run->guest;

	guest->writes[guest->write_count++] = (struct guest_write){ .begin = run->history.now++,
								    .end = run->history.now++,
								    .sector = sector,
								    .sectors = sectors,
								    .number = number };
	guest->flushes[guest->flush_count++] =
		(struct guest_flush){ .begin = run->history.now++, .end = run->history.now++ };
	if (number >= guest->next_number)
		guest->next_number = number + 1;
}

bool
crash_run_prepare(struct crash_run *run, const char *params, uint64_t sector, uint64_t sectors,
		  uint32_t number)
{
	uint8_t *buf = aligned_alloc(4096, (((size_t)sectors << SECTOR_SHIFT) + 4095) & ~4095ul);
	struct iovec iov = { buf, (size_t)sectors << SECTOR_SHIFT };
	struct guest_request request = { .run = run, .write = run->guest.write_count };
	int err;

	must(buf != NULL, "buffer");
	guest_fill(buf, sector, sectors, number);
	crash_run_holds(run, sector, sectors, number);
	request.req = (struct vbd_request){ .op = TD_OP_WRITE,
					    .sector = sector,
					    .sectors = sectors,
					    .iov = &iov,
					    .iovcnt = 1,
					    .done = guest_request_done,
					    .arg = &request };
	err = kit_open_name(&run->kit, params, 0);
	if (!err) {
		vbd_submit(run->kit.vbd, &request.req);
		err = await(run, &request);
		err = err ? err : kit_close(&run->kit);
	}
	free(buf);
	return !err || kit_fail(&run->kit, "%s: %s", params, strerror(-err));
}

bool
crash_run_reads(struct crash_run *run, const char *params, uint64_t moment)
{
	struct guest_request request;
	int err = kit_open_name(&run->kit, params, TD_OPEN_NO_O_DIRECT);
	bool good = true;

	if (err)
		return kit_fail(&run->kit, "it cannot be opened: %s", strerror(-err));
	submit(run, &request, TD_OP_READ, 0, run->sectors, 0);
	wait_for(run, &request);
	if (request.err)
		good = kit_fail(&run->kit, "it cannot be read: %s", strerror(-request.err));
	else if (!guest_allows(&run->guest, moment, 0, run->sectors, request.buf))
		good = kit_fail(&run->kit, "%s", run->guest.why);
	free(request.buf);
	err = kit_close(&run->kit);
	return good && (!err || kit_fail(&run->kit, "it cannot be closed: %s", strerror(-err)));
}

bool
crash_run_work(struct crash_run *run, const char *params, const struct crash_work *work)
{
	bool passed;
	int err;

	kit_control(&run->kit)->max_delay = 4;
	record_start(&run->history, run->images);
	record_loop(kit_control(&run->kit));
	run->kit.sectors = UINT64_MAX;
	err = kit_open_name(&run->kit, params, 0);
	if (err)
		return kit_fail(&run->kit, "%s: %s", params, strerror(-err));
	run->sectors = vbd_sectors(run->kit.vbd);
	passed = work_steps(run, work);
	err = kit_close(&run->kit);
	record_stop();
	history_close(&run->history);
	return passed && (!err || kit_fail(&run->kit, "closing: %s", strerror(-err)));
}

int
crash_run_record(struct crash_run *run, int (*fn)(struct crash_run *run))
{
	int err;

	record_start(&run->history, run->images);
	err = fn(run);
	record_stop();
	history_close(&run->history);
	return err;
}

/* ---- cuts -------------------------------------------------------------------------------------
 */

typedef const char *(*crash_check)(struct crash_run *run, uint64_t moment, bool chosen);

/* What a cut leaves goes to run->after, under the same names. */
static void
replay(struct crash_run *run, const struct cut *cut)
{
	char paths[HISTORY_FILES][256];
	const char *at[HISTORY_FILES] = { NULL };
	int i;

	for (i = 0; i < run->history.file_count; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s%s", run->after,
			 strrchr(run->history.files[i], '/'));
		at[i] = paths[i];
	}
	history_replay(&run->history, cut, at);
}

static bool
look_at(struct crash_run *run, const struct cut *cut, crash_check check)
{
	static const char *const survivals[] = { "nothing", "everything", "a choice", "parts" };
	char text[sizeof(run->kit.why)];
	const char *wrong;

	replay(run, cut);
	wrong = check(run, cut->moment, run->states++ % CHOSEN_EVERY == 0);
	/* It may lie where the longer sentence will. */
	snprintf(text, sizeof(text), "%s", wrong ? wrong : "");
	return !wrong ||
	       kit_fail(&run->kit,
			"cut at moment %llu of %llu, of %u operations %s survives (mask %#llx, "
			"seed %u): %s (CRASH_SEED=%u)",
			(unsigned long long)cut->moment, (unsigned long long)run->history.now,
			history_open_ops(&run->history, cut->moment), survivals[cut->survival],
			(unsigned long long)cut->mask, cut->seed, text, run->seed);
}

/* All choices when there are few, and some of many. */
static bool
cut_at(struct crash_run *run, uint64_t moment, crash_check check)
{
	unsigned count = history_open_ops(&run->history, moment);
	struct cut cut = { .moment = moment, .survival = SURVIVE_NONE };
	bool good = look_at(run, &cut, check);

	cut.survival = SURVIVE_ALL;
	if (good && count)
		good = look_at(run, &cut, check);
	cut.survival = SURVIVE_MASK;
	for (cut.mask = 1; good && count > 1 && count <= 3 && cut.mask + 1 < 1u << count;
	     cut.mask++)
		good = look_at(run, &cut, check);
	cut.mask = 0;
	cut.survival = SURVIVE_RANDOM;
	cut.seed = (unsigned)kit_random(&run->kit, 1u << 30);
	if (good && count)
		good = look_at(run, &cut, check);
	return good;
}

bool
crash_run_cuts(struct crash_run *run,
	       const char *(*check)(struct crash_run *run, uint64_t moment, bool chosen))
{
	int states = (int)kit_number("CRASH_STATES", DEFAULT_STATES);
	const uint64_t first = run->history.first, moments = run->history.now + 1 - first;
	bool every = (uint64_t)states >= moments * 4;
	uint64_t moment;

	run->states = 0;
	for (moment = 0; every && moment < moments; moment++)
		if (!cut_at(run, first + moment, check))
			return false;
	while (run->states < states)
		if (!cut_at(run, first + kit_random(&run->kit, moments), check))
			return false;
	return true;
}

bool
crash_run_after_cut(struct crash_run *run, const char *params)
{
	const uint64_t moments = run->history.now + 1 - run->history.first;
	const struct cut cut = { .moment = run->history.first + kit_random(&run->kit, moments),
				 .survival = SURVIVE_RANDOM,
				 .seed = (unsigned)kit_random(&run->kit, 1u << 30) };
	struct history *history = &run->history;
	struct guest_request request;
	bool good;
	int err, i;

	replay(run, &cut);
	err = kit_open_name(&run->kit, params, TD_OPEN_NO_O_DIRECT | TD_OPEN_RDONLY);
	if (err)
		return kit_fail(&run->kit, "it cannot be opened: %s", strerror(-err));
	submit(run, &request, TD_OP_READ, 0, run->sectors, 0);
	wait_for(run, &request);
	good = !request.err && guest_restart(&run->guest, &history->now, run->sectors, request.buf);
	free(request.buf);
	err = kit_close(&run->kit);
	for (i = 0; i < history->file_count; i++) {
		char left[256];

		snprintf(left, sizeof(left), "%s%s", run->after, strrchr(history->files[i], '/'));
		must(rename(left, history->files[i]) == 0, "rename");
	}
	history_forget(history);
	run->was_cut = true;
	return (good && !err) || kit_fail(&run->kit, "it cannot be read after a cut");
}
