/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asking tapdisks about disks, and telling them to serve rings.
 *
 * One call at a time: what comes up meanwhile is asked afterwards.
 */
#include <errno.h>

#include "daemon/attach-frames.h"
#include "daemon/attach.h"
#include "daemon/tapback.h"

#define ASK_MS 2000
#define CONNECT_MS 30000
#define DISCONNECT_MS 130000

/* Looking for a disk that is not there: often at first, then seldom. */
#define OFTEN_MS 2000
#define OFTEN 30 /* times */
#define SELDOM_MS 30000

#define CONNECT_AGAIN_MS 1000

static void ask(struct device *device);

/* ---- calls ------------------------------------------------------------------------------------
 */

static void
begin(struct device *device, struct frame_writer *writer, unsigned type)
{
	tapdisk_begin(device->attach.user.tapdisk, writer, type, device->attach.minor);
}

/* With 0 the answer will come; -ENOMEM: nothing has been sent. */
static int
call(struct device *device, struct frame_writer *writer, unsigned patience_ms,
     tapdisk_answer_fn *fn)
{
	struct attach *attach = &device->attach;

	attach->call = tapdisk_send(attach->user.tapdisk, writer, patience_ms, fn, device);
	return attach->call ? 0 : -ENOMEM;
}

/* The connection is lost: whoever is told that takes care of everything. */
static bool
no_answer(const struct frame *frame, int err)
{
	return !frame && err != -ETIMEDOUT;
}

/* The call is over: what others wanted to know meanwhile may be asked now. */
static void
over(struct device *device)
{
	device->attach.call = NULL;
	device_dirty(device);
	if (device->attach.ask_after && device->attach.user.tapdisk)
		ask(device);
}

/* ---- the ring's state ---------------------------------------------------------------------------
 */

static void
set_ring(struct device *device, enum ring_state state)
{
	device->attach.ring_state = state;
	device->attach.lets_go = false;
	device->attach.is_hidden = false;
}

/* ---- looking for the disk ---------------------------------------------------------------------
 */

static void
set_disk(struct device *device, enum disk_state disk)
{
	struct attach *attach = &device->attach;
	uint64_t wait = attach->retries < OFTEN ? OFTEN_MS : SELDOM_MS;

	attach->disk = disk;
	if (disk == DISK_READY)
		attach->retries = 0;
	if (disk != DISK_ABSENT && !disk_has_gone(disk))
		return;
	attach->retries++;
	attach->ask_at = tb_loop_now() + wait;
}

/* Nobody is at the socket of the process: no ring can be there either. */
static bool
means_dead(int err)
{
	return err == -ECONNREFUSED || err == -ENOENT;
}

static void
lost(void *arg, int err)
{
	struct device *device = arg;
	struct attach *attach = &device->attach;

	attach->call = NULL;
	attach->ask_after = false;
	if (means_dead(err)) {
		set_disk(device, DISK_DEAD);
		set_ring(device, RING_NONE);
	} else {
		if (attach->disk == DISK_READY) /* it has just been there: look again at once */
			attach->retries = 0;
		set_disk(device, DISK_ABSENT);
		if (attach->retries == 1)
			attach->ask_at = 0;
		if (attach->ring_state != RING_NONE)
			set_ring(device, RING_UNKNOWN);
	}
	device_dirty(device);
}

/* ---- answers about the disk -------------------------------------------------------------------
 */

/* A ring that is not known of is there until it has been connected again, or disconnected. */
static void
asked_in_vain(struct device *device)
{
	struct attach *attach = &device->attach;

	if (attach->ring_state == RING_UNKNOWN) {
		attach->ring = (struct ring){ 0 };
		set_ring(device, RING_CONNECTED);
		attach->is_hidden = true;
	}
	set_disk(device, DISK_READY);
}

