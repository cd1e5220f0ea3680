/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The items of the conformance checklist, each a function over a fresh disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "tests/driver-kit/kit.h"

#define FLIGHT 64 /* requests in flight at a time */

static bool
open_or_fail(struct kit *kit, td_flag_t flags)
{
	int err = kit_open(kit, flags);

	return !err || kit_fail(kit, "open: %s", strerror(-err));
}

/* ---- opening ------------------------------------------------------------------------------------
 */

static bool
refuses_bad_files(struct kit *kit)
{
	const char *handle = kit->type->handle;
	char missing[160], directory[160], empty[160];
	int fds = kit_open_fds(), err;

	snprintf(missing, sizeof(missing), "%s:%s/missing", handle, kit->dir);
	snprintf(directory, sizeof(directory), "%s:%s", handle, kit->dir);
	snprintf(empty, sizeof(empty), "%s:%s", handle, kit->image);
	err = kit_open_name(kit, missing, 0);
	if (err != -ENOENT)
		return kit_fail(kit, "a missing file: %d", err);
	err = kit_open_name(kit, directory, 0);
	if (err != -EINVAL)
		return kit_fail(kit, "a directory: %d", err);
	if (truncate(kit->image, 0))
		return kit_fail(kit, "truncate: %s", strerror(errno));
	err = kit_open_name(kit, empty, 0);
	if (err != -EINVAL)
		return kit_fail(kit, "an empty file: %d", err);
	if (kit_open_fds() != fds)
		return kit_fail(kit, "descriptors leak");
	kit_make_image(kit);
	return open_or_fail(kit, 0);
}

static bool
says_what_it_is(struct kit *kit)
{
	const struct td_disk_info *info;

	if (!open_or_fail(kit, 0))
		return false;
	info = vbd_info(kit->vbd);
	if (!info->size)
		return kit_fail(kit, "size 0");
	if (info->sector_size < 512 || info->sector_size > 4096 ||
	    info->sector_size & (info->sector_size - 1))
		return kit_fail(kit, "sector size %llu", (unsigned long long)info->sector_size);
	return true;
}

static bool
read_only_changes_nothing(struct kit *kit)
{
	struct stat before, after;

	if (stat(kit->image, &before))
		return kit_fail(kit, "stat: %s", strerror(errno));
	if (!open_or_fail(kit, TD_OPEN_RDONLY))
		return false;
	if (kit_run(kit, TD_OP_WRITE, 0, 8, 1) != -EPERM ||
	    kit_run(kit, TD_OP_DISCARD, 0, 8, 0) != -EPERM ||
	    kit_run(kit, TD_OP_WRITE_ZEROES, 0, 8, 0) != -EPERM)
		return kit_fail(kit, "a write is not refused");
	if (!kit_matches(kit) || kit_run(kit, TD_OP_FLUSH, 0, 0, 0) || kit_close(kit))
		return kit->why[0] ? false : kit_fail(kit, "flush or close failed");
	if (stat(kit->image, &after) || before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
	    before.st_mtim.tv_nsec != after.st_mtim.tv_nsec || before.st_size != after.st_size)
		return kit_fail(kit, "the file was changed");
	return true;
}

/* ---- requests -----------------------------------------------------------------------------------
 */

static uint64_t
unit(struct kit *kit)
{
	return vbd_sector_size(kit->vbd) >> SECTOR_SHIFT;
}

static void
random_range(struct kit *kit, uint64_t most, uint64_t *sector, uint64_t *sectors)
{
	uint64_t step = unit(kit), all = kit->sectors / step;

	*sector = kit_random(kit, all) * step;
	*sectors = (1 + kit_random(kit, most)) * step;
	if (*sectors > kit->sectors - *sector)
		*sectors = kit->sectors - *sector;
}

static bool
random_requests_agree_with_the_model(struct kit *kit)
{
	static const int ops[] = { TD_OP_READ, TD_OP_WRITE, TD_OP_WRITE, TD_OP_WRITE_ZEROES };
	int steps = kit->long_run ? 1000000 : 3000, i, err, op;
	uint64_t sector, sectors;

	if (!open_or_fail(kit, 0))
		return false;
	kit_control(kit)->max_delay = 3;
	for (i = 0; i < steps; i++) {
		op = ops[kit_random(kit, 4)];
		random_range(kit, 256, &sector, &sectors);
		err = kit_run(kit, op, sector, sectors, (uint8_t)(1 + kit_random(kit, 255)));
		if (err)
			return kit_fail(kit, "step %d: op %d: %s", i, op, strerror(-err));
	}
	return kit_matches(kit);
}

