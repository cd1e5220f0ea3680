/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netlink message: a header of 16 bytes, the header of generic netlink, then attributes, each
 * with a header of its own and padded to 4 bytes.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/nbd-netlink.h"

#define ANSWER_ROOM 4096
#define ANSWERS_MAX 16 /* datagrams that are read in search of an end */
#define FAMILY_VERSION 1
#define ATTR_BACKEND 10 /* since Linux 5.14; not in every header */

/* ---- encoding ---------------------------------------------------------------------------------
 */

/* Where a message stands that is being written. */
struct writer {
	uint8_t *at;
	size_t length;
};

/* An attribute; data NULL opens a nest, whose length follows with end_nest.  Where it begins. */
static size_t
put_attr(struct writer *writer, uint16_t type, const void *data, size_t length)
{
	size_t begin = writer->length, total = NLA_HDRLEN + length;
	struct nlattr head = { .nla_len = (uint16_t)total, .nla_type = type };

	memset(writer->at + begin, 0, NLA_ALIGN(total));
	memcpy(writer->at + begin, &head, sizeof(head));
	if (data)
		memcpy(writer->at + begin + NLA_HDRLEN, data, length);
	writer->length += NLA_ALIGN(total);
	return begin;
}

static size_t
begin_nest(struct writer *writer, uint16_t type)
{
	return put_attr(writer, type | NLA_F_NESTED, NULL, 0);
}

static void
end_nest(struct writer *writer, size_t begin)
{
	uint16_t length = (uint16_t)(writer->length - begin);

	memcpy(writer->at + begin + offsetof(struct nlattr, nla_len), &length, sizeof(length));
}

static void
put_u64(struct writer *writer, uint16_t type, uint64_t value)
{
	put_attr(writer, type, &value, sizeof(value));
}

static struct writer
begin_message(uint8_t *to, uint16_t type, uint8_t command, bool wants_ack)
{
	struct nlmsghdr head = {
		.nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (wants_ack ? NLM_F_ACK : 0)),
	};
	struct genlmsghdr generic = { .cmd = command, .version = FAMILY_VERSION };

	memcpy(to, &head, sizeof(head));
	memcpy(to + NLMSG_HDRLEN, &generic, sizeof(generic));
	return (struct writer){ .at = to, .length = NLMSG_HDRLEN + GENL_HDRLEN };
}

static size_t
end_message(const struct writer *writer)
{
	uint32_t length = (uint32_t)writer->length;

	memcpy(writer->at + offsetof(struct nlmsghdr, nlmsg_len), &length, sizeof(length));
	return writer->length;
}

size_t
nbd_netlink_put_family(uint8_t to[static NBD_NETLINK_ROOM])
{
	struct writer writer = begin_message(to, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, true);

	put_attr(&writer, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME,
		 sizeof(NBD_GENL_FAMILY_NAME));
	return end_message(&writer);
}

size_t
nbd_netlink_put_connect(uint8_t to[static NBD_NETLINK_ROOM], uint16_t family,
			const struct nbd_netlink_device *device)
{
	struct writer writer = begin_message(to, family, NBD_CMD_CONNECT, true);
	size_t length = strnlen(device->backend, NBD_NETLINK_BACKEND - 1);
	char backend[NBD_NETLINK_BACKEND] = { 0 };
	uint32_t fd = (uint32_t)device->fd;
	size_t sockets, item;

	memcpy(backend, device->backend, length);
	put_u64(&writer, NBD_ATTR_SIZE_BYTES, device->bytes);
	put_u64(&writer, NBD_ATTR_BLOCK_SIZE_BYTES, device->block_bytes);
	put_u64(&writer, NBD_ATTR_SERVER_FLAGS, device->flags);
	sockets = begin_nest(&writer, NBD_ATTR_SOCKETS);
	item = begin_nest(&writer, NBD_SOCK_ITEM);
	put_attr(&writer, NBD_SOCK_FD, &fd, sizeof(fd));
	end_nest(&writer, item);
	end_nest(&writer, sockets);
	put_attr(&writer, ATTR_BACKEND, backend, length + 1);
	return end_message(&writer);
}

size_t
nbd_netlink_put_disconnect(uint8_t to[static NBD_NETLINK_ROOM], uint16_t family, uint32_t device)
{
	struct writer writer = begin_message(to, family, NBD_CMD_DISCONNECT, true);

	put_attr(&writer, NBD_ATTR_INDEX, &device, sizeof(device));
	return end_message(&writer);
}

/* ---- decoding ---------------------------------------------------------------------------------
 */

