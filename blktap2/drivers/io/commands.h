/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that character devices take through an io_uring: a ring of its own, beside the loop's.
 */
#ifndef IO_COMMANDS_H
#define IO_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct commands;

#define COMMANDS_MAX_BYTES 80 /* of one command */

/* A ring for so many commands in flight.  0 or -errno, -ENOSYS where there is no io_uring. */
int commands_new(struct commands **commands, unsigned count);

/* The kernel gives up what is in flight, by and by.  NULL is fine. */
void commands_free(struct commands *commands);

/* Becomes readable when a command has completed.  Borrowed. */
int commands_fd(const struct commands *commands);

/*
 * Queue a command for the next commands_submit: op on the device fd, with length bytes that are
 * copied.  0, -EAGAIN: too many are queued.
 */
int commands_queue(struct commands *commands, int fd, uint32_t op, const void *command,
		   size_t length, uint64_t tag);
int commands_submit(struct commands *commands); /* 0 or -errno */

/* Forget that the descriptor is readable, before what has completed is looked at. */
void commands_acknowledge(struct commands *commands);

/* The next command that has completed; false: none. */
bool commands_next(struct commands *commands, uint64_t *tag, int *result);

/* Submit, and wait for at most ms until one has completed: 0 or -errno, -ETIME. */
int commands_wait(struct commands *commands, unsigned ms);

#endif
