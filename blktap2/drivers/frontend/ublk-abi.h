/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's interface for block devices served in user space, ublk, as far as it is used here.
 *
 * A device is controlled by commands on /dev/ublk-control, and served by commands on its own
 * /dev/ublkc<N>; the disk is /dev/ublkb<N>.  Headers of the kernel have it only since Linux 6.0,
 * and the commands in the form that is used here since 6.4.
 */
#ifndef FRONTEND_UBLK_ABI_H
#define FRONTEND_UBLK_ABI_H

#include <assert.h>
#include <stdint.h>
#include <sys/ioctl.h>

#define UBLK_CONTROL_NODE "/dev/ublk-control"
#define UBLK_QUEUE_NODE "/dev/ublkc%u"

/* ---- control ---- */

struct ublk_control {
	uint32_t device; /* N, or UBLK_ANY_DEVICE for ADD */
	uint16_t queue;  /* UBLK_NO_QUEUE */
	uint16_t length; /* of what is at address */
	uint64_t address;
	uint64_t data;
	uint64_t unused;
};
static_assert(sizeof(struct ublk_control) == 32, "layout of ublk");

#define UBLK_ANY_DEVICE UINT32_MAX
#define UBLK_NO_QUEUE UINT16_MAX

#define UBLK_GET_INFO _IOR('u', 0x02, struct ublk_control)      /* address: struct ublk_info */
#define UBLK_ADD_DEV _IOWR('u', 0x04, struct ublk_control)      /* address: struct ublk_info */
#define UBLK_DEL_DEV _IOWR('u', 0x05, struct ublk_control)      /* waits for the last user */
#define UBLK_START_DEV _IOWR('u', 0x06, struct ublk_control)    /* data: pid of the server */
#define UBLK_STOP_DEV _IOWR('u', 0x07, struct ublk_control)     /* writes back, then aborts */
#define UBLK_SET_PARAMS _IOWR('u', 0x08, struct ublk_control)   /* address: struct ublk_params */
#define UBLK_DEL_DEV_ASYNC _IOR('u', 0x14, struct ublk_control) /* since 6.9 */

#define UBLK_DEAD 0 /* state: there is no disk */

struct ublk_info {
	uint16_t queues;
	uint16_t depth; /* requests in flight per queue */
	uint16_t state;
	uint16_t pad0;
	uint32_t request_bytes; /* at most, of one request */
	uint32_t device;        /* in: as in struct ublk_control; out: N */
	int32_t pid;
	uint32_t pad1;
	uint64_t flags;
	uint64_t server_flags;
	uint32_t owner_uid;
	uint32_t owner_gid;
	uint64_t reserved[2];
};
static_assert(sizeof(struct ublk_info) == 64, "layout of ublk");

/* The types of parameters in a struct ublk_params. */
#define UBLK_PARAM_BASIC 0x1u
#define UBLK_PARAM_DISCARD 0x2u

#define UBLK_READ_ONLY 0x1u
#define UBLK_VOLATILE_CACHE 0x4u
#define UBLK_FUA 0x8u

struct ublk_params {
	uint32_t length; /* of the struct */
	uint32_t types;
	struct {
		uint32_t attributes;
		uint8_t logical_shift; /* of the size of a block, in bytes */
		uint8_t physical_shift;
		uint8_t optimal_shift;
		uint8_t minimal_shift;
		uint32_t request_sectors;
		uint32_t chunk_sectors;
		uint64_t sectors;
		uint64_t boundary_mask;
	} basic;
	struct {
		uint32_t alignment;
		uint32_t granularity; /* bytes */
		uint32_t discard_sectors;
		uint32_t zero_sectors;
		uint16_t segments;
		uint16_t reserved;
	} discard;
};
static_assert(sizeof(struct ublk_params) == 64, "layout of ublk");

/* ---- requests ---- */

/* /dev/ublkc<N> is mapped: a struct ublk_request for each tag of the queue. */
struct ublk_request {
	uint32_t op_flags; /* op in the low 8 bits, flags where they are in the word */
	uint32_t sectors;
	uint64_t sector;
	uint64_t address;
};
static_assert(sizeof(struct ublk_request) == 24, "layout of ublk");

#define UBLK_OP_READ 0
#define UBLK_OP_WRITE 1
#define UBLK_OP_FLUSH 2
#define UBLK_OP_DISCARD 3
#define UBLK_OP_WRITE_ZEROES 5

#define UBLK_REQUEST_OP(op_flags) ((op_flags)&0xff)
#define UBLK_REQUEST_FUA (1u << 13)
#define UBLK_REQUEST_NO_UNMAP (1u << 15)

struct ublk_io {
	uint16_t queue;
	uint16_t tag;
	int32_t result;   /* of the request that is answered: bytes or -errno */
	uint64_t address; /* of the buffer for the next one */
};
static_assert(sizeof(struct ublk_io) == 16, "layout of ublk");

/* Both complete with the next request of the tag: 0, or an error when there will be none. */
#define UBLK_FETCH _IOWR('u', 0x20, struct ublk_io)
#define UBLK_ANSWER_AND_FETCH _IOWR('u', 0x21, struct ublk_io)

#endif
