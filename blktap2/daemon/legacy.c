/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests are translated and sent one after the other, each on a connection of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/message.h"
#include "daemon/legacy.h"

#define ANSWER_MS 10000    /* for one message */
#define AGAIN_MS 50        /* a full backlog cannot be waited for */
#define GONE_AGAIN_MS 100  /* between two looks at a ring that is to go */
#define GONE_MS 10000      /* it goes, or nobody waits for it any more */
#define MINOR_MAX 0xfffe   /* that fits into a message */
#define RING_BYTES (8 + 4) /* of a queue with one page, the smallest there is */

struct request {
	uint64_t id;
	unsigned type; /* TAPDISK_FRAME_* */
	uint32_t minor;
	int err; /* it cannot be said in a message */
	tapdisk_message_t message;
	uint64_t gone_until; /* of a disconnect that has been accepted; loop milliseconds */
	TAILQ_ENTRY(request) link;
};

struct legacy {
	struct tb_loop *loop; /* borrowed */
	struct legacy_user user;
	struct sockaddr_un name;
	pid_t pid;
	TAILQ_HEAD(, request) requests; /* the first is under way */
	int fd;                         /* of its connection; -1: there is none now */
	struct tb_watch watch, death;
	int pidfd;
	struct tb_timer timer; /* to begin, or the end of patience */
	uint8_t in[TAPDISK_MESSAGE_SIZE];
	size_t in_length;
};

/* ---- from frames to messages ------------------------------------------------------------------
 */

static int
take_queue(const struct frame_attr *attr, tapdisk_message_blkif_t *blkif)
{
	size_t pages, i;

	if (blkif->port || attr->length < RING_BYTES)
		return -EINVAL;
	blkif->order = get_le32(attr->value);
	blkif->port = get_le32(attr->value + 4);
	pages = (size_t)1 << (blkif->order & 31);
	if (blkif->order > TAPDISK_MESSAGE_MAX_ORDER || attr->length != 8 + 4 * pages)
		return -EINVAL;
	for (i = 0; i < pages; i++)
		blkif->gref[i] = get_le32(attr->value + 8 + 4 * i);
	return 0;
}

static int
take_ring(const struct frame *frame, const uint8_t *payload, tapdisk_message_blkif_t *blkif)
{
	struct frame_reader reader = { .at = payload, .left = frame->length };
	struct frame_attr attr;
	int err = 0;

	while (!err && frame_next(&reader, &attr) == 1) {
		if (attr.tag == TAPDISK_ATTR_DOMID)
			err = frame_get_u32(&attr, &blkif->domid);
		else if (attr.tag == TAPDISK_ATTR_DEVID)
			err = frame_get_u32(&attr, &blkif->devid);
		else if (attr.tag == TAPDISK_ATTR_PROTO)
			err = frame_get_u32(&attr, &blkif->proto);
		else if (attr.tag == TAPDISK_ATTR_QUEUE)
			err = take_queue(&attr, blkif);
		else if (attr.tag == TAPDISK_ATTR_POLL && attr.length == 8) {
			blkif->poll_duration = get_le32(attr.value);
			blkif->poll_idle_threshold = get_le32(attr.value + 4);
		}
	}
	return err;
}

/* 0, or -errno: there is no such message. */
static int
translate(const struct frame *frame, const uint8_t *payload, tapdisk_message_t *message)
{
	if (frame->minor != TAPDISK_FRAME_NO_MINOR && frame->minor > MINOR_MAX)
		return -ENODEV;
	message->cookie = (uint16_t)frame->minor;
	switch (frame->type) {
	case TAPDISK_FRAME_PING:
		message->type = TAPDISK_MESSAGE_PID;
		return 0;
	case TAPDISK_FRAME_INFO:
		message->type = TAPDISK_MESSAGE_DISK_INFO;
		return 0;
	case TAPDISK_FRAME_RING_CONNECT:
		message->type = TAPDISK_MESSAGE_XENBLKIF_CONNECT;
		return take_ring(frame, payload, &message->u.blkif);
	case TAPDISK_FRAME_RING_DISCONNECT:
		message->type = TAPDISK_MESSAGE_XENBLKIF_DISCONNECT;
		return take_ring(frame, payload, &message->u.blkif);
	default:
		return -EOPNOTSUPP;
	}
}

/* ---- from messages to frames ------------------------------------------------------------------
 */

static void
put_limits(struct frame_writer *writer)
{
	uint8_t limits[16];

	put_le32(limits, TAPDISK_MESSAGE_SIZE);
	put_le32(limits + 4, 1);  /* requests at a time */
	put_le32(limits + 8, 1);  /* rings: who knows how many */
	put_le32(limits + 12, 1); /* queues */
	frame_put(writer, TAPDISK_ATTR_LIMITS, limits, sizeof(limits));
}

