/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands for character devices, by io_uring. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "drivers/io/commands.h"

#if HAVE_URING

#include <liburing.h>

struct commands {
	struct io_uring ring;
	int event;
};

int
commands_new(struct commands **out, unsigned count)
{
	struct commands *commands = calloc(1, sizeof(*commands));
	int err;

	if (!commands)
		return -ENOMEM;
	/* Entries of 128 bytes: the command of some devices does not fit into others. */
	err = io_uring_queue_init(count, &commands->ring, IORING_SETUP_SQE128);
	if (err) {
		free(commands);
		return err == -EINVAL ? -ENOSYS : err;
	}
	commands->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = commands->event < 0 ? -errno
				  : io_uring_register_eventfd(&commands->ring, commands->event);
	if (err) {
		commands_free(commands);
		return err;
	}
	*out = commands;
	return 0;
}

void
commands_free(struct commands *commands)
{
	if (!commands)
		return;
	io_uring_queue_exit(&commands->ring);
	if (commands->event >= 0)
		close(commands->event);
	free(commands);
}

int
commands_fd(const struct commands *commands)
{
	return commands->event;
}

int
commands_queue(struct commands *commands, int fd, uint32_t op, const void *command, size_t length,
	       uint64_t tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&commands->ring);

	if (!sqe)
		return -EAGAIN;
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = op;
	sqe->user_data = tag;
	memcpy(sqe->cmd, command, length < COMMANDS_MAX_BYTES ? length : COMMANDS_MAX_BYTES);
	return 0;
}

int
commands_submit(struct commands *commands)
{
	int res = io_uring_submit(&commands->ring);

	return res < 0 ? res : 0;
}

void
commands_acknowledge(struct commands *commands)
{
	eventfd_t count;

	(void)eventfd_read(commands->event, &count);
}

bool
commands_next(struct commands *commands, uint64_t *tag, int *result)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&commands->ring, &cqe))
		return false;
	*tag = cqe->user_data;
	*result = cqe->res;
	io_uring_cqe_seen(&commands->ring, cqe);
	return true;
}

int
commands_wait(struct commands *commands, unsigned ms)
{
	struct __kernel_timespec limit = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	struct io_uring_cqe *cqe;
	int res;

	do {
		res = io_uring_submit_and_wait_timeout(&commands->ring, &cqe, 1, &limit, NULL);
	} while (res == -EINTR);
	return res < 0 ? res : 0;
}

#else

int
commands_new(struct commands **out, unsigned count)
{
	(void)out;
	(void)count;
	return -ENOSYS;
}

void
commands_free(struct commands *commands)
{
	(void)commands;
}

int
commands_fd(const struct commands *commands)
{
	(void)commands;
	return -1;
}

int
commands_queue(struct commands *commands, int fd, uint32_t op, const void *command, size_t length,
	       uint64_t tag)
{
	(void)commands;
	(void)fd;
	(void)op;
	(void)command;
	(void)length;
	(void)tag;
	return -ENOSYS;
}

int
commands_submit(struct commands *commands)
{
	(void)commands;
	return -ENOSYS;
}

void
commands_acknowledge(struct commands *commands)
{
	(void)commands;
}

bool
commands_next(struct commands *commands, uint64_t *tag, int *result)
{
	(void)commands;
	(void)tag;
	(void)result;
	return false;
}

int
commands_wait(struct commands *commands, unsigned ms)
{
	(void)commands;
	(void)ms;
	return -ENOSYS;
}

#endif