/* Disjoint requests, many at a time, ending in any order. */
static bool
requests_in_flight_do_not_mix(struct kit *kit)
{
	struct kit_request *flight[FLIGHT];
	uint64_t step, slice;
	int rounds = kit->long_run ? 2000 : 40, i, n, err = 0;
	uint8_t fill;

	if (!open_or_fail(kit, 0))
		return false;
	step = unit(kit);
	slice = kit->sectors / FLIGHT / step * step;
	kit_control(kit)->max_delay = 20;
	for (i = 0; i < rounds; i++) {
		for (n = 0; n < FLIGHT; n++) {
			fill = (uint8_t)(1 + kit_random(kit, 255));
			flight[n] = kit_submit(kit, TD_OP_WRITE, (uint64_t)n * slice, slice, fill);
			memset(kit->model + ((uint64_t)n * slice << SECTOR_SHIFT), fill,
			       slice << SECTOR_SHIFT);
		}
		for (n = 0; n < FLIGHT; n++) {
			err = kit_wait(kit, flight[n]) ? flight[n]->err : err;
			if (flight[n]->times != 1)
				return kit_fail(kit, "a request ended %d times", flight[n]->times);
			kit_request_free(flight[n]);
		}
		if (err)
			return kit_fail(kit, "a write failed: %s", strerror(-err));
	}
	return kit_matches(kit);
}

/* Of writes that overlap, each sector holds one of the values. */
static bool
overlapping_writes_leave_whole_sectors(struct kit *kit)
{
	struct kit_request *first, *second, *read;
	uint64_t step, i;
	bool whole = true;

	if (!open_or_fail(kit, 0))
		return false;
	step = unit(kit);
	kit_control(kit)->max_delay = 5;
	first = kit_submit(kit, TD_OP_WRITE, 0, 64 * step, 0x11);
	second = kit_submit(kit, TD_OP_WRITE, 8 * step, 64 * step, 0x22);
	kit_wait(kit, first);
	kit_wait(kit, second);
	read = kit_submit(kit, TD_OP_READ, 0, 72 * step, 0);
	kit_wait(kit, read);
	for (i = 0; i < 72 * step << SECTOR_SHIFT; i++)
		if (read->buf[i] != read->buf[i >> SECTOR_SHIFT << SECTOR_SHIFT] ||
		    (read->buf[i] != 0x11 && read->buf[i] != 0x22))
			whole = false;
	kit_request_free(first);
	kit_request_free(second);
	kit_request_free(read);
	return whole || kit_fail(kit, "a sector holds a mixture");
}

static bool
ends_are_exact(struct kit *kit)
{
	uint64_t size, step;

	if (!open_or_fail(kit, 0))
		return false;
	size = vbd_sectors(kit->vbd);
	step = unit(kit);
	if (kit_run(kit, TD_OP_READ, size - step, step, 0))
		return kit_fail(kit, "the last sector cannot be read");
	if (kit_run(kit, TD_OP_READ, size, step, 0) != -EINVAL ||
	    kit_run(kit, TD_OP_READ, size - step, 2 * step, 0) != -EINVAL ||
	    kit_run(kit, TD_OP_READ, UINT64_MAX - 1, step, 0) != -EINVAL)
		return kit_fail(kit, "a range beyond the end is not refused");
	return true;
}

/* Whichever operation fails, the request does, and the next one works. */
static bool
an_error_of_any_operation_is_reported(struct kit *kit)
{
	struct fake_control *control;
	int n, err;

	if (!open_or_fail(kit, 0))
		return false;
	control = kit_control(kit);
	for (n = 1; n < 1000; n++) {
		control->fail_at = n;
		control->fail_with = -EIO;
		err = kit_run(kit, TD_OP_WRITE, 0, kit->sectors / 2, (uint8_t)n);
		if (control->fail_at)
			break; /* there was no n-th operation */
		if (err != -EIO)
			return kit_fail(kit, "operation %d failed, the request says %d", n, err);
		if (kit_run(kit, TD_OP_WRITE, 0, kit->sectors / 2, (uint8_t)n))
			return kit_fail(kit, "after a failed operation nothing works");
	}
	control->fail_at = 0;
	return !kit->keeps_data || kit_matches(kit);
}

