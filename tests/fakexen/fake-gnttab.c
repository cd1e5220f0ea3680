/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The calls of libxengnttab on the world of world.h.  With FAKEXEN_NO_COPY in the environment the
 * kernel is one that cannot copy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

#include <xengnttab.h>

#include "tests/fakexen/world.h"

/* Why a copy failed. */
#define BAD_DOMAIN (-2)
#define BAD_REFERENCE (-3)
#define NO_PERMISSION (-8)
#define BAD_PAGE (-9)
#define BAD_ARGUMENT (-10)

#define SOURCE_IS_FOREIGN 1
#define DEST_IS_FOREIGN 2

struct mapping {
	void *at;
	uint32_t count;
	uint32_t domid;
	LIST_ENTRY(mapping) link;
	uint32_t refs[];
};

struct xengntdev_handle {
	char *dir;
	struct world_machine *machine;
	struct domain_view domains[WORLD_DOMAINS];
	bool cannot_copy;
	LIST_HEAD(, mapping) mappings;
};

xengnttab_handle *
xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
	const char *dir = world_dir();
	xengnttab_handle *handle;
	int i;

	(void)logger;
	(void)flags;
	errno = ENOENT;
	handle = dir ? calloc(1, sizeof(*handle)) : NULL;
	if (!handle)
		return NULL;
	for (i = 0; i < WORLD_DOMAINS; i++)
		handle->domains[i].fd = -1;
	LIST_INIT(&handle->mappings);
	handle->cannot_copy = secure_getenv("FAKEXEN_NO_COPY");
	handle->dir = strdup(dir);
	handle->machine = handle->dir ? world_open_machine(dir) : NULL;
	if (!handle->machine) {
		free(handle->dir);
		free(handle);
		return NULL;
	}
	return handle;
}

int
xengnttab_close(xengnttab_handle *handle)
{
	struct mapping *mapping;
	int i;

	if (!handle)
		return 0;
	while ((mapping = LIST_FIRST(&handle->mappings)))
		xengnttab_unmap(handle, mapping->at, mapping->count);
	for (i = 0; i < WORLD_DOMAINS; i++)
		world_close_domain(&handle->domains[i]);
	world_close_machine(handle->machine);
	free(handle->dir);
	free(handle);
	return 0;
}

static struct domain_view *
domain_of(xengnttab_handle *handle, uint32_t domid)
{
	struct domain_view *free_view = NULL, *view;

	for (view = handle->domains; view < handle->domains + WORLD_DOMAINS; view++) {
		if (view->fd >= 0 && view->domid == domid)
			return view;
		if (view->fd < 0 && !free_view)
			free_view = view;
	}
	if (free_view && world_open_domain(free_view, handle->dir, domid, 0) == 0)
		return free_view;
	return NULL;
}

/* The page of a grant: 0 or the reason why not. */
static int
page_of(const struct domain_view *view, uint32_t ref, bool writes, uint32_t *page)
{
	uint32_t kind;

	if (ref >= WORLD_GRANTS)
		return BAD_REFERENCE;
	kind = atomic_load_explicit(&view->domain->grants[ref].kind, memory_order_acquire);
	*page = atomic_load_explicit(&view->domain->grants[ref].page, memory_order_relaxed);
	if (kind != GRANT_WRITABLE && kind != GRANT_READ_ONLY)
		return BAD_REFERENCE;
	if (writes && kind != GRANT_WRITABLE)
		return NO_PERMISSION;
	return *page < world_pages(view) ? 0 : BAD_PAGE;
}

/* ---- mappings ---- */

static int
map_pages(struct domain_view *view, struct mapping *mapping, int prot)
{
	uint32_t i, page;
	off_t at;

	for (i = 0; i < mapping->count; i++) {
		if (page_of(view, mapping->refs[i], prot & PROT_WRITE, &page))
			return -EINVAL;
		at = (off_t)(sizeof(struct world_domain) + (size_t)page * WORLD_PAGE);
		if (mmap((char *)mapping->at + (size_t)i * WORLD_PAGE, WORLD_PAGE, prot,
			 MAP_SHARED | MAP_FIXED, view->fd, at) == MAP_FAILED)
			return -errno;
	}
	for (i = 0; i < mapping->count; i++)
		atomic_fetch_add(&view->domain->grants[mapping->refs[i]].maps, 1);
	return 0;
}

