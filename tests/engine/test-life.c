/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open, close, pause and resume, and the states that people and tools see.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/core/server.h"
#include "tests/engine/rig.h"

static struct rig rig;
static char buf[64 << SECTOR_SHIFT];

static void
setup(void)
{
	rig_setup(&rig);
}

static void
teardown(void)
{
	rig_teardown(&rig);
}

static int
pause_disk(void)
{
	struct outcome outcome = { 0 };

	vbd_pause(rig.vbd, outcome_done, &outcome);
	rig_until(&rig, &outcome.ended);
	return outcome.err;
}

static int
resume_disk(const char *params)
{
	struct vbd_options options = { .params = params, .parent_minor = -1 };
	struct outcome outcome = { 0 };

	vbd_resume(rig.vbd, &options, outcome_done, &outcome);
	rig_until(&rig, &outcome.ended);
	return outcome.err;
}

START_TEST(states_are_exactly_the_documented_ones)
{
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
	ck_assert_ptr_null(vbd_params(rig.vbd));
	ck_assert_int_eq(rig_close(&rig), 0);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
	ck_assert_str_eq(vbd_params(rig.vbd), "probe:x");

	ck_assert_int_eq(pause_disk(), 0);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x2a);
	ck_assert_str_eq(vbd_params(rig.vbd), "probe:x");
	ck_assert_int_eq(pause_disk(), 0);

	ck_assert_int_eq(resume_disk(NULL), 0);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
	ck_assert_int_eq(resume_disk(NULL), -EINVAL);

	ck_assert_int_eq(rig_close(&rig), 0);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x2);
	ck_assert_ptr_null(vbd_params(rig.vbd));
	ck_assert_int_eq(rig_close(&rig), 0);
	ck_assert_int_eq(pause_disk(), -EINVAL);
}
END_TEST

START_TEST(an_open_disk_is_not_opened_again)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ck_assert_int_eq(rig_open(&rig, "probe:y", 0), -EALREADY);
	ck_assert_str_eq(vbd_params(rig.vbd), "probe:x");
	ck_assert_int_eq(tapdisk_server_detach(rig.server, rig.vbd), -EBUSY);
}
END_TEST

START_TEST(a_failed_open_leaves_no_trace)
{
	struct vbd_options options = { .params = "probe:x", .parent_minor = -1 };
	struct outcome outcome = { 0 };

	probe.open_err = -EACCES;
	vbd_open(rig.vbd, &options, outcome_done, &outcome);
	rig_until(&rig, &outcome.ended);
	ck_assert_int_eq(outcome.err, -EACCES);
	ck_assert_str_eq(outcome.why, "probe:x: cannot open: Permission denied");
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
	ck_assert_ptr_null(vbd_params(rig.vbd));

	probe.open_err = 0;
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
}
END_TEST

static bool refused;

static int
refuse(void *arg, struct vbd *vbd, const char **why)
{
	(void)arg;
	(void)vbd;
	*why = "nobody can reach it";
	refused = true;
	return -EADDRINUSE;
}

START_TEST(a_disk_that_is_not_wanted_serves_nobody)
{
	struct vbd_options options = { .params = "probe:x", .parent_minor = -1 };
	struct outcome outcome = { 0 };
	struct ask ask = { 0 };
	int ends[2];

	rig_teardown(&rig);
	rig.opened = refuse;
	rig_setup(&rig);
	ck_assert_int_eq(pipe(ends), 0);
	probe.gate = ends[0];
	vbd_open(rig.vbd, &options, outcome_done, &outcome);
	rig_until(&rig, &refused);
	ask_start(&rig, &ask, TD_OP_READ, 0, 1, buf);
	ck_assert_int_eq(ask_wait(&rig, &ask), -ESHUTDOWN);
	ck_assert_int_eq((int)write(ends[1], "", 1), 1);
	rig_until(&rig, &outcome.ended);
	ck_assert_int_eq(outcome.err, -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(outcome.why, "nobody can reach it"));
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
	ck_assert_int_eq(probe.reads, 0);
	ck_assert_int_eq(probe.closes, 1);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(an_io_error_at_open_is_tried_again)
{
	struct vbd_options options = { .params = "probe:x", .parent_minor = -1 };
	struct outcome outcome = { 0 };
	struct outcome never = { 0 };

	probe.open_err = -EIO;
	vbd_open(rig.vbd, &options, outcome_done, &outcome);
	while (!vbd_is_busy(rig.vbd))
		rig_turn(&rig);
	/* Between two attempts another operation finds the disk busy, and force ends the wait. */
	vbd_pause(rig.vbd, outcome_done, &never);
	ck_assert_int_eq(never.err, -EBUSY);
	vbd_close(rig.vbd, true, outcome_done, &never);
	rig_until(&rig, &outcome.ended);
	ck_assert_int_eq(outcome.err, -ECANCELED);
}
END_TEST

START_TEST(a_pause_waits_for_what_is_in_flight)
{
	struct ask ask = { 0 }, later = { 0 };
	struct outcome outcome = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.hold = true;
	ask_start(&rig, &ask, TD_OP_READ, 0, 1, buf);
	vbd_pause(rig.vbd, outcome_done, &outcome);
	rig_turn(&rig);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x14);
	ck_assert(!outcome.ended);

	ask_start(&rig, &later, TD_OP_READ, 0, 1, buf);
	probe_release(0);
	rig_until(&rig, &outcome.ended);
	ck_assert_int_eq(outcome.err, 0);
	ck_assert(ask.ended);
	ck_assert(!later.ended);
	ck_assert_int_eq(probe.reads, 1);
	ck_assert_int_eq(probe.flushes, 1);
	ck_assert_int_eq(probe.closes, 1);

	ck_assert_int_eq(resume_disk(NULL), 0);
	ck_assert_int_eq(ask_wait(&rig, &later), 0);
}
END_TEST

