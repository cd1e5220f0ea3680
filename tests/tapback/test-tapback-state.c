/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of reactions: rows that must be there, and what holds for every view there can be.
 */
#include <check.h>
#include <stdlib.h>

#include "daemon/state.h"

/* A device in order, in these states. */
static struct state_view
view_of(int own, int frontend)
{
	struct state_view view = { .exists = true,
				   .own = (enum xenbus_state)own,
				   .online = true,
				   .frontend = (enum xenbus_state)frontend,
				   .hotplug_done = true,
				   .disk_ready = true,
				   .ring = RING_NONE };

	return view;
}

#define MISSING XENBUS_MISSING
#define INVALID XENBUS_INVALID

static const struct {
	int own, frontend;
	enum ring_state ring;
	bool offline;
	enum reaction reaction;
} rows[] = {
	/* a new device */
	{ 1, 1, RING_NONE, false, REACT_OFFER },
	{ 1, 3, RING_NONE, false, REACT_OFFER },
	{ 1, 4, RING_NONE, false, REACT_OFFER },
	{ 1, 2, RING_NONE, false, REACT_OFFER },
	{ 0, 1, RING_NONE, false, REACT_OFFER },
	{ 1, 1, RING_UNKNOWN, false, REACT_OFFER },
	{ 1, 1, RING_CONNECTED, false, REACT_DISCONNECT },
	{ 1, 5, RING_NONE, false, REACT_CLOSING },
	{ 1, 6, RING_NONE, false, REACT_CLOSED },
	{ 1, 1, RING_NONE, true, REACT_CLOSED },
	{ 1, MISSING, RING_NONE, false, REACT_CLOSED },
	{ 1, 0, RING_NONE, false, REACT_CLOSED },
	/* offered */
	{ 2, 1, RING_NONE, false, REACT_NOTHING },
	{ 2, 2, RING_NONE, false, REACT_NOTHING },
	{ 2, 3, RING_NONE, false, REACT_CONNECT },
	{ 3, 3, RING_NONE, false, REACT_CONNECT },
	{ 2, 4, RING_NONE, false, REACT_CONNECT },
	{ 2, 3, RING_BUSY, false, REACT_NOTHING },
	{ 2, 3, RING_UNKNOWN, false, REACT_NOTHING },
	{ 2, 3, RING_CONNECTED, false, REACT_FINISH },
	{ 2, 3, RING_OTHER, false, REACT_DISCONNECT },
	{ 2, 1, RING_CONNECTED, false, REACT_DISCONNECT },
	{ 2, 5, RING_NONE, false, REACT_CLOSING },
	{ 2, 6, RING_NONE, false, REACT_CLOSED },
	{ 2, 6, RING_CONNECTED, false, REACT_DISCONNECT },
	{ 2, MISSING, RING_NONE, false, REACT_CLOSED },
	{ 2, MISSING, RING_CONNECTED, false, REACT_DISCONNECT_FORCE },
	{ 2, 1, RING_NONE, true, REACT_CLOSED },
	{ 2, 3, RING_NONE, true, REACT_CLOSING },
	{ 2, INVALID, RING_NONE, false, REACT_FAIL },
	/* connected */
	{ 4, 4, RING_CONNECTED, false, REACT_NOTHING },
	{ 4, 3, RING_CONNECTED, false, REACT_NOTHING },
	{ 4, 3, RING_OTHER, false, REACT_DISCONNECT },
	{ 4, 3, RING_NONE, false, REACT_CONNECT },
	{ 4, 4, RING_NONE, false, REACT_CONNECT },
	{ 4, 4, RING_UNKNOWN, false, REACT_NOTHING },
	{ 4, 1, RING_CONNECTED, false, REACT_DISCONNECT },
	{ 4, 1, RING_NONE, false, REACT_OFFER },
	{ 4, 2, RING_CONNECTED, false, REACT_NOTHING },
	{ 4, 7, RING_CONNECTED, false, REACT_NOTHING },
	{ 4, 8, RING_CONNECTED, false, REACT_NOTHING },
	{ 4, 7, RING_NONE, false, REACT_CLOSING },
	{ 4, 2, RING_NONE, false, REACT_CLOSING },
	{ 4, 5, RING_CONNECTED, false, REACT_CLOSING },
	{ 4, 6, RING_CONNECTED, false, REACT_DISCONNECT },
	{ 4, 6, RING_NONE, false, REACT_CLOSED },
	{ 4, MISSING, RING_CONNECTED, false, REACT_DISCONNECT_FORCE },
	{ 4, MISSING, RING_NONE, false, REACT_CLOSED },
	{ 4, INVALID, RING_CONNECTED, false, REACT_DISCONNECT },
	{ 4, INVALID, RING_NONE, false, REACT_FAIL },
	{ 4, 4, RING_CONNECTED, true, REACT_CLOSING },
	/* closing */
	{ 5, 1, RING_NONE, true, REACT_CLOSED },
	{ 5, 1, RING_NONE, false, REACT_OFFER },
	{ 5, 2, RING_NONE, true, REACT_CLOSED },
	{ 5, 3, RING_CONNECTED, true, REACT_NOTHING },
	{ 5, 4, RING_CONNECTED, true, REACT_NOTHING },
	{ 5, 5, RING_CONNECTED, true, REACT_NOTHING },
	{ 5, 7, RING_CONNECTED, true, REACT_NOTHING },
	{ 5, 7, RING_NONE, true, REACT_CLOSED },
	{ 5, 6, RING_CONNECTED, true, REACT_DISCONNECT },
	{ 5, 6, RING_NONE, true, REACT_CLOSED },
	{ 5, 6, RING_UNKNOWN, true, REACT_NOTHING },
	{ 5, MISSING, RING_CONNECTED, true, REACT_DISCONNECT_FORCE },
	{ 5, MISSING, RING_NONE, true, REACT_CLOSED },
	{ 5, INVALID, RING_NONE, false, REACT_NOTHING },
	/* closed */
	{ 6, 6, RING_NONE, false, REACT_NOTHING },
	{ 6, 6, RING_CONNECTED, false, REACT_DISCONNECT },
	{ 6, 1, RING_NONE, false, REACT_OFFER },
	{ 6, 3, RING_NONE, false, REACT_OFFER },
	{ 6, 1, RING_NONE, true, REACT_NOTHING },
	{ 6, MISSING, RING_NONE, false, REACT_NOTHING },
	{ 6, MISSING, RING_NONE, true, REACT_NOTHING },
	/* what nobody should write */
	{ 7, 4, RING_CONNECTED, false, REACT_NOTHING },
	{ 8, 4, RING_CONNECTED, false, REACT_NOTHING },
	{ INVALID, 4, RING_CONNECTED, false, REACT_NOTHING },
};