void
attach_tell(struct device *device, const char *what)
{
	static const char *const protos[] = {
		[RING_PROTO_NATIVE] = "native",
		[RING_PROTO_X86_32] = "x86_32",
		[RING_PROTO_X86_64] = "x86_64",
	};
	const struct attach *attach = &device->attach;
	const struct ring *ring = &attach->ring;
	bool is_known = ring->proto && ring->proto < sizeof(protos) / sizeof(protos[0]);

	device_log(device, LOG_INFO,
		   "%s: minor %u of tapdisk %u, %llu sectors, %u queues of %u pages, %s", what,
		   attach->minor, attach->pid, (unsigned long long)attach->info.sectors,
		   ring->queue_count, 1u << (ring->queue[0].order & 31),
		   is_known ? protos[ring->proto] : "unknown layout");
}

/* The tapdisk has told everything: what is true now? */
static void
asked(struct device *device, int err)
{
	struct attach *attach = &device->attach;

	if (attach_is_legacy(device)) {
		asked_in_vain(device);
		return;
	}
	if (err && err != -ENODEV) {
		set_disk(device, DISK_ABSENT);
		return;
	}
	if (attach->ring_state == RING_UNKNOWN && attach->listed)
		attach_tell(device, "adopted");
	if (attach->ring_state != RING_BUSY)
		set_ring(device, attach->listed ? RING_CONNECTED : RING_NONE);
	if (!tapdisk_max_queues(attach->user.tapdisk)) {
		device_log(device, LOG_WARNING, "tapdisk %u serves no guests", attach->pid);
		set_disk(device, DISK_ABSENT);
		return;
	}
	set_disk(device, attach->info.is_open ? DISK_READY : DISK_ABSENT);
}

static void
rings_answered(void *arg, int err, const char *why, const struct frame *frame,
	       const uint8_t *payload)
{
	struct device *device = arg;
	struct attach *attach = &device->attach;
	struct ring ring;
	uint32_t state;

	if (no_answer(frame, err))
		return;
	if (frame && !err && attach_take_ring(device, frame, payload, &ring, &state)) {
		attach->listed = true;
		attach->is_dying = state == TAPDISK_RING_DYING;
		attach->ring = ring;
		if (state == TAPDISK_RING_FAILED)
			device_fail(device, "the guest broke the protocol of the ring");
	}
	if (frame && frame->flags & TAPDISK_FRAME_MORE)
		return;
	if (err && err != -ENODEV && err != -EOPNOTSUPP)
		device_log(device, LOG_WARNING, "rings of tapdisk %u: %s", attach->pid, why);
	asked(device, err);
	over(device);
}

static void
info_answered(void *arg, int err, const char *why, const struct frame *frame,
	      const uint8_t *payload)
{
	struct device *device = arg;
	struct attach *attach = &device->attach;
	struct frame_writer writer;

	if (no_answer(frame, err))
		return;
	if (!err) {
		attach_take_info(&attach->info, frame, payload);
		attach->listed = false;
		attach->is_dying = false;
		begin(device, &writer, TAPDISK_FRAME_RING_LIST);
		err = call(device, &writer, ASK_MS, rings_answered);
		if (!err)
			return;
	}
	device_log(device, LOG_INFO, "minor %u of tapdisk %u: %s", attach->minor, attach->pid, why);
	if (err == -ENODEV) /* without the disk there is no ring of it */
		set_ring(device, RING_NONE);
	set_disk(device, err == -ENODEV ? DISK_GONE : DISK_ABSENT);
	over(device);
}

/* Ask what the disk is like, and then for rings; later, if another call is under way. */
static void
ask(struct device *device)
{
	struct attach *attach = &device->attach;
	struct frame_writer writer;

	attach->ask_after = attach->call != NULL;
	if (attach->call)
		return;
	begin(device, &writer, TAPDISK_FRAME_INFO);
	if (call(device, &writer, ASK_MS, info_answered))
		set_disk(device, DISK_ABSENT);
}

static void
event(void *arg, uint32_t minor, uint32_t kind)
{
	struct device *device = arg;

	(void)kind; /* whatever it was, the answers will tell */
	if (minor == device->attach.minor)
		ask(device);
}

