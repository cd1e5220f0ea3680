/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest and the block interface in one thread: see ring-rig.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/core/loop.h"
#include "drivers/core/server.h"
#include "tests/fakexen/ring-rig.h"

#define GUEST_PAGES 1024

void
ring_setup(struct ring_rig *rig)
{
	uint32_t first, i;

	snprintf(rig->dir, sizeof(rig->dir), "/tmp/fakexen.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->dir));
	rig->engine.shm_root = rig->dir;
	rig_setup(&rig->engine);
	ck_assert_int_eq(rig_open(&rig->engine, "probe:x", 0), 0);
	ck_assert_int_eq(setenv("FAKEXEN_DIR", rig->dir, 1), 0);
	snprintf(rig->monitor, sizeof(rig->monitor), "%s/monitor", rig->dir);
	ck_assert_int_eq(blkif_new(&rig->blkif, rig->engine.server, rig->monitor), 0);
	ck_assert_int_eq(guest_open(&rig->guest, rig->dir, RING_DOMID, GUEST_PAGES), 0);
	rig->data = guest_pages(&rig->guest, RING_DATA_PAGES, &first);
	for (i = 0; i < RING_DATA_PAGES; i++)
		rig->grefs[i] = guest_grant(&rig->guest, first + i, false);
	rig->page = guest_pages(&rig->guest, 1, &first);
	rig->page_gref = guest_grant(&rig->guest, first, true);
	rig->queue_count = 0;
	rig->first_ring_page = rig->guest.next_page;
	rig->first_ring_grant = rig->guest.next_grant;
}

static void
remove_file(const struct ring_rig *rig, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
	unlink(path);
}

void
ring_teardown(struct ring_rig *rig)
{
	char domain[32];

	snprintf(domain, sizeof(domain), "domain.%d", RING_DOMID);
	probe_release(0);
	rig_close(&rig->engine);
	/* Whatever happened, nothing of the guest stays mapped. */
	ck_assert_uint_eq(guest_mapped(&rig->guest), 0);
	blkif_free(rig->blkif);
	guest_close(&rig->guest);
	rig_teardown(&rig->engine);
	remove_file(rig, domain);
	remove_file(rig, "machine");
	remove_file(rig, "monitor");
	ck_assert_int_eq(rmdir(rig->dir), 0);
}

/* Ask for the rings as they lie in the guest's memory. */
static int
connect_rings(struct ring_rig *rig, struct blkif_config *config)
{
	struct blkif_queue_config queues[FRONT_QUEUES];
	struct front_queue *queue;
	const char *why;
	unsigned i;

	config->domid = RING_DOMID;
	config->devid = RING_DEVID;
	config->queue_count = rig->queue_count;
	config->queues = queues;
	for (i = 0; i < rig->queue_count; i++) {
		queue = &rig->queues[i];
		if (rig->producer_ahead)
			atomic_store(front_word(queue, FRONT_REQ_PROD),
				     queue->req_prod + rig->producer_ahead);
		queues[i] = (struct blkif_queue_config){
			.order = queue->order,
			.port = queue->port,
			.grefs = queue->grefs,
		};
	}
	if (rig->bad_port)
		queues[i - 1].port = WORLD_PORTS + 1;
	if (rig->bad_gref)
		rig->queues[i - 1].grefs[0] = WORLD_GRANTS - 1;
	return blkif_connect(rig->blkif, rig->engine.vbd, config, &why);
}

int
ring_connect(struct ring_rig *rig, const struct ring_form *form)
{
	static const struct ring_form plain = { 0 };
	struct blkif_config config = { 0 };
	unsigned i;

	form = form ? form : &plain;
	config.proto = form->is_32 ? BLKIF_PROTO_X86_32 : BLKIF_PROTO_X86_64;
	if (form->is_native)
		config.proto = BLKIF_PROTO_NATIVE;
	config.read_only = form->read_only;
	config.no_discard = form->no_discard;
	config.offers = form->offers;
	config.indirect_max = form->indirect_max;
	config.poll_us = form->poll_us;
	config.poll_idle = form->poll_idle;
	rig->queue_count = form->queues ? form->queues : 1;
	for (i = 0; i < rig->queue_count; i++)
		front_queue_init(&rig->queues[i], &rig->guest, form->is_32, form->order,
				 form->start);
	return connect_rings(rig, &config);
}

int
ring_reconnect(struct ring_rig *rig)
{
	struct world_events *events = &rig->guest.events;
	struct blkif_config config = {
		.proto = rig->queues[0].is_32 ? BLKIF_PROTO_X86_32 : BLKIF_PROTO_X86_64,
	};
	unsigned i;

	for (i = 0; i < rig->queue_count; i++) {
		world_unbind(events, rig->queues[i].port);
		rig->queues[i].port = (uint32_t)world_listen(events, rig->guest.backend);
	}
	return connect_rings(rig, &config);
}

static void
note_state(void *arg, const struct blkif_config *config, enum blkif_state state)
{
	(void)config;
	*(unsigned *)arg = state;
}

unsigned
ring_state_of(struct ring_rig *rig)
{
	unsigned state = 0;

	blkif_list(rig->blkif, rig->engine.vbd, note_state, &state);
	return state;
}

void
ring_flag(void *arg)
{
	*(bool *)arg = true;
}

int
ring_disconnect(struct ring_rig *rig, bool force)
{
	bool is_gone = false;
	int err = blkif_disconnect(rig->blkif, RING_DOMID, RING_DEVID, force, ring_flag, &is_gone);

	if (!err)
		rig_until(&rig->engine, &is_gone);
	return err;
}

/* ---- a second guest ---- */

void
ring_other_open(struct ring_rig *rig, struct ring_other *other, bool is_32)
{
	uint32_t first;

	ck_assert_int_eq(guest_open(&other->guest, rig->dir, RING_OTHER_DOMID, 16), 0);
	front_queue_init(&other->queue, &other->guest, is_32, 0, 0);
	guest_pages(&other->guest, 1, &first);
	other->gref = guest_grant(&other->guest, first, false);
}

int
ring_other_connect(struct ring_rig *rig, struct ring_other *other, const struct ring_form *form)
{
	struct blkif_queue_config queue = { 0, other->queue.port, other->queue.grefs };
	struct blkif_config config = {
		.domid = RING_OTHER_DOMID,
		.devid = RING_DEVID,
		.proto = other->queue.is_32 ? BLKIF_PROTO_X86_32 : BLKIF_PROTO_X86_64,
		.read_only = form && form->read_only,
		.offers = form ? form->offers : 0,
		.queue_count = 1,
		.queues = &queue,
	};
	const char *why;

	return blkif_connect(rig->blkif, rig->engine.vbd, &config, &why);
}

int
ring_other_disconnect(struct ring_rig *rig)
{
	return blkif_disconnect(rig->blkif, RING_OTHER_DOMID, RING_DEVID, false, NULL, NULL);
}

void
ring_other_close(struct ring_rig *rig, struct ring_other *other)
{
	char domain[32];

	ck_assert_uint_eq(guest_mapped(&other->guest), 0);
	guest_close(&other->guest);
	snprintf(domain, sizeof(domain), "domain.%d", RING_OTHER_DOMID);
	remove_file(rig, domain);
}

/* ---- requests ---- */

struct front_segment
ring_segment(const struct ring_rig *rig, unsigned page, unsigned first, unsigned last)
{
	return (struct front_segment){ rig->grefs[page], (uint8_t)first, (uint8_t)last };
}

void
ring_ask(struct ring_rig *rig, unsigned queue, uint8_t op, uint64_t id, uint64_t sector,
	 unsigned page)
{
	struct front_segment segment = ring_segment(rig, page, 0, 7);

	front_direct(&rig->queues[queue], op, id, sector, &segment, 1);
	front_push(&rig->queues[queue]);
}

bool
ring_answered(struct ring_rig *rig, unsigned queue, struct front_response *response)
{
	ring_turn(rig);
	return front_response(&rig->queues[queue], response);
}

struct front_response
ring_wait(struct ring_rig *rig, unsigned queue)
{
	struct loop *loop = tapdisk_server_loop(rig->engine.server);
	struct front_response response;

	front_push(&rig->queues[queue]);
	while (!front_response(&rig->queues[queue], &response))
		ck_assert_int_eq(loop_turn(loop, -1), 0);
	return response;
}

void
ring_turn(struct ring_rig *rig)
{
	int i;

	for (i = 0; i < 20; i++)
		rig_turn(&rig->engine);
}

int
ring_indirect(struct ring_rig *rig, uint8_t op, uint64_t sector, unsigned pages)
{
	struct front_segment segments[256];
	struct front_response response;
	unsigned i;

	for (i = 0; i < pages; i++)
		segments[i] = ring_segment(rig, i, 0, 7);
	front_indirect(&rig->queues[0], op, 78, sector, segments, pages, rig->page, rig->page_gref);
	response = ring_wait(rig, 0);
	ck_assert_uint_eq(response.id, 78);
	ck_assert_uint_eq(response.op, op); /* not 6: what it carries is told */
	return response.status;
}

void
ring_fill(void *at, size_t bytes, unsigned seed)
{
	uint8_t *byte = at;
	size_t i;

	for (i = 0; i < bytes; i++)
		byte[i] = (uint8_t)(seed + i * 7 + i / 512 * 13);
}

int
ring_do(struct ring_rig *rig, uint8_t op, uint64_t sector, unsigned pages)
{
	struct front_segment segments[11];
	struct front_response response;
	unsigned i;

	for (i = 0; i < pages; i++)
		segments[i] = ring_segment(rig, i, 0, 7);
	front_direct(&rig->queues[0], op, 77, sector, segments, pages);
	response = ring_wait(rig, 0);
	ck_assert_uint_eq(response.id, 77);
	ck_assert_uint_eq(response.op, op);
	return response.status;
}

int
ring_run(Suite *suite)
{
	return rig_run(suite);
}