static void
put_result(struct frame_writer *writer, const struct legacy *legacy, const struct request *request,
	   const tapdisk_message_t *message)
{
	if (request->type == TAPDISK_FRAME_PING) {
		frame_put_u32(writer, TAPDISK_ATTR_PID, (uint32_t)message->u.tapdisk_pid);
		put_limits(writer);
	} else if (request->type == TAPDISK_FRAME_INFO) {
		frame_put_u64(writer, TAPDISK_ATTR_SECTORS, message->u.image.sectors);
		frame_put_u32(writer, TAPDISK_ATTR_SECTOR_SIZE, message->u.image.sector_size);
		frame_put_u32(writer, TAPDISK_ATTR_INFO, message->u.image.info);
		/* Whoever can say that has an image: where it is served is not asked of him. */
		frame_put_text(writer, TAPDISK_ATTR_NBD_PATH, legacy->name.sun_path);
	}
}

/* The first request has been answered, by message unless err says otherwise; the next may begin. */
static void
finish(struct legacy *legacy, int err, const tapdisk_message_t *message)
{
	struct request *request = TAILQ_FIRST(&legacy->requests);
	struct frame frame = {
		.version = TAPDISK_FRAME_VERSION,
		.type = (uint16_t)request->type,
		.flags = TAPDISK_FRAME_REPLY | (err ? TAPDISK_FRAME_ERROR : 0),
		.request_id = request->id,
		.minor = request->minor,
		.error = (uint32_t)-err,
	};
	struct frame_writer writer;

	frame_begin(&writer, &frame);
	if (!err)
		put_result(&writer, legacy, request, message);
	else if (message &&
		 message_text_ends(message->u.response.message,
				   sizeof(message->u.response.message)) &&
		 message->u.response.message[0])
		frame_put_text(&writer, TAPDISK_ATTR_ERROR_TEXT, message->u.response.message);
	TAILQ_REMOVE(&legacy->requests, request, link);
	free(request);
	tb_timer_set(legacy->loop, &legacy->timer, 0);
	/* Without memory for the answer there is none, which its deadline takes care of. */
	if (frame_end(&writer, TAPDISK_FRAME_MAX_REPLY) == 0 &&
	    frame_decode(writer.at, &frame) == 0)
		legacy->user.answer(legacy->user.arg, &frame, writer.at + frame.header_len);
	frame_writer_free(&writer);
}

/* ---- one connection ---------------------------------------------------------------------------
 */

static void
hang_up(struct legacy *legacy)
{
	tb_watch_clear(legacy->loop, &legacy->watch);
	if (legacy->fd >= 0)
		close(legacy->fd);
	legacy->fd = -1;
	legacy->in_length = 0;
	tb_timer_clear(legacy->loop, &legacy->timer);
}

/*
 * A disconnect is accepted before the guest's memory is let go.  That has happened when the ring is
 * unknown; so the same is asked again until it is.
 */
static bool
waits_for_the_end(struct legacy *legacy, struct request *request)
{
	uint64_t now = tb_loop_now();

	if (request->type != TAPDISK_FRAME_RING_DISCONNECT)
		return false;
	if (!request->gone_until)
		request->gone_until = now + GONE_MS;
	if (now >= request->gone_until)
		return false;
	tb_timer_set(legacy->loop, &legacy->timer, GONE_AGAIN_MS);
	return true;
}

static void
take_message(struct legacy *legacy)
{
	struct request *request = TAILQ_FIRST(&legacy->requests);
	const tapdisk_message_t *said = NULL;
	tapdisk_message_t message;
	int err = 0;

	memcpy(&message, legacy->in, sizeof(message));
	hang_up(legacy);
	if (message.type == TAPDISK_MESSAGE_ERROR && request->gone_until) {
		said = &message; /* it has gone, as was wanted */
	} else if (message.type == TAPDISK_MESSAGE_ERROR) {
		said = &message;
		err = message.u.response.error;
		err = err > 0 && err < 4096 ? -err : -EIO;
	} else if (message.type != request->message.type + 1) {
		err = -EPROTO;
	} else if (waits_for_the_end(legacy, request)) {
		return;
	} else {
		said = &message;
	}
	finish(legacy, err, said);
}

static void
ready(void *arg, uint32_t events)
{
	struct legacy *legacy = arg;
	ssize_t got;

	(void)events;
	got = recv(legacy->fd, legacy->in + legacy->in_length,
		   sizeof(legacy->in) - legacy->in_length, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) { /* it may have been done all the same */
		hang_up(legacy);
		finish(legacy, -ETIMEDOUT, NULL);
		return;
	}
	legacy->in_length += (size_t)got;
	if (legacy->in_length == sizeof(legacy->in))
		take_message(legacy);
}

