/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings of the Xen block interface: guests as frontends of disks.
 *
 * Whoever knows the guest's keys in xenstore asks for a ring of a disk; from there on requests are
 * taken from shared memory that the guest may scribble over at any time.
 */
#ifndef FRONTEND_BLKIF_H
#define FRONTEND_BLKIF_H

#include <stdbool.h>
#include <stdint.h>

struct blkif;
struct tapdisk_server;
struct vbd;

#define BLKIF_MAX_RINGS 1024   /* per process */
#define BLKIF_MAX_QUEUES 8     /* of a ring */
#define BLKIF_MAX_ORDER 4      /* pages of a queue: 1 << order */
#define BLKIF_MAX_INDIRECT 256 /* segments */

/* How the guest lays out its requests. */
enum blkif_proto { BLKIF_PROTO_NATIVE = 1, BLKIF_PROTO_X86_32, BLKIF_PROTO_X86_64 };

/* What was offered to the guest. */
#define BLKIF_OFFERS_FLUSH 0x01
#define BLKIF_OFFERS_BARRIER 0x02
#define BLKIF_OFFERS_DISCARD 0x04
#define BLKIF_OFFERS_INDIRECT 0x08
#define BLKIF_OFFERS_PERSISTENT 0x10 /* and the guest accepted */

struct blkif_queue_config {
	unsigned order;
	uint32_t port;         /* the guest's */
	const uint32_t *grefs; /* 1 << order of them */
};

struct blkif_config {
	uint32_t domid;
	uint32_t devid;
	enum blkif_proto proto;
	bool read_only;
	bool no_discard;
	uint64_t offers;       /* BLKIF_OFFERS_*; 0: everything but persistent grants */
	unsigned indirect_max; /* segments; 0: BLKIF_MAX_INDIRECT */
	uint32_t poll_us;      /* how long to look for more requests after the last one */
	uint32_t poll_idle;    /* ... while at least so many percent of the CPU are idle */
	unsigned queue_count;
	const struct blkif_queue_config *queues;
};

enum blkif_state { BLKIF_CONNECTED = 1, BLKIF_DYING, BLKIF_FAILED };

/*
 * 0 or -errno: there is no Xen on this host, or memory is short.  cpu_monitor is the file in which
 * somebody keeps two floats, the load of the CPUs and their idle time, in percent: without it
 * nothing is polled.
 */
int blkif_new(struct blkif **blkif, struct tapdisk_server *server, const char *cpu_monitor);
void blkif_free(struct blkif *blkif); /* all disks are closed; NULL is fine */

/*
 * Serve the guest's ring of an open disk.  Returns 0, -EALREADY this (domid, devid) is served,
 * -EPROTO the ring is broken, or -errno of the grants or the event channel; *why is constant text.
 */
int blkif_connect(struct blkif *blkif, struct vbd *vbd, const struct blkif_config *config,
		  const char **why);

/*
 * Take no more requests and let go of the guest's memory: when nothing is in flight, or at once by
 * force.  0, -ENODEV, or -EBUSY: somebody waits for that already, and there is no force now.  After
 * 0 gone (unless NULL) is called once, when the memory is unmapped.
 */
int blkif_disconnect(struct blkif *blkif, uint32_t domid, uint32_t devid, bool force,
		     void (*gone)(void *arg), void *arg);

/* Look into all rings now, whether their guests have notified us or not.  NULL is fine. */
void blkif_poll(struct blkif *blkif);

/* The rings of a disk.  What each is given is borrowed. */
void blkif_list(struct blkif *blkif, const struct vbd *vbd,
		void (*each)(void *arg, const struct blkif_config *config, enum blkif_state state),
		void *arg);

#endif
