/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that means harm: see hostile.h. */
#include "common/bytes.h"
#include "tests/fakexen/hostile.h"

uint64_t
hostile_draw(struct hostile *hostile)
{
	hostile->random ^= hostile->random << 13;
	hostile->random ^= hostile->random >> 7;
	hostile->random ^= hostile->random << 17;
	return hostile->random;
}

static bool
one_in(struct hostile *hostile, unsigned count)
{
	return hostile_draw(hostile) % count == 0;
}

static struct front_segment
segment(struct hostile *hostile)
{
	struct front_segment drawn = {
		.gref = hostile->grefs[hostile_draw(hostile) % hostile->gref_count],
		.first = (uint8_t)(hostile_draw(hostile) % 4),
		.last = (uint8_t)(4 + hostile_draw(hostile) % 4),
	};

	if (one_in(hostile, 24))
		drawn.gref = (uint32_t)hostile_draw(hostile);
	if (one_in(hostile, 24))
		drawn.first = (uint8_t)hostile_draw(hostile);
	if (one_in(hostile, 24))
		drawn.last = (uint8_t)hostile_draw(hostile);
	return drawn;
}

static uint64_t
sector(struct hostile *hostile)
{
	uint64_t drawn = hostile_draw(hostile);

	switch (drawn >> 60) {
	case 0:
		return drawn << 8;
	case 1:
		return UINT64_MAX - (drawn & 15);
	case 2:
		return hostile->sectors - (drawn & 15);
	default:
		return drawn % hostile->sectors;
	}
}

static void
direct(struct hostile *hostile)
{
	uint8_t op = one_in(hostile, 16) ? (uint8_t)hostile_draw(hostile)
					 : (uint8_t)(hostile_draw(hostile) % 4);
	unsigned count = (unsigned)(hostile_draw(hostile) % 12), i;
	struct front_segment segments[11];

	for (i = 0; i < 11; i++)
		segments[i] = segment(hostile);
	if (one_in(hostile, 16))
		count = (unsigned)(hostile_draw(hostile) & 0xff);
	front_direct(hostile->queue, op, hostile_draw(hostile), sector(hostile), segments, count);
}

static void
indirect(struct hostile *hostile)
{
	unsigned count = 1 + (unsigned)(hostile_draw(hostile) % 256), i;
	struct front_segment segments[256];
	uint32_t gref = hostile->page_gref;

	for (i = 0; i < count; i++)
		segments[i] =
			(struct front_segment){ hostile->grefs[i % hostile->gref_count], 0, 7 };
	if (one_in(hostile, 2))
		segments[hostile_draw(hostile) % count] = segment(hostile);
	if (one_in(hostile, 16))
		count = (unsigned)(hostile_draw(hostile) & 0xffff);
	if (one_in(hostile, 16))
		gref = (uint32_t)hostile_draw(hostile);
	front_indirect(hostile->queue, (uint8_t)(hostile_draw(hostile) % 3), hostile_draw(hostile),
		       sector(hostile), segments, count > 256 ? 256 : count, hostile->page, gref);
	if (count > 256)
		put_le16(hostile->queue->last + 2, (uint16_t)count);
}

static void
noise(struct hostile *hostile)
{
	uint8_t *slot = front_slot(hostile->queue);
	unsigned i;

	for (i = 0; i + 8 <= 104; i += 8)
		put_le64(slot + i, hostile_draw(hostile));
}

/* What was published is changed, perhaps while it is being read. */
static void
tear(struct hostile *hostile)
{
	uint8_t *shared = hostile->queue->shared;
	uint64_t at = 64 + hostile_draw(hostile) % 3000;

	put_le32(shared + at, (uint32_t)hostile_draw(hostile));
	put_le64(hostile->page + hostile_draw(hostile) % 2040, hostile_draw(hostile));
}

bool
hostile_step(struct hostile *hostile)
{
	struct front_queue *queue = hostile->queue;
	uint64_t drawn = hostile_draw(hostile) % 64;

	if (hostile->breaks_ring && drawn == 0) {
		atomic_store(front_word(queue, FRONT_REQ_PROD), (uint32_t)hostile_draw(hostile));
		front_kick(queue);
		return false;
	}
	if (drawn < 4) {
		tear(hostile);
	} else if (drawn < 8) {
		atomic_store(front_word(queue, FRONT_RSP_EVENT), (uint32_t)hostile_draw(hostile));
		front_kick(queue);
	} else if (front_unanswered(queue) < queue->slots) {
		if (drawn < 16)
			noise(hostile);
		else if (drawn < 24)
			front_discard(queue, hostile_draw(hostile), sector(hostile),
				      sector(hostile));
		else if (drawn < 32)
			indirect(hostile);
		else
			direct(hostile);
		front_push(queue);
	}
	return true;
}

unsigned
hostile_take(struct hostile *hostile)
{
	struct front_response response;
	unsigned count = 0;

	while (front_response(hostile->queue, &response))
		count++;
	return count;
}
