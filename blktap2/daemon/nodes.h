/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nodes of a device in xenstore: what others say there, and what we write.
 *
 * Whatever is written is written in a transaction that begins by looking for our own state: a write
 * to a directory that the toolstack has just removed would bring it back.
 */
#ifndef DAEMON_NODES_H
#define DAEMON_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/reason.h"
#include "daemon/parse.h"
#include "daemon/ring.h"

#define NODES_PATH_BYTES 80 /* of a directory */

struct device;
struct device_wish;
struct state_view;

struct device_nodes {
	char backend[NODES_PATH_BYTES];
	char frontend[NODES_PATH_BYTES]; /* empty: not known */
	char token[32];                  /* of the watch on the frontend's state */
	bool is_watched;
	bool is_xapi; /* the toolstack of this device, see tb_mode */
};

void nodes_init(struct device *device);
void nodes_free(struct device *device);

/*
 * Look at the directories.  Returns 0, with the fields of *view that come from xenstore; -EINVAL
 * and *why when the toolstack has written something wrong; or -errno.
 */
int nodes_look(struct device *device, struct state_view *view, struct reason *why);

/* Tell the device's attachment where the disk is, if anywhere: 0 or -errno. */
int nodes_find_disk(struct device *device);

/* The same for what is needed to connect. */
int nodes_wish(struct device *device, struct device_wish *wish, struct reason *why);

/* Tell the log when the image is not that of the toolstack's params: it may have changed. */
int nodes_compare_params(struct device *device);

/* The size that the guest was told last, in sectors of 512 bytes; 0: none. */
int nodes_announced(struct device *device, uint64_t *sectors);

/* The guest's description of its ring; errors as of ring_read.  -ESTALE: it is being changed. */
int nodes_ring(struct device *device, struct ring *ring, struct reason *why);

/*
 * Writing.  All of them return 0; -ENOENT the directory has gone; -ESTALE it is not as it was
 * looked at; -EAGAIN again later; or -errno.
 */
int nodes_offer(struct device *device);
int nodes_connected(struct device *device);
int nodes_state(struct device *device, enum xenbus_state state);
int nodes_fail(struct device *device, const char *error); /* and state 5 */
int nodes_error(struct device *device, const char *error);
int nodes_kthread_pid(struct device *device);
int nodes_resized(struct device *device);
int nodes_remove(struct device *device);

#endif