START_TEST(a_withdrawn_pause_leaves_the_disk_running)
{
	struct ask ask = { 0 };
	struct outcome outcome = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.hold = true;
	ask_start(&rig, &ask, TD_OP_READ, 0, 1, buf);
	vbd_pause(rig.vbd, outcome_done, &outcome);
	vbd_pause_cancel(rig.vbd, &outcome);
	ck_assert_int_eq(outcome.err, -ECANCELED);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
	probe_release(0);
	ck_assert_int_eq(ask_wait(&rig, &ask), 0);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
}
END_TEST

START_TEST(a_pause_withdrawn_too_late_is_undone)
{
	struct outcome outcome = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	vbd_pause(rig.vbd, outcome_done, &outcome);
	while (!probe.flushes)
		rig_turn(&rig);
	vbd_pause_cancel(rig.vbd, &outcome);
	ck_assert_int_eq(outcome.err, -ECANCELED);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
	while (vbd_is_busy(rig.vbd))
		ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
}
END_TEST

START_TEST(another_disk_does_not_resume)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ck_assert_int_eq(pause_disk(), 0);
	probe.sectors = PROBE_SECTORS / 2;
	ck_assert_int_eq(resume_disk("probe:y"), -EMEDIUMTYPE);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x22a);
	ck_assert_str_eq(vbd_params(rig.vbd), "probe:x");
	ck_assert_int_eq(probe.opens, probe.closes);

	probe.open_err = -ENOENT;
	ck_assert_int_eq(resume_disk("probe:y"), -ENOENT);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x22a);

	probe.open_err = 0;
	probe.sectors = 0;
	ck_assert_int_eq(resume_disk("probe:z"), 0);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0);
	ck_assert_str_eq(vbd_params(rig.vbd), "probe:z");
}
END_TEST

START_TEST(a_close_drains_and_flushes)
{
	struct ask ask = { 0 }, late = { 0 };
	struct outcome outcome = { 0 }, joined = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.hold = true;
	ask_start(&rig, &ask, TD_OP_WRITE, 0, 1, buf);
	vbd_close(rig.vbd, false, outcome_done, &outcome);
	vbd_close(rig.vbd, false, outcome_done, &joined);
	rig_turn(&rig);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x44);
	ask_start(&rig, &late, TD_OP_WRITE, 0, 1, buf);
	ck_assert_int_eq(late.err, -ESHUTDOWN);

	probe_release(0);
	rig_until(&rig, &outcome.ended);
	ck_assert(joined.ended);
	ck_assert_int_eq(outcome.err, 0);
	ck_assert_int_eq(probe.flushes, 1);
	ck_assert_int_eq(probe.closes, 1);
}
END_TEST

START_TEST(a_paused_disk_closes)
{
	struct ask waiting = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	ck_assert_int_eq(pause_disk(), 0);
	ask_start(&rig, &waiting, TD_OP_READ, 0, 1, buf);
	ck_assert_int_eq(rig_close(&rig), 0);
	ck_assert_int_eq(waiting.err, -ESHUTDOWN);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x2);
}
END_TEST

