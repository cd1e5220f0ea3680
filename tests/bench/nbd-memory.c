/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbd-memory: the least an NBD server can do, to test the load generator and to find its ceiling.
 *
 *	nbd-memory [FAULT] SOCKET COMMAND...
 *
 * listens on SOCKET, runs COMMAND, serves its connections one after the other with a disk of zeroes
 * that forgets what is written, removes SOCKET and ends with the status of COMMAND.  FAULT, one of
 * --error, --cookie, --magic and --close, spoils the answer to the hundredth request of a
 * connection.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "drivers/frontend/nbd-wire.h"

#define DISK_SIZE (64ull * 1024 * 1024)
#define READ_MAX (1u * 1024 * 1024)
#define INPUT_SIZE (256u * 1024)
#define REPLY_SIZE 16
#define BATCH 512
#define FAULTY_REQUEST 100

enum fault { FAULT_NONE, FAULT_ERROR, FAULT_COOKIE, FAULT_MAGIC, FAULT_CLOSE };

struct server {
	enum fault fault;
	int fd;          /* of the connection */
	unsigned served; /* requests of the connection */
	uint8_t *zeroes; /* READ_MAX bytes */
	uint8_t *input;
	size_t input_used;
	uint64_t payload_left; /* bytes of a write still to be thrown away */
	uint8_t replies[BATCH][REPLY_SIZE];
	struct iovec iov[2 * BATCH];
	unsigned reply_count, iov_count;
};

static bool
receive(int fd, void *data, size_t length)
{
	return recv(fd, data, length, MSG_WAITALL) == (ssize_t)length;
}

