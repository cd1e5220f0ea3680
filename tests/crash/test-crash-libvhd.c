/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power cuts through what tools do to VHD images: writing, snapshot, coalesce, resize and update.
 * After each cut every image is sound, or is again when the journal has been played back; and
 * nothing that was there is lost.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vhd/libvhd-journal.h>
#include <vhd/libvhd.h>

#include "tests/crash/crash-run.h"
#include "tests/crash/soundness.h"
#include "tests/vhd/old-image.h"
#include "vhd/lib/coalesce.h"
#include "vhd/lib/resize.h"
#include "vhd/lib/update.h"

#define BYTES (8u << 20)
#define SECTORS (BYTES / 512)
#define GROWN_BYTES (4ull << 30) /* needs a table that reaches into the blocks */
#define STEPS 60
#define WRITE_MAX 300 /* sectors */

static struct crash_run run;
static uint8_t disk[BYTES];

static void
path_of(char path[256], const char *folder, const char *name)
{
	snprintf(path, 256, "%s/%s", folder, name);
}

/* ---- writing ------------------------------------------------------------------------------------
 */

static int
write_sectors(struct crash_run *crash, vhd_context_t *vhd, uint64_t sector, uint64_t sectors)
{
	struct guest *guest = &crash->guest;
	struct guest_write *write = &guest->writes[guest->write_count++];
	static uint8_t buf[WRITE_MAX * 512];
	int err;

	*write = (struct guest_write){ .begin = crash->history.now++,
				       .end = GUEST_NEVER,
				       .sector = sector,
				       .sectors = sectors,
				       .number = guest->next_number++ };
	guest_fill(buf, sector, sectors, write->number);
	err = vhd_io_write(vhd, buf, sector, (uint32_t)sectors);
	write->end = crash->history.now++;
	return err;
}

static int
sync_image(struct crash_run *crash, vhd_context_t *vhd)
{
	struct guest_flush *flush = &crash->guest.flushes[crash->guest.flush_count++];
	int err;

	flush->begin = crash->history.now++;
	err = vhd_sync(vhd);
	flush->end = crash->history.now++;
	return err;
}

/* Random writes into the image called name; closing it makes all of them durable. */
static int
write_image(struct crash_run *crash, const char *name, int steps)
{
	struct guest_flush *flush;
	vhd_context_t vhd;
	char path[256];
	int step, err, closed;

	path_of(path, crash->images, name);
	err = vhd_open(&vhd, path, VHD_OPEN_RDWR);
	if (err)
		return err;
	for (step = 0; !err && step < steps; step++) {
		uint64_t sectors = 1 + kit_random(&crash->kit, WRITE_MAX);
		uint64_t sector = kit_random(&crash->kit, SECTORS - sectors);

		if (kit_random(&crash->kit, 6))
			err = write_sectors(crash, &vhd, sector, sectors);
		else
			err = sync_image(crash, &vhd);
	}
	flush = &crash->guest.flushes[crash->guest.flush_count++];
	flush->begin = crash->history.now++;
	closed = vhd_close(&vhd);
	flush->end = crash->history.now++;
	return err ? err : closed;
}

/* ---- looking at what is left --------------------------------------------------------------------
 */

static const char *
is_wrong(struct crash_run *crash, const char *what, int err)
{
	kit_fail(&crash->kit, "%s: %s", what, strerror(-err));
	return crash->kit.why;
}

/* The disk of an image, as the library reads it, is the guest's. */
static const char *
read_image(struct crash_run *crash, const char *path, uint64_t moment, int flags)
{
	vhd_context_t vhd;
	int err = vhd_open(&vhd, path, flags), closed;

	if (err)
		return is_wrong(crash, "it cannot be opened", err);
	err = vhd_io_read(&vhd, disk, 0, SECTORS);
	closed = vhd_close(&vhd);
	if (err || closed)
		return is_wrong(crash, "it cannot be read, or not be closed", err ? err : closed);
	return guest_allows(&crash->guest, moment, 0, SECTORS, disk) ? NULL : crash->guest.why;
}

/* An image is sound, reads right, and is right in every way when it was opened for writing. */
static const char *
check_image(struct crash_run *crash, const char *name, uint64_t moment)
{
	const char *found;
	char path[256];

	path_of(path, crash->after, name);
	found = vhd_soundness(crash, path, "as it was left");
	if (!found)
		found = read_image(crash, path, moment, VHD_OPEN_RDONLY);
	if (!found)
		found = read_image(crash, path, moment, VHD_OPEN_RDWR);
	if (!found)
		found = read_image(crash, path, moment, VHD_OPEN_RDONLY | VHD_OPEN_STRICT);
	return found ? found : vhd_soundness(crash, path, "after it was opened");
}

static const char *
check_leaf(struct crash_run *crash, uint64_t moment, bool chosen)
{
	(void)chosen;
	return check_image(crash, "leaf", moment);
}

/* ---- runs ---------------------------------------------------------------------------------------
 */

