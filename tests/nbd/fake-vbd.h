/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual disk in memory for the tests of frontends: the same calls as the engine's, with delays,
 * errors and time-outs at will, and counters of what reached it.
 */
#ifndef TESTS_FAKE_VBD_H
#define TESTS_FAKE_VBD_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/core/loop.h"
#include "drivers/core/vbd.h"

struct tapdisk_server {
	struct loop *loop;
	struct buffers *buffers;
	const char *control_dir; /* borrowed */
};

TAILQ_HEAD(fake_requests, vbd_request);

struct vbd {
	struct tapdisk_server *server;
	int minor;
	uint8_t *data;
	uint64_t sectors;
	uint32_t sector_size;
	bool read_only, can_discard, can_fast_zero;

	bool hold;         /* requests wait for fake_vbd_finish */
	bool shuffle;      /* and are then ended in any order */
	unsigned delay_ms; /* or they take so long */
	int fail;          /* end requests of fail_op with this -errno; 0: not */
	int fail_op;       /* TD_OP_*, -1: all */
	unsigned seed;

	struct fake_requests held;
	unsigned in_flight;
	unsigned count[8]; /* requests by TD_OP_* */
	unsigned fua;      /* of those with TD_REQ_FUA */
	unsigned no_unmap;
	unsigned
		overlaps; /* two modifications of the same sector at once: never more than wanted */
	uint64_t largest; /* sectors */
	struct vbd_source *source;
	struct loop_timer timer;
};

/* pool: bytes of data buffers. */
int fake_server_init(struct tapdisk_server *server, const char *control_dir, const char *engine,
		     size_t pool);
void fake_server_fini(struct tapdisk_server *server);

struct vbd *fake_vbd_new(struct tapdisk_server *server, int minor, uint64_t sectors);
void fake_vbd_free(struct vbd *vbd);

/* End up to count held requests. */
void fake_vbd_finish(struct vbd *vbd, unsigned count);

/* Tell the frontend of the first held request that its time is over. */
void fake_vbd_expire(struct vbd *vbd);

void fake_vbd_pause(struct vbd *vbd, bool paused);

/* Shut down, end what is in flight, release. */
void fake_vbd_close(struct vbd *vbd);

#endif
