/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket and the shared memory through which a client reads a dirty map: see <tapdisk-log.h>.
 */
#ifndef DRIVERS_BLOCK_LOG_SOCKET_H
#define DRIVERS_BLOCK_LOG_SOCKET_H

#include <tapdisk.h>

#include "drivers/block-log-map.h"

struct log_socket;

/*
 * Serve map, which is borrowed, under the name given.  Returns 0, -EINVAL no "/" in the name,
 * -ENAMETOOLONG, -EADDRINUSE another tapdisk has the name, or -errno.  Blocks.
 */
int log_socket_open(td_driver_t *driver, const char *name, struct dirty_map *map,
		    struct log_socket **log_socket);
void log_socket_close(struct log_socket *log_socket); /* NULL is fine */

#endif
