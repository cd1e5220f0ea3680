/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public functions of libblktapctl, for callers that make one call at a time.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "control/ctl.h"

/* Of the library, as in its soname. */
#define VERSION_MAJOR 1
#define VERSION_MINOR 0

/* Run call with a fresh struct ctl called ctl. */
#define WITH_CTL(ms, call)                                                                         \
	__extension__({                                                                            \
		struct ctl ctl;                                                                    \
		int err_ = ctl_init(&ctl);                                                         \
                                                                                                   \
		if ((ms) > 0)                                                                      \
			ctl.timeout_ms = (ms);                                                     \
		if (!err_)                                                                         \
			err_ = (call);                                                             \
		ctl_free(&ctl);                                                                    \
		err_;                                                                              \
	})

/* The caller's options in the form that this library knows. */
static struct tap_ctl_opts
known_opts(const struct tap_ctl_opts *opts)
{
	struct tap_ctl_opts known = { .prt_minor = -1 };

	if (opts)
		memcpy(&known, opts, opts->size < sizeof(known) ? opts->size : sizeof(known));
	return known;
}

/* ---- enumeration ------------------------------------------------------------------------------
 */

static int
list(pid_t pid, tap_list_t ***out)
{
	const struct ctl_filter filter = { .pid = pid, .minor = -1 };
	struct ctl_rows rows = { 0 };
	tap_list_t **array;
	size_t i;
	int err = WITH_CTL(0, ctl_list(&ctl, &filter, &rows, NULL));

	if (err)
		return err;
	/* One block: the pointers, then what they point to. */
	array = malloc((rows.count + 1) * sizeof(*array) + rows.count * sizeof(**array));
	if (!array) {
		ctl_rows_free(&rows);
		return -ENOMEM;
	}
	for (i = 0; i < rows.count; i++) {
		array[i] = (tap_list_t *)(void *)(array + rows.count + 1) + i;
		*array[i] = rows.at[i];
	}
	array[rows.count] = NULL;
	free(rows.at);
	*out = array;
	return 0;
}

int
tap_ctl_list(tap_list_t ***out)
{
	return list(-1, out);
}

int
tap_ctl_list_pid(pid_t pid, tap_list_t ***out)
{
	return list(pid, out);
}

void
tap_ctl_free_list(tap_list_t **array)
{
	size_t i;

	for (i = 0; array && array[i]; i++) {
		free(array[i]->type);
		free(array[i]->path);
	}
	free(array);
}

int
tap_ctl_find(const char *type, const char *path, tap_list_t *tap)
{
	const struct ctl_filter filter = { .pid = -1, .minor = -1, .type = type, .path = path };
	struct ctl_rows rows = { 0 };
	int err = WITH_CTL(0, ctl_list(&ctl, &filter, &rows, NULL));
	size_t i;

	for (i = 0; !err && i < rows.count && (rows.at[i].pid < 0 || rows.at[i].minor < 0); i++)
		;
	if (!err && i == rows.count)
		err = -ENOENT;
	if (!err) {
		*tap = rows.at[i];
		tap->type = tap->path = NULL;
	}
	ctl_rows_free(&rows);
	return err;
}

int
tap_ctl_find_minor(const char *type, const char *path)
{
	tap_list_t tap;
	int err = tap_ctl_find(type, path, &tap);

	return err ? err : tap.minor;
}

/* ---- operations -------------------------------------------------------------------------------
 */

/* What a caller who has named the device is told: nothing; else the path, which he owns. */
static void
hand_over(const char *name, char **path, char **devname)
{
	if (!name && devname)
		*devname = STEAL(*path);
}

int
tap_ctl_allocate_ex(int want_minor, int device_mode, int *minor, char **devname)
{
	const char *name = device_mode ? *devname : NULL;
	AUTO_FREE char *path = NULL;
	int err = WITH_CTL(0, ctl_allocate(&ctl, want_minor, device_mode != 0, name, minor, &path));

	if (!err)
		hand_over(name, &path, devname);
	return err;
}

int
tap_ctl_allocate(int *minor, char **devname)
{
	return tap_ctl_allocate_ex(-1, 0, minor, devname);
}

int
tap_ctl_free(const int minor)
{
	return WITH_CTL(0, ctl_free_minor(&ctl, minor));
}

int
tap_ctl_spawn(void)
{
	int pid = -1, err = WITH_CTL(0, ctl_spawn(&ctl, &pid, NULL));

	return err ? err : pid;
}

pid_t
tap_ctl_get_pid(const int id)
{
	tapdisk_message_t message = ipc_message(TAPDISK_MESSAGE_PID, -1);
	int err = WITH_CTL(0, ipc_ask(&ctl, id, &message, NULL, 0, IPC_PID_MS, NULL));

	return err ? err : message.u.tapdisk_pid;
}