static void
start(struct device *device)
{
	struct attach *attach = &device->attach;
	int err = 0;

	if (!attach->user.tapdisk)
		err = tapdisk_join(&device->tapback->tapdisks, (pid_t)attach->pid, &attach->user);
	if (err) {
		set_disk(device, DISK_ABSENT);
		return;
	}
	if (attach->disk != DISK_READY)
		attach->disk = DISK_ASKING;
	ask(device);
}

/* ---- what the tapdisk can do ------------------------------------------------------------------
 */

bool
attach_is_legacy(const struct device *device)
{
	const struct tapdisk *tapdisk = device->attach.user.tapdisk;

	return tapdisk && tapdisk_is_legacy(tapdisk);
}

void
attach_limit(const struct device *device, uint32_t *queues, uint32_t *order)
{
	const struct tapdisk *tapdisk = device->attach.user.tapdisk;
	uint32_t most = tapdisk ? tapdisk_max_queues(tapdisk) : 0;

	if (most && *queues > most)
		*queues = most;
	if (attach_is_legacy(device) && *order > TAPDISK_MESSAGE_MAX_ORDER)
		*order = TAPDISK_MESSAGE_MAX_ORDER;
}

/* ---- where the disk is ------------------------------------------------------------------------
 */

void
attach_init(struct device *device)
{
	device->attach.user = (struct tapdisk_user){ .lost = lost, .event = event, .arg = device };
}

void
attach_free(struct device *device)
{
	tapdisk_forget(device->attach.call);
	device->attach.call = NULL;
	device->attach.ask_after = false;
	tapdisk_leave(&device->attach.user);
}

/*
 * A tapdisk that has not answered yet may have a ring, too: whoever looked away from it would leave
 * the ring there, and the guest's memory with it.
 */
static bool
may_hold_ring(const struct attach *attach)
{
	return attach->ring_state != RING_NONE;
}

void
attach_found(struct device *device, uint32_t pid, uint32_t minor)
{
	struct attach *attach = &device->attach;

	if (attach->disk != DISK_NONE && attach->pid == pid && attach->minor == minor)
		return;
	if (may_hold_ring(attach))
		return;
	attach_free(device);
	attach->pid = pid;
	attach->minor = minor;
	attach->retries = 0;
	attach->disk = DISK_ASKING;
	set_ring(device, RING_UNKNOWN);
	device->is_named = false;
	start(device);
}

void
attach_lost(struct device *device)
{
	struct attach *attach = &device->attach;

	if (may_hold_ring(attach))
		return;
	attach_free(device);
	attach->disk = DISK_NONE;
	set_ring(device, RING_NONE);
}

void
attach_again(struct device *device, bool now)
{
	struct attach *attach = &device->attach;

	if (attach->disk != DISK_ABSENT && !disk_has_gone(attach->disk))
		return;
	if (now || tb_loop_now() >= attach->ask_at)
		start(device);
	if (attach->disk == DISK_ABSENT || disk_has_gone(attach->disk))
		device_look_in(device, attach->retries <= OFTEN ? OFTEN_MS : SELDOM_MS);
}

/* ---- the ring ---------------------------------------------------------------------------------
 */

/* Not the guest's doing: another time it may go well. */
static bool
passes(int err)
{
	return err == -EAGAIN || err == -ENOMEM || err == -EBUSY;
}

static void
connect_failed(struct device *device, int err, const char *why)
{
	struct attach *attach = &device->attach;

	device_log(device, LOG_WARNING, "connecting to minor %u of tapdisk %u: %s", attach->minor,
		   attach->pid, why);
	set_ring(device, RING_NONE);
	switch (err) {
	case -EALREADY: /* then it is listed */
	case -ETIMEDOUT:
		set_ring(device, RING_UNKNOWN);
		attach->ask_after = true;
		break;
	case -ENODEV:
		set_disk(device, DISK_GONE);
		break;
	default:
		if (passes(err))
			attach->connect_at = tb_loop_now() + CONNECT_AGAIN_MS;
		else
			device_fail(device, "the ring cannot be connected: %s", why);
	}
	over(device);
}

