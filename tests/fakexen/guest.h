/* SPDX-License-Identifier: BSD-2-Clause */
/* A domain as its own kernel sees it: pages, grants and event channels. */
#ifndef TESTS_FAKEXEN_GUEST_H
#define TESTS_FAKEXEN_GUEST_H

#include "tests/fakexen/world.h"

struct guest {
	struct domain_view view;
	struct world_events events;
	uint32_t next_page;
	uint32_t next_grant;
	uint32_t backend; /* the domid that grants and ports are for */
};

/* Domain domid with so many pages, in the folder dir.  0 or -errno. */
int guest_open(struct guest *guest, const char *dir, uint32_t domid, uint32_t pages);
void guest_close(struct guest *guest);

/* count contiguous pages that were never handed out; *first is the first one's number. */
void *guest_pages(struct guest *guest, uint32_t count, uint32_t *first);
void *guest_page(const struct guest *guest, uint32_t page);

uint32_t guest_grant(struct guest *guest, uint32_t page, bool read_only);
void guest_revoke(struct guest *guest, uint32_t gref);

/* Pages of this domain that others have mapped now. */
unsigned guest_mapped(const struct guest *guest);

#endif