/* Ten times more requests than a pool holds: all end, none is lost. */
static bool
a_flood_ends(struct kit *kit)
{
	const int count = 10 * TAPDISK_DATA_REQUESTS;
	struct kit_request **flood;
	bool ok = true;
	int i;

	if (!open_or_fail(kit, 0))
		return false;
	flood = calloc((size_t)count, sizeof(*flood));
	kit_control(kit)->max_delay = 4;
	kit_control(kit)->out_of_work = 50;
	for (i = 0; i < count; i++)
		flood[i] = kit_submit(kit, i % 5 ? TD_OP_READ : TD_OP_FLUSH, 0,
				      i % 5 ? unit(kit) : 0, 0);
	for (i = 0; i < count; i++) {
		if (kit_wait(kit, flood[i]) || flood[i]->times != 1)
			ok = false;
		kit_request_free(flood[i]);
	}
	free(flood);
	return ok || kit_fail(kit, "a request failed or ended twice");
}

/* ---- the optional functions ---------------------------------------------------------------------
 */

static bool
flush_leaves_nothing_unsynced(struct kit *kit)
{
	struct fake_control *control;
	long before;

	if (!open_or_fail(kit, 0))
		return false;
	control = kit_control(kit);
	if (kit_run(kit, TD_OP_WRITE, 0, 64, 7))
		return kit_fail(kit, "write failed");
	before = control->unsynced;
	if (kit_run(kit, TD_OP_FLUSH, 0, 0, 0))
		return kit_fail(kit, "flush failed");
	return !before || !control->unsynced ||
	       kit_fail(kit, "%ld writes are not on stable storage", control->unsynced);
}

static bool
a_failed_flush_is_reported(struct kit *kit)
{
	struct fake_control *control;
	long queued;
	int err;

	if (!open_or_fail(kit, 0))
		return false;
	control = kit_control(kit);
	queued = control->queued;
	if (kit_run(kit, TD_OP_WRITE, 0, 8, 1))
		return kit_fail(kit, "write failed");
	if (control->queued == queued)
		return true; /* it does its I/O where it cannot be made to fail */
	control->fail_at = 1;
	control->fail_with = -EIO;
	err = kit_run(kit, TD_OP_FLUSH, 0, 0, 0);
	return err == -EIO || kit_fail(kit, "the flush says %d", err);
}

/* What a discard leaves is undefined, but what lies around it is not. */
static bool
discard_and_zeroes_keep_to_their_range(struct kit *kit)
{
	int steps = kit->long_run ? 20000 : 300, i, err;
	uint64_t sector, sectors, at;
	struct kit_request *read;

	if (!open_or_fail(kit, 0))
		return false;
	for (i = 0; i < steps; i++) {
		random_range(kit, 512, &sector, &sectors);
		if (kit_run(kit, TD_OP_WRITE, sector, sectors, (uint8_t)(1 + i % 255)))
			return kit_fail(kit, "write failed");
		random_range(kit, 512, &sector, &sectors);
		err = kit_run(kit, TD_OP_DISCARD, sector, sectors, 0);
		if (err && err != -EOPNOTSUPP)
			return kit_fail(kit, "discard: %s", strerror(-err));
		read = kit_submit(kit, TD_OP_READ, sector, sectors, 0);
		kit_wait(kit, read);
		for (at = 0; at < sectors << SECTOR_SHIFT && !err; at++) {
			uint8_t *was = &kit->model[(sector << SECTOR_SHIFT) + at];

			if (read->buf[at] && read->buf[at] != *was)
				err = -EILSEQ;
			*was = read->buf[at];
		}
		kit_request_free(read);
		if (err == -EILSEQ)
			return kit_fail(kit, "a discarded sector shows foreign data");
		random_range(kit, 512, &sector, &sectors);
		if (kit_run(kit, TD_OP_WRITE_ZEROES, sector, sectors, 0))
			return kit_fail(kit, "write-zeroes failed");
	}
	return kit_matches(kit);
}

