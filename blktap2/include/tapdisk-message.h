/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words between a tapdisk and those who control it, on its socket ctl<pid>.
 *
 * Two protocols share the socket.  Legacy: one request of 544 bytes per connection, native byte
 * order. Versioned: frames that begin with the bytes "BTC2", little-endian, any number per
 * connection.
 */
#ifndef TAPDISK_MESSAGE_H
#define TAPDISK_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- legacy -----------------------------------------------------------------------------------
 */

#define TAPDISK_MESSAGE_SIZE 544     /* bytes */
#define TAPDISK_MESSAGE_MAX_PATH 256 /* bytes, with the NUL */
#define TAPDISK_MESSAGE_STRING_LENGTH 256
#define TAPDISK_MESSAGE_MAX_MINORS 63
#define TAPDISK_MESSAGE_NO_MINOR 0xFFFF /* of cookie: all, or none */
#define TAPDISK_MESSAGE_NO_PARENT 0xFFFFFFFFu

/* tapdisk_message_params_t.flags */
#define TAPDISK_MESSAGE_FLAG_SHARED 0x001
#define TAPDISK_MESSAGE_FLAG_RDONLY 0x002
#define TAPDISK_MESSAGE_FLAG_ADD_CACHE 0x004
#define TAPDISK_MESSAGE_FLAG_VHD_INDEX 0x008
#define TAPDISK_MESSAGE_FLAG_ADD_LOG 0x010
#define TAPDISK_MESSAGE_FLAG_ADD_LCACHE 0x020
#define TAPDISK_MESSAGE_FLAG_REUSE_PRT 0x040
#define TAPDISK_MESSAGE_FLAG_SECONDARY 0x080
#define TAPDISK_MESSAGE_FLAG_STANDBY 0x100
#define TAPDISK_MESSAGE_FLAG_NO_O_DIRECT 0x200
#define TAPDISK_MESSAGE_FLAG_ENCRYPTED 0x400
#define TAPDISK_MESSAGE_FLAGS 0x7ff

enum tapdisk_message_id {
	TAPDISK_MESSAGE_ERROR = 1,
	TAPDISK_MESSAGE_RUNTIME_ERROR,
	TAPDISK_MESSAGE_PID,
	TAPDISK_MESSAGE_PID_RSP,
	TAPDISK_MESSAGE_ATTACH,
	TAPDISK_MESSAGE_ATTACH_RSP,
	TAPDISK_MESSAGE_OPEN,
	TAPDISK_MESSAGE_OPEN_RSP,
	TAPDISK_MESSAGE_PAUSE,
	TAPDISK_MESSAGE_PAUSE_RSP,
	TAPDISK_MESSAGE_RESUME,
	TAPDISK_MESSAGE_RESUME_RSP,
	TAPDISK_MESSAGE_CLOSE,
	TAPDISK_MESSAGE_CLOSE_RSP,
	TAPDISK_MESSAGE_DETACH,
	TAPDISK_MESSAGE_DETACH_RSP,
	TAPDISK_MESSAGE_LIST_MINORS,
	TAPDISK_MESSAGE_LIST_MINORS_RSP,
	TAPDISK_MESSAGE_LIST,
	TAPDISK_MESSAGE_LIST_RSP,
	TAPDISK_MESSAGE_STATS,
	TAPDISK_MESSAGE_STATS_RSP,
	TAPDISK_MESSAGE_FORCE_SHUTDOWN,
	TAPDISK_MESSAGE_XENBLKIF_CONNECT,
	TAPDISK_MESSAGE_XENBLKIF_CONNECT_RSP,
	TAPDISK_MESSAGE_XENBLKIF_DISCONNECT,
	TAPDISK_MESSAGE_XENBLKIF_DISCONNECT_RSP,
	TAPDISK_MESSAGE_DISK_INFO,
	TAPDISK_MESSAGE_DISK_INFO_RSP,
	TAPDISK_MESSAGE_EXIT,
	TAPDISK_MESSAGE_COMMIT,
	TAPDISK_MESSAGE_COMMIT_RSP,
	TAPDISK_MESSAGE_QUERY_COMMIT_JOB,
	TAPDISK_MESSAGE_QUERY_COMMIT_JOB_RSP,
	TAPDISK_MESSAGE_CANCEL_COMMIT_JOB,
	TAPDISK_MESSAGE_CANCEL_COMMIT_JOB_RSP,
};

/* 64-bit fields lie at the same places on 32-bit machines. */
typedef uint64_t tapdisk_message_u64_t __attribute__((aligned(8)));

typedef struct tapdisk_message_image {
	tapdisk_message_u64_t sectors; /* 512 bytes each */
	uint32_t sector_size;          /* bytes */
	uint32_t info;
} tapdisk_message_image_t;

