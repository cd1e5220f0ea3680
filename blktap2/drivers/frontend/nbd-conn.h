/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the NBD server share: exports, connections and the slots of their requests.
 *
 *   nbd-export.c     endpoints of a disk; the vbd's source
 *   nbd-conn.c       life of a connection: handshake, events, end
 *   nbd-input.c      bytes of the peer become requests
 *   nbd-request.c    requests become vbd requests, and their ends replies
 *   nbd-modify.c     writes, trims and zeroes, aligned or not
 *   nbd-map.c        block status
 *   nbd-output.c     replies of a turn become one sendmsg
 *
 * A request has a slot from its header to the last byte of its reply.  A connection is only ever
 * freed by its own task at the end of a turn, or by the release of its export, so that no function
 * loses it under its feet.
 */
#ifndef FRONTEND_NBD_CONN_H
#define FRONTEND_NBD_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "drivers/core/loop.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd.h"
#include "drivers/frontend/nbd-handshake.h"
#include "drivers/frontend/nbd-range.h"
#include "drivers/frontend/nbd-wire.h"

struct buffers;
struct fd_receiver;
struct listener;
struct nbd_conn;

#define NBD_CLIENTS_MAX 16                /* per export */
#define NBD_SLOTS 64                      /* requests in flight per connection */
#define NBD_AHEAD_BYTES (512u * 1024)     /* data of reads begun in one turn */
#define NBD_BYTES_MAX (64u * 1024 * 1024) /* data of the requests in flight, per connection */
#define NBD_HANDSHAKE_MS 10000

/* ---- slots ---- */

/* The progress of a block status request; sectors of 512 bytes. */
struct nbd_map {
	struct vbd_extents extents; /* of the part that was asked last */
	uint64_t at, end;           /* what is still to be asked */
	uint64_t length;            /* bytes of the extent that is not yet encoded; 0: none */
	uint32_t flags;             /* NBD_STATE_* of it */
	uint32_t count;             /* extents encoded into the buffer */
	unsigned parts;             /* asked so far */
	uint64_t part_end;          /* of the part that was asked last */
	bool submitting;            /* vbd_submit has not returned ... */
	bool answered;              /* ... or the part is answered */
	bool ended;                 /* enough is known, or err is set */
	int err;
};

struct nbd_slot {
	struct nbd_conn *conn;
	struct nbd_request request;
	struct vbd_request vreq;
	struct iovec iov;
	char *buffer; /* room bytes from the pool, or NULL */
	size_t room;
	const char *payload; /* of the reply, in buffer */
	size_t payload_size;
	uint32_t error; /* an NBD error that was known before the payload came */
	void (*done)(struct nbd_slot *slot, int err); /* of the vbd request */

	/*
	 * A request that takes too long is answered with an error while the drivers still hold its
	 * buffer: the slot then lives until both the vbd is done and the reply has gone.
	 */
	bool expired;
	bool done_late, sent_early;
	int step; /* of an unaligned modification */
	struct nbd_range range;
	struct nbd_map map;
	STAILQ_ENTRY(nbd_slot) link; /* free, or waiting to be sent */
	size_t head_size;
	uint8_t head[NBD_REPLY_HEAD_MAX]; /* of the reply */
};

STAILQ_HEAD(nbd_slot_list, nbd_slot);

/* ---- exports ---- */

/* A socket that listens. */
struct nbd_endpoint {
	struct nbd_export *export;
	struct listener *listener; /* NULL: closed */
	struct shm_tally tally;
};

struct nbd_export {
	struct vbd_source source;
	struct vbd *vbd;
	struct loop *loop;
	struct buffers *buffers;
	struct tlog *log;
	struct nbd_endpoint endpoints[2];
	struct fd_receiver *receivers[2];
	TAILQ_HEAD(, nbd_conn) conns;
	unsigned clients;
	bool masked;   /* take no requests: the disk is paused */
	bool shutdown; /* answer requests with ESHUTDOWN */
	struct nbd_ranges ranges;
	struct loop_task ready_task; /* runs modifications that had to wait */
	struct tlog_limit refusals;
	struct tlog_limit errors;
};

struct nbd_facts nbd_export_facts(const struct nbd_export *export);

/* End all connections. */
void nbd_export_hang_up(struct nbd_export *export);

/* ---- connections ---- */

/* A handshake under way. */
struct nbd_greeting {
	struct nbd_handshake machine;
	enum nbd_step step; /* what follows when everything was sent */
	size_t sent;        /* of machine.out */
};

struct nbd_conn {
	struct nbd_export *export;
	struct shm_tally *tally; /* borrowed */
	TAILQ_ENTRY(nbd_conn) link;
	int fd; /* -1: the peer is gone */
	struct loop_watch *watch;
	unsigned watched; /* LOOP_* */
	bool oldstyle;
	bool passed;  /* came as a descriptor: a disconnect begins a new handshake */
	bool ending;  /* read no more; ends when everything was answered */
	bool again;   /* ... by a disconnect, and begins anew if passed */
	bool blocked; /* a request waits in the input for a slot or for memory */
	bool stalled; /* the socket takes no more output */
	struct nbd_greeting *greeting; /* NULL: in transmission */
	enum nbd_mode mode;
	bool contexts;
	struct loop_task task;      /* end of turn: send, go on reading, end */
	struct loop_timer deadline; /* of the handshake */
	struct loop_timer retry;    /* to ask for memory again */

