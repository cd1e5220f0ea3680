/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests on their way up.
 */
#include <errno.h>

#include "drivers/core/image.h"
#include "drivers/core/server-internal.h"

/* The sectors that an image serves itself; requests of cache fills and jobs are no guest's. */
static void
account(const td_request_t *treq, int res)
{
	struct td_image_core *core = treq->image->core;
	int way = treq->op == TD_OP_WRITE;

	if (treq->op != TD_OP_READ && treq->op != TD_OP_WRITE)
		return;
	if (treq->flags & (TD_REQ_FILL | TD_REQ_JOB) || res == -EBUSY)
		return;
	if (res)
		core->fail[way] += (uint64_t)treq->secs;
	else
		core->hits[way] += (uint64_t)treq->secs;
}

void
td_complete_request(td_request_t treq, int res)
{
	struct completions *up = &treq.image->core->server->completions;

	if (res > 0)
		res = -res;
	account(&treq, res);
	/* A chain that completes at once could nest as deep as it is long. */
	if (up->depth >= COMPLETION_DEPTH && completions_defer(up, &treq, res) == 0)
		return;
	up->depth++;
	treq.cb(treq, res);
	up->depth--;
}