static bool
range_is_zero(const struct kit *kit, uint64_t sector, uint64_t sectors)
{
	const uint8_t *at = kit->model + (sector << SECTOR_SHIFT);
	size_t left = (size_t)sectors << SECTOR_SHIFT;

	while (left && !*at) {
		at++;
		left--;
	}
	return !left;
}

static bool
block_status_covers_the_range(struct kit *kit)
{
	struct vbd_extents extents = { 0 };
	uint64_t next = 0;
	size_t i;

	if (!open_or_fail(kit, 0))
		return false;
	if (kit_run(kit, TD_OP_WRITE, 1024, 2048, 3) || kit_run(kit, TD_OP_WRITE, 9000, 8, 4))
		return kit_fail(kit, "write failed");
	if (kit_status(kit, &extents)) {
		free(extents.at);
		return kit_fail(kit, "block status failed");
	}
	for (i = 0; i < extents.count; i++) {
		const struct vbd_extent *piece = &extents.at[i];

		if (piece->sector != next)
			kit_fail(kit, "a gap at sector %llu", (unsigned long long)next);
		else if (piece->status != TD_BLOCK_STATE_NONE && kit->keeps_data &&
			 !range_is_zero(kit, piece->sector, piece->sectors))
			kit_fail(kit, "data are called a hole");
		next = piece->sector + piece->sectors;
	}
	if (next != kit->sectors && !kit->why[0])
		kit_fail(kit, "the range ends at sector %llu", (unsigned long long)next);
	free(extents.at);
	return !kit->why[0];
}

static bool
statistics_are_json(struct kit *kit)
{
	struct json_object *stats, *again, *images;
	const char *text;

	if (!open_or_fail(kit, 0))
		return false;
	vbd_debug(kit->vbd);
	stats = vbd_stats(kit->vbd);
	text = json_object_to_json_string_ext(stats, JSON_C_TO_STRING_SPACED);
	again = json_tokener_parse(text);
	if (!again || strchr(text, '\n'))
		kit_fail(kit, "not one line of JSON");
	else if (!json_object_object_get_ex(again, "images", &images) ||
		 json_object_array_length(images) < 1)
		kit_fail(kit, "no image in the statistics");
	json_object_put(again);
	json_object_put(stats);
	return !kit->why[0];
}

/* ---- the life of an instance --------------------------------------------------------------------
 */

static bool
a_close_leaves_nothing_open(struct kit *kit)
{
	int fds = kit_open_fds(), i;

	for (i = 0; i < 50; i++) {
		if (!open_or_fail(kit, 0))
			return false;
		if (kit_run(kit, TD_OP_WRITE, 0, 64, 1) || kit_close(kit))
			return kit_fail(kit, "write or close failed");
	}
	return kit_open_fds() == fds || kit_fail(kit, "descriptors leak");
}

static bool
data_survive_pause_and_close(struct kit *kit)
{
	int rounds = kit->long_run ? 1000 : 30, i;
	uint64_t sector, sectors;

	if (!open_or_fail(kit, 0))
		return false;
	for (i = 0; i < rounds; i++) {
		random_range(kit, 512, &sector, &sectors);
		if (kit_run(kit, TD_OP_WRITE, sector, sectors, (uint8_t)(1 + i % 255)))
			return kit_fail(kit, "write failed");
		if (!kit->is_persistent)
			continue;
		if (kit_pause(kit) || vbd_state(kit->vbd) != 0x2a || kit_resume(kit))
			return kit_fail(kit, "pause or resume failed");
		if (i % 10 == 0 && (kit_close(kit) || !open_or_fail(kit, 0)))
			return kit_fail(kit, "close or open failed");
	}
	return kit_matches(kit);
}

/* Their numbers may have been those of other files. */
static bool
files_that_were_opened_are_looked_at(struct kit *kit)
{
	long before = kit_control(kit)->forgotten;

	if (!open_or_fail(kit, 0))
		return false;
	if (kit_control(kit)->forgotten == before)
		return kit_fail(kit, "kinds of files are remembered from before an open");
	before = kit_control(kit)->forgotten;
	if (kit_pause(kit) || kit_resume(kit))
		return kit_fail(kit, "pause or resume failed");
	if (kit_control(kit)->forgotten == before)
		return kit_fail(kit, "kinds of files are remembered from before a pause");
	return true;
}