	/* Input: bytes in_at..in_end of in are to be parsed; without in, those of carry. */
	char *in;
	size_t in_room;
	size_t in_at, in_end;
	size_t carried;
	char carry[NBD_REQUEST_MAX];
	bool bulk;                  /* large writes are coming: take them straight into place */
	struct nbd_slot *receiving; /* its payload is arriving */
	char *payload;              /* where to; NULL: thrown away */
	size_t payload_left;

	/* Slots: NBD_SLOTS of them, made with the first request. */
	struct nbd_slot *slots;
	unsigned slots_used; /* so many of them ever */
	struct nbd_slot_list free_slots;
	unsigned in_flight; /* slots in use */
	size_t bytes;       /* of their buffers */
	size_t turn_bytes;  /* of those begun in this turn */

	/* Output: what is ready to be sent. */
	struct nbd_slot_list out;
	size_t out_sent;    /* bytes of the first */
	size_t out_bytes;   /* of all, since the last send */
	unsigned out_count; /* and their number */
};

/*
 * Serve the connected socket fd, which is taken: closed in the end, or on failure at once.  Its
 * requests are counted for the endpoint.
 */
void nbd_conn_new(struct nbd_endpoint *endpoint, int fd, bool oldstyle, bool passed);

/*
 * Serve fd, whose peer is past any handshake; tally is borrowed until the disk is closed.  0, or
 * -errno after closing fd.
 */
int nbd_conn_new_ready(struct nbd_export *export, int fd, struct shm_tally *tally);

/* Free at once: nothing of it is with the vbd any more. */
void nbd_conn_free(struct nbd_conn *conn);

/* The peer has gone or broke the protocol: close its socket; the rest goes at the end of turn. */
void nbd_conn_abort(struct nbd_conn *conn);

/* Look at the connection at the end of this turn. */
void nbd_conn_touch(struct nbd_conn *conn);

/* Watch the socket for what the connection can use now. */
void nbd_conn_watch(struct nbd_conn *conn);

/* A slot or memory was refused: it is tried again by and by. */
void nbd_conn_starve(struct nbd_conn *conn);

/* Send what the handshake owes.  True: all is sent, and the machine may be fed. */
bool nbd_conn_greet(struct nbd_conn *conn);

/* ---- input ---- */

/* Could more be taken now? */
bool nbd_input_wanted(const struct nbd_conn *conn);

/* The socket is readable. */
void nbd_input_receive(struct nbd_conn *conn);

/* What was missing may be there now: parse what was left, and go on reading. */
void nbd_input_resume(struct nbd_conn *conn);

void nbd_input_free(struct nbd_conn *conn);

/* ---- requests ---- */

/* Take a slot for a request.  NULL: not now; conn->blocked is set, and a retry is arranged. */
struct nbd_slot *nbd_request_begin(struct nbd_conn *conn, const struct nbd_request *request);

/* The request and its payload are complete. */
void nbd_request_run(struct nbd_slot *slot);

/* The request was answered when its time was over: true ends it, and there is nothing to add. */
bool nbd_request_is_late(struct nbd_slot *slot);

/* Queue the reply without data: an NBD error number, or 0. */
void nbd_request_reply(struct nbd_slot *slot, uint32_t error);

/* Queue the reply that stands in head and payload. */
void nbd_request_queue(struct nbd_slot *slot);

/* The reply has gone, or never will: the slot is free again. */
void nbd_request_end(struct nbd_slot *slot);

/* With the connection; nothing of it is with the vbd any more. */
void nbd_slots_free(struct nbd_conn *conn);

/* Hand op over bytes start..end, whole sectors, to the vbd; data NULL for ops without. */
void nbd_request_submit(struct nbd_slot *slot, int op, uint64_t start, uint64_t end, char *data,
			void (*done)(struct nbd_slot *slot, int err));

/* Buffer bytes that a write (with room for a sector to compare with) or write-zeroes needs. */
uint64_t nbd_modify_room(const struct nbd_request *request, uint32_t unit);

/* Where the payload of a write belongs. */
char *nbd_modify_payload(const struct nbd_slot *slot);

/* A write, trim or write-zeroes is complete. */
void nbd_modify_run(struct nbd_slot *slot);

/* The export's task: run the modifications that had to wait for others. */
void nbd_modify_ready(void *export);

#define NBD_MAP_ROOM 65536u /* bytes of extents in one answer */

/* A block status request is complete; its buffer has NBD_MAP_ROOM bytes. */
void nbd_map_run(struct nbd_slot *slot);

/* ---- output ---- */

/* Queue a reply; many of them are sent at once, so that the peer works while we do. */
void nbd_output_add(struct nbd_conn *conn, struct nbd_slot *slot);

/* Send what is queued, as far as the socket takes it. */
void nbd_output_flush(struct nbd_conn *conn);

#endif