START_TEST(each_row_holds)
{
	struct state_view view = view_of(rows[_i].own, rows[_i].frontend);
	enum reaction reaction;

	view.ring = rows[_i].ring;
	view.online = !rows[_i].offline;
	reaction = state_react(&view);
	ck_assert_msg(reaction == rows[_i].reaction, "own %d frontend %d ring %d: %s, not %s",
		      rows[_i].own, rows[_i].frontend, (int)rows[_i].ring, reaction_name(reaction),
		      reaction_name(rows[_i].reaction));
}
END_TEST

START_TEST(the_disk_is_waited_for_but_not_the_offer)
{
	struct state_view view = view_of(2, 3);

	view.disk_ready = false;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
	view = view_of(1, 1);
	view.disk_ready = view.hotplug_done = false;
	ck_assert_int_eq(state_react(&view), REACT_OFFER);
	view.wait_for_hotplug = true;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
	view.hotplug_done = true;
	ck_assert_int_eq(state_react(&view), REACT_OFFER);
}
END_TEST

START_TEST(a_failure_closes)
{
	struct state_view view = view_of(4, 4);

	view.failed = true;
	ck_assert_int_eq(state_react(&view), REACT_FAIL);
	view.ring = RING_CONNECTED;
	ck_assert_int_eq(state_react(&view), REACT_DISCONNECT);
	view = view_of(2, 3);
	view.failed = true;
	ck_assert_int_eq(state_react(&view), REACT_FAIL);
	view.own = XENBUS_CLOSING;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
}
END_TEST

