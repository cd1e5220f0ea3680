/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process and its disks: who is attached, when to leave.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/minor.h"
#include "drivers/core/buffers.h"
#include "drivers/core/chain.h"
#include "drivers/core/image.h"
#include "drivers/core/list.h"
#include "drivers/core/server-internal.h"
#include "drivers/core/shm-stats.h"
#include "drivers/core/tlog.h"
#include "drivers/core/vbd-internal.h"

#define SERVER_MAX_VBDS 1024
#define SHM_ROOT "/dev/shm"
#define SERVER_BUFFERS (256u << 20) /* bytes handed out at a time */

/* ---- leaving ----------------------------------------------------------------------------------
 */

static void
leave(struct tapdisk_server *server)
{
	server->leaving = true;
	tapdisk_server_event(server, NULL, "leaving");
}

static void
idle_too_long(void *arg)
{
	struct tapdisk_server *server = arg;

	if (!server->vbd_count)
		leave(server);
}

bool
tapdisk_server_is_leaving(const struct tapdisk_server *server)
{
	return server->leaving;
}

/* A disk has closed on the way out of the process. */
static void
closed_for_shutdown(void *arg, int err, const char *why)
{
	struct vbd *vbd = arg;
	struct tapdisk_server *server = vbd->server;

	/* Draining goes on after its bound: only force is left, and that follows. */
	if (err == -ETIMEDOUT) {
		vbd_close(vbd, true, closed_for_shutdown, vbd);
		return;
	}
	if (err)
		tlog(server->config.log, LOG_ERR, "minor %d: closing: %s", vbd->minor, why);
	tapdisk_server_detach(server, vbd);
}

void
tapdisk_server_shutdown(struct tapdisk_server *server, bool force)
{
	struct vbd *vbd, *next;
	bool again = server->shutting_down;

	server->shutting_down = true;
	if (!server->vbd_count) {
		leave(server);
		return;
	}
	for (vbd = TAILQ_FIRST(&server->vbds); vbd; vbd = next) {
		next = TAILQ_NEXT(vbd, link);
		if (!again)
			vbd_close(vbd, force || vbd_is_busy(vbd), closed_for_shutdown, vbd);
		else
			vbd_close(vbd, true, NULL, NULL);
	}
}

/* ---- disks ------------------------------------------------------------------------------------
 */

int
tapdisk_server_attach(struct tapdisk_server *server, int minor, struct vbd **out)
{
	struct vbd *vbd;
	int err, fd = -1;

	if (minor < 0 || minor > VBD_MAX_MINOR)
		return -EINVAL;
	if (server->leaving || server->shutting_down ||
	    server->vbd_count == server->config.max_vbds)
		return -EAGAIN;
	if (tapdisk_server_find(server, minor))
		return -EEXIST;
	err = server->control_dir ? minor_lock(server->control_dir, minor, &fd) : 0;
	if (err)
		return err;
	err = vbd_new(server, minor, fd, &vbd);
	if (err) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	TAILQ_INSERT_TAIL(&server->vbds, vbd, link);
	server->vbd_count++;
	loop_timer_cancel(server->loop, &server->idle);
	*out = vbd;
	return 0;
}

int
tapdisk_server_detach(struct tapdisk_server *server, struct vbd *vbd)
{
	if (vbd_is_open(vbd) || vbd_is_busy(vbd))
		return -EBUSY;
	TAILQ_REMOVE(&server->vbds, vbd, link);
	server->vbd_count--;
	vbd_free(vbd);
	if (!server->vbd_count)
		leave(server);
	return 0;
}

struct vbd *
tapdisk_server_find(struct tapdisk_server *server, int minor)
{
	struct vbd *vbd;

	TAILQ_FOREACH (vbd, &server->vbds, link)
		if (vbd->minor == minor)
			return vbd;
	return NULL;
}

struct vbd *
tapdisk_server_next(struct tapdisk_server *server, struct vbd *vbd)
{
	return vbd ? TAILQ_NEXT(vbd, link) : TAILQ_FIRST(&server->vbds);
}

size_t
tapdisk_server_count(const struct tapdisk_server *server)
{
	return server->vbd_count;
}

/* Does vbd use driver? */
static bool
uses(const struct vbd *vbd, const td_driver_t *driver)
{
	int i;

	for (i = 0; may_look_at_chain(vbd) && i < vbd->chain->count; i++)
		if (vbd->chain->images[i]->driver == driver)
			return true;
	return false;
}

void
td_event(td_driver_t *driver, const char *kind)
{
	struct tapdisk_server *server = driver->core->server;
	struct vbd *vbd;

	TAILQ_FOREACH (vbd, &server->vbds, link)
		if (uses(vbd, driver))
			tapdisk_server_event(server, vbd, kind);
}

/* ---- the process ------------------------------------------------------------------------------
 */

int
tapdisk_server_new(struct tapdisk_server **out, const struct tapdisk_config *config)
{
	struct tapdisk_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	server->config = *config;
	if (!server->config.max_vbds)
		server->config.max_vbds = SERVER_MAX_VBDS;
	TAILQ_INIT(&server->vbds);
	list_init(&server->drivers);
	pthread_mutex_init(&server->driver_lock, NULL);
	pthread_cond_init(&server->driver_opened, NULL);
	err = loop_new(&server->loop, config->io_engine);
	if (err)
		goto fail;
	err = -ENOMEM;
	server->buffers = buffers_new(SERVER_BUFFERS);
	if (!server->buffers)
		goto fail;
	if (config->control_dir) {
		server->control_dir = strdup(config->control_dir);
		server->shm =
			shm_stats_new(config->shm_root ? config->shm_root : SHM_ROOT, config->log);
		if (!server->control_dir)
			goto fail;
	}
	completions_init(&server->completions, server->loop);
	server->idle.fn = idle_too_long;
	server->idle.arg = server;
	if (config->idle_timeout_s)
		loop_timer_set(server->loop, &server->idle, config->idle_timeout_s * 1000ull);
	*out = server;
	return 0;

fail:
	tapdisk_server_free(server);
	return err;
}

void
tapdisk_server_free(struct tapdisk_server *server)
{
	if (!server)
		return;
	if (server->loop)
		loop_timer_cancel(server->loop, &server->idle);
	shm_stats_free(server->shm);
	buffers_free(server->buffers);
	loop_free(server->loop);
	completions_free(&server->completions);
	free(server->control_dir);
	pthread_cond_destroy(&server->driver_opened);
	pthread_mutex_destroy(&server->driver_lock);
	free(server);
}
