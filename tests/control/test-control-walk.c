/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random walks over three disks against a model of their states: by either protocol, with clients
 * that leave, and several requests at a time.  TEST_SEED=n repeats a run.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/core/server.h"
#include "tests/control/control-rig.h"

#define DISKS 3
#define STEPS 600
#define BATCHES 60
#define BATCH 8 /* requests that one connection may have outstanding */

static struct control_rig rig;
static unsigned random_state;

static unsigned
pick(unsigned bound)
{
	return (unsigned)rand_r(&random_state) % bound;
}

/* ---- the model ----------------------------------------------------------------------------------
 */

enum state { GONE, ATTACHED, RUNNING, PAUSED, PAUSED_IN_VAIN, CLOSED, STATES };

static const int state_bits[STATES] = {
	[GONE] = -1,     [ATTACHED] = 0,           [RUNNING] = 0,
	[PAUSED] = 0x2a, [PAUSED_IN_VAIN] = 0x22a, [CLOSED] = 0x2,
};

enum request { ATTACH, DETACH, OPEN, CLOSE, FORCE, PAUSE, RESUME, INFO, STATS, REQUESTS };

static const struct {
	unsigned legacy, frame;
} types[REQUESTS] = {
	[ATTACH] = { TAPDISK_MESSAGE_ATTACH, TAPDISK_FRAME_ATTACH },
	[DETACH] = { TAPDISK_MESSAGE_DETACH, TAPDISK_FRAME_DETACH },
	[OPEN] = { TAPDISK_MESSAGE_OPEN, TAPDISK_FRAME_OPEN },
	[CLOSE] = { TAPDISK_MESSAGE_CLOSE, TAPDISK_FRAME_CLOSE },
	[FORCE] = { TAPDISK_MESSAGE_FORCE_SHUTDOWN, TAPDISK_FRAME_CLOSE },
	[PAUSE] = { TAPDISK_MESSAGE_PAUSE, TAPDISK_FRAME_PAUSE },
	[RESUME] = { TAPDISK_MESSAGE_RESUME, TAPDISK_FRAME_RESUME },
	[INFO] = { TAPDISK_MESSAGE_DISK_INFO, TAPDISK_FRAME_INFO },
	[STATS] = { TAPDISK_MESSAGE_STATS, TAPDISK_FRAME_STATS },
};

struct disk {
	int minor;
	enum state state;
};

static struct disk disks[DISKS];

static bool
is_open(enum state state)
{
	return state == RUNNING || state == PAUSED || state == PAUSED_IN_VAIN;
}

/* What opening an image does now. */
static int
open_error(void)
{
	return -probe.open_err;
}

/* What a request does to a disk that is attached: the error, and the state after it. */
static int
expect_attached(enum request request, enum state *state)
{
	bool paused = *state == PAUSED || *state == PAUSED_IN_VAIN;
	int err = 0;

	switch (request) {
	case ATTACH:
		return EEXIST;
	case DETACH:
		if (is_open(*state))
			return EBUSY;
		*state = GONE;
		return 0;
	case OPEN:
		if (is_open(*state))
			return EALREADY;
		err = open_error();
		*state = err ? *state : RUNNING;
		return err;
	case CLOSE:
	case FORCE:
		*state = is_open(*state) ? CLOSED : *state;
		return 0;
	case PAUSE:
		if (!is_open(*state))
			return EINVAL;
		*state = *state == RUNNING ? PAUSED : *state;
		return 0;
	case RESUME:
		if (!paused)
			return EINVAL;
		err = open_error();
		*state = err ? PAUSED_IN_VAIN : RUNNING;
		return err;
	case INFO:
		return *state == ATTACHED ? EINVAL : 0;
	default:
		return 0;
	}
}

static int
expect(enum request request, enum state *state)
{
	if (*state != GONE)
		return expect_attached(request, state);
	if (request == ATTACH)
		*state = ATTACHED;
	return request == ATTACH ? 0 : request == OPEN ? EINVAL : ENODEV;
}

static int
bits_of(const struct disk *disk)
{
	const struct vbd *vbd = tapdisk_server_find(rig.engine.server, disk->minor);

	return vbd ? (int)vbd_state(vbd) : -1;
}

/* ---- requests -----------------------------------------------------------------------------------
 */

static tapdisk_message_t
legacy(enum request request, int minor)
{
	tapdisk_message_t message = message_for(types[request].legacy, minor);

	if (request == OPEN)
		snprintf(message.u.params.path, sizeof(message.u.params.path), "probe:x");
	return message;
}

static uint64_t
send_frame(struct client *client, enum request request, int minor)
{
	struct frame_writer writer;

	client_begin(client, &writer, types[request].frame, minor);
	if (request == OPEN)
		frame_put_text(&writer, TAPDISK_ATTR_PARAMS, "probe:x");
	if (request == FORCE)
		frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	return client_finish(client, &writer);
}

/* By the one protocol or the other: the error. */
static int
ask(struct client *session, enum request request, int minor)
{
	tapdisk_message_t message = legacy(request, minor);
	struct client client;

	if (pick(2))
		return client_expect(session, send_frame(session, request, minor));
	client_open(&client, &rig);
	client_tell(&client, &message, NULL, 0);
	client_hear(&client, &message);
	client_expect_end(&client);
	return message.type == TAPDISK_MESSAGE_ERROR ? message.u.response.error : 0;
}

