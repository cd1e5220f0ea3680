/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own NBD client, which makes /dev/nbd<N>: how it is asked, by generic netlink.
 *
 * The messages are pure functions over bytes; below stand the calls, which the kernel answers
 * before they return.  Numbers on netlink have the host's byte order.
 */
#ifndef COMMON_NBD_NETLINK_H
#define COMMON_NBD_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBD_NETLINK_ROOM 512   /* bytes: of any message to the kernel */
#define NBD_NETLINK_BACKEND 64 /* bytes: of the name of who serves a device, with its NUL */

/* The name that tapdisks give themselves there: pid and minor. */
#define NBD_NETLINK_NAME "tapdisk2:%d.%d"

/* A device that is to be made. */
struct nbd_netlink_device {
	uint64_t bytes;
	uint64_t block_bytes;
	uint64_t flags; /* transmission flags of NBD */
	int fd;         /* the kernel's end of a connection that is past its handshake */
	const char
		*backend; /* who serves it, for others to see: shorter than NBD_NETLINK_BACKEND */
};

/* What a datagram of the kernel's said. */
struct nbd_netlink_answer {
	bool ended;     /* the request is answered, with err */
	int err;        /* 0 or -errno */
	int family;     /* number of the family, or -1: not said here */
	int64_t device; /* N of /dev/nbd<N>, or -1 */
};

/* ---- messages: each returns its length --------------------------------------------------------
 */

/* Which number has the family "nbd"? */
size_t nbd_netlink_put_family(uint8_t to[static NBD_NETLINK_ROOM]);
size_t nbd_netlink_put_connect(uint8_t to[static NBD_NETLINK_ROOM], uint16_t family,
			       const struct nbd_netlink_device *device);
size_t nbd_netlink_put_disconnect(uint8_t to[static NBD_NETLINK_ROOM], uint16_t family,
				  uint32_t device);

/* 0, or -EPROTO: this is no answer. */
int nbd_netlink_get(const uint8_t *from, size_t length, struct nbd_netlink_answer *answer);

/* ---- calls ------------------------------------------------------------------------------------
 */

/* The kernel has an NBD client, and it is loaded. */
bool nbd_netlink_is_there(void);

/* Make the lowest free device: *number of /dev/nbd<number>.  0 or -errno, -ENODEV without client.
 */
int nbd_netlink_connect(const struct nbd_netlink_device *device, int *number);

/* Take a device away; what is in flight on it fails.  0 or -errno. */
int nbd_netlink_disconnect(int number);

#endif