/* 0, -EAGAIN the other side has no time now, or -errno. */
static int
dial(struct legacy *legacy, const tapdisk_message_t *message)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	legacy->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (legacy->fd < 0 ||
	    connect(legacy->fd, (struct sockaddr *)&legacy->name, sizeof(legacy->name)) ||
	    getsockopt(legacy->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return -errno;
	if (peer.pid != legacy->pid)
		return -ENOENT;
	/* It fits into the buffer of any socket. */
	if (send(legacy->fd, message, sizeof(*message), MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sizeof(*message))
		return -EIO;
	return tb_watch_set(legacy->loop, &legacy->watch, legacy->fd, EPOLLIN);
}

static void
begin(struct legacy *legacy, const struct request *request)
{
	int err = request->err ? 0 : dial(legacy, &request->message);

	if (request->err) {
		finish(legacy, request->err, NULL);
		return;
	}
	if (!err) {
		tb_timer_set(legacy->loop, &legacy->timer, ANSWER_MS);
		return;
	}
	hang_up(legacy);
	if (err == -EAGAIN)
		tb_timer_set(legacy->loop, &legacy->timer, AGAIN_MS);
	else
		legacy->user.lost(legacy->user.arg, err);
}

static void
tick(void *arg)
{
	struct legacy *legacy = arg;
	const struct request *request = TAILQ_FIRST(&legacy->requests);

	if (legacy->fd >= 0) {
		hang_up(legacy);
		finish(legacy, -ETIMEDOUT, NULL);
	} else if (request) {
		begin(legacy, request);
	}
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void
died(void *arg, uint32_t events)
{
	struct legacy *legacy = arg;

	(void)events;
	tb_watch_clear(legacy->loop, &legacy->death);
	legacy->user.lost(legacy->user.arg, -ECONNREFUSED);
}

int
legacy_send(struct legacy *legacy, const uint8_t *bytes, size_t length)
{
	struct request *request;
	struct frame frame;

	if (length < TAPDISK_FRAME_HEADER || frame_decode(bytes, &frame) ||
	    frame.header_len + (size_t)frame.length != length)
		return -EINVAL;
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	request->id = frame.request_id;
	request->type = frame.type;
	request->minor = frame.minor;
	request->err = translate(&frame, bytes + frame.header_len, &request->message);
	TAILQ_INSERT_TAIL(&legacy->requests, request, link);
	if (legacy->fd < 0 && !legacy->timer.at)
		tb_timer_set(legacy->loop, &legacy->timer, 0);
	return 0;
}

/* No connection lasts that would tell of the end of the process: the kernel has to. */
static int
watch_process(struct legacy *legacy)
{
	legacy->pidfd = (int)syscall(SYS_pidfd_open, legacy->pid, 0);
	if (legacy->pidfd < 0) /* before Linux 5.3: the next request tells */
		return errno == ENOSYS ? 0 : errno == ESRCH ? -ENOENT : -errno;
	return tb_watch_set(legacy->loop, &legacy->death, legacy->pidfd, EPOLLIN);
}

int
legacy_new(struct legacy **out, struct tb_loop *loop, const char *path, pid_t pid,
	   const struct legacy_user *user)
{
	struct legacy *legacy = calloc(1, sizeof(*legacy));
	int err;

	if (!legacy)
		return -ENOMEM;
	legacy->loop = loop;
	legacy->user = *user;
	legacy->pid = pid;
	legacy->fd = legacy->pidfd = -1;
	legacy->watch = (struct tb_watch){ .fn = ready, .arg = legacy };
	legacy->death = (struct tb_watch){ .fn = died, .arg = legacy };
	legacy->timer = (struct tb_timer){ .fn = tick, .arg = legacy };
	TAILQ_INIT(&legacy->requests);
	legacy->name.sun_family = AF_UNIX;
	snprintf(legacy->name.sun_path, sizeof(legacy->name.sun_path), "%s", path);
	err = watch_process(legacy);
	if (err) {
		legacy_free(legacy);
		return err;
	}
	*out = legacy;
	return 0;
}

void
legacy_free(struct legacy *legacy)
{
	struct request *request;

	if (!legacy)
		return;
	hang_up(legacy);
	tb_watch_clear(legacy->loop, &legacy->death);
	if (legacy->pidfd >= 0)
		close(legacy->pidfd);
	while ((request = TAILQ_FIRST(&legacy->requests))) {
		TAILQ_REMOVE(&legacy->requests, request, link);
		free(request);
	}
	free(legacy);
}
