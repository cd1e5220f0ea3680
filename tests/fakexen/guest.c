/* SPDX-License-Identifier: BSD-2-Clause */
/* A domain as its own kernel sees it: see guest.h. */
#include <errno.h>
#include <stdlib.h>

#include "tests/fakexen/guest.h"

#define FIRST_GRANT 8 /* the first ones are reserved, as in life */

int
guest_open(struct guest *guest, const char *dir, uint32_t domid, uint32_t pages)
{
	int err = world_open_domain(&guest->view, dir, domid, pages);

	if (err)
		return err;
	guest->next_page = 0;
	guest->next_grant = FIRST_GRANT;
	guest->backend = 0;
	err = world_open_events(&guest->events, dir, domid);
	if (err)
		world_close_domain(&guest->view);
	return err;
}

void
guest_close(struct guest *guest)
{
	world_close_events(&guest->events);
	world_close_domain(&guest->view);
}

void *
guest_page(const struct guest *guest, uint32_t page)
{
	return guest->view.domain->pages + (size_t)page * WORLD_PAGE;
}

void *
guest_pages(struct guest *guest, uint32_t count, uint32_t *first)
{
	if (count > world_pages(&guest->view) - guest->next_page)
		abort(); /* the test asks for more than it made */
	*first = guest->next_page;
	guest->next_page += count;
	return guest_page(guest, *first);
}

uint32_t
guest_grant(struct guest *guest, uint32_t page, bool read_only)
{
	uint32_t gref = guest->next_grant++;
	struct world_grant *grant;

	if (gref >= WORLD_GRANTS)
		abort();
	grant = &guest->view.domain->grants[gref];
	atomic_store(&grant->page, page);
	atomic_store(&grant->kind, read_only ? GRANT_READ_ONLY : GRANT_WRITABLE);
	return gref;
}

void
guest_revoke(struct guest *guest, uint32_t gref)
{
	atomic_store(&guest->view.domain->grants[gref].kind, GRANT_NONE);
}

unsigned
guest_mapped(const struct guest *guest)
{
	unsigned count = 0, i;

	for (i = 0; i < WORLD_GRANTS; i++)
		count += atomic_load(&guest->view.domain->grants[i].maps);
	return count;
}