START_TEST(a_new_ring_is_announced)
{
	struct state_view view = view_of(4, 3);

	view.ring = RING_CONNECTED;
	view.unannounced = true;
	ck_assert_int_eq(state_react(&view), REACT_FINISH);
}
END_TEST

START_TEST(a_ring_that_is_not_to_be_announced_is_let_go)
{
	struct state_view view = view_of(5, 3);

	view.ring = RING_CONNECTED;
	view.unannounced = true;
	ck_assert_int_eq(state_react(&view), REACT_DISCONNECT);
	view.frontend = XENBUS_CONNECTED; /* a guest that uses it is served to the end */
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
}
END_TEST

START_TEST(nobody_waits_for_a_deaf_guest_for_ever)
{
	struct state_view view = view_of(5, 3);

	view.online = false;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
	view.tired = true;
	ck_assert_int_eq(state_react(&view), REACT_CLOSED);
	view.ring = RING_CONNECTED;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
}
END_TEST

START_TEST(force_follows_when_the_guest_has_gone)
{
	struct state_view view = view_of(4, 6);

	view.ring = RING_BUSY;
	view.lets_go = true;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
	view.frontend = XENBUS_MISSING;
	ck_assert_int_eq(state_react(&view), REACT_DISCONNECT_FORCE);
	view.lets_go = false;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
	view.exists = false;
	ck_assert_int_eq(state_react(&view), REACT_NOTHING);
	view.lets_go = true;
	ck_assert_int_eq(state_react(&view), REACT_DISCONNECT_FORCE);
}
END_TEST

START_TEST(the_end_of_a_dying_ring_is_awaited)
{
	struct state_view view = view_of(4, 4);

	view.ring = RING_CONNECTED;
	view.dying = true;
	ck_assert_int_eq(state_react(&view), REACT_DISCONNECT);
	view.frontend = XENBUS_MISSING;
	ck_assert_int_eq(state_react(&view), REACT_DISCONNECT_FORCE);
}
END_TEST

/* ---- every view -------------------------------------------------------------------------------
 */

#define BITS 11
#define OWNS (XENBUS_MISSING + 1)
#define FRONTENDS (XENBUS_MISSING + 1)
#define RINGS (RING_OTHER + 1)
#define VIEWS (OWNS * FRONTENDS * RINGS << BITS)

static struct state_view
view_number(unsigned long n)
{
	struct state_view view;
	unsigned long rest = n >> BITS;

	view.exists = n & 1;
	view.online = n & 2;
	view.domain_gone = n & 4;
	view.disk_ready = n & 8;
	view.hotplug_done = n & 16;
	view.wait_for_hotplug = n & 32;
	view.failed = n & 64;
	view.unannounced = n & 128;
	view.tired = n & 256;
	view.lets_go = n & 512;
	view.dying = n & 1024;
	view.own = (enum xenbus_state)(rest % OWNS);
	rest /= OWNS;
	view.frontend = (enum xenbus_state)(rest % FRONTENDS);
	view.ring = (enum ring_state)(rest / FRONTENDS);
	return view;
}

static bool
holds_ring(const struct state_view *view)
{
	return view->ring == RING_CONNECTED || view->ring == RING_OTHER;
}

static bool
is_gone(const struct state_view *view)
{
	return view->domain_gone || view->frontend == XENBUS_MISSING ||
	       view->frontend == XENBUS_UNKNOWN;
}