static void
setup(void)
{
	char path[256];

	crash_run_begin(&run, "aio");
	printf("# CRASH_SEED=%u\n", run.seed);
	path_of(path, run.images, "base");
	ck_assert_int_eq(vhd_create(path, BYTES, VHD_TYPE_DYNAMIC, 0, 0), 0);
}

static void
teardown(void)
{
	crash_run_end(&run);
}

static void
make_leaf(void)
{
	char base[256], leaf[256];

	ck_assert_int_eq(write_image(&run, "base", 20), 0);
	path_of(base, run.images, "base");
	path_of(leaf, run.images, "leaf");
	ck_assert_int_eq(vhd_snapshot(leaf, 0, base, 0, 0), 0);
}

static int
write_leaf(struct crash_run *crash)
{
	return write_image(crash, "leaf", STEPS);
}

START_TEST(writes_of_tools)
{
	make_leaf();
	ck_assert_int_eq(crash_run_record(&run, write_leaf), 0);
	ck_assert_msg(crash_run_cuts(&run, check_leaf), "%s", run.kit.why);
}
END_TEST

static int
snapshot(struct crash_run *crash)
{
	char base[256], leaf[256];

	path_of(base, crash->images, "base");
	path_of(leaf, crash->images, "leaf");
	return vhd_snapshot(leaf, 0, base, 0, 0);
}

/* Before it is complete a snapshot is no image; and its parent never notices. */
static const char *
check_snapshot(struct crash_run *crash, uint64_t moment, bool chosen)
{
	const char *found = check_image(crash, "base", moment);
	vhd_context_t vhd;
	char leaf[256];

	(void)chosen;
	path_of(leaf, crash->after, "leaf");
	if (found || vhd_open(&vhd, leaf, VHD_OPEN_RDONLY))
		return found || moment <= crash->history.now - 1 ? found : "the snapshot is lost";
	vhd_close(&vhd);
	return check_image(crash, "leaf", moment);
}

START_TEST(a_snapshot)
{
	ck_assert_int_eq(write_image(&run, "base", 20), 0);
	ck_assert_int_eq(crash_run_record(&run, snapshot), 0);
	ck_assert_msg(crash_run_cuts(&run, check_snapshot), "%s", run.kit.why);
}
END_TEST

static int
go_on(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)done;
	(void)total;
	return 0;
}

/* The sectors that the child has go to its parent. */
static int
coalesce(struct crash_run *crash)
{
	vhd_context_t base, leaf;
	struct vhd_merge_target target = { .vhd = &base };
	const struct vhd_merge_watch watch = { .step = go_on };
	struct reason why;
	char path[256];
	uint64_t sectors;
	int err, closed;

	path_of(path, crash->images, "leaf");
	err = vhd_open(&leaf, path, VHD_OPEN_RDONLY);
	if (err)
		return err;
	path_of(path, crash->images, "base");
	err = vhd_open(&base, path, VHD_OPEN_RDWR);
	if (!err)
		err = vhd_merge(&leaf, &target, &watch, &sectors, &why);
	closed = vhd_close(&base);
	vhd_close(&leaf);
	return err ? err : closed;
}

/* What is seen through the child never changes, and its parent stays sound. */
static const char *
check_coalesce(struct crash_run *crash, uint64_t moment, bool chosen)
{
	const char *found = check_leaf(crash, moment, chosen);
	char base[256];

	path_of(base, crash->after, "base");
	return found ? found : vhd_soundness(crash, base, "the parent");
}

START_TEST(a_coalesce)
{
	char path[256];

	make_leaf();
	ck_assert_int_eq(write_leaf(&run), 0);
	ck_assert_int_eq(crash_run_record(&run, coalesce), 0);
	ck_assert_msg(crash_run_cuts(&run, check_coalesce), "%s", run.kit.why);
	/* And at the end the parent has everything. */
	path_of(path, run.images, "base");
	ck_assert_ptr_null(read_image(&run, path, run.history.now, VHD_OPEN_RDONLY));
}
END_TEST

/* ---- resize -------------------------------------------------------------------------------------
 */

static int
resize(struct crash_run *crash)
{
	const struct vhd_resize what = { .bytes = GROWN_BYTES };
	char leaf[256], journal[256];
	struct reason why;

	path_of(leaf, crash->images, "leaf");
	path_of(journal, crash->images, "journal");
	return vhd_resize(leaf, journal, &what, &why);
}

/* Play the journal back, when it is one. */
static const char *
revert(struct crash_run *crash, const char *image, const char *name)
{
	vhd_journal_t journal;
	int err = vhd_journal_open(&journal, image, name);

	if (err)
		return is_wrong(crash, "the journal cannot be opened", err);
	err = vhd_journal_revert(&journal);
	if (err) {
		vhd_journal_close(&journal);
		return is_wrong(crash, "the journal cannot be played back", err);
	}
	err = vhd_journal_remove(&journal);
	return err ? is_wrong(crash, "the journal cannot be removed", err) : NULL;
}

