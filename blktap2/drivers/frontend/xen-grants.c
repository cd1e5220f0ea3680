/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory that guests grant: see xen-grants.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "drivers/frontend/xen-grants.h"
#include "drivers/frontend/xen-quiet.h"

/* What a copy is to end with, as the hypervisor counts it, and how it says what is foreign. */
#define COPY_OKAY 0
#define COPY_FAILED (-1)
#define SOURCE_IS_FOREIGN 1
#define DEST_IS_FOREIGN 2

int
xen_grants_open(struct xen_grants *grants)
{
	grants->quiet = xen_quiet();
	grants->cannot_copy = false;
	errno = 0;
	grants->handle = xengnttab_open(&grants->quiet, 0);
	if (grants->handle)
		return 0;
	return errno ? -errno : -ENODEV;
}

void
xen_grants_close(struct xen_grants *grants)
{
	if (grants->handle)
		xengnttab_close(grants->handle);
	grants->handle = NULL;
}

int
xen_grants_map(struct xen_grants *grants, uint32_t domid, const uint32_t *refs, unsigned count,
	       void **pages)
{
	uint32_t copy[16];

	/* The library takes them as if it might change them. */
	if (!count || count > sizeof(copy) / sizeof(copy[0]))
		return -EINVAL;
	memcpy(copy, refs, count * sizeof(*refs));
	*pages = xengnttab_map_domain_grant_refs(grants->handle, count, domid, copy,
						 PROT_READ | PROT_WRITE);
	if (*pages)
		return 0;
	return errno ? -errno : -EINVAL;
}

void
xen_grants_unmap(struct xen_grants *grants, void *pages, unsigned count)
{
	if (pages)
		xengnttab_unmap(grants->handle, pages, count);
}

/* ---- copies ---- */

void
xen_copy_from(xen_copy_t *copy, uint32_t domid, uint32_t ref, unsigned offset, void *to,
	      unsigned bytes)
{
	copy->source.foreign.ref = ref;
	copy->source.foreign.offset = (uint16_t)offset;
	copy->source.foreign.domid = (uint16_t)domid;
	copy->dest.virt = to;
	copy->len = (uint16_t)bytes;
	copy->flags = SOURCE_IS_FOREIGN;
	copy->status = COPY_FAILED;
}

void
xen_copy_to(xen_copy_t *copy, uint32_t domid, uint32_t ref, unsigned offset, void *from,
	    unsigned bytes)
{
	copy->source.virt = from;
	copy->dest.foreign.ref = ref;
	copy->dest.foreign.offset = (uint16_t)offset;
	copy->dest.foreign.domid = (uint16_t)domid;
	copy->len = (uint16_t)bytes;
	copy->flags = DEST_IS_FOREIGN;
	copy->status = COPY_FAILED;
}

/* One copy for kernels that do not copy: map, copy, unmap. */
static void
copy_by_map(struct xen_grants *grants, xen_copy_t *copy)
{
	bool from = copy->flags & SOURCE_IS_FOREIGN;
	uint32_t domid = from ? copy->source.foreign.domid : copy->dest.foreign.domid;
	uint32_t ref = from ? copy->source.foreign.ref : copy->dest.foreign.ref;
	unsigned offset = from ? copy->source.foreign.offset : copy->dest.foreign.offset;
	char *page;

	page = xengnttab_map_grant_ref(grants->handle, domid, ref,
				       from ? PROT_READ : PROT_READ | PROT_WRITE);
	if (!page) {
		copy->status = COPY_FAILED;
		return;
	}
	if (from)
		memcpy(copy->dest.virt, page + offset, copy->len);
	else
		memcpy(page + offset, copy->source.virt, copy->len);
	xengnttab_unmap(grants->handle, page, 1);
	copy->status = COPY_OKAY;
}

void
xen_grants_copy(struct xen_grants *grants, xen_copy_t *copies, unsigned count)
{
	unsigned i;

	if (!grants->cannot_copy) {
		if (xengnttab_grant_copy(grants->handle, count, copies) == 0)
			return;
		grants->cannot_copy = errno == ENOTTY || errno == ENOSYS;
	}
	for (i = 0; i < count; i++) {
		if (grants->cannot_copy)
			copy_by_map(grants, &copies[i]);
		else
			copies[i].status = COPY_FAILED;
	}
}
