/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzz target: what guests write about their rings, and every other text that is parsed.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "daemon/parse.h"
#include "tests/tapback/ring-nodes.h"

static void
parse_all(const char *text)
{
	struct backend_path path;
	char shown[16];
	uint32_t a, b;
	bool writable;

	parse_state(text);
	parse_number(text, UINT32_MAX, &a);
	if (parse_backend_path(text, "backend/vbd3", &path))
		assert(path.domid <= DOMID_MAX);
	if (parse_disk_path(text, "/run/blktap-control", &a, &b))
		assert(a && b < 1u << 14);
	is_frontend_path(text, 1, 51712);
	parse_device_number(text, &a, &b);
	parse_mode(text, &writable);
	assert(strlen(escape(text, shown, sizeof(shown))) < sizeof(shown));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ring_nodes nodes = { .at = (const char *)data, .size = size };
	const struct ring_source source = { .get = ring_nodes_get, .arg = &nodes };
	const struct ring_limits limits = { .max_queues = RING_QUEUES_MAX,
					    .max_order = TAPDISK_RING_MAX_ORDER,
					    .default_proto = RING_PROTO_NATIVE };
	char *text = malloc(size + 1);
	struct reason why;
	struct ring ring;
	uint32_t i;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	parse_all(text);
	free(text);
	if (ring_read(&source, &limits, &ring, &why) == 0) {
		assert(ring.queue_count >= 1 && ring.queue_count <= RING_QUEUES_MAX);
		for (i = 0; i < ring.queue_count; i++)
			assert(ring.queue[i].order <= TAPDISK_RING_MAX_ORDER && ring.queue[i].port);
	}
	return 0;
}
