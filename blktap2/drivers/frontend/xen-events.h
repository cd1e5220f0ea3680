/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels on the loop.  An event that came is masked until its owner unmasks it: so it is
 * he who says when he can take the next one.
 */
#ifndef FRONTEND_XEN_EVENTS_H
#define FRONTEND_XEN_EVENTS_H

#include <stdint.h>

struct loop;
struct xen_events;

/* 0 or -errno: there is no Xen. */
int xen_events_new(struct xen_events **events, struct loop *loop);
void xen_events_free(struct xen_events *events); /* nothing may be bound; NULL is fine */

/* Call fn for events of the port that domid has left open for us.  0 and our own port, or -errno.
 */
int xen_events_bind(struct xen_events *events, uint32_t domid, uint32_t remote,
		    void (*fn)(void *arg), void *arg, uint32_t *port);
void xen_events_unbind(struct xen_events *events, uint32_t port); /* fn is not called again */

void xen_events_unmask(struct xen_events *events, uint32_t port);
void xen_events_notify(struct xen_events *events, uint32_t port);

#endif
