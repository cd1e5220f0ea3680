/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frontends of a virtual disk, and what they are told.
 */
#include "drivers/core/vbd-internal.h"

/* One that is told may go: the next one is known before. */
#define FOR_EACH_SOURCE(source, next, vbd)                                                         \
	for ((source) = TAILQ_FIRST(&(vbd)->sources);                                              \
	     (source) && ((next) = TAILQ_NEXT(source, link), true); (source) = (next))

void
vbd_source_add(struct vbd *vbd, struct vbd_source *source)
{
	source->vbd = vbd;
	TAILQ_INSERT_TAIL(&vbd->sources, source, link);
}

void
vbd_source_del(struct vbd_source *source)
{
	TAILQ_REMOVE(&source->vbd->sources, source, link);
}

void
vbd_source_idle(struct vbd_source *source)
{
	source->vbd->drained(source->vbd);
}

bool
vbd_sources_are_busy(const struct vbd *vbd)
{
	struct vbd_source *source;

	TAILQ_FOREACH (source, &vbd->sources, link)
		if (source->ops->is_busy && source->ops->is_busy(source))
			return true;
	return false;
}

void
vbd_mask_sources(struct vbd *vbd, bool masked)
{
	struct vbd_source *source, *next;

	FOR_EACH_SOURCE(source, next, vbd)
	source->ops->mask(source, masked);
}

void
vbd_shutdown_sources(struct vbd *vbd)
{
	struct vbd_source *source, *next;

	FOR_EACH_SOURCE(source, next, vbd)
	source->ops->shutdown(source);
}

void
vbd_force_sources(struct vbd *vbd)
{
	struct vbd_source *source, *next;

	FOR_EACH_SOURCE(source, next, vbd)
	if (source->ops->force)
		source->ops->force(source);
}

void
vbd_release_sources(struct vbd *vbd)
{
	struct vbd_source *source, *next;

	FOR_EACH_SOURCE(source, next, vbd)
	source->ops->release(source);
}