START_TEST(force_overtakes_a_pause_that_hangs)
{
	struct ask ask = { 0 };
	struct outcome paused = { 0 }, forced = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.hold = true;
	ask_start(&rig, &ask, TD_OP_READ, 0, 1, buf);
	vbd_pause(rig.vbd, outcome_done, &paused);
	vbd_close(rig.vbd, true, outcome_done, &forced);
	ck_assert_int_eq(paused.err, -ECANCELED);
	/* What was submitted is still awaited. */
	rig_turn(&rig);
	ck_assert(!forced.ended);
	probe_release(-EIO);
	rig_until(&rig, &forced.ended);
	ck_assert_int_eq(forced.err, 0);
	ck_assert_int_eq(ask.times, 1);
}
END_TEST

START_TEST(errors_at_close_are_reported_and_the_disk_is_closed)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.close_err = -ENOSPC;
	ck_assert_int_eq(rig_close(&rig), -ENOSPC);
	ck_assert_uint_eq(vbd_state(rig.vbd), 0x2);

	probe.close_err = 0;
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.flush_err = -EIO;
	ck_assert_int_eq(rig_close(&rig), -EIO);
	ck_assert_int_eq(probe.opens, probe.closes);
	probe.flush_err = 0;
}
END_TEST

START_TEST(a_pause_that_cannot_flush_is_given_up)
{
	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.flush_err = -EIO;
	ck_assert_int_eq(pause_disk(), -EIO);
	ck_assert_uint_eq(vbd_state(rig.vbd), VBD_DEAD);
	ck_assert_int_eq(ask_run(&rig, TD_OP_READ, 0, 1, buf), 0);
}
END_TEST

START_TEST(attached_minors_are_unique)
{
	struct vbd *other;

	ck_assert_int_eq(tapdisk_server_attach(rig.server, rig.minor, &other), -EEXIST);
	ck_assert_int_eq(tapdisk_server_attach(rig.server, rig.minor + 1, &other), -ENOENT);
	ck_assert_int_eq(tapdisk_server_attach(rig.server, -1, &other), -EINVAL);
	ck_assert_int_eq(tapdisk_server_attach(rig.server, VBD_MAX_MINOR + 1, &other), -EINVAL);
}
END_TEST

START_TEST(the_process_leaves_after_its_last_disk)
{
	ck_assert(!tapdisk_server_is_leaving(rig.server));
	ck_assert_int_eq(tapdisk_server_detach(rig.server, rig.vbd), 0);
	ck_assert(tapdisk_server_is_leaving(rig.server));
	ck_assert_int_eq(tapdisk_server_attach(rig.server, rig.minor, &rig.vbd), -EAGAIN);
}
END_TEST

START_TEST(a_shutdown_closes_every_disk)
{
	struct ask ask = { 0 };

	ck_assert_int_eq(rig_open(&rig, "probe:x", 0), 0);
	probe.hold = true;
	ask_start(&rig, &ask, TD_OP_WRITE, 0, 1, buf);
	tapdisk_server_shutdown(rig.server, false);
	rig_turn(&rig);
	ck_assert(!tapdisk_server_is_leaving(rig.server));
	probe_release(0);
	while (!tapdisk_server_is_leaving(rig.server))
		ask_wait(&rig, &ask), rig_turn(&rig);
	ck_assert_int_eq(ask.err, 0);
	ck_assert_int_eq(probe.closes, 1);
}
END_TEST

static Suite *
suite(void)
{
	Suite *all = suite_create("life");
	TCase *tests = tcase_create("life");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, states_are_exactly_the_documented_ones);
	tcase_add_test(tests, an_open_disk_is_not_opened_again);
	tcase_add_test(tests, a_failed_open_leaves_no_trace);
	tcase_add_test(tests, a_disk_that_is_not_wanted_serves_nobody);
	tcase_add_test(tests, an_io_error_at_open_is_tried_again);
	tcase_add_test(tests, a_pause_waits_for_what_is_in_flight);
	tcase_add_test(tests, a_withdrawn_pause_leaves_the_disk_running);
	tcase_add_test(tests, a_pause_withdrawn_too_late_is_undone);
	tcase_add_test(tests, another_disk_does_not_resume);
	tcase_add_test(tests, a_close_drains_and_flushes);
	tcase_add_test(tests, a_paused_disk_closes);
	tcase_add_test(tests, force_overtakes_a_pause_that_hangs);
	tcase_add_test(tests, errors_at_close_are_reported_and_the_disk_is_closed);
	tcase_add_test(tests, a_pause_that_cannot_flush_is_given_up);
	tcase_add_test(tests, attached_minors_are_unique);
	tcase_add_test(tests, the_process_leaves_after_its_last_disk);
	tcase_add_test(tests, a_shutdown_closes_every_disk);
	suite_add_tcase(all, tests);
	return all;
}

int
main(void)
{
	return rig_run(suite());
}
