/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers, and the operations that take several steps: all of them are done, or none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <disktypes-singletons.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "common/patience.h"
#include "control/ctl.h"

/* ---- numbers ----------------------------------------------------------------------------------
 */

int
ctl_allocate(struct ctl *ctl, int want, bool kernel, const char *name, int *minor, char **devname)
{
	AUTO_FREE char *path = NULL;
	int number = want, err;

	ctl->why.text[0] = '\0';
	if (kernel && !ctl_can_make_devices())
		return reason(&ctl->why, -ENODEV, MINOR_NO_DEVICES);
	err = want < 0 ? minor_allocate(ctl->dir, &number) : minor_allocate_this(ctl->dir, want);
	if (err)
		return err;
	path = kernel ? minor_device(number) : minor_path(ctl->dir, number);
	err = !path ? -ENOMEM : kernel ? minor_want_device(ctl->dir, number, name) : 0;
	if (err && kernel && name)
		reason(&ctl->why, err, "%s: %s", name, strerror(-err));
	if (err) {
		minor_free(ctl->dir, number);
		return err;
	}
	*minor = number;
	*devname = STEAL(path);
	return 0;
}

int
ctl_free_minor(struct ctl *ctl, int minor)
{
	ctl->why.text[0] = '\0';
	return minor_free(ctl->dir, minor);
}

/* ---- create -----------------------------------------------------------------------------------
 */

/* The step that failed decides the error; undoing must not be interrupted, nor change the reason.
 */
static void
undo(struct ctl *ctl, int pid, int minor, bool attached)
{
	struct ctl quiet = { .dir = ctl->dir, .cancel_fd = -1, .timeout_ms = -1 };

	if (attached && ctl_detach(&quiet, pid, minor))
		ctl_close(&quiet, pid, minor, true);
	if (pid > 0 && !attached)
		ctl_dismiss(&quiet, pid);
	/* An open that was given up may still hold the minor: then close and detach once more. */
	if (attached)
		ctl_detach(&quiet, pid, minor);
	ctl_free_minor(&quiet, minor);
}

/* ---- singletons -------------------------------------------------------------------------------
 */

/* Does one process serve all disks that are called params? */
static bool
is_singleton(const char *params)
{
#define X(handle) handle,
	static const char *const handles[] = { DISKTYPES_SINGLETONS(X) NULL };
#undef X
	size_t i, length = strcspn(params, ":");

	for (i = 0; handles[i]; i++)
		if (strlen(handles[i]) == length && memcmp(handles[i], params, length) == 0)
			return true;
	return false;
}

/*
 * The tapdisk that serves params already, or -ENOENT.  The caller holds *lock, on the image itself,
 * until its own disk is open: two that come at once must not start two processes.
 */
static int
find_singleton(struct ctl *ctl, const char *params, int *lock)
{
	AUTO_FREE char *type = strndup(params, strcspn(params, ":"));
	const char *path = strchr(params, ':') + 1;
	struct ctl_filter filter = { .pid = -1, .minor = -1, .type = type, .path = path };
	struct ctl_rows rows;
	int pid = -ENOENT, err;

	if (!type)
		return -ENOMEM;
	*lock = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	/* A file that cannot be opened or locked at all is the driver's to refuse. */
	if (*lock >= 0 && lock_with_patience(*lock) == -ETIMEDOUT)
		return reason(&ctl->why, -ETIMEDOUT, "%s: others are at work on it", path);
	err = ctl_list(ctl, &filter, &rows, NULL);
	if (err)
		return err;
	if (rows.count && rows.at[0].pid > 0)
		pid = rows.at[0].pid;
	ctl_rows_free(&rows);
	return pid;
}

/* ---- create -----------------------------------------------------------------------------------
 */

/* A tapdisk for params: a new one, but for singletons that are served already. */
static int
find_or_spawn(struct ctl *ctl, const char *params, int *id, int *lock, bool *spawned)
{
	int pid = -ENOENT;

	if (strchr(params, ':') && is_singleton(params))
		pid = find_singleton(ctl, params, lock);
	if (pid > 0) {
		*id = pid;
		return 0;
	}
	*spawned = true;
	return pid == -ENOENT ? ctl_spawn(ctl, id, NULL) : pid;
}

int
ctl_create(struct ctl *ctl, const char *params, const struct tap_ctl_opts *opts, const char *name,
	   int *pid, int *minor, char **devname)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int lock = -1;
	bool attached = false, spawned = false;
	int number, id = -1, err;

	err = ctl_allocate(ctl, -1, opts && opts->device_mode, name, &number, &path);
	if (err)
		return err;
	err = find_or_spawn(ctl, params, &id, &lock, &spawned);
	if (!err)
		err = ctl_attach(ctl, id, number);
	if (!err) {
		attached = true;
		err = ctl_open(ctl, id, number, params, opts);
	}
	if (err) {
		undo(ctl, spawned || attached ? id : -1, number, attached);
		return err;
	}
	if (pid)
		*pid = id;
	if (minor)
		*minor = number;
	if (devname)
		*devname = STEAL(path);
	return 0;
}

/* ---- destroy ----------------------------------------------------------------------------------
 */

/* What says that there is nothing to close or detach any more. */
static bool
is_gone(int err)
{
	return err == -ENODEV || err == -ENOENT || err == -ECONNREFUSED || err == -ESRCH;
}

int
ctl_destroy(struct ctl *ctl, int id, int minor, bool force)
{
	int err;

	err = ctl_close(ctl, id, minor, force);
	if (!err)
		err = ctl_detach(ctl, id, minor);
	/* The socket of one that was killed may be open for a little longer. */
	if (err && !is_gone(err) && ctl_is_alive(id))
		return err;
	if (err) {
		ctl_clean_device(ctl, id, minor);
		ctl_clean_pid(ctl, id, false, NULL, NULL);
	}
	/* The marker may have been given back by whoever was here before. */
	err = ctl_free_minor(ctl, minor);
	if (err)
		reason(&ctl->why, err, "minor %d was not freed: %s", minor, strerror(-err));
	return 0;
}