/* What a reaction says is true of the view, or NULL; else what is wrong. */
static const char *
wrong(const struct state_view *view, enum reaction reaction)
{
	bool disconnects = reaction == REACT_DISCONNECT || reaction == REACT_DISCONNECT_FORCE;
	bool forces =
		reaction == REACT_DISCONNECT_FORCE && view->ring == RING_BUSY && view->lets_go;

	if (view->ring == RING_BUSY && reaction != REACT_NOTHING && !forces)
		return "two things at a time";
	if (!view->exists && !disconnects && reaction != REACT_FORGET && reaction != REACT_NOTHING)
		return "something is written into a directory that is not there";
	if (reaction == REACT_FORGET && (view->exists || view->ring != RING_NONE))
		return "forgotten too early";
	if (disconnects && !holds_ring(view) && !forces)
		return "nothing to disconnect";
	if (reaction == REACT_CLOSED && view->ring != RING_NONE)
		return "closed with a ring";
	if (reaction == REACT_CLOSED && view->own == XENBUS_CLOSED)
		return "closed twice";
	if (reaction == REACT_CLOSING && view->own == XENBUS_CLOSING)
		return "closing twice";
	if (reaction == REACT_OFFER && holds_ring(view))
		return "offered with a ring";
	if (reaction == REACT_OFFER && (!view->online || view->own == XENBUS_INIT_WAIT))
		return "offered for nothing";
	if (reaction == REACT_OFFER && view->wait_for_hotplug && !view->hotplug_done &&
	    view->own == XENBUS_INITIALISING)
		return "offered before hotplug is done";
	if (reaction == REACT_CONNECT &&
	    (!view->disk_ready || view->ring != RING_NONE || view->failed || !view->online))
		return "connected for nothing";
	if (reaction == REACT_FINISH && view->ring != RING_CONNECTED)
		return "finished without a ring";
	if (reaction == REACT_DISCONNECT_FORCE && view->exists && !is_gone(view))
		return "force against a guest that is there";
	if (is_gone(view) && view->exists && reaction != REACT_CLOSED &&
	    reaction != REACT_DISCONNECT_FORCE && reaction != REACT_NOTHING)
		return "a guest that has gone is waited for";
	return NULL;
}

START_TEST(every_view_is_answered_soundly)
{
	struct state_view view;
	enum reaction reaction;
	const char *what;
	unsigned long n;

	for (n = 0; n < VIEWS; n++) {
		view = view_number(n);
		reaction = state_react(&view);
		what = reaction < REACT_COUNT ? wrong(&view, reaction) : "no reaction";
		if (what) /* an assertion for each view would take its time */
			ck_abort_msg("view %lu (own %d frontend %d ring %d): %s: %s", n,
				     (int)view.own, (int)view.frontend, (int)view.ring,
				     reaction_name(reaction), what);
	}
}
END_TEST

/* Do what the reaction says, as if it always went well. */
static void
apply(struct state_view *view, enum reaction reaction)
{
	switch (reaction) {
	case REACT_OFFER:
		view->own = XENBUS_INIT_WAIT;
		view->failed = view->unannounced = false;
		break;
	case REACT_CONNECT:
		view->ring = RING_CONNECTED;
		view->unannounced = true;
		view->dying = false;
		break;
	case REACT_FINISH:
		view->own = XENBUS_CONNECTED;
		view->unannounced = false;
		break;
	case REACT_DISCONNECT:
	case REACT_DISCONNECT_FORCE:
		view->ring = RING_NONE;
		break;
	case REACT_CLOSING:
	case REACT_FAIL:
		view->own = XENBUS_CLOSING;
		break;
	case REACT_CLOSED:
		view->own = XENBUS_CLOSED;
		break;
	default:
		break;
	}
}

/* Whatever is seen, a few steps later there is nothing left to do. */
START_TEST(every_view_comes_to_rest)
{
	struct state_view view;
	enum reaction reaction;
	unsigned long n;
	int steps;

	for (n = 0; n < VIEWS; n++) {
		view = view_number(n);
		for (steps = 0; steps < 8; steps++) {
			reaction = state_react(&view);
			if (reaction == REACT_NOTHING || reaction == REACT_FORGET)
				break;
			apply(&view, reaction);
		}
		if (steps == 8)
			ck_abort_msg("view %lu goes on for ever: %s", n, reaction_name(reaction));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("tapback-state");
	TCase *tcase = tcase_create("state");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, each_row_holds, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tcase, the_disk_is_waited_for_but_not_the_offer);
	tcase_add_test(tcase, a_failure_closes);
	tcase_add_test(tcase, a_new_ring_is_announced);
	tcase_add_test(tcase, a_ring_that_is_not_to_be_announced_is_let_go);
	tcase_add_test(tcase, nobody_waits_for_a_deaf_guest_for_ever);
	tcase_add_test(tcase, force_follows_when_the_guest_has_gone);
	tcase_add_test(tcase, the_end_of_a_dying_ring_is_awaited);
	tcase_add_test(tcase, every_view_is_answered_soundly);
	tcase_add_test(tcase, every_view_comes_to_rest);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
