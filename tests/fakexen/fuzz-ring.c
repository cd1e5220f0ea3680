/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's ring as the input has it.
 *
 * The first byte is the form of the ring (its order, 0x20 with all that can be offered, 0x40 the
 * layout of 32 bits, 0x80 read-only), the second 16 more than where its counters begin; then come
 * steps: a byte that says what to do, and what that needs.  Grants 8 to 15 are the pages of data,
 * the last of them read-only; the ring's follow.  Whatever was done, at the end the ring is
 * disconnected and nothing of the guest is mapped.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/minor.h"
#include "common/rundir.h"
#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "drivers/core/vbd.h"
#include "drivers/frontend/blkif.h"
#include "drivers/tapdisk-disktype.h"
#include "tests/fakexen/blkfront.h"

#define DOMID 3
#define DEVID 768
#define DATA 8
#define STEPS_MAX 200

struct input {
	const uint8_t *at;
	size_t left;
};

struct fuzz {
	char dir[64];
	struct tapdisk_type *types;
	struct tapdisk_server *server;
	struct vbd *vbd;
	struct blkif *blkif;
	struct guest guest;
	struct front_queue queue;
	uint32_t grefs[DATA];
	uint8_t *data;
};

static void
must(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz-ring: %s\n", what);
	abort();
}

static uint32_t
number(struct input *input, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes-- && input->left) {
		value = value << 8 | *input->at++;
		input->left--;
	}
	return value;
}

static void
turn(struct fuzz *fuzz, int timeout_ms)
{
	must(loop_turn(tapdisk_server_loop(fuzz->server), timeout_ms) == 0, "the loop has stopped");
}

/* ---- the machine --------------------------------------------------------------------------------
 */

static void
opened(void *arg, int err, const char *why)
{
	(void)why;
	must(err == 0, "the disk cannot be opened");
	*(bool *)arg = true;
}

static char machine_dir[64];

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static void
remove_machine(void)
{
	nftw(machine_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void
open_disk(struct fuzz *fuzz)
{
	struct vbd_options options = { .params = "null:64K", .parent_minor = -1 };
	bool done = false;
	int minor;

	must(minor_allocate(fuzz->dir, &minor) == 0, "no minor");
	must(tapdisk_server_attach(fuzz->server, minor, &fuzz->vbd) == 0, "no disk");
	vbd_open(fuzz->vbd, &options, opened, &done);
	while (!done)
		turn(fuzz, -1);
}

/* Made once: only rings come and go. */
static struct fuzz *
the_machine(void)
{
	struct tapdisk_config config = { .io_engine = "threads" };
	struct fuzz *fuzz = calloc(1, sizeof(*fuzz));
	uint32_t first;
	unsigned i;

	must(fuzz != NULL, "no memory");
	snprintf(fuzz->dir, sizeof(fuzz->dir), "/tmp/fuzz-ring.XXXXXX");
	must(mkdtemp(fuzz->dir) && rundir_create(fuzz->dir) == 0, "no directory");
	memcpy(machine_dir, fuzz->dir, sizeof(machine_dir));
	must(atexit(remove_machine) == 0, "no memory");
	must(setenv("FAKEXEN_DIR", fuzz->dir, 1) == 0, "no environment");
	fuzz->types = tapdisk_disktype_table();
	config.types = fuzz->types;
	config.control_dir = fuzz->dir;
	config.shm_root = fuzz->dir;
	must(fuzz->types && tapdisk_server_new(&fuzz->server, &config) == 0, "no server");
	open_disk(fuzz);
	must(blkif_new(&fuzz->blkif, fuzz->server, "/nowhere") == 0, "no rings");
	must(guest_open(&fuzz->guest, fuzz->dir, DOMID, 64) == 0, "no guest");
	fuzz->data = guest_pages(&fuzz->guest, DATA, &first);
	for (i = 0; i < DATA; i++)
		fuzz->grefs[i] = guest_grant(&fuzz->guest, first + i, i == DATA - 1);
	return fuzz;
}

/* ---- one ring -----------------------------------------------------------------------------------
 */

static bool
connect_ring(struct fuzz *fuzz, struct input *input)
{
	unsigned form = number(input, 1), begin = number(input, 1);
	struct blkif_queue_config queue = { .order = form % 5 };
	struct blkif_config config = {
		.domid = DOMID,
		.devid = DEVID,
		.proto = form & 0x40 ? BLKIF_PROTO_X86_32 : BLKIF_PROTO_X86_64,
		.read_only = form & 0x80,
		.offers = form & 0x20 ? 0x1f : 0,
		.queue_count = 1,
		.queues = &queue,
	};
	const char *why;

	front_queue_init(&fuzz->queue, &fuzz->guest, form & 0x40, form % 5, begin - 16u);
	queue.port = fuzz->queue.port;
	queue.grefs = fuzz->queue.grefs;
	return blkif_connect(fuzz->blkif, fuzz->vbd, &config, &why) == 0;
}

/* Bytes of the input to the slot that comes next, or to anywhere the guest can write. */
static void
scribble(uint8_t *to, size_t room, struct input *input)
{
	size_t bytes = number(input, 1);

	bytes = bytes < room ? bytes : room;
	bytes = bytes < input->left ? bytes : input->left;
	memcpy(to, input->at, bytes);
	input->at += bytes;
	input->left -= bytes;
}

static void
step(struct fuzz *fuzz, struct input *input)
{
	struct front_queue *queue = &fuzz->queue;
	size_t bytes = WORLD_PAGE << queue->order, at;

	switch (number(input, 1) % 8) {
	case 0:
	case 1:
	case 2:
		scribble(front_slot(queue), queue->is_32 ? 108 : 112, input);
		front_push(queue);
		break;
	case 3:
		at = 16 + number(input, 2) % (bytes - 16);
		scribble(queue->shared + at, bytes - at, input);
		break;
	case 4:
		at = number(input, 2) % (DATA * WORLD_PAGE);
		scribble(fuzz->data + at, DATA * WORLD_PAGE - at, input);
		break;
	case 5:
		atomic_store(front_word(queue, 4 * (number(input, 1) % 4)), number(input, 4));
		front_kick(queue);
		break;
	case 6:
		front_kick(queue);
		break;
	default:
		turn(fuzz, 0);
		break;
	}
}

static void
gone(void *arg)
{
	*(bool *)arg = true;
}

static void
disconnect_ring(struct fuzz *fuzz, bool force)
{
	bool is_gone = false;

	must(blkif_disconnect(fuzz->blkif, DOMID, DEVID, force, gone, &is_gone) == 0, "no ring");
	while (!is_gone)
		turn(fuzz, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz *fuzz;
	struct input input = { data, size };
	uint32_t page, gref;
	int steps;

	if (!fuzz)
		fuzz = the_machine();
	page = fuzz->guest.next_page;
	gref = fuzz->guest.next_grant;
	if (connect_ring(fuzz, &input)) {
		for (steps = 0; input.left && steps < STEPS_MAX; steps++)
			step(fuzz, &input);
		turn(fuzz, 0);
		disconnect_ring(fuzz, size & 1);
	}
	must(guest_mapped(&fuzz->guest) == 0, "something is still mapped");
	front_queue_end(&fuzz->queue);
	fuzz->guest.next_page = page;
	fuzz->guest.next_grant = gref;
	return 0;
}
