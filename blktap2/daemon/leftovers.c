/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last look at rings that were left behind: a tapdisk keeps the memory of a guest that has gone
 * for as long as its disk is served, perhaps to others.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/leftovers.h"
#include "daemon/tapback.h"

#define SOCKET_PREFIX "ctl"
#define ASK_MS 2000
#define DISCONNECT_MS 30000

/* One tapdisk that is being asked.  Freed when the last call is over. */
struct survey {
	struct tapback *tapback; /* borrowed */
	struct tapdisk_user user;
	unsigned calls; /* under way */
};

/* ---- whose is it? -----------------------------------------------------------------------------
 */

/* Some backend, ours or another one, has a directory for it; or that cannot be known. */
static bool
has_directory(struct tapback *tapback, uint32_t domid, uint32_t devid)
{
	char path[STORE_PATH_MAX], value[STORE_PATH_MAX];
	AUTO_FREE char **kinds = NULL;
	unsigned count = 0, i;
	int err = store_list(tapback->store, "backend", &kinds, &count);

	for (i = 0; !err && i < count; i++) {
		snprintf(path, sizeof(path), "backend/%.200s/%u/%u", kinds[i], domid, devid);
		if (store_read(tapback->store, STORE_NO_TX, path, value, sizeof(value)) != -ENOENT)
			return true;
	}
	return err && err != -ENOENT;
}

/* The device has come after the one whose ring this is: nothing of it is connected yet. */
static bool
is_newer(const struct device *device, uint32_t pid, uint32_t minor)
{
	const struct attach *attach = &device->attach;

	if (!device->nodes.frontend[0]) /* not understood yet */
		return false;
	if (attach->disk != DISK_NONE && attach->pid == pid && attach->minor == minor)
		return false;
	return device->view.own == XENBUS_INITIALISING || device->view.own == XENBUS_INIT_WAIT ||
	       device->view.own == XENBUS_CLOSED;
}

static bool
is_left_over(struct tapback *tapback, uint32_t pid, uint32_t minor, uint32_t domid, uint32_t devid)
{
	const struct device *device;

	if (!tapback->store || (tapback->options.one_domain && tapback->options.domid != domid))
		return false;
	device = devices_find(tapback, domid, devid);
	return device ? is_newer(device, pid, minor) : !has_directory(tapback, domid, devid);
}

/* ---- calls ------------------------------------------------------------------------------------
 */

static void
over(struct survey *survey)
{
	if (--survey->calls)
		return;
	tapdisk_leave(&survey->user);
	free(survey);
}

static void
call(struct survey *survey, struct frame_writer *writer, unsigned patience_ms,
     tapdisk_answer_fn *fn)
{
	survey->calls++;
	if (!tapdisk_send(survey->user.tapdisk, writer, patience_ms, fn, survey))
		over(survey);
}

static void
disconnected(void *arg, int err, const char *why, const struct frame *frame, const uint8_t *payload)
{
	(void)err;
	(void)why;
	(void)frame;
	(void)payload;
	over(arg);
}

static void
disconnect(struct survey *survey, uint32_t minor, uint32_t domid, uint32_t devid)
{
	struct tapdisk *tapdisk = survey->user.tapdisk;
	struct frame_writer writer;

	tb_log(&survey->tapback->log, LOG_NOTICE,
	       "domain %u device %u: the ring in tapdisk %d, minor %u, belongs to nobody: "
	       "disconnected",
	       domid, devid, (int)tapdisk_pid(tapdisk), minor);
	tapdisk_begin(tapdisk, &writer, TAPDISK_FRAME_RING_DISCONNECT, minor);
	frame_put_u32(&writer, TAPDISK_ATTR_DOMID, domid);
	frame_put_u32(&writer, TAPDISK_ATTR_DEVID, devid);
	frame_put(&writer, TAPDISK_ATTR_FORCE, NULL, 0);
	call(survey, &writer, DISCONNECT_MS, disconnected);
}

static void
take_ring(struct survey *survey, const struct frame *frame, const uint8_t *payload)
{
	struct frame_reader reader = { .at = payload, .left = frame->length };
	uint32_t domid = UINT32_MAX, devid = UINT32_MAX;
	struct frame_attr attr;

	while (frame_next(&reader, &attr) == 1) {
		if (attr.tag == TAPDISK_ATTR_DOMID)
			frame_get_u32(&attr, &domid);
		if (attr.tag == TAPDISK_ATTR_DEVID)
			frame_get_u32(&attr, &devid);
	}
	if (domid <= DOMID_MAX &&
	    is_left_over(survey->tapback, (uint32_t)tapdisk_pid(survey->user.tapdisk), frame->minor,
			 domid, devid))
		disconnect(survey, frame->minor, domid, devid);
}

static void
listed(void *arg, int err, const char *why, const struct frame *frame, const uint8_t *payload)
{
	struct survey *survey = arg;

	(void)why;
	if (frame && !err && frame->flags & TAPDISK_FRAME_MORE)
		take_ring(survey, frame, payload);
	else
		over(survey);
}

/* Every call of the survey has been answered by then. */
static void
lost(void *arg, int err)
{
	(void)arg;
	(void)err;
}

static void
ignore(void *arg, uint32_t minor, uint32_t kind)
{
	(void)arg;
	(void)minor;
	(void)kind;
}

static void
ask(struct tapback *tapback, uint32_t pid)
{
	struct survey *survey = calloc(1, sizeof(*survey));
	struct frame_writer writer;

	if (!survey)
		return;
	survey->tapback = tapback;
	survey->user = (struct tapdisk_user){ .lost = lost, .event = ignore, .arg = survey };
	if (tapdisk_join(&tapback->tapdisks, (pid_t)pid, &survey->user)) {
		free(survey);
		return;
	}
	tapdisk_begin(survey->user.tapdisk, &writer, TAPDISK_FRAME_RING_LIST,
		      TAPDISK_FRAME_NO_MINOR);
	call(survey, &writer, ASK_MS, listed);
}

void
leftovers_look(struct tapback *tapback)
{
	const size_t prefix = strlen(SOCKET_PREFIX);
	DIR *dir = opendir(tapback->dir);
	const struct dirent *entry;
	uint32_t pid;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, SOCKET_PREFIX, prefix) == 0 &&
		    parse_number(entry->d_name + prefix, INT32_MAX, &pid) && pid)
			ask(tapback, pid);
	closedir(dir);
}