static bool
any_busy(void)
{
	struct vbd *vbd = NULL;

	while ((vbd = tapdisk_server_next(rig.engine.server, vbd)))
		if (vbd_is_busy(vbd))
			return true;
	return false;
}

static void
quiesce(void)
{
	control_rig_settle(&rig);
	while (any_busy()) {
		control_rig_wait(&rig);
		control_rig_settle(&rig);
	}
}

/* Ask and leave: all is done as asked, but a pause may be withdrawn, or nothing was heard. */
static void
ask_and_leave(struct disk *disk, enum request request)
{
	tapdisk_message_t message = legacy(request, disk->minor);
	enum state before = disk->state;
	struct client client;
	unsigned turns = pick(4);

	client_open(&client, &rig);
	client_tell(&client, &message, NULL, 0);
	while (turns--)
		control_rig_turn(&rig);
	client_close(&client);
	quiesce();
	expect(request, &disk->state);
	if (bits_of(disk) != state_bits[disk->state])
		disk->state = before;
	/* Withdrawn after the images were closed, a pause is undone by opening them. */
	if (request == PAUSE && bits_of(disk) == state_bits[PAUSED_IN_VAIN])
		disk->state = PAUSED_IN_VAIN;
	/* Attached and running look the same. */
	if (request == OPEN && disk->state == RUNNING &&
	    !vbd_params(tapdisk_server_find(rig.engine.server, disk->minor)))
		disk->state = before;
}

/* ---- walks --------------------------------------------------------------------------------------
 */

static void
setup(void)
{
	const char *text = getenv("TEST_SEED");
	int i;

	random_state = text ? (unsigned)strtoul(text, NULL, 10) : (unsigned)getpid();
	printf("# TEST_SEED=%u\n", random_state);
	fflush(stdout);
	control_rig_setup(&rig);
	for (i = 0; i < DISKS; i++)
		disks[i] = (struct disk){ .minor = control_rig_minor(&rig), .state = GONE };
}

static void
teardown(void)
{
	control_rig_teardown(&rig);
}

START_TEST(disks_are_in_the_states_of_the_model)
{
	struct client session;
	enum request request;
	struct disk *disk;
	int step, err;

	client_greet(&session, &rig);
	for (step = 0; step < STEPS; step++) {
		disk = &disks[pick(DISKS)];
		request = pick(REQUESTS);
		probe.open_err = pick(8) ? 0 : -EACCES;
		if (pick(8) == 0) {
			ask_and_leave(disk, request);
		} else {
			err = expect(request, &disk->state);
			ck_assert_int_eq(ask(&session, request, disk->minor), err);
		}
		ck_assert_int_eq(bits_of(disk), state_bits[disk->state]);
	}
	client_close(&session);
}
END_TEST

/* The answers to count requests from first on: each exactly once. */
static void
hear_each_once(struct client *client, uint64_t first, unsigned count)
{
	struct reply reply;
	unsigned heard = 0, bit;

	while (heard != (1u << count) - 1) {
		ck_assert(client_reply(client, &reply));
		ck_assert_uint_ge(reply.frame.request_id, first);
		ck_assert_uint_lt(reply.frame.request_id, first + count);
		bit = 1u << (reply.frame.request_id - first);
		ck_assert(!(heard & bit));
		heard |= bit;
	}
}

/* Two sessions ask at the same time, while a request may hang in the driver. */
START_TEST(every_request_is_answered_once)
{
	static char buf[512];
	static struct ask hanging;
	struct client sessions[2];
	struct vbd *vbd = rig.engine.vbd;
	uint64_t first[2];
	int batch, i;

	client_greet(&sessions[0], &rig);
	client_greet(&sessions[1], &rig);
	for (batch = 0; batch < BATCHES; batch++) {
		ck_assert_int_le(client_do(&rig, TAPDISK_MESSAGE_CLOSE, rig.engine.minor), 0);
		ck_assert_int_eq(client_open_disk(&rig, rig.engine.minor, "probe:x"), 0);
		probe.hold = true;
		ask_start(&rig.engine, &hanging, TD_OP_READ, 0, 1, buf);
		first[0] = sessions[0].last_id + 1;
		first[1] = sessions[1].last_id + 1;
		for (i = 0; i < 2 * BATCH; i++) {
			send_frame(&sessions[i % 2], CLOSE + pick(STATS - CLOSE + 1),
				   pick(3) ? vbd_minor(vbd) : disks[0].minor);
			if (pick(2))
				control_rig_turn(&rig);
		}
		control_rig_settle(&rig);
		probe_release(0);
		hear_each_once(&sessions[0], first[0], BATCH);
		hear_each_once(&sessions[1], first[1], BATCH);
		ck_assert(hanging.ended);
	}
	quiesce();
	ck_assert(!client_has_input(&sessions[0]));
	ck_assert(!client_has_input(&sessions[1]));
	client_close(&sessions[0]);
	client_close(&sessions[1]);
}
END_TEST

int
main(void)
{
	Suite *all = suite_create("walk");
	TCase *tests = tcase_create("walk");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, disks_are_in_the_states_of_the_model);
	tcase_add_test(tests, every_request_is_answered_once);
	suite_add_tcase(all, tests);
	return control_rig_run(all);
}
