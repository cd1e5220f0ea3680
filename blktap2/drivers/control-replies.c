/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers and events of the versioned protocol.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "common/bytes.h"
#include "common/frame.h"
#include "drivers/control-internal.h"
#include "drivers/core/server.h"

#define SERVER_NAME "tapdisk2"

/* ---- frames -----------------------------------------------------------------------------------
 */

static void
begin(struct frame_writer *writer, const struct control_op *op, uint32_t minor, unsigned flags,
      int err)
{
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = (uint16_t)op->type,
		.flags = (uint16_t)(TAPDISK_FRAME_REPLY | flags),
		.request_id = op->id,
		.minor = minor,
		.error = (uint32_t)-err,
	};

	frame_begin(writer, &frame);
}

static void
finish(struct connection *connection, struct frame_writer *writer)
{
	if (frame_end(writer, TAPDISK_FRAME_MAX_REPLY) == 0)
		connection_send(connection, writer->at, writer->length);
	else
		connection_finish(connection);
	frame_writer_free(writer);
}

/* ---- disks ------------------------------------------------------------------------------------
 */

static void
put_chain_item(void *arg, const char *image)
{
	frame_put_text(arg, TAPDISK_ATTR_CHAIN_ITEM, image);
}

static uint64_t
capabilities(const struct vbd *vbd)
{
	uint64_t can = TAPDISK_CAN_FLUSH | TAPDISK_CAN_WRITE_ZEROES | TAPDISK_CAN_BLOCK_STATUS;

	if (vbd_can_discard(vbd))
		can |= TAPDISK_CAN_DISCARD;
	return can;
}

static void
put_nbd_path(struct frame_writer *writer, const struct control_op *op, const struct vbd *vbd)
{
	char path[128]; /* the control directory has at most RUNDIR_MAX bytes */

	snprintf(path, sizeof(path), "%s/nbd%d.%d",
		 tapdisk_server_control_dir(op->control->config.server), (int)getpid(),
		 vbd_minor(vbd));
	frame_put_text(writer, TAPDISK_ATTR_NBD_PATH, path);
}

/* Everything about a disk. */
static void
put_disk(struct frame_writer *writer, const struct control_op *op, struct vbd *vbd)
{
	frame_put_u32(writer, TAPDISK_ATTR_PID, (uint32_t)getpid());
	frame_put_u32(writer, TAPDISK_ATTR_STATE, vbd_state(vbd));
	if (vbd_params(vbd))
		frame_put_text(writer, TAPDISK_ATTR_PARAMS, vbd_params(vbd));
	if (!vbd_sectors(vbd))
		return;
	frame_put_u64(writer, TAPDISK_ATTR_SECTORS, vbd_sectors(vbd));
	frame_put_u32(writer, TAPDISK_ATTR_SECTOR_SIZE, vbd_sector_size(vbd));
	frame_put_u32(writer, TAPDISK_ATTR_PHYS_SECTOR_SIZE, vbd_info(vbd)->phys_sector_size);
	frame_put_u32(writer, TAPDISK_ATTR_INFO, vbd_info(vbd)->info);
	frame_put_u64(writer, TAPDISK_ATTR_CAPABILITIES, capabilities(vbd));
	if (!vbd_is_open(vbd))
		return;
	put_nbd_path(writer, op, vbd);
	vbd_chain(vbd, put_chain_item, writer);
}

static void
send_list(struct control_op *op)
{
	struct tapdisk_server *server = op->control->config.server;
	struct vbd *vbd = NULL, *next = tapdisk_server_next(server, NULL);
	struct frame_writer writer;

	if (!next) {
		begin(&writer, op, TAPDISK_FRAME_NO_MINOR, 0, 0);
		finish(op->connection, &writer);
	}
	while ((vbd = next)) {
		next = tapdisk_server_next(server, vbd);
		begin(&writer, op, (uint32_t)vbd_minor(vbd), next ? TAPDISK_FRAME_MORE : 0, 0);
		put_disk(&writer, op, vbd);
		finish(op->connection, &writer);
	}
}

/* ---- rings ------------------------------------------------------------------------------------
 */

static void
put_queue(struct frame_writer *writer, const struct control_ring_queue *queue)
{
	uint8_t raw[8 + 4 * CONTROL_RING_PAGES];
	size_t pages = (size_t)1 << queue->order, i;

	put_le32(raw, queue->order);
	put_le32(raw + 4, queue->port);
	for (i = 0; i < pages; i++)
		put_le32(raw + 8 + 4 * i, queue->gref[i]);
	frame_put(writer, TAPDISK_ATTR_QUEUE, raw, 8 + 4 * pages);
}

