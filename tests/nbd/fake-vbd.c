/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine's side of a frontend, in memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/core/buffers.h"
#include "drivers/core/server.h"
#include "tests/nbd/fake-vbd.h"

int
fake_server_init(struct tapdisk_server *server, const char *control_dir, const char *engine,
		 size_t pool)
{
	memset(server, 0, sizeof(*server));
	server->control_dir = control_dir;
	server->buffers = buffers_new(pool);
	if (!server->buffers)
		return -ENOMEM;
	return loop_new(&server->loop, engine);
}

void
fake_server_fini(struct tapdisk_server *server)
{
	loop_free(server->loop);
	buffers_free(server->buffers);
}

struct loop *
tapdisk_server_loop(struct tapdisk_server *server)
{
	return server->loop;
}

struct buffers *
tapdisk_server_buffers(struct tapdisk_server *server)
{
	return server->buffers;
}

struct shm_stats *
tapdisk_server_shm(struct tapdisk_server *server)
{
	(void)server;
	return NULL;
}

struct tlog *
tapdisk_server_log(struct tapdisk_server *server)
{
	(void)server;
	return NULL;
}

const char *
tapdisk_server_control_dir(const struct tapdisk_server *server)
{
	return server->control_dir;
}

/* ---- the disk ---- */

static void
on_timer(void *arg)
{
	fake_vbd_finish(arg, 1);
}

struct vbd *
fake_vbd_new(struct tapdisk_server *server, int minor, uint64_t sectors)
{
	struct vbd *vbd = calloc(1, sizeof(*vbd));

	if (!vbd)
		return NULL;
	vbd->data = calloc(sectors ? sectors : 1, 512);
	vbd->server = server;
	vbd->minor = minor;
	vbd->sectors = sectors;
	vbd->sector_size = 512;
	vbd->can_discard = true;
	vbd->can_fast_zero = true;
	vbd->fail_op = -1;
	vbd->timer.fn = on_timer;
	vbd->timer.arg = vbd;
	TAILQ_INIT(&vbd->held);
	return vbd;
}

void
fake_vbd_free(struct vbd *vbd)
{
	loop_timer_cancel(vbd->server->loop, &vbd->timer);
	free(vbd->data);
	free(vbd);
}

int
vbd_minor(const struct vbd *vbd)
{
	return vbd->minor;
}

struct tapdisk_server *
vbd_server(const struct vbd *vbd)
{
	return vbd->server;
}

uint64_t
vbd_sectors(const struct vbd *vbd)
{
	return vbd->sectors;
}

uint32_t
vbd_sector_size(const struct vbd *vbd)
{
	return vbd->sector_size;
}

bool
vbd_read_only(const struct vbd *vbd)
{
	return vbd->read_only;
}

bool
vbd_can_discard(const struct vbd *vbd)
{
	return vbd->can_discard;
}

bool
vbd_can_fast_zero(const struct vbd *vbd)
{
	return vbd->can_fast_zero;
}

void
vbd_source_add(struct vbd *vbd, struct vbd_source *source)
{
	source->vbd = vbd;
	vbd->source = source;
}

void
vbd_source_del(struct vbd_source *source)
{
	source->vbd->source = NULL;
}

/* ---- requests ---- */

static bool
is_modification(const struct vbd_request *req)
{
	return req->op == TD_OP_WRITE || req->op == TD_OP_DISCARD || req->op == TD_OP_WRITE_ZEROES;
}

