/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest says about its ring.  All of it is hostile.
 */
#ifndef DAEMON_RING_H
#define DAEMON_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tapdisk-message.h>

#include "common/reason.h"

#define RING_QUEUES_MAX 8 /* of a ring */
#define RING_PAGES_MAX (1u << TAPDISK_RING_MAX_ORDER)

/* As in messages to a tapdisk. */
enum ring_proto { RING_PROTO_NATIVE = 1, RING_PROTO_X86_32 = 2, RING_PROTO_X86_64 = 3 };

struct ring_queue {
	uint32_t order; /* 1 << order pages */
	uint32_t port;
	uint32_t gref[RING_PAGES_MAX]; /* zeroes beyond the order */
};

struct ring {
	uint32_t proto;
	uint32_t queue_count;
	struct ring_queue queue[RING_QUEUES_MAX];
};

struct ring_limits {
	uint32_t max_queues; /* at most RING_QUEUES_MAX */
	uint32_t max_order;  /* at most TAPDISK_RING_MAX_ORDER */
	uint32_t default_proto;
};

/* Where the guest's nodes are read from. */
struct ring_source {
	/* The value of a node: 0, -ENOENT, -EINVAL or -EMSGSIZE not a value, or -errno. */
	int (*get)(void *arg, const char *name, char *value, size_t size);
	void *arg;
};

/*
 * Read and check the description.  Returns 0; -EPROTO and *why, when the guest has written
 * something wrong; or what get returned.
 */
int ring_read(const struct ring_source *source, const struct ring_limits *limits, struct ring *out,
	      struct reason *why);

bool ring_is_equal(const struct ring *a, const struct ring *b);

#endif
