/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs that merge images, and guest rings: what libblktapctl says to the tapdisks that have them.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/message.h"
#include "control/ctl.h"
#include "control/session.h"

#define RING_GREFS_MAX 16 /* pages of one queue */
#define RING_QUEUES_MAX 64

/* ---- jobs -------------------------------------------------------------------------------------
 */

static int
ask(struct ctl *ctl, int id, tapdisk_message_t *message)
{
	return ipc_ask(ctl, id, message, NULL, 0, IPC_QUERY_MS, NULL);
}

int
ctl_commit(struct ctl *ctl, int id, int minor, const char *path)
{
	tapdisk_message_t message = ipc_message(TAPDISK_MESSAGE_COMMIT, minor);
	int err = message_put_text(message.u.params.path, sizeof(message.u.params.path), path);

	return err ? err : ask(ctl, id, &message);
}

int
ctl_query_commit(struct ctl *ctl, int id, int minor, struct tap_ctl_job *job)
{
	tapdisk_message_t message = ipc_message(TAPDISK_MESSAGE_QUERY_COMMIT_JOB, minor);
	struct tap_ctl_job known = { .size = job->size };
	int err = ask(ctl, id, &message);

	if (err)
		return err;
	if (!message_text_ends(message.u.query.status, sizeof(message.u.query.status)))
		return -EPROTO;
	known.current = message.u.query.current;
	known.total = message.u.query.total;
	message_put_note(known.status, sizeof(known.status), message.u.query.status);
	memcpy(job, &known, job->size < sizeof(known) ? job->size : sizeof(known));
	return 0;
}

int
ctl_cancel_commit(struct ctl *ctl, int id, int minor, bool wait)
{
	tapdisk_message_t message = ipc_message(TAPDISK_MESSAGE_CANCEL_COMMIT_JOB, minor);

	message.u.params.flags = wait;
	return ask(ctl, id, &message);
}

/* ---- rings ------------------------------------------------------------------------------------
 */

static void
put_queue(struct frame_writer *writer, const struct tap_ctl_ring *ring, uint32_t queue)
{
	uint32_t pages = 1u << ring->order, i;
	uint8_t raw[8 + 4 * RING_GREFS_MAX];

	put_le32(raw, ring->order);
	put_le32(raw + 4, ring->port[queue]);
	for (i = 0; i < pages; i++)
		put_le32(raw + 8 + 4 * i, ring->gref[queue * pages + i]);
	frame_put(writer, TAPDISK_ATTR_QUEUE, raw, 8 + 4 * (size_t)pages);
}

static void
put_ring(struct frame_writer *writer, const struct tap_ctl_ring *ring)
{
	uint8_t poll[8];
	uint32_t i;

	put_le32(poll, ring->poll_duration_us);
	put_le32(poll + 4, ring->poll_idle_threshold);
	frame_put_u32(writer, TAPDISK_ATTR_DOMID, ring->domid);
	frame_put_u32(writer, TAPDISK_ATTR_DEVID, ring->devid);
	frame_put_u32(writer, TAPDISK_ATTR_PROTO, ring->proto);
	for (i = 0; i < ring->nr_queues; i++)
		put_queue(writer, ring, i);
	frame_put_u64(writer, TAPDISK_ATTR_RING_FEATURES, ring->features);
	frame_put(writer, TAPDISK_ATTR_POLL, poll, sizeof(poll));
	frame_put_u32(writer, TAPDISK_ATTR_RING_FLAGS, ring->ring_flags);
}

static int
ring_call(pid_t pid, int minor, unsigned type, const struct tap_ctl_ring *ring, int timeout_ms)
{
	struct frame_writer writer;
	struct session session;
	struct ctl ctl;
	int err = ctl_init(&ctl);

	if (timeout_ms > 0)
		ctl.timeout_ms = timeout_ms;
	if (!err)
		err = session_open(&ctl, pid, &session);
	if (err)
		goto out;
	session_begin(&session, &writer, type, minor);
	if (type == TAPDISK_FRAME_RING_CONNECT) {
		put_ring(&writer, ring);
	} else {
		frame_put_u32(&writer, TAPDISK_ATTR_DOMID, ring->domid);
		frame_put_u32(&writer, TAPDISK_ATTR_DEVID, ring->devid);
	}
	err = session_call(&session, &writer, IPC_ATTACH_MS, NULL);
	session_close(&session);
out:
	ctl_free(&ctl);
	return err;
}

int
tap_ctl_connect_xenblkif(pid_t pid, int minor, const struct tap_ctl_ring *ring)
{
	if (ring->size < sizeof(*ring) || ring->order > 4 || !ring->nr_queues ||
	    ring->nr_queues > RING_QUEUES_MAX)
		return -EINVAL;
	return ring_call(pid, minor, TAPDISK_FRAME_RING_CONNECT, ring, ring->timeout_ms);
}

int
tap_ctl_disconnect_xenblkif(pid_t pid, int minor, uint32_t domid, uint32_t devid, int timeout_ms)
{
	const struct tap_ctl_ring ring = { .domid = domid, .devid = devid };

	return ring_call(pid, minor, TAPDISK_FRAME_RING_DISCONNECT, &ring, timeout_ms);
}