int
tap_ctl_attach(const int id, const int minor)
{
	return WITH_CTL(0, ctl_attach(&ctl, id, minor));
}

int
tap_ctl_detach(const int id, const int minor)
{
	return WITH_CTL(0, ctl_detach(&ctl, id, minor));
}

int
tap_ctl_open_ex(int id, int minor, const char *params, const struct tap_ctl_opts *opts)
{
	struct tap_ctl_opts known = known_opts(opts);

	return WITH_CTL(known.timeout_ms, ctl_open(&ctl, id, minor, params, &known));
}

int
tap_ctl_open(const int id, const int minor, const char *params)
{
	return tap_ctl_open_ex(id, minor, params, NULL);
}

int
tap_ctl_close_ex(int id, int minor, int force, int timeout_ms)
{
	return WITH_CTL(timeout_ms, ctl_close(&ctl, id, minor, force != 0));
}

int
tap_ctl_close(const int id, const int minor, const int force)
{
	return tap_ctl_close_ex(id, minor, force, 0);
}

int
tap_ctl_pause_ex(int id, int minor, int timeout_ms)
{
	return WITH_CTL(timeout_ms, ctl_pause(&ctl, id, minor));
}

int
tap_ctl_pause(const int id, const int minor)
{
	return tap_ctl_pause_ex(id, minor, 0);
}

int
tap_ctl_unpause_ex(int id, int minor, const char *params, const struct tap_ctl_opts *opts)
{
	struct tap_ctl_opts known = known_opts(opts);

	return WITH_CTL(known.timeout_ms, ctl_unpause(&ctl, id, minor, params, &known));
}

int
tap_ctl_unpause(const int id, const int minor, const char *params)
{
	return tap_ctl_unpause_ex(id, minor, params, NULL);
}

int
tap_ctl_create_ex(const char *params, const struct tap_ctl_opts *opts, pid_t *pid, int *minor,
		  char **devname)
{
	struct tap_ctl_opts known = known_opts(opts);
	const char *name = known.device_mode && devname ? *devname : NULL;
	AUTO_FREE char *path = NULL;
	int err = WITH_CTL(known.timeout_ms,
			   ctl_create(&ctl, params, &known, name, pid, minor, &path));

	if (!err)
		hand_over(name, &path, devname);
	return err;
}

int
tap_ctl_create(const char *params, char **devname)
{
	return tap_ctl_create_ex(params, NULL, NULL, NULL, devname);
}

int
tap_ctl_destroy_ex(int id, int minor, int force, int timeout_ms)
{
	return WITH_CTL(timeout_ms, ctl_destroy(&ctl, id, minor, force != 0));
}

int
tap_ctl_destroy(const int id, const int minor)
{
	return tap_ctl_destroy_ex(id, minor, 0, 0);
}

/* ---- information ------------------------------------------------------------------------------
 */

ssize_t
tap_ctl_stats(pid_t pid, int minor, char *buf, size_t size)
{
	AUTO_FREE char *json = NULL;
	int err = WITH_CTL(0, ctl_stats(&ctl, pid, minor, &json));
	size_t length;

	if (err)
		return err;
	length = strlen(json);
	if (size) {
		size_t fits = length < size ? length : size - 1;

		memcpy(buf, json, fits);
		buf[fits] = '\0';
	}
	return (ssize_t)length;
}

int
tap_ctl_stats_fwrite(pid_t pid, int minor, FILE *out)
{
	AUTO_FREE char *json = NULL;
	int err = WITH_CTL(0, ctl_stats(&ctl, pid, minor, &json));

	if (!err && fputs(json, out) == EOF)
		err = -EIO;
	return err;
}

int
tap_ctl_info(pid_t pid, int minor, unsigned long long *sectors, unsigned int *sector_size,
	     unsigned int *info)
{
	tapdisk_message_image_t image;
	int err = WITH_CTL(0, ctl_info(&ctl, pid, minor, &image));

	if (err)
		return err;
	if (sectors)
		*sectors = image.sectors;
	if (sector_size)
		*sector_size = image.sector_size;
	if (info)
		*info = image.info;
	return 0;
}

/* ---- jobs -------------------------------------------------------------------------------------
 */

int
tap_ctl_commit(int id, int minor, const char *path)
{
	return WITH_CTL(0, ctl_commit(&ctl, id, minor, path));
}

int
tap_ctl_query_commit(int id, int minor, struct tap_ctl_job *job)
{
	return WITH_CTL(0, ctl_query_commit(&ctl, id, minor, job));
}

int
tap_ctl_cancel_commit(int id, int minor, int wait)
{
	return WITH_CTL(0, ctl_cancel_commit(&ctl, id, minor, wait != 0));
}

/* ---- environment ------------------------------------------------------------------------------
 */

void
tap_ctl_version(int *major, int *minor)
{
	*major = VERSION_MAJOR;
	*minor = VERSION_MINOR;
}
