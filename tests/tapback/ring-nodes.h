/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frontend's nodes as text: name=value, each ended by a NUL.
 */
#ifndef TESTS_RING_NODES_H
#define TESTS_RING_NODES_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "daemon/ring.h"

struct ring_nodes {
	const char *at;
	size_t size;
};

static inline int
ring_nodes_get(void *arg, const char *name, char *value, size_t size)
{
	const struct ring_nodes *nodes = arg;
	size_t length = strlen(name), left = nodes->size, node;
	const char *at = nodes->at;

	while (left) {
		node = strnlen(at, left);
		if (node > length && at[length] == '=' && memcmp(at, name, length) == 0) {
			if (node - length - 1 >= size)
				return -EMSGSIZE;
			memcpy(value, at + length + 1, node - length - 1);
			value[node - length - 1] = '\0';
			return 0;
		}
		node = node < left ? node + 1 : left;
		at += node;
		left -= node;
	}
	return -ENOENT;
}

#endif
