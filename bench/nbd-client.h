/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of an NBD handshake, as far as a load generator needs it.
 */
#ifndef BENCH_NBD_CLIENT_H
#define BENCH_NBD_CLIENT_H

#include <stdint.h>

#include "common/reason.h"

/* What the server told about the export. */
struct nbd_export_info {
	uint64_t size;  /* bytes */
	uint16_t flags; /* NBD_FLAG_*, transmission flags */
};

/*
 * Connect to a Unix socket and bring the connection into the transmission phase: fixed newstyle,
 * GO, simple replies.  A server that says nothing for NBD_CLIENT_TIMEOUT_S seconds is given up; the
 * time-out stays on the socket.
 *
 * Gives the blocking, close-on-exec socket, owned by the caller, or -errno and why.
 */
int nbd_client_connect(const char *path, const char *export_name, struct nbd_export_info *info,
		       struct reason *why);

/* Take leave and close the connection, which has no request in flight. */
void nbd_client_disconnect(int fd);

#define NBD_CLIENT_TIMEOUT_S 30

#endif