typedef struct tapdisk_message_params {
	uint32_t flags;
	uint32_t devnum;
	uint32_t domid;
	char path[TAPDISK_MESSAGE_MAX_PATH];
	uint32_t prt_devnum;
	uint16_t req_timeout; /* seconds */
	char secondary[TAPDISK_MESSAGE_MAX_PATH];
} tapdisk_message_params_t;

typedef struct tapdisk_message_minors {
	int32_t count;
	int32_t list[TAPDISK_MESSAGE_MAX_MINORS];
} tapdisk_message_minors_t;

typedef struct tapdisk_message_response {
	int32_t error; /* errno, positive */
	char message[TAPDISK_MESSAGE_STRING_LENGTH];
} tapdisk_message_response_t;

typedef struct tapdisk_message_list {
	int32_t count; /* entries from this one to the last */
	int32_t minor;
	int32_t state;
	char path[TAPDISK_MESSAGE_MAX_PATH];
} tapdisk_message_list_t;

typedef struct tapdisk_message_stat {
	uint16_t type;
	uint16_t cookie;
	tapdisk_message_u64_t length; /* bytes that follow the message */
} tapdisk_message_stat_t;

typedef struct tapdisk_message_blkif {
	uint32_t domid;
	uint32_t devid;
	uint32_t gref[8];
	uint32_t order;
	uint32_t proto;
	char pool[TAPDISK_MESSAGE_STRING_LENGTH];
	uint32_t port;
	uint32_t poll_duration;       /* microseconds */
	uint32_t poll_idle_threshold; /* percent */
} tapdisk_message_blkif_t;

typedef struct tapdisk_message_resume {
	uint32_t flags;
	char new_params[TAPDISK_MESSAGE_MAX_PATH];
	char secondary[TAPDISK_MESSAGE_MAX_PATH];
} tapdisk_message_resume_t;

typedef struct tapdisk_message_query {
	tapdisk_message_u64_t current;
	tapdisk_message_u64_t total;
	char status[TAPDISK_MESSAGE_STRING_LENGTH];
} tapdisk_message_query_t;

typedef struct tapdisk_message {
	uint16_t type;
	uint16_t cookie; /* minor */
	union {
		int32_t tapdisk_pid;
		tapdisk_message_image_t image;
		tapdisk_message_params_t params;
		char text[TAPDISK_MESSAGE_STRING_LENGTH];
		tapdisk_message_minors_t minors;
		tapdisk_message_response_t response;
		tapdisk_message_list_t list;
		tapdisk_message_stat_t info;
		tapdisk_message_blkif_t blkif;
		tapdisk_message_resume_t resume;
		tapdisk_message_query_t query;
	} u;
} tapdisk_message_t;

#ifdef __cplusplus
#define TAPDISK_MESSAGE_ASSERT(condition) static_assert(condition, "tapdisk message layout")
#else
#define TAPDISK_MESSAGE_ASSERT(condition) _Static_assert(condition, "tapdisk message layout")
#endif
#define TAPDISK_MESSAGE_AT(member, offset)                                                         \
	TAPDISK_MESSAGE_ASSERT(offsetof(tapdisk_message_t, member) == (offset))

TAPDISK_MESSAGE_ASSERT(sizeof(tapdisk_message_t) == TAPDISK_MESSAGE_SIZE);
TAPDISK_MESSAGE_AT(type, 0);
TAPDISK_MESSAGE_AT(cookie, 2);
TAPDISK_MESSAGE_AT(u.tapdisk_pid, 8);
TAPDISK_MESSAGE_AT(u.image.sectors, 8);
TAPDISK_MESSAGE_AT(u.image.sector_size, 16);
TAPDISK_MESSAGE_AT(u.image.info, 20);
TAPDISK_MESSAGE_AT(u.params.flags, 8);
TAPDISK_MESSAGE_AT(u.params.devnum, 12);
TAPDISK_MESSAGE_AT(u.params.domid, 16);
TAPDISK_MESSAGE_AT(u.params.path, 20);
TAPDISK_MESSAGE_AT(u.params.prt_devnum, 276);
TAPDISK_MESSAGE_AT(u.params.req_timeout, 280);
TAPDISK_MESSAGE_AT(u.params.secondary, 282);
TAPDISK_MESSAGE_AT(u.text, 8);
TAPDISK_MESSAGE_AT(u.minors.count, 8);
TAPDISK_MESSAGE_AT(u.minors.list, 12);
TAPDISK_MESSAGE_AT(u.response.error, 8);
TAPDISK_MESSAGE_AT(u.response.message, 12);
TAPDISK_MESSAGE_AT(u.list.count, 8);
TAPDISK_MESSAGE_AT(u.list.minor, 12);
TAPDISK_MESSAGE_AT(u.list.state, 16);
TAPDISK_MESSAGE_AT(u.list.path, 20);
TAPDISK_MESSAGE_AT(u.info.type, 8);
TAPDISK_MESSAGE_AT(u.info.cookie, 10);
TAPDISK_MESSAGE_AT(u.info.length, 16);
TAPDISK_MESSAGE_AT(u.blkif.domid, 8);
TAPDISK_MESSAGE_AT(u.blkif.devid, 12);
TAPDISK_MESSAGE_AT(u.blkif.gref, 16);
TAPDISK_MESSAGE_AT(u.blkif.order, 48);
TAPDISK_MESSAGE_AT(u.blkif.proto, 52);
TAPDISK_MESSAGE_AT(u.blkif.pool, 56);
TAPDISK_MESSAGE_AT(u.blkif.port, 312);
TAPDISK_MESSAGE_AT(u.blkif.poll_duration, 316);
TAPDISK_MESSAGE_AT(u.blkif.poll_idle_threshold, 320);
TAPDISK_MESSAGE_AT(u.resume.flags, 8);
TAPDISK_MESSAGE_AT(u.resume.new_params, 12);
TAPDISK_MESSAGE_AT(u.resume.secondary, 268);
TAPDISK_MESSAGE_AT(u.query.current, 8);
TAPDISK_MESSAGE_AT(u.query.total, 16);
TAPDISK_MESSAGE_AT(u.query.status, 24);