static bool
a_pause_waits_for_requests(struct kit *kit)
{
	struct kit_request *flight[FLIGHT];
	bool ok = true;
	int i;

	if (!open_or_fail(kit, 0))
		return false;
	kit_control(kit)->max_delay = 30;
	for (i = 0; i < FLIGHT; i++)
		flight[i] = kit_submit(kit, TD_OP_READ, (uint64_t)i * unit(kit), unit(kit), 0);
	if (kit_pause(kit))
		return kit_fail(kit, "pause failed");
	for (i = 0; i < FLIGHT; i++) {
		ok = ok && flight[i]->ended && !flight[i]->err;
		kit_request_free(flight[i]);
	}
	if (!ok)
		return kit_fail(kit, "a request was cut off by the pause");
	return !kit_resume(kit) || kit_fail(kit, "resume failed");
}

static bool
errors_do_not_prevent_closing(struct kit *kit)
{
	int fds = kit_open_fds(), i;

	for (i = 0; i < 10; i++) {
		if (!open_or_fail(kit, 0))
			return false;
		kit_control(kit)->fail_at = 1;
		kit_control(kit)->fail_with = -EIO;
		kit_run(kit, TD_OP_WRITE, 0, 64, 1);
		kit_control(kit)->fail_at = 0;
		if (kit_close(kit))
			return kit_fail(kit, "close failed");
	}
	return kit_open_fds() == fds || kit_fail(kit, "descriptors leak");
}

static bool
offsets_are_64_bits_wide(struct kit *kit)
{
	const uint64_t size = 6ull << 40 >> SECTOR_SHIFT;

	if (truncate(kit->image, (off_t)(size << SECTOR_SHIFT)))
		return true; /* this file system cannot hold it */
	if (strcmp(kit->type->handle, "ram") == 0)
		return kit_open(kit, 0) == -ENOMEM ||
		       kit_fail(kit, "6 TiB are to be held in memory");
	if (!open_or_fail(kit, 0))
		return false;
	if (vbd_sectors(kit->vbd) != size)
		return kit_fail(kit, "the size is cut");
	if (kit_probe_far(kit, size - 8) || kit_probe_far(kit, (1ull << 32) - 4))
		return kit_fail(kit, "far sectors are not kept");
	return true;
}

const struct kit_item kit_items[] = {
	{ "C2 bad files are refused by their own error", refuses_bad_files, true, false, false },
	{ "C3 size and sector size are filled in", says_what_it_is, false, false, false },
	{ "C5 read-only leaves the file alone", read_only_changes_nothing, true, true, false },
	{ "C7 C8 C15 random requests agree with a model", random_requests_agree_with_the_model,
	  false, true, false },
	{ "C9 the ends of the disk are exact", ends_are_exact, false, false, false },
	{ "C10 overlapping writes leave whole sectors", overlapping_writes_leave_whole_sectors,
	  false, true, false },
	{ "C11 an error of any operation is reported", an_error_of_any_operation_is_reported, false,
	  false, false },
	{ "C13 requests in flight end in any order", requests_in_flight_do_not_mix, false, true,
	  false },
	{ "C14 a flood of requests ends", a_flood_ends, false, false, false },
	{ "C18 flush leaves nothing unsynced", flush_leaves_nothing_unsynced, false, false, false },
	{ "C18 a failed flush is reported", a_failed_flush_is_reported, false, false, false },
	{ "C21 discard and zeroes keep to their range", discard_and_zeroes_keep_to_their_range,
	  false, true, false },
	{ "C23 block status covers the range", block_status_covers_the_range, false, false, false },
	{ "C27 a close leaves nothing open", a_close_leaves_nothing_open, false, false, false },
	{ "C28 data survive pause and close", data_survive_pause_and_close, false, true, false },
	{ "C28 files that were opened are looked at", files_that_were_opened_are_looked_at, false,
	  false, false },
	{ "C28 a pause waits for requests", a_pause_waits_for_requests, false, false, false },
	{ "C29 errors do not prevent closing", errors_do_not_prevent_closing, false, false, false },
	{ "C32 statistics are one line of JSON", statistics_are_json, false, false, false },
	{ "C34 offsets are 64 bits wide", offsets_are_64_bits_wide, true, true, true },
	{ NULL, NULL, false, false, false },
};
