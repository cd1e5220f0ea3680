/* SPDX-License-Identifier: BSD-2-Clause */
/* An open disk as an NBD export: its endpoints, its clients, and its part as a source of the vbd.
 */
#include <errno.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/core/server.h"
#include "drivers/frontend/fd-receiver.h"
#include "drivers/frontend/listener.h"
#include "drivers/frontend/nbd-conn.h"
#include "drivers/frontend/nbd.h"

#define BACKLOG 64

struct nbd_facts
nbd_export_facts(const struct nbd_export *export)
{
	struct nbd_facts facts;

	facts.size = vbd_sectors(export->vbd) << SECTOR_SHIFT;
	facts.flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_CAN_MULTI_CONN |
		      NBD_FLAG_SEND_CACHE;
	if (vbd_read_only(export->vbd)) {
		facts.flags |= NBD_FLAG_READ_ONLY;
		return facts;
	}
	/* FAST_ZERO is always understood: where zeroes have to be written, it is refused. */
	facts.flags |= NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;
	if (vbd_can_discard(export->vbd))
		facts.flags |= NBD_FLAG_SEND_TRIM;
	return facts;
}

/* ---- clients ---- */

static void
add_client(struct nbd_endpoint *endpoint, int fd, bool oldstyle, bool passed)
{
	struct nbd_export *export = endpoint->export;

	if (export->clients >= NBD_CLIENTS_MAX) {
		tlog_limited(export->log, &export->refusals, LOG_WARNING,
			     "nbd: disk %d: client refused: %d are connected",
			     vbd_minor(export->vbd), NBD_CLIENTS_MAX);
		close(fd);
		return;
	}
	nbd_conn_new(endpoint, fd, oldstyle, passed);
}

static void
on_client(void *arg, int fd)
{
	add_client(arg, fd, false, false);
}

/* Sockets that others bring are counted with those of the first endpoint. */
static void
on_passed(struct nbd_export *export, int fd, bool oldstyle)
{
	socklen_t size = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM) {
		tlog_limited(export->log, &export->refusals, LOG_WARNING,
			     "nbd: disk %d: descriptor refused: not a stream socket",
			     vbd_minor(export->vbd));
		close(fd);
		return;
	}
	add_client(&export->endpoints[0], fd, oldstyle, true);
}

static void
on_passed_oldstyle(void *arg, int fd, const char *name, size_t length)
{
	(void)name;
	(void)length;
	on_passed(arg, fd, true);
}

static void
on_passed_newstyle(void *arg, int fd, const char *name, size_t length)
{
	(void)name;
	(void)length;
	on_passed(arg, fd, false);
}

/* ---- the vbd's source ---- */

static struct nbd_export *
export_of(struct vbd_source *source)
{
	return (struct nbd_export *)((char *)source - offsetof(struct nbd_export, source));
}

static void
remove_endpoints(struct nbd_export *export)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		listener_free(export->endpoints[i].listener);
		shm_page_hide(export->endpoints[i].tally.page);
		fd_receiver_free(export->receivers[i]);
		export->endpoints[i].listener = NULL;
		export->receivers[i] = NULL;
	}
}

static void
free_export(struct nbd_export *export)
{
	size_t i;

	for (i = 0; i < 2; i++)
		shm_page_free(export->endpoints[i].tally.page);
	free(export);
}

static void
mask(struct vbd_source *source, bool masked)
{
	struct nbd_export *export = export_of(source);
	struct nbd_conn *conn;

	export->masked = masked;
	if (!masked)
		TAILQ_FOREACH (conn, &export->conns, link)
			nbd_input_resume(conn);
}

static void
shutdown_source(struct vbd_source *source)
{
	struct nbd_export *export = export_of(source);

	export->shutdown = true;
	remove_endpoints(export);
	mask(source, false); /* what still comes is answered, even to a paused disk */
}

