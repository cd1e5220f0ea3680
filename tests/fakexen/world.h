/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a machine with Xen has in common, as files in a folder that all of its processes know
 * (FAKEXEN_DIR): the memory and the grants of each domain, and the event channels.
 *
 *   domain.<domid>   a table of grants, then the domain's pages
 *   machine          counters, and the ports of all domains
 *   inbox.<number>   a FIFO: which ports of one handle have fired
 *
 * Whoever comes first makes them; zeroes are a valid beginning.  Domain 0 is the default for
 * whoever has no FAKEXEN_DOMID.
 */
#ifndef TESTS_FAKEXEN_WORLD_H
#define TESTS_FAKEXEN_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_PAGE 4096u
#define WORLD_GRANTS 16384
#define WORLD_PORTS 4096
#define WORLD_DOMAINS 32 /* that a process may know at a time */
#define WORLD_INBOXES 4096

/* ---- domains ---- */

enum { GRANT_NONE = 0, GRANT_WRITABLE = 1, GRANT_READ_ONLY = 2 };

struct world_grant {
	_Atomic uint32_t kind;
	_Atomic uint32_t page;
	_Atomic uint32_t maps; /* that exist now */
	uint32_t unused;
};

struct world_domain {
	struct world_grant grants[WORLD_GRANTS];
	uint8_t pages[];
};

_Static_assert(sizeof(struct world_domain) % WORLD_PAGE == 0, "pages begin at a page");

struct domain_view {
	uint32_t domid;
	int fd; /* -1: the slot is free */
	size_t bytes;
	struct world_domain *domain;
};

/* 0 or -errno; pages 0: it must be there. */
int world_open_domain(struct domain_view *view, const char *dir, uint32_t domid, uint32_t pages);
void world_close_domain(struct domain_view *view);
uint32_t world_pages(const struct domain_view *view);

/* ---- event channels ---- */

enum { PORT_USED = 1, PORT_PENDING = 2, PORT_MASKED = 4 };

struct world_port {
	_Atomic uint32_t word;
	_Atomic uint32_t owner;  /* a domid */
	_Atomic uint32_t remote; /* the domid that may bind to it */
	_Atomic uint32_t peer;   /* its port; 0: nobody */
	_Atomic uint32_t inbox;
	uint32_t unused[3];
};

struct world_machine {
	_Atomic uint32_t inboxes; /* that were ever made */
	uint32_t unused;
	_Atomic uint64_t copy_calls;
	_Atomic uint64_t copies;
	_Atomic uint64_t notifies;
	_Atomic uint64_t maps;
	uint64_t unused_too[3];
	struct world_port ports[WORLD_PORTS];
};

/* A handle on the event channels of one domain. */
struct world_events {
	char dir[96];
	uint32_t domid;
	uint32_t inbox;
	int fd; /* the reading end of our inbox */
	struct world_machine *machine;
	int inboxes[WORLD_INBOXES]; /* 1 + the writing ends of others, opened when needed */
};

/* The folder of this process, and its domain. */
const char *world_dir(void);
uint32_t world_domid(void);

struct world_machine *world_open_machine(const char *dir); /* NULL: errno */
void world_close_machine(struct world_machine *machine);

int world_open_events(struct world_events *events, const char *dir, uint32_t domid);
void world_close_events(struct world_events *events); /* and all its ports */

/* A new port that remote may bind to; or one that is bound to a port of remote.  Negative: -errno.
 */
int world_listen(struct world_events *events, uint32_t remote);
int world_bind(struct world_events *events, uint32_t remote, uint32_t remote_port);
int world_unbind(struct world_events *events, uint32_t port);
int world_notify(struct world_events *events, uint32_t port);
int world_pending(struct world_events *events); /* a port, masked now; -EAGAIN: none */
int world_unmask(struct world_events *events, uint32_t port);

#endif
