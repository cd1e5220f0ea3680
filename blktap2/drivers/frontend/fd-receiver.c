/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors from other processes, one per connection. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/core/loop.h"
#include "drivers/core/tlog.h"
#include "drivers/frontend/fd-receiver.h"
#include "drivers/frontend/listener.h"

#define BACKLOG 5
#define SENDERS_MAX 8   /* connections that have not sent their message yet */
#define SENDER_MS 10000 /* and how long they may take */
#define FDS_MAX 16      /* in one message; the kernel closes what is beyond */

struct sender {
	struct fd_receiver *receiver;
	int fd;
	struct loop_watch *watch;
	struct loop_timer deadline;
	TAILQ_ENTRY(sender) link;
};

struct fd_receiver {
	struct loop *loop;
	struct tlog *log;
	struct tlog_limit limit;
	struct listener *listener;
	TAILQ_HEAD(, sender) senders;
	unsigned count; /* of senders */
	fd_receiver_fn fn;
	void *arg;
};

static void
sender_free(struct sender *sender)
{
	struct fd_receiver *receiver = sender->receiver;

	loop_unwatch(sender->watch);
	loop_timer_cancel(receiver->loop, &sender->deadline);
	close(sender->fd);
	TAILQ_REMOVE(&receiver->senders, sender, link);
	if (receiver->count-- == SENDERS_MAX && receiver->listener)
		listener_mask(receiver->listener, false);
	free(sender);
}

static void
too_late(void *arg)
{
	sender_free(arg);
}

/* The only descriptor of the message, or -1 after closing what it brought. */
static int
only_fd(struct msghdr *message)
{
	struct cmsghdr *part;
	size_t i, count, total = 0;
	int fd, first = -1;

	for (part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
			if (total++ == 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

static void
on_message(void *arg, unsigned events)
{
	struct sender *sender = arg;
	struct fd_receiver *receiver = sender->receiver;
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	char name[FD_RECEIVER_NAME_MAX + 1];
	struct iovec iov = { .iov_base = name, .iov_len = sizeof(name) };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	ssize_t size;
	int fd;

	(void)events;
	size = recvmsg(sender->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	sender_free(sender);
	fd = size < 0 ? -1 : only_fd(&message);
	if (fd >= 0 && size > 0 && size <= FD_RECEIVER_NAME_MAX) {
		receiver->fn(receiver->arg, fd, name, (size_t)size);
		return;
	}
	if (fd >= 0)
		close(fd);
	tlog_limited(receiver->log, &receiver->limit, LOG_INFO,
		     "fd-receiver: message refused: it needs a name and a descriptor");
}

static void
on_sender(void *arg, int fd)
{
	struct fd_receiver *receiver = arg;
	struct sender *sender = calloc(1, sizeof(*sender));

	if (!sender) {
		close(fd);
		return;
	}
	sender->receiver = receiver;
	sender->fd = fd;
	sender->deadline.fn = too_late;
	sender->deadline.arg = sender;
	TAILQ_INSERT_TAIL(&receiver->senders, sender, link);
	if (++receiver->count == SENDERS_MAX)
		listener_mask(receiver->listener, true);
	if (loop_watch(receiver->loop, fd, LOOP_READ, on_message, sender, &sender->watch) ||
	    loop_timer_set(receiver->loop, &sender->deadline, SENDER_MS))
		sender_free(sender);
}

int
fd_receiver_new(struct fd_receiver **out, struct loop *loop, struct tlog *log, const char *path,
		fd_receiver_fn fn, void *arg)
{
	struct fd_receiver *receiver = calloc(1, sizeof(*receiver));
	int err;

	if (!receiver)
		return -ENOMEM;
	receiver->loop = loop;
	receiver->log = log;
	receiver->fn = fn;
	receiver->arg = arg;
	TAILQ_INIT(&receiver->senders);
	err = listener_new(&receiver->listener, loop, path, BACKLOG, on_sender, receiver);
	if (err) {
		free(receiver);
		return err;
	}
	*out = receiver;
	return 0;
}

void
fd_receiver_free(struct fd_receiver *receiver)
{
	struct sender *sender;

	if (!receiver)
		return;
	listener_free(receiver->listener);
	receiver->listener = NULL;
	while ((sender = TAILQ_FIRST(&receiver->senders)))
		sender_free(sender);
	free(receiver);
}
