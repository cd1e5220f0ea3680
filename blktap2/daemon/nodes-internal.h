/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One node of a device: what reading them and writing them share.
 */
#ifndef DAEMON_NODES_INTERNAL_H
#define DAEMON_NODES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/device.h"
#include "daemon/state.h"
#include "daemon/store.h"

#define NODES_NUMBER_BYTES 33

/* Of a node of our directory; path has STORE_PATH_MAX bytes. */
void nodes_path(const struct device *device, const char *name, char *path);

/* A node of our directory.  Missing ones are empty. */
int nodes_get(struct device *device, store_tx tx, const char *name, char *value, size_t size);

/* Garbage says nothing, like a node that is not there. */
int nodes_get_online(struct device *device, store_tx tx, bool *online);

/* A state: it is always one of the enumeration, whatever the node holds. */
int nodes_get_state(struct device *device, store_tx tx, const char *directory,
		    enum xenbus_state *state);

#endif
