/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A control server over the engine's rig, and clients that talk to it in the same thread: whoever
 * waits turns the loop, so that nothing depends on time.
 */
#ifndef TESTS_CONTROL_RIG_H
#define TESTS_CONTROL_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tapdisk-message.h>

#include "common/frame.h"
#include "drivers/control-server.h"
#include "tests/engine/rig.h"

struct control_rig {
	struct rig engine;
	struct control_config config; /* set before control_rig_setup */
	struct control_server *control;
	int minors[8]; /* made by control_rig_minor */
	int minor_count;
};

/* A server that listens, with one attached disk: rig->engine.minor. */
void control_rig_setup(struct control_rig *rig);
void control_rig_teardown(struct control_rig *rig);

/* A minor with a marker, to be attached. */
int control_rig_minor(struct control_rig *rig);

/* Run the tests and say how they ended: the status of main. */
int control_rig_run(Suite *suite);

/* Turn the loop once: waiting for something to happen, or not. */
void control_rig_wait(struct control_rig *rig);
void control_rig_turn(struct control_rig *rig);

/* Turn until nothing happens any more on the spot. */
void control_rig_settle(struct control_rig *rig);

/* ---- clients ----------------------------------------------------------------------------------
 */

struct client {
	struct control_rig *rig;
	int fd;
	uint64_t last_id; /* of frames */
};

void client_open(struct client *client, struct control_rig *rig);
void client_close(struct client *client);

/* Everything, or the test fails. */
void client_send(struct client *client, const void *data, size_t length);
void client_send_fds(struct client *client, const void *data, size_t length, const int *fds,
		     int count);

/* Turn the loop until length bytes have come or the server has closed: bytes. */
size_t client_receive(struct client *client, void *buf, size_t length);

/* Has something come, or the end, without waiting? */
bool client_has_input(struct client *client);

/* Turn the loop until the server closes; what comes before is dropped. */
void client_expect_end(struct client *client);

/* ---- legacy -----------------------------------------------------------------------------------
 */

tapdisk_message_t message_for(unsigned type, int minor); /* -1: all */

/* Send a request with what trails it. */
void client_tell(struct client *client, const tapdisk_message_t *message, const void *trailing,
		 size_t length);

/* The next message must come. */
void client_hear(struct client *client, tapdisk_message_t *message);

/* A connection for one request without trailing data: the error of its answer, 0 for success. */
int client_ask(struct control_rig *rig, tapdisk_message_t *message);
int client_do(struct control_rig *rig, unsigned type, int minor);
int client_open_disk(struct control_rig *rig, int minor, const char *params);

/* ---- frames -----------------------------------------------------------------------------------
 */

struct reply {
	struct frame frame;
	uint8_t payload[65536];
};

/* Begin a request with the next id. */
void client_begin(struct client *client, struct frame_writer *writer, unsigned type, int minor);
uint64_t client_finish(struct client *client, struct frame_writer *writer); /* sends: its id */
uint64_t client_request(struct client *client, unsigned type, int minor);   /* without attributes */

/* A connection that has said HELLO. */
void client_greet(struct client *client, struct control_rig *rig);

/* The next frame; false at the end. */
bool client_reply(struct client *client, struct reply *reply);

/* The next frame must answer id: its error, positive, 0 for success. */
int client_expect(struct client *client, uint64_t id);

/* The attribute, or the test fails. */
struct frame_attr reply_attr(const struct reply *reply, unsigned tag);
bool reply_has(const struct reply *reply, unsigned tag);
uint32_t reply_u32(const struct reply *reply, unsigned tag);

#endif