/* OPEN and RESUME with ADD_LOG are followed by so many bytes: the path, with its NUL in them. */
#define TAPDISK_MESSAGE_LOG_BYTES 256

/* OPEN with ENCRYPTED: then one byte, the length of the key, and the key. */
#define TAPDISK_MESSAGE_MAX_KEY 128

/* ---- versioned --------------------------------------------------------------------------------
 */

#define TAPDISK_FRAME_MAGIC "BTC2"
#define TAPDISK_FRAME_VERSION 1
#define TAPDISK_FRAME_HEADER 32      /* bytes */
#define TAPDISK_FRAME_MAX_HEADER 256 /* bytes: later versions may say more */
#define TAPDISK_FRAME_MAX_REQUEST (1u << 20)
#define TAPDISK_FRAME_MAX_REPLY (4u << 20)
#define TAPDISK_FRAME_NO_MINOR 0xFFFFFFFFu
#define TAPDISK_FRAME_OUTSTANDING 8 /* requests of one connection */
#define TAPDISK_FRAME_MAX_STRING 4096

#define TAPDISK_FRAME_REPLY 0x1
#define TAPDISK_FRAME_ERROR 0x2
#define TAPDISK_FRAME_MORE 0x4
#define TAPDISK_FRAME_EVENT 0x8

enum tapdisk_frame_type {
	TAPDISK_FRAME_HELLO = 1,
	TAPDISK_FRAME_PING,
	TAPDISK_FRAME_ATTACH,
	TAPDISK_FRAME_DETACH,
	TAPDISK_FRAME_OPEN,
	TAPDISK_FRAME_CLOSE,
	TAPDISK_FRAME_PAUSE,
	TAPDISK_FRAME_RESUME,
	TAPDISK_FRAME_LIST,
	TAPDISK_FRAME_STATS,
	TAPDISK_FRAME_INFO,
	TAPDISK_FRAME_RING_CONNECT,
	TAPDISK_FRAME_RING_DISCONNECT,
	TAPDISK_FRAME_RING_LIST,
	TAPDISK_FRAME_COMMIT,
	TAPDISK_FRAME_COMMIT_QUERY,
	TAPDISK_FRAME_COMMIT_CANCEL,
	TAPDISK_FRAME_RESIZE,
	TAPDISK_FRAME_MIRROR,
	TAPDISK_FRAME_SET,
	TAPDISK_FRAME_PASS_FD,
	TAPDISK_FRAME_SUBSCRIBE,
	TAPDISK_FRAME_NOTICE, /* EVENT: sent by the tapdisk only */
	TAPDISK_FRAME_EXIT,
	TAPDISK_FRAME_CANCEL,
};

/* An attribute: u16 tag, u16 flags, u32 length, value, zeroes up to a multiple of 8 bytes. */
#define TAPDISK_ATTR_HEADER 8
#define TAPDISK_ATTR_CRITICAL 0x8000