/* The ring that could not be asked about was there: the guest has been told, if we say so. */
static bool
was_hidden(const struct device *device, int err)
{
	return err == -EALREADY && attach_is_legacy(device);
}

static void
connected(void *arg, int err, const char *why, const struct frame *frame, const uint8_t *payload)
{
	struct device *device = arg;
	struct attach *attach = &device->attach;

	(void)payload;
	if (no_answer(frame, err))
		return;
	if (was_hidden(device, err)) {
		device->unannounced = device->view.own != XENBUS_CONNECTED;
	} else if (err) {
		connect_failed(device, err, why);
		return;
	}
	attach->ring = attach->wanted;
	attach->is_dying = false;
	set_ring(device, RING_CONNECTED);
	over(device);
}

/* The disk as it is at this moment: then the ring. */
static void
info_before_connect(void *arg, int err, const char *why, const struct frame *frame,
		    const uint8_t *payload)
{
	struct device *device = arg;
	struct attach *attach = &device->attach;
	struct frame_writer writer;

	if (no_answer(frame, err))
		return;
	if (err) {
		connect_failed(device, err, why);
		return;
	}
	attach_take_info(&attach->info, frame, payload);
	if (!attach->info.is_open) {
		connect_failed(device, -EAGAIN, "no image is open");
		return;
	}
	if (attach->wish.writable && attach->info.info & DISK_INFO_READ_ONLY) {
		connect_failed(device, -EROFS, "the image is read-only");
		return;
	}
	begin(device, &writer, TAPDISK_FRAME_RING_CONNECT);
	attach_put_ring(&writer, device);
	if (call(device, &writer, CONNECT_MS, connected))
		connect_failed(device, -ENOMEM, "out of memory");
}

void
attach_connect(struct device *device, const struct ring *ring, const struct device_wish *wish)
{
	struct attach *attach = &device->attach;
	struct frame_writer writer;

	if (attach->call) /* the answer will bring us here again */
		return;
	attach->wanted = *ring;
	attach->wish = *wish;
	begin(device, &writer, TAPDISK_FRAME_INFO);
	if (call(device, &writer, ASK_MS, info_before_connect)) {
		attach->connect_at = tb_loop_now() + CONNECT_AGAIN_MS;
		device_look_in(device, CONNECT_AGAIN_MS);
		return;
	}
	set_ring(device, RING_BUSY);
	device->unannounced = true;
}

static void
disconnected(void *arg, int err, const char *why, const struct frame *frame, const uint8_t *payload)
{
	struct device *device = arg;
	struct attach *attach = &device->attach;

	(void)payload;
	if (no_answer(frame, err))
		return;
	if (err && err != -ENODEV) {
		device_log(device, LOG_WARNING, "disconnecting: %s", why);
		set_ring(device, RING_UNKNOWN);
		attach->ask_after = true;
	} else {
		device_log(device, LOG_INFO, "disconnected from minor %u of tapdisk %u",
			   attach->minor, attach->pid);
		set_ring(device, RING_NONE);
	}
	over(device);
}

void
attach_disconnect(struct device *device, bool force)
{
	struct attach *attach = &device->attach;
	struct tapdisk_call *before = attach->call;
	struct frame_writer writer;

	begin(device, &writer, TAPDISK_FRAME_RING_DISCONNECT);
	frame_put_u32(&writer, TAPDISK_ATTR_DOMID, device->domid);
	frame_put_u32(&writer, TAPDISK_ATTR_DEVID, device->devid);
	if (force)
		frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	if (call(device, &writer, DISCONNECT_MS, disconnected)) {
		attach->call = before;
		device_look_in(device, CONNECT_AGAIN_MS);
		return;
	}
	/* A question, or the same without force: nothing is lost when it is not waited for. */
	tapdisk_forget(before);
	attach->ask_after |= before != NULL;
	set_ring(device, RING_BUSY);
	attach->lets_go = !force;
}
