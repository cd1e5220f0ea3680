/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the frontend's nodes: each one copied once, bounded, then used.
 */
#include <errno.h>
#include <string.h>

#include "common/checked.h"
#include "daemon/parse.h"
#include "daemon/ring.h"

#define NUMBER_BYTES 33 /* longer values are no numbers */
#define NAME_BYTES 64
#define SHOWN_BYTES 65

struct reader {
	const struct ring_source *source;
	const struct ring_limits *limits;
	struct reason *why;
};

static int
wrong(struct reader *reader, const char *name, const char *what)
{
	return reason(reader->why, -EPROTO, "%s: %s", name, what);
}

/* A number of 0..max: 0, -ENOENT, or an error. */
static int
read_number(struct reader *reader, const char *name, uint32_t max, uint32_t *number)
{
	char value[NUMBER_BYTES], shown[SHOWN_BYTES];
	int err = reader->source->get(reader->source->arg, name, value, sizeof(value));

	if (err == -EINVAL || err == -EMSGSIZE)
		return wrong(reader, name, "not a number");
	if (err)
		return err;
	if (!parse_number(value, max, number))
		return reason(reader->why, -EPROTO, "%s: not a number up to %u: '%s'", name, max,
			      escape(value, shown, sizeof(shown)));
	return 0;
}

static int
need_number(struct reader *reader, const char *name, uint32_t *number)
{
	int err = read_number(reader, name, UINT32_MAX, number);

	return err == -ENOENT ? wrong(reader, name, "missing") : err;
}

/* ---- protocol ---------------------------------------------------------------------------------
 */

static int
read_proto(struct reader *reader, uint32_t *proto)
{
	static const struct {
		const char *name;
		enum ring_proto proto;
	} protos[] = {
		{ "x86_64-abi", RING_PROTO_X86_64 },
		{ "x86_32-abi", RING_PROTO_X86_32 },
		{ "arm-abi", RING_PROTO_X86_64 }, /* the same layout */
	};
	char value[NUMBER_BYTES], shown[SHOWN_BYTES];
	int err = reader->source->get(reader->source->arg, "protocol", value, sizeof(value));
	size_t i;

	if (err == -ENOENT) {
		*proto = reader->limits->default_proto;
		return 0;
	}
	if (err == -EINVAL || err == -EMSGSIZE)
		return wrong(reader, "protocol", "unknown");
	if (err)
		return err;
	for (i = 0; i < sizeof(protos) / sizeof(protos[0]); i++)
		if (strcmp(value, protos[i].name) == 0) {
			*proto = protos[i].proto;
			return 0;
		}
	return reason(reader->why, -EPROTO, "protocol: unknown: '%s'",
		      escape(value, shown, sizeof(shown)));
}

/* ---- pages ------------------------------------------------------------------------------------
 */

/* The size of the ring has two names; either will do, both must agree. */
static int
read_order(struct reader *reader, uint32_t *out)
{
	uint32_t max = reader->limits->max_order, order = 0, pages = 0;
	int no_order = read_number(reader, "ring-page-order", max, &order);
	int no_pages;

	if (no_order && no_order != -ENOENT)
		return no_order;
	no_pages = read_number(reader, "num-ring-pages", 1u << max, &pages);
	if (no_pages && no_pages != -ENOENT)
		return no_pages;
	if (!no_pages) {
		if (!is_power_of_two(pages))
			return wrong(reader, "num-ring-pages", "not a power of two");
		if (no_order)
			order = (uint32_t)__builtin_ctz(pages);
		else if (pages != 1u << order)
			return wrong(reader, "num-ring-pages", "contradicts ring-page-order");
	}
	*out = order;
	return 0;
}

static int
read_pages(struct reader *reader, const char *prefix, struct ring_queue *queue)
{
	char name[NAME_BYTES];
	uint32_t i;
	int err;

	if (queue->order == 0) {
		snprintf(name, sizeof(name), "%sring-ref", prefix);
		err = read_number(reader, name, UINT32_MAX, &queue->gref[0]);
		if (err != -ENOENT)
			return err;
	}
	for (i = 0; i < 1u << queue->order; i++) {
		snprintf(name, sizeof(name), "%sring-ref%u", prefix, i);
		err = need_number(reader, name, &queue->gref[i]);
		if (err)
			return err;
	}
	return 0;
}

static int
read_queue(struct reader *reader, const char *prefix, struct ring_queue *queue)
{
	char name[NAME_BYTES];
	int err = read_pages(reader, prefix, queue);

	if (err)
		return err;
	snprintf(name, sizeof(name), "%sevent-channel", prefix);
	err = need_number(reader, name, &queue->port);
	if (!err && !queue->port)
		return wrong(reader, name, "0 is no port");
	return err;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static int
read_queues(struct reader *reader, struct ring *ring)
{
	char prefix[NAME_BYTES / 2] = "";
	uint32_t order = 0, i;
	int err = read_order(reader, &order);

	for (i = 0; !err && i < ring->queue_count; i++) {
		if (ring->queue_count > 1)
			snprintf(prefix, sizeof(prefix), "queue-%u/", i);
		ring->queue[i].order = order;
		err = read_queue(reader, prefix, &ring->queue[i]);
	}
	return err;
}

int
ring_read(const struct ring_source *source, const struct ring_limits *limits, struct ring *out,
	  struct reason *why)
{
	struct reader reader = { .source = source, .limits = limits, .why = why };
	struct ring ring = { .queue_count = 1 };
	int err;

	err = read_number(&reader, "multi-queue-num-queues", limits->max_queues, &ring.queue_count);
	if (err && err != -ENOENT)
		return err;
	if (!ring.queue_count)
		return wrong(&reader, "multi-queue-num-queues", "0 queues are none");
	err = read_proto(&reader, &ring.proto);
	if (!err)
		err = read_queues(&reader, &ring);
	if (!err)
		*out = ring;
	return err;
}

bool
ring_is_equal(const struct ring *a, const struct ring *b)
{
	/* Zeroes stand where there are no queues or pages. */
	return memcmp(a, b, sizeof(*a)) == 0;
}