/* A resize that was cut off is undone by its journal, and there is one whenever it is needed. */
static const char *
check_resize(struct crash_run *crash, uint64_t moment, bool chosen)
{
	const char *found = NULL;
	char leaf[256], journal[256];
	vhd_context_t vhd;
	int err;

	path_of(leaf, crash->after, "leaf");
	path_of(journal, crash->after, "journal");
	err = vhd_open(&vhd, leaf, VHD_OPEN_RDONLY);
	if (err)
		found = revert(crash, leaf, journal);
	else
		vhd_close(&vhd);
	return found ? found : check_leaf(crash, moment, chosen);
}

/* Whoever plays a journal back without need gets the image as it was, too. */
static const char *
check_revert(struct crash_run *crash, uint64_t moment, bool chosen)
{
	char leaf[256], journal[256];
	vhd_journal_t opened;

	path_of(leaf, crash->after, "leaf");
	path_of(journal, crash->after, "journal");
	if (vhd_journal_open(&opened, leaf, journal))
		return check_resize(crash, moment, chosen);
	vhd_journal_close(&opened);
	if (revert(crash, leaf, journal))
		return crash->kit.why;
	return check_leaf(crash, moment, chosen);
}

START_TEST(a_resize)
{
	make_leaf();
	ck_assert_int_eq(write_leaf(&run), 0);
	ck_assert_int_eq(crash_run_record(&run, resize), 0);
	ck_assert_msg(crash_run_cuts(&run, _i ? check_revert : check_resize), "%s", run.kit.why);
}
END_TEST

/* ---- update -------------------------------------------------------------------------------------
 */

static int
update_image(const char *folder)
{
	char leaf[256], journal[256];
	struct reason why;

	path_of(leaf, folder, "leaf");
	path_of(journal, folder, "journal");
	return vhd_update(leaf, journal, &why);
}

static int
update(struct crash_run *crash)
{
	return update_image(crash->images);
}

/*
 * An image that can be opened is updated.  One that cannot is not, or not completely: then its
 * journal makes it what it was, and it is updated by the next attempt.
 */
static const char *
check_update(struct crash_run *crash, uint64_t moment, bool chosen)
{
	char leaf[256], journal[256];
	vhd_context_t vhd;
	vhd_journal_t opened;
	int err;

	path_of(leaf, crash->after, "leaf");
	path_of(journal, crash->after, "journal");
	if (!vhd_open(&vhd, leaf, VHD_OPEN_RDONLY)) {
		vhd_close(&vhd);
		return check_leaf(crash, moment, chosen);
	}
	if (!vhd_journal_open(&opened, leaf, journal)) {
		vhd_journal_close(&opened);
		if (revert(crash, leaf, journal))
			return crash->kit.why;
	}
	unlink(journal);
	err = update_image(crash->after);
	return err ? is_wrong(crash, "it cannot be updated", err)
		   : check_leaf(crash, moment, chosen);
}

static void
make_old_leaf(void)
{
	char leaf[256];

	make_leaf();
	ck_assert_int_eq(write_leaf(&run), 0);
	path_of(leaf, run.images, "leaf");
	ck_assert_int_eq(make_old(leaf), 0);
}

START_TEST(an_update)
{
	make_old_leaf();
	ck_assert_int_eq(crash_run_record(&run, update), 0);
	ck_assert_msg(crash_run_cuts(&run, check_update), "%s", run.kit.why);
}
END_TEST

/* Of the file called name no sync has ever ended, but for the first. */
static void
lose_syncs(const char *name)
{
	bool is_first = true;
	size_t i;

	for (i = 0; i < run.history.sync_count; i++) {
		struct history_sync *sync = &run.history.syncs[i];

		if (strcmp(strrchr(run.history.files[sync->file], '/') + 1, name) != 0)
			continue;
		if (!is_first)
			sync->end = HISTORY_NEVER;
		is_first = false;
	}
	history_close(&run.history);
}

START_TEST(a_sync_that_does_nothing_is_found)
{
	make_leaf();
	ck_assert_int_eq(write_leaf(&run), 0);
	ck_assert_int_eq(crash_run_record(&run, resize), 0);
	lose_syncs(_i ? "journal" : "leaf");
	ck_assert(!crash_run_cuts(&run, check_resize));
	printf("# %s\n", run.kit.why);
}
END_TEST

START_TEST(a_sync_that_an_update_does_in_vain_is_found)
{
	make_old_leaf();
	ck_assert_int_eq(crash_run_record(&run, update), 0);
	lose_syncs(_i ? "journal" : "leaf");
	ck_assert(!crash_run_cuts(&run, check_update));
	printf("# %s\n", run.kit.why);
}
END_TEST

int
main(void)
{
	Suite *all = suite_create("crash-libvhd");
	TCase *tests = tcase_create("cuts");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 600);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, writes_of_tools);
	tcase_add_test(tests, a_snapshot);
	tcase_add_test(tests, a_coalesce);
	tcase_add_loop_test(tests, a_resize, 0, 2);
	tcase_add_test(tests, an_update);
	tcase_add_loop_test(tests, a_sync_that_does_nothing_is_found, 0, 2);
	tcase_add_loop_test(tests, a_sync_that_an_update_does_in_vain_is_found, 0, 2);
	suite_add_tcase(all, tests);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