static void
send_ring(void *arg, struct vbd *vbd, const struct control_ring *ring, unsigned state)
{
	struct control_op *op = arg;
	struct frame_writer writer;
	unsigned i;

	begin(&writer, op, (uint32_t)vbd_minor(vbd), TAPDISK_FRAME_MORE, 0);
	frame_put_u32(&writer, TAPDISK_ATTR_DOMID, ring->domid);
	frame_put_u32(&writer, TAPDISK_ATTR_DEVID, ring->devid);
	frame_put_u32(&writer, TAPDISK_ATTR_PROTO, ring->proto);
	frame_put_u32(&writer, TAPDISK_ATTR_RING_STATE, state);
	for (i = 0; i < ring->queue_count; i++)
		put_queue(&writer, &ring->queues[i]);
	finish(op->connection, &writer);
}

/* One frame for each, and an empty one at the end. */
static void
send_rings(struct control_op *op)
{
	struct frame_writer writer;

	control_ring_each(op, send_ring, op);
	begin(&writer, op, TAPDISK_FRAME_NO_MINOR, 0, 0);
	finish(op->connection, &writer);
}

/* ---- other answers ----------------------------------------------------------------------------
 */

static void
put_stats(struct frame_writer *writer, const struct control_op *op)
{
	struct json_object *stats = control_stats(op);
	const char *text = json_object_to_json_string_ext(stats, CONTROL_JSON);

	frame_put(writer, TAPDISK_ATTR_JSON, text, strlen(text));
	json_object_put(stats);
}

static void
put_hello(struct frame_writer *writer, const struct control_op *op)
{
	const struct control_rings *rings = op->control->config.rings;
	uint8_t limits[16];

	put_le32(limits, TAPDISK_FRAME_MAX_REQUEST);
	put_le32(limits + 4, TAPDISK_FRAME_OUTSTANDING);
	put_le32(limits + 8, rings ? rings->max_rings : 0);
	put_le32(limits + 12, rings ? rings->max_queues : 0);
	frame_put_u32(writer, TAPDISK_ATTR_VERSION, TAPDISK_FRAME_VERSION);
	frame_put_u32(writer, TAPDISK_ATTR_VERSION_MAX, TAPDISK_FRAME_VERSION);
	frame_put_u64(writer, TAPDISK_ATTR_FEATURES, 0);
	frame_put_u32(writer, TAPDISK_ATTR_PID, (uint32_t)getpid());
	frame_put_text(writer, TAPDISK_ATTR_NAME, SERVER_NAME);
	frame_put(writer, TAPDISK_ATTR_LIMITS, limits, sizeof(limits));
}

static void
put_job(struct frame_writer *writer)
{
	uint8_t progress[16] = { 0 };

	frame_put_text(writer, TAPDISK_ATTR_JOB_STATUS, "undefined");
	frame_put(writer, TAPDISK_ATTR_JOB_PROGRESS, progress, sizeof(progress));
}

static void
send_error(struct control_op *op, int err, const char *why)
{
	struct frame_writer writer;

	begin(&writer, op, op->minor, TAPDISK_FRAME_ERROR, err);
	if (err == -EPROTONOSUPPORT) {
		frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MIN, TAPDISK_FRAME_VERSION);
		frame_put_u32(&writer, TAPDISK_ATTR_VERSION_MAX, TAPDISK_FRAME_VERSION);
	}
	frame_put_text(&writer, TAPDISK_ATTR_ERROR_TEXT, why && *why ? why : strerror(-err));
	finish(op->connection, &writer);
}

/* The answers that are one frame. */
static void
send_success(struct control_op *op)
{
	struct frame_writer writer;

	begin(&writer, op, op->minor, 0, 0);
	switch (op->verb) {
	case TAPDISK_FRAME_HELLO:
		put_hello(&writer, op);
		break;
	case TAPDISK_FRAME_PING:
		frame_put_u32(&writer, TAPDISK_ATTR_PID, (uint32_t)getpid());
		break;
	case TAPDISK_FRAME_STATS:
		put_stats(&writer, op);
		break;
	case TAPDISK_FRAME_COMMIT_QUERY:
		put_job(&writer);
		break;
	case TAPDISK_FRAME_OPEN:
	case TAPDISK_FRAME_INFO:
	case TAPDISK_FRAME_RESUME:
	case TAPDISK_FRAME_RESIZE:
		put_disk(&writer, op, control_op_disk(op));
		break;
	default:
		break;
	}
	finish(op->connection, &writer);
}

void
control_frames_answer(struct control_op *op, int err, const char *why)
{
	if (err)
		send_error(op, err, why);
	else if (op->verb == TAPDISK_FRAME_LIST)
		send_list(op);
	else if (op->verb == TAPDISK_FRAME_RING_LIST)
		send_rings(op);
	else
		send_success(op);
}

void
control_frames_event(struct connection *connection, struct vbd *vbd, unsigned kind)
{
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = TAPDISK_FRAME_NOTICE,
		.flags = TAPDISK_FRAME_EVENT,
		.minor = (uint32_t)vbd_minor(vbd),
	};
	struct frame_writer writer;

	frame_begin(&writer, &frame);
	frame_put_u32(&writer, TAPDISK_ATTR_EVENT_KIND, kind);
	frame_put_u32(&writer, TAPDISK_ATTR_STATE, vbd_state(vbd));
	finish(connection, &writer);
}
