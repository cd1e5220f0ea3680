/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What drivers use of the loop: tiocbs, workers, the log, the key.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/reason.h"
#include "drivers/core/image.h"
#include "drivers/core/loop.h"
#include "drivers/core/server-internal.h"

static void
prepare(struct tiocb *tiocb, int op, int fd, td_queue_callback_t cb, void *arg)
{
	*tiocb = (struct tiocb){ .cb = cb, .arg = arg, .op = op, .fd = fd };
}

void
td_prep_read(struct tiocb *tiocb, int fd, char *buf, size_t bytes, long long offset,
	     td_queue_callback_t cb, void *arg)
{
	prepare(tiocb, TIOCB_READ, fd, cb, arg);
	tiocb->buf = buf;
	tiocb->bytes = bytes;
	tiocb->offset = offset;
}

void
td_prep_write(struct tiocb *tiocb, int fd, char *buf, size_t bytes, long long offset,
	      td_queue_callback_t cb, void *arg)
{
	prepare(tiocb, TIOCB_WRITE, fd, cb, arg);
	tiocb->buf = buf;
	tiocb->bytes = bytes;
	tiocb->offset = offset;
}

void
td_prep_fsync(struct tiocb *tiocb, int fd, td_queue_callback_t cb, void *arg)
{
	prepare(tiocb, TIOCB_FSYNC, fd, cb, arg);
}

void
td_prep_fallocate(struct tiocb *tiocb, int fd, int mode, long long offset, long long bytes,
		  td_queue_callback_t cb, void *arg)
{
	prepare(tiocb, TIOCB_FALLOCATE, fd, cb, arg);
	tiocb->mode = mode;
	tiocb->offset = offset;
	tiocb->bytes = (size_t)bytes;
}

static void
dirtied(td_driver_t *driver, int fd)
{
	struct td_driver_core *core = driver->core;
	unsigned i;

	for (i = 0; i < core->dirty_count; i++)
		if (core->dirty[i] == fd)
			return;
	/* A flush that leaves a descriptor out would lie: with more of them it fails. */
	if (core->dirty_count == DRIVER_DIRTY_FDS) {
		core->dirty_lost = true;
		return;
	}
	core->dirty[core->dirty_count++] = fd;
}

void
td_queue_tiocb(td_driver_t *driver, struct tiocb *tiocb)
{
	tiocb->driver = driver;
	if (!driver->ops->td_queue_flush &&
	    (tiocb->op == TIOCB_WRITE || tiocb->op == TIOCB_FALLOCATE))
		dirtied(driver, tiocb->fd);
	loop_queue_tiocb(driver->core->server->loop, tiocb, driver->core->eof_zero);
}

void
td_set_eof_zero(td_driver_t *driver, uint64_t end)
{
	driver->core->eof_zero = end;
}

int
td_work(td_driver_t *driver, int (*fn)(void *arg), void (*done)(void *arg, int result), void *arg)
{
	return loop_work(driver->core->server->loop, fn, done, arg);
}

const uint8_t *
td_driver_key(td_driver_t *driver, size_t *len)
{
	*len = driver->core->key_len;
	return driver->core->key;
}

void
td_log(td_driver_t *driver, int level, const char *format, ...)
{
	struct tlog *log = tapdisk_server_log(driver->core->server);
	char text[512];
	va_list args;

	if (driver->core->quiet)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tlog_limited(log, &driver->core->limit, level, "%s", text);
}

int
td_reason(td_driver_t *driver, int err, const char *format, ...)
{
	struct reason why;
	va_list args;

	va_start(args, format);
	vsnprintf(why.text, sizeof(why.text), format, args);
	va_end(args);
	free(driver->core->why);
	driver->core->why = strdup(why.text);
	return err;
}