enum tapdisk_attr {
	TAPDISK_ATTR_PAD = 0,
	TAPDISK_ATTR_VERSION = 1,
	TAPDISK_ATTR_VERSION_MIN = 2,
	TAPDISK_ATTR_VERSION_MAX = 3,
	TAPDISK_ATTR_FEATURES = 4,
	TAPDISK_ATTR_NAME = 5,
	TAPDISK_ATTR_LIMITS = 6,
	TAPDISK_ATTR_PID = 7,
	TAPDISK_ATTR_ERROR_TEXT = 8,
	TAPDISK_ATTR_REQUEST_ID = 9,
	TAPDISK_ATTR_PARAMS = 10,
	TAPDISK_ATTR_STATE = 11,
	TAPDISK_ATTR_SECTORS = 12,
	TAPDISK_ATTR_SECTOR_SIZE = 13,
	TAPDISK_ATTR_INFO = 14,
	TAPDISK_ATTR_JSON = 15,
	TAPDISK_ATTR_NBD_PATH = 16,
	TAPDISK_ATTR_CHAIN_ITEM = 17,
	TAPDISK_ATTR_PHYS_SECTOR_SIZE = 18,
	TAPDISK_ATTR_CAPABILITIES = 19,
	TAPDISK_ATTR_IMAGE_FLAGS = 20,
	TAPDISK_ATTR_PARENT_MINOR = 21,
	TAPDISK_ATTR_REQ_TIMEOUT = 22,
	TAPDISK_ATTR_LOG_PATH = 23,
	TAPDISK_ATTR_KEY = 24,
	TAPDISK_ATTR_FORCE = 25,
	TAPDISK_ATTR_TIMEOUT = 26,
	TAPDISK_ATTR_SECONDARY = 27,
	TAPDISK_ATTR_LOCK_POLICY = 28,
	TAPDISK_ATTR_PURPOSE = 29, /* of PASS_FD: "nbd-client", ... */
	TAPDISK_ATTR_DOMID = 30,
	TAPDISK_ATTR_DEVID = 31,
	TAPDISK_ATTR_PROTO = 32,
	TAPDISK_ATTR_QUEUE = 33, /* u32 order, u32 port, then a u32 grant for each page */
	TAPDISK_ATTR_RING_FEATURES = 34,
	TAPDISK_ATTR_POLL = 35, /* u32 microseconds, u32 percent */
	TAPDISK_ATTR_RING_STATE = 36,
	TAPDISK_ATTR_INDIRECT_MAX = 37,
	TAPDISK_ATTR_RING_FLAGS = 38,
	TAPDISK_ATTR_LOG_LEVEL = 39, /* of SET: u32, 0 warnings, 1 what is done, 2 everything */
	TAPDISK_ATTR_JOB_STATUS = 40,
	TAPDISK_ATTR_JOB_PROGRESS = 41,
	TAPDISK_ATTR_EVENT_KIND = 42,
};

/* TAPDISK_ATTR_CAPABILITIES */
#define TAPDISK_CAN_FLUSH 0x1
#define TAPDISK_CAN_DISCARD 0x2
#define TAPDISK_CAN_WRITE_ZEROES 0x4
#define TAPDISK_CAN_BLOCK_STATUS 0x8
#define TAPDISK_CAN_RESIZE 0x10

/* TAPDISK_ATTR_RING_STATE */
#define TAPDISK_RING_CONNECTED 1
#define TAPDISK_RING_DYING 2
#define TAPDISK_RING_FAILED 3

/* TAPDISK_ATTR_RING_FLAGS; any other is refused, as it would forbid the guest something */
#define TAPDISK_RING_READ_ONLY 0x1
#define TAPDISK_RING_NO_DISCARD 0x2

/* TAPDISK_ATTR_RING_FEATURES: what the guest was offered; persistent: and has accepted */
#define TAPDISK_RING_FLUSH 0x1
#define TAPDISK_RING_BARRIER 0x2
#define TAPDISK_RING_DISCARD 0x4
#define TAPDISK_RING_INDIRECT 0x8
#define TAPDISK_RING_PERSISTENT 0x10
#define TAPDISK_RING_WRITE_ZEROES 0x20

#define TAPDISK_RING_MAX_ORDER 4
#define TAPDISK_MESSAGE_MAX_ORDER 3 /* of the legacy message */

/* TAPDISK_ATTR_EVENT_KIND */
enum tapdisk_event {
	TAPDISK_EVENT_STATE = 1,
	TAPDISK_EVENT_MIRROR_FAILED,
	TAPDISK_EVENT_ENOSPC_SWITCH,
	TAPDISK_EVENT_RING_ERROR,
	TAPDISK_EVENT_JOB_DONE,
	TAPDISK_EVENT_REQUEST_TIMEOUT,
	TAPDISK_EVENT_DEAD,
	TAPDISK_EVENT_STALLED,
	TAPDISK_EVENT_RESIZED,
	TAPDISK_EVENT_LOG_FAILED,
};

#ifdef __cplusplus
}
#endif

#endif
