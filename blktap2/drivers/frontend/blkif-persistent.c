/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants that stay mapped: see blkif-persistent.h.
 *
 * A hash table over an array of pages; chains and the order of use are linked by index.  When it is
 * full, the page that was not used for longest makes room, if that was long ago: a guest that uses
 * more grants than are kept must not make us map and unmap all the time.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/core/loop.h"
#include "drivers/frontend/blkif-persistent.h"
#include "drivers/frontend/blkif-wire.h"
#include "drivers/frontend/xen-grants.h"

#define UNUSED_US 1000000 /* so long unused, a page may make room */
#define REFUSED_US 100000 /* after a refusal nothing is mapped for so long */
#define NONE UINT32_MAX

struct page {
	uint32_t gref;
	uint32_t chain;        /* the next in its bucket */
	uint32_t older, newer; /* by use */
	uint64_t used;         /* loop microseconds */
	uint8_t *at;
};

struct persistent {
	struct xen_grants *grants;
	struct loop *loop;
	uint32_t domid;
	unsigned limit, count;
	uint32_t oldest, newest;
	uint64_t refused_until;
	uint32_t bucket_mask;
	uint32_t *buckets;
	struct page pages[];
};

struct persistent *
persistent_new(struct xen_grants *grants, struct loop *loop, uint32_t domid, unsigned limit)
{
	struct persistent *persistent =
		calloc(1, sizeof(*persistent) + limit * sizeof(struct page));
	uint32_t buckets = 64;

	if (!persistent)
		return NULL;
	while (buckets < limit)
		buckets *= 2;
	persistent->buckets = malloc(buckets * sizeof(*persistent->buckets));
	if (!persistent->buckets) {
		free(persistent);
		return NULL;
	}
	memset(persistent->buckets, 0xff, buckets * sizeof(*persistent->buckets));
	persistent->bucket_mask = buckets - 1;
	persistent->grants = grants;
	persistent->loop = loop;
	persistent->domid = domid;
	persistent->limit = limit;
	persistent->oldest = persistent->newest = NONE;
	return persistent;
}

void
persistent_free(struct persistent *persistent)
{
	unsigned i;

	if (!persistent)
		return;
	for (i = 0; i < persistent->count; i++)
		xen_grants_unmap(persistent->grants, persistent->pages[i].at, 1);
	free(persistent->buckets);
	free(persistent);
}

/* ---- order of use ---- */

static void
unlink_page(struct persistent *persistent, uint32_t i)
{
	struct page *page = &persistent->pages[i];

	if (page->older == NONE)
		persistent->oldest = page->newer;
	else
		persistent->pages[page->older].newer = page->newer;
	if (page->newer == NONE)
		persistent->newest = page->older;
	else
		persistent->pages[page->newer].older = page->older;
}

static void
link_newest(struct persistent *persistent, uint32_t i)
{
	struct page *page = &persistent->pages[i];

	page->used = loop_now(persistent->loop);
	page->newer = NONE;
	page->older = persistent->newest;
	if (page->older == NONE)
		persistent->oldest = i;
	else
		persistent->pages[page->older].newer = i;
	persistent->newest = i;
}

/* ---- the table ---- */

static uint32_t *
bucket_of(struct persistent *persistent, uint32_t gref)
{
	return &persistent->buckets[gref * 2654435761u >> 7 & persistent->bucket_mask];
}

static uint32_t
find(struct persistent *persistent, uint32_t gref)
{
	uint32_t i = *bucket_of(persistent, gref);

	while (i != NONE && persistent->pages[i].gref != gref)
		i = persistent->pages[i].chain;
	return i;
}

static void
forget(struct persistent *persistent, uint32_t i)
{
	struct page *page = &persistent->pages[i];
	uint32_t *at = bucket_of(persistent, page->gref);

	while (*at != i)
		at = &persistent->pages[*at].chain;
	*at = page->chain;
	unlink_page(persistent, i);
	xen_grants_unmap(persistent->grants, page->at, 1);
	page->at = NULL;
}

/* A place for a page more; NONE: not now. */
static uint32_t
make_room(struct persistent *persistent)
{
	uint32_t oldest = persistent->oldest;

	if (persistent->count < persistent->limit)
		return persistent->count;
	if (loop_now(persistent->loop) - persistent->pages[oldest].used < UNUSED_US)
		return NONE;
	forget(persistent, oldest);
	return oldest;
}

static uint32_t
map(struct persistent *persistent, uint32_t gref)
{
	uint64_t now = loop_now(persistent->loop);
	uint32_t i, *bucket;
	struct page *page;
	void *at;

	if (now < persistent->refused_until)
		return NONE;
	if (xen_grants_map(persistent->grants, persistent->domid, &gref, 1, &at)) {
		persistent->refused_until = now + REFUSED_US;
		return NONE;
	}
	i = make_room(persistent);
	if (i == NONE) {
		xen_grants_unmap(persistent->grants, at, 1);
		persistent->refused_until = now + REFUSED_US;
		return NONE;
	}
	if (i == persistent->count)
		persistent->count++;
	page = &persistent->pages[i];
	page->gref = gref;
	page->at = at;
	bucket = bucket_of(persistent, gref);
	page->chain = *bucket;
	*bucket = i;
	link_newest(persistent, i);
	return i;
}

bool
persistent_copy(struct persistent *persistent, uint32_t gref, unsigned offset, void *data,
		unsigned bytes, bool to_guest)
{
	uint32_t i = find(persistent, gref);
	uint8_t *at;

	if (i == NONE) {
		i = map(persistent, gref);
		if (i == NONE)
			return false;
	} else if (i != persistent->newest) {
		unlink_page(persistent, i);
		link_newest(persistent, i);
	}
	at = persistent->pages[i].at + offset;
	if (to_guest)
		memcpy(at, data, bytes);
	else
		memcpy(data, at, bytes);
	return true;
}