void *
xengnttab_map_domain_grant_refs(xengnttab_handle *handle, uint32_t count, uint32_t domid,
				uint32_t *refs, int prot)
{
	struct domain_view *view = domain_of(handle, domid);
	struct mapping *mapping;
	int err;

	errno = EINVAL;
	if (!view || !count || count > 1024)
		return NULL;
	mapping = calloc(1, sizeof(*mapping) + count * sizeof(*refs));
	if (!mapping)
		return NULL;
	mapping->count = count;
	mapping->domid = domid;
	memcpy(mapping->refs, refs, count * sizeof(*refs));
	mapping->at = mmap(NULL, (size_t)count * WORLD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	err = mapping->at == MAP_FAILED ? -errno : map_pages(view, mapping, prot);
	if (err) {
		if (mapping->at != MAP_FAILED)
			munmap(mapping->at, (size_t)count * WORLD_PAGE);
		free(mapping);
		errno = -err;
		return NULL;
	}
	atomic_fetch_add(&handle->machine->maps, 1);
	LIST_INSERT_HEAD(&handle->mappings, mapping, link);
	return mapping->at;
}

void *
xengnttab_map_grant_ref(xengnttab_handle *handle, uint32_t domid, uint32_t ref, int prot)
{
	return xengnttab_map_domain_grant_refs(handle, 1, domid, &ref, prot);
}

int
xengnttab_unmap(xengnttab_handle *handle, void *at, uint32_t count)
{
	struct domain_view *view;
	struct mapping *mapping;
	uint32_t i;

	LIST_FOREACH (mapping, &handle->mappings, link)
		if (mapping->at == at && mapping->count == count)
			break;
	if (!mapping) {
		errno = EINVAL;
		return -1;
	}
	view = domain_of(handle, mapping->domid);
	for (i = 0; view && i < count; i++)
		atomic_fetch_sub(&view->domain->grants[mapping->refs[i]].maps, 1);
	LIST_REMOVE(mapping, link);
	munmap(at, (size_t)count * WORLD_PAGE);
	free(mapping);
	return 0;
}

int
xengnttab_set_max_grants(xengnttab_handle *handle, uint32_t count)
{
	(void)handle;
	(void)count;
	return 0;
}

/* ---- copies ---- */

static int
copy_one(xengnttab_handle *handle, xengnttab_grant_copy_segment_t *copy)
{
	bool writes = copy->flags == DEST_IS_FOREIGN;
	uint32_t ref, offset, page;
	struct domain_view *view;
	uint8_t *at;
	int reason;

	if (copy->flags != SOURCE_IS_FOREIGN && copy->flags != DEST_IS_FOREIGN)
		return BAD_ARGUMENT;
	ref = writes ? copy->dest.foreign.ref : copy->source.foreign.ref;
	offset = writes ? copy->dest.foreign.offset : copy->source.foreign.offset;
	view = domain_of(handle, writes ? copy->dest.foreign.domid : copy->source.foreign.domid);
	if (!view)
		return BAD_DOMAIN;
	if (offset + copy->len > WORLD_PAGE)
		return BAD_ARGUMENT;
	reason = page_of(view, ref, writes, &page);
	if (reason)
		return reason;
	at = view->domain->pages + (size_t)page * WORLD_PAGE + offset;
	if (writes)
		memcpy(at, copy->source.virt, copy->len);
	else
		memcpy(copy->dest.virt, at, copy->len);
	return 0;
}

int
xengnttab_grant_copy(xengnttab_handle *handle, uint32_t count, xengnttab_grant_copy_segment_t *copy)
{
	uint32_t i;

	if (handle->cannot_copy) {
		errno = ENOTTY;
		return -1;
	}
	for (i = 0; i < count; i++)
		copy[i].status = (int16_t)copy_one(handle, &copy[i]);
	atomic_fetch_add_explicit(&handle->machine->copy_calls, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&handle->machine->copies, count, memory_order_relaxed);
	return 0;
}