/* The value of a number among attributes, or -1. */
static int64_t
find_attr(const uint8_t *from, size_t length, uint16_t type)
{
	struct nlattr head;
	uint32_t wide;
	uint16_t narrow;
	size_t padded;

	while (length >= sizeof(head)) {
		memcpy(&head, from, sizeof(head));
		if (head.nla_len < NLA_HDRLEN || head.nla_len > length)
			return -1;
		if ((head.nla_type & NLA_TYPE_MASK) == type) {
			if (head.nla_len == NLA_HDRLEN + sizeof(wide)) {
				memcpy(&wide, from + NLA_HDRLEN, sizeof(wide));
				return wide;
			}
			if (head.nla_len == NLA_HDRLEN + sizeof(narrow)) {
				memcpy(&narrow, from + NLA_HDRLEN, sizeof(narrow));
				return narrow;
			}
			return -1;
		}
		padded = NLA_ALIGN((size_t)head.nla_len);
		if (padded >= length)
			return -1;
		from += padded;
		length -= padded;
	}
	return -1;
}

static int
get_message(const struct nlmsghdr *head, const uint8_t *body, size_t length,
	    struct nbd_netlink_answer *answer)
{
	int32_t err;

	if (head->nlmsg_type == NLMSG_ERROR) {
		if (length < sizeof(err))
			return -EPROTO;
		memcpy(&err, body, sizeof(err));
		answer->ended = true;
		answer->err = err;
		return 0;
	}
	if (length < GENL_HDRLEN)
		return -EPROTO;
	body += GENL_HDRLEN;
	length -= GENL_HDRLEN;
	if (head->nlmsg_type == GENL_ID_CTRL)
		answer->family = (int)find_attr(body, length, CTRL_ATTR_FAMILY_ID);
	else
		answer->device = find_attr(body, length, NBD_ATTR_INDEX);
	return 0;
}

int
nbd_netlink_get(const uint8_t *from, size_t length, struct nbd_netlink_answer *answer)
{
	struct nlmsghdr head;
	size_t padded;
	int err;

	*answer = (struct nbd_netlink_answer){ .family = -1, .device = -1 };
	do {
		if (length < sizeof(head))
			return -EPROTO;
		memcpy(&head, from, sizeof(head));
		if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > length)
			return -EPROTO;
		err = get_message(&head, from + NLMSG_HDRLEN, head.nlmsg_len - NLMSG_HDRLEN,
				  answer);
		if (err)
			return err;
		padded = NLMSG_ALIGN((size_t)head.nlmsg_len);
		if (padded >= length)
			return 0;
		from += padded;
		length -= padded;
	} while (!answer->ended);
	return 0;
}

/* ---- calls ------------------------------------------------------------------------------------
 */

/* Send a message and gather what comes back: the kernel has answered when send returns. */
static int
call(int fd, const uint8_t *message, size_t length, struct nbd_netlink_answer *all)
{
	struct nbd_netlink_answer answer;
	uint8_t from[ANSWER_ROOM];
	ssize_t got;
	int i, err;

	*all = (struct nbd_netlink_answer){ .family = -1, .device = -1 };
	if (send(fd, message, length, 0) < 0)
		return -errno;
	for (i = 0; i < ANSWERS_MAX; i++) {
		got = recv(fd, from, sizeof(from), MSG_DONTWAIT);
		if (got < 0)
			return -errno;
		err = nbd_netlink_get(from, (size_t)got, &answer);
		if (err)
			return err;
		if (answer.family >= 0)
			all->family = answer.family;
		if (answer.device >= 0)
			all->device = answer.device;
		if (answer.ended)
			return answer.err;
	}
	return -EPROTO;
}

/* A socket of generic netlink, and the number of the family: -ENODEV without a client. */
static int
open_family(int *fd, uint16_t *family)
{
	uint8_t message[NBD_NETLINK_ROOM];
	struct nbd_netlink_answer answer;
	int err;

	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (*fd < 0)
		return -errno;
	err = call(*fd, message, nbd_netlink_put_family(message), &answer);
	if (err == -ENOENT)
		return -ENODEV;
	if (err)
		return err;
	if (answer.family <= 0 || answer.family > UINT16_MAX)
		return -EPROTO;
	*family = (uint16_t)answer.family;
	return 0;
}

bool
nbd_netlink_is_there(void)
{
	AUTO_CLOSE int fd = -1;
	uint16_t family;

	return open_family(&fd, &family) == 0;
}

int
nbd_netlink_connect(const struct nbd_netlink_device *device, int *number)
{
	uint8_t message[NBD_NETLINK_ROOM];
	struct nbd_netlink_answer answer;
	AUTO_CLOSE int fd = -1;
	uint16_t family;
	int err;

	err = open_family(&fd, &family);
	if (err)
		return err;
	err = call(fd, message, nbd_netlink_put_connect(message, family, device), &answer);
	if (err)
		return err;
	if (answer.device < 0 || answer.device > INT32_MAX)
		return -EPROTO;
	*number = (int)answer.device;
	return 0;
}

int
nbd_netlink_disconnect(int number)
{
	uint8_t message[NBD_NETLINK_ROOM];
	struct nbd_netlink_answer answer;
	AUTO_CLOSE int fd = -1;
	uint16_t family;
	int err;

	err = open_family(&fd, &family);
	if (err)
		return err;
	return call(fd, message, nbd_netlink_put_disconnect(message, family, (uint32_t)number),
		    &answer);
}