static void
release(struct vbd_source *source)
{
	struct nbd_export *export = export_of(source);
	struct nbd_conn *conn;

	remove_endpoints(export);
	nbd_modify_ready(export); /* what waits for its turn gets none, but an answer */
	while ((conn = TAILQ_FIRST(&export->conns))) {
		nbd_output_flush(conn);
		nbd_conn_free(conn);
	}
	loop_defer_cancel(export->loop, &export->ready_task);
	vbd_source_del(source);
	free_export(export);
}

static void
stats(struct vbd_source *source, struct json_object *object)
{
	struct json_object *nbd = json_object_new_object();

	if (!nbd)
		return;
	json_object_object_add(nbd, "clients",
			       json_object_new_int((int)export_of(source)->clients));
	json_object_object_add(object, "nbd", nbd);
}

static const struct vbd_source_ops source_ops = {
	.mask = mask,
	.shutdown = shutdown_source,
	.release = release,
	.stats = stats,
};

/* ---- life ---- */

/* The path of an endpoint; too long a one is refused by whoever binds it. */
static void
endpoint(const struct nbd_export *export, const char *name, char path[static PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s%d.%d", tapdisk_server_control_dir(vbd_server(export->vbd)),
		 name, (int)getpid(), vbd_minor(export->vbd));
}

static void
show_statistics(struct nbd_endpoint *endpoint, const char *name)
{
	struct vbd *vbd = endpoint->export->vbd;
	char page[32];

	snprintf(page, sizeof(page), "%s-%d", name, vbd_minor(vbd));
	endpoint->tally.page = shm_page_new(tapdisk_server_shm(vbd_server(vbd)), page);
}

static int
make_endpoints(struct nbd_export *export)
{
	static const char *const listening[2] = { "nbd", "nbd-old" };
	static const char *const receiving[2] = { "nbdserver", "nbdserver-new" };
	static const fd_receiver_fn received[2] = { on_passed_oldstyle, on_passed_newstyle };
	char path[PATH_MAX];
	int i, err;

	for (i = 0; i < 2; i++) {
		endpoint(export, listening[i], path);
		err = listener_new(&export->endpoints[i].listener, export->loop, path, BACKLOG,
				   on_client, &export->endpoints[i]);
		if (err)
			return err;
		show_statistics(&export->endpoints[i], listening[i]);
		endpoint(export, receiving[i], path);
		err = fd_receiver_new(&export->receivers[i], export->loop, export->log, path,
				      received[i], export);
		if (err)
			return err;
	}
	return 0;
}

/* An export that the vbd does not know yet. */
static struct nbd_export *
make_export(struct vbd *vbd)
{
	struct nbd_export *export = calloc(1, sizeof(*export));

	if (!export)
		return NULL;
	export->vbd = vbd;
	export->loop = tapdisk_server_loop(vbd_server(vbd));
	export->buffers = tapdisk_server_buffers(vbd_server(vbd));
	export->log = tapdisk_server_log(vbd_server(vbd));
	export->source.ops = &source_ops;
	export->endpoints[0].export = export->endpoints[1].export = export;
	export->ready_task.fn = nbd_modify_ready;
	export->ready_task.arg = export;
	TAILQ_INIT(&export->conns);
	nbd_ranges_init(&export->ranges);
	return export;
}

int
nbd_export_bare(struct vbd *vbd, struct nbd_export **out)
{
	struct nbd_export *export = make_export(vbd);

	if (!export)
		return -ENOMEM;
	vbd_source_add(vbd, &export->source);
	*out = export;
	return 0;
}

void
nbd_export_hang_up(struct nbd_export *export)
{
	struct nbd_conn *conn, *next;

	for (conn = TAILQ_FIRST(&export->conns); conn; conn = next) {
		next = TAILQ_NEXT(conn, link);
		nbd_conn_abort(conn);
	}
}

int
nbd_export_new(struct vbd *vbd, const char **why)
{
	struct nbd_export *export = make_export(vbd);
	int err;

	*why = "cannot make the NBD endpoints";
	if (!export)
		return -ENOMEM;
	err = make_endpoints(export);
	if (err) {
		remove_endpoints(export);
		free_export(export);
		return err;
	}
	vbd_source_add(vbd, &export->source);
	return 0;
}
