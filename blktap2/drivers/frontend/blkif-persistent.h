/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grants that a guest promised to use again and again: mapped when they are first seen, and kept.
 */
#ifndef FRONTEND_BLKIF_PERSISTENT_H
#define FRONTEND_BLKIF_PERSISTENT_H

#include <stdbool.h>
#include <stdint.h>

struct persistent;
struct loop;
struct xen_grants;

/* Keep at most limit grants of domid.  NULL: memory is short. */
struct persistent *persistent_new(struct xen_grants *grants, struct loop *loop, uint32_t domid,
				  unsigned limit);
void persistent_free(struct persistent *persistent); /* unmaps all; NULL is fine */

/*
 * Copy bytes of the page of gref, to the guest or from it.  False: it is not mapped, and cannot be
 * now; the hypervisor has to copy.
 */
bool persistent_copy(struct persistent *persistent, uint32_t gref, unsigned offset, void *data,
		     unsigned bytes, bool to_guest);

#endif