static void
transfer(struct vbd *vbd, const struct vbd_request *req)
{
	uint8_t *at = vbd->data + req->sector * 512;
	int i;

	for (i = 0; i < req->iovcnt; i++) {
		if (req->op == TD_OP_READ)
			memcpy(req->iov[i].iov_base, at, req->iov[i].iov_len);
		else
			memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
}

/* Sectors that hold a byte other than zero are data, the others a hole. */
static int
map(struct vbd *vbd, const struct vbd_request *req)
{
	struct vbd_extents *extents = req->extents;
	uint64_t i;

	extents->count = 0;
	for (i = req->sector; i < req->sector + req->sectors; i++) {
		const uint8_t *at = vbd->data + i * 512;
		int status =
			*at || memcmp(at, at + 1, 511) ? TD_BLOCK_STATE_NONE : TD_BLOCK_STATE_HOLE;
		struct vbd_extent *last = extents->count ? &extents->at[extents->count - 1] : NULL;

		if (last && last->status == status) {
			last->sectors++;
			continue;
		}
		if (extents->count == extents->room) {
			extents->room = extents->room * 2 + 16;
			extents->at =
				reallocarray(extents->at, extents->room, sizeof(*extents->at));
			if (!extents->at)
				return -ENOMEM;
		}
		extents->at[extents->count++] = (struct vbd_extent){ i, 1, status };
	}
	return 0;
}

static int
perform(struct vbd *vbd, struct vbd_request *req)
{
	if (vbd->fail && (vbd->fail_op < 0 || vbd->fail_op == req->op))
		return vbd->fail;
	switch (req->op) {
	case TD_OP_READ:
	case TD_OP_WRITE:
		transfer(vbd, req);
		return 0;
	case TD_OP_DISCARD:
		memset(vbd->data + req->sector * 512, 0, req->sectors * 512);
		return 0;
	case TD_OP_WRITE_ZEROES:
		memset(vbd->data + req->sector * 512, 0, req->sectors * 512);
		return 0;
	case TD_OP_BLOCK_STATUS:
		return map(vbd, req);
	default:
		return 0;
	}
}

static int
check(const struct vbd *vbd, const struct vbd_request *req)
{
	uint64_t unit = vbd->sector_size / 512, bytes = 0;
	int i;

	if (req->op == TD_OP_FLUSH)
		return 0;
	if (!req->sectors || req->sectors > vbd->sectors ||
	    req->sector > vbd->sectors - req->sectors || req->sector % unit || req->sectors % unit)
		return -EINVAL;
	for (i = 0; i < req->iovcnt; i++) {
		if ((uintptr_t)req->iov[i].iov_base % vbd->sector_size)
			return -EINVAL;
		bytes += req->iov[i].iov_len;
	}
	if ((req->op == TD_OP_READ || req->op == TD_OP_WRITE) && bytes != req->sectors * 512)
		return -EINVAL;
	return vbd->read_only && is_modification(req) ? -EPERM : 0;
}

void
vbd_submit(struct vbd *vbd, struct vbd_request *req)
{
	const struct vbd_request *other;
	int err = check(vbd, req);

	vbd->count[req->op]++;
	vbd->fua += !!(req->flags & TD_REQ_FUA);
	vbd->no_unmap += !!(req->flags & TD_REQ_NO_UNMAP);
	if (req->sectors > vbd->largest)
		vbd->largest = req->sectors;
	if (err) {
		req->done(req, err);
		return;
	}
	if (!vbd->hold && !vbd->delay_ms) {
		req->done(req, perform(vbd, req));
		return;
	}
	TAILQ_FOREACH (other, &vbd->held, link)
		if (is_modification(req) && is_modification(other) &&
		    req->sector < other->sector + other->sectors &&
		    other->sector < req->sector + req->sectors)
			vbd->overlaps++;
	TAILQ_INSERT_TAIL(&vbd->held, req, link);
	vbd->in_flight++;
	if (vbd->delay_ms && !loop_timer_is_set(&vbd->timer))
		(void)loop_timer_set(vbd->server->loop, &vbd->timer, vbd->delay_ms);
}

void
fake_vbd_finish(struct vbd *vbd, unsigned count)
{
	struct vbd_request *req;
	unsigned skip;

	while (count-- && (req = TAILQ_FIRST(&vbd->held))) {
		skip = vbd->shuffle ? (unsigned)rand_r(&vbd->seed) % vbd->in_flight : 0;
		while (skip--)
			req = TAILQ_NEXT(req, link);
		TAILQ_REMOVE(&vbd->held, req, link);
		vbd->in_flight--;
		req->done(req, perform(vbd, req));
	}
	if (vbd->delay_ms && vbd->in_flight)
		(void)loop_timer_set(vbd->server->loop, &vbd->timer, vbd->delay_ms);
}

void
fake_vbd_expire(struct vbd *vbd)
{
	struct vbd_request *req = TAILQ_FIRST(&vbd->held);

	if (req && req->expired)
		req->expired(req);
}

void
fake_vbd_pause(struct vbd *vbd, bool paused)
{
	vbd->source->ops->mask(vbd->source, paused);
}

void
fake_vbd_close(struct vbd *vbd)
{
	vbd->source->ops->shutdown(vbd->source);
	while (vbd->in_flight)
		fake_vbd_finish(vbd, vbd->in_flight);
	vbd->source->ops->release(vbd->source);
}
