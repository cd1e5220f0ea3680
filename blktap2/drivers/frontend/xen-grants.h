/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that guests grant: mapped, or copied by the hypervisor.
 */
#ifndef FRONTEND_XEN_GRANTS_H
#define FRONTEND_XEN_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include <xengnttab.h>
#include <xentoollog.h>

struct xen_grants {
	xentoollog_logger quiet;
	xengnttab_handle *handle;
	bool cannot_copy; /* the kernel is too old */
};

/* 0 or -errno: there is no Xen.  Must stay where it is until it is closed. */
int xen_grants_open(struct xen_grants *grants);
void xen_grants_close(struct xen_grants *grants);

/* Map count pages of a domain, contiguous and writable.  0 or -errno. */
int xen_grants_map(struct xen_grants *grants, uint32_t domid, const uint32_t *refs, unsigned count,
		   void **pages);
void xen_grants_unmap(struct xen_grants *grants, void *pages, unsigned count);

/* A copy between a granted page and our memory; done by xen_grants_copy. */
typedef xengnttab_grant_copy_segment_t xen_copy_t;

void xen_copy_from(xen_copy_t *copy, uint32_t domid, uint32_t ref, unsigned offset, void *to,
		   unsigned bytes);
void xen_copy_to(xen_copy_t *copy, uint32_t domid, uint32_t ref, unsigned offset, void *from,
		 unsigned bytes);

/* Do all of them in one call; each has its own outcome. */
void xen_grants_copy(struct xen_grants *grants, xen_copy_t *copies, unsigned count);

static inline bool
xen_copy_failed(const xen_copy_t *copy)
{
	return copy->status != 0;
}

#endif
