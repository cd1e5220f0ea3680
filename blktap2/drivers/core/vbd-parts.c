/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parts of requests that are tried again: at once when a driver had no resources, a second later
 * when the system had a passing trouble, never when the error is a real one.
 */
#include <errno.h>
#include <stdlib.h>

#include "drivers/core/image.h"
#include "drivers/core/server-internal.h"
#include "drivers/core/vbd-internal.h"

static bool
is_transient(int res)
{
	return res == -EAGAIN || res == -EINTR || res == -ENOMEM || res == -ENOBUFS;
}

bool
vbd_may_retry(const struct vbd *vbd, const struct vbd_request *req, int res)
{
	if (vbd->op.force || loop_now(vbd->server->loop) >= req->deadline)
		return false;
	return res == -EBUSY || (is_transient(res) && req->retries < VBD_MAX_RETRIES);
}

int
vbd_retry_later(struct vbd *vbd, const td_request_t *treq, int res)
{
	struct vbd_part *part = TAILQ_FIRST(&vbd->free_parts);

	if (part)
		TAILQ_REMOVE(&vbd->free_parts, part, link);
	else
		part = malloc(sizeof(*part));
	if (!part)
		return -ENOMEM;
	part->treq = *treq;
	part->due = 0;
	if (res == -EBUSY) {
		vbd->tally.counters.busy++;
		/* Without a request in the driver's hands no completion would wake us. */
		if (!loop_timer_is_set(&vbd->busy))
			loop_timer_set(vbd->server->loop, &vbd->busy, VBD_BUSY_MS);
	} else {
		struct vbd_request *req = treq->vreq;

		req->retries++;
		vbd->counters.retries++;
		part->due = loop_now(vbd->server->loop) + VBD_RETRY_MS * 1000ull;
	}
	TAILQ_INSERT_TAIL(&vbd->retries, part, link);
	return 0;
}

/* Queue once more what is due; all: also what waits for resources. */
void
vbd_run_retries(struct vbd *vbd, bool all)
{
	uint64_t now = loop_now(vbd->server->loop);
	struct vbd_parts parts = TAILQ_HEAD_INITIALIZER(parts);
	struct vbd_part *part;
	td_request_t treq;

	/* What fails again comes back to the list: take the list away first. */
	TAILQ_CONCAT(&parts, &vbd->retries, link);
	while ((part = TAILQ_FIRST(&parts))) {
		TAILQ_REMOVE(&parts, part, link);
		if (part->due ? part->due > now && !vbd->op.force : !all) {
			TAILQ_INSERT_TAIL(&vbd->retries, part, link);
			continue;
		}
		treq = part->treq;
		TAILQ_INSERT_TAIL(&vbd->free_parts, part, link);
		td_queue_request(chain_leaf(vbd->chain), treq);
	}
}