static bool
transmit(int fd, const void *data, size_t length)
{
	return send(fd, data, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* GO is all that is understood. */
static bool
shake_hands(int fd)
{
	uint8_t greeting[NBD_GREETING_SIZE], option[NBD_CLIENT_FLAGS_SIZE + NBD_OPTION_SIZE];
	uint8_t answer[2 * NBD_OPTION_REPLY_SIZE + 12] = { 0 }, data[64];
	uint8_t *ack = answer + NBD_OPTION_REPLY_SIZE + 12;
	uint32_t length;

	put_be64(greeting, NBD_INIT_MAGIC);
	put_be64(greeting + 8, NBD_OPTION_MAGIC);
	put_be16(greeting + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	if (!transmit(fd, greeting, sizeof(greeting)) || !receive(fd, option, sizeof(option)))
		return false;
	length = get_be32(option + NBD_CLIENT_FLAGS_SIZE + 12);
	if (get_be32(option + NBD_CLIENT_FLAGS_SIZE + 8) != NBD_OPT_GO || length > sizeof(data) ||
	    !receive(fd, data, length))
		return false;
	put_be64(answer, NBD_OPTION_REPLY_MAGIC);
	put_be32(answer + 8, NBD_OPT_GO);
	put_be32(answer + 12, NBD_REP_INFO);
	put_be32(answer + 16, 12);
	put_be64(answer + NBD_OPTION_REPLY_SIZE + 2, DISK_SIZE);
	put_be16(answer + NBD_OPTION_REPLY_SIZE + 10, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH);
	put_be64(ack, NBD_OPTION_REPLY_MAGIC);
	put_be32(ack + 8, NBD_OPT_GO);
	put_be32(ack + 12, NBD_REP_ACK);
	return transmit(fd, answer, sizeof(answer));
}

static bool
send_replies(struct server *s)
{
	struct msghdr message = { .msg_iov = s->iov, .msg_iovlen = s->iov_count };
	ssize_t sent;

	while (message.msg_iovlen) {
		sent = sendmsg(s->fd, &message, MSG_NOSIGNAL);
		if (sent < 0)
			return false;
		while (sent) {
			size_t length = message.msg_iov->iov_len;
			size_t taken = (size_t)sent < length ? (size_t)sent : length;

			message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + taken;
			message.msg_iov->iov_len -= taken;
			sent -= (ssize_t)taken;
			if (taken == length) {
				message.msg_iov++;
				message.msg_iovlen--;
			}
		}
	}
	s->reply_count = 0;
	s->iov_count = 0;
	return true;
}

/* False: the connection is to be closed. */
static bool
answer(struct server *s, const uint8_t *request)
{
	unsigned type = get_be16(request + 6);
	uint32_t length = get_be32(request + 24);
	uint8_t *reply = s->replies[s->reply_count++];
	enum fault fault = ++s->served == FAULTY_REQUEST ? s->fault : FAULT_NONE;

	if (get_be32(request) != NBD_REQUEST_MAGIC || type == NBD_CMD_DISC || fault == FAULT_CLOSE)
		return false;
	put_be32(reply, fault == FAULT_MAGIC ? 0 : NBD_REPLY_MAGIC);
	put_be32(reply + 4, fault == FAULT_ERROR ? NBD_EIO : 0);
	put_be64(reply + 8, get_be64(request + 8) + (fault == FAULT_COOKIE));
	s->iov[s->iov_count++] = (struct iovec){ reply, REPLY_SIZE };
	if (type == NBD_CMD_READ) {
		if (length > READ_MAX)
			return false;
		s->iov[s->iov_count++] = (struct iovec){ s->zeroes, length };
	}
	if (type == NBD_CMD_WRITE)
		s->payload_left = length;
	return s->reply_count < BATCH || send_replies(s);
}

static bool
answer_input(struct server *s)
{
	const uint8_t *at = s->input;
	size_t left = s->input_used, skip;

	for (;;) {
		skip = left < s->payload_left ? left : (size_t)s->payload_left;
		at += skip;
		left -= skip;
		s->payload_left -= skip;
		if (left < NBD_REQUEST_SIZE)
			break;
		if (!answer(s, at))
			return false;
		at += NBD_REQUEST_SIZE;
		left -= NBD_REQUEST_SIZE;
	}
	memmove(s->input, at, left);
	s->input_used = left;
	/* A write whose data are still to come has been accepted all the same. */
	return send_replies(s);
}

static void
serve(struct server *s, int fd)
{
	ssize_t got;

	s->fd = fd;
	s->served = 0;
	s->input_used = 0;
	s->payload_left = 0;
	s->reply_count = 0;
	s->iov_count = 0;
	if (!shake_hands(fd))
		return;
	do {
		got = recv(fd, s->input + s->input_used, INPUT_SIZE - s->input_used, 0);
		if (got > 0)
			s->input_used += (size_t)got;
	} while (got > 0 && answer_input(s));
}

static int
listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
		return -1;
	return fd;
}

/* Serve until the command has ended; the status to exit with. */
static int
serve_until_exit(struct server *s, int listener, pid_t child, int child_events)
{
	struct pollfd pfds[] = {
		{ .fd = listener, .events = POLLIN },
		{ .fd = child_events, .events = POLLIN },
	};
	int fd, status;

	for (;;) {
		if (poll(pfds, 2, -1) < 0)
			return 1;
		if (pfds[0].revents) {
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				return 1;
			serve(s, fd);
			close(fd);
		}
		if (pfds[1].revents && waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
}

static enum fault
parse_fault(const char *text)
{
	static const char *const names[] = {
		[FAULT_ERROR] = "--error",
		[FAULT_COOKIE] = "--cookie",
		[FAULT_MAGIC] = "--magic",
		[FAULT_CLOSE] = "--close",
	};
	int fault;

	for (fault = FAULT_ERROR; fault <= FAULT_CLOSE; fault++)
		if (!strcmp(text, names[fault]))
			return (enum fault)fault;
	return FAULT_NONE;
}

static int
run(struct server *s, const char *path, char **command)
{
	sigset_t set, before;
	int listener, child_events;
	pid_t child;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &before);
	child_events = signalfd(-1, &set, SFD_CLOEXEC);
	listener = listen_at(path);
	if (listener < 0 || child_events < 0) {
		perror(path);
		return 1;
	}
	child = fork();
	if (!child) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	return child < 0 ? 1 : serve_until_exit(s, listener, child, child_events);
}

int
main(int argc, char **argv)
{
	AUTO_FREE struct server *server = calloc(1, sizeof(*server));
	AUTO_FREE uint8_t *zeroes = calloc(1, READ_MAX);
	AUTO_FREE uint8_t *input = malloc(INPUT_SIZE);
	int status, first = 1;

	if (!server || !zeroes || !input)
		return 1;
	server->zeroes = zeroes;
	server->input = input;
	server->fault = argc > 1 ? parse_fault(argv[1]) : FAULT_NONE;
	if (server->fault != FAULT_NONE)
		first++;
	if (argc < first + 2) {
		fputs("usage: nbd-memory [--error|--cookie|--magic|--close] SOCKET COMMAND...\n",
		      stderr);
		return 2;
	}
	status = run(server, argv[first], argv + first + 1);
	unlink(argv[first]);
	return status;
}
