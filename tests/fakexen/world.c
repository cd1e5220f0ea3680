/* SPDX-License-Identifier: BSD-2-Clause */
/* What a machine with Xen has in common, as files: see world.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fakexen/world.h"

const char *
world_dir(void)
{
	return secure_getenv("FAKEXEN_DIR");
}

uint32_t
world_domid(void)
{
	const char *text = secure_getenv("FAKEXEN_DOMID");

	return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

/* Map a file that has at least bytes bytes; 0: all it has. */
static void *
map_file(const char *path, size_t *bytes, int *fd_out)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | (*bytes ? O_CREAT : 0), 0600);
	void *map = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 &&
	    ((size_t)st.st_size >= *bytes || ftruncate(fd, (off_t)*bytes) == 0)) {
		*bytes = *bytes > (size_t)st.st_size ? *bytes : (size_t)st.st_size;
		map = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (map == MAP_FAILED || !fd_out)
		close(fd);
	else
		*fd_out = fd;
	return map == MAP_FAILED ? NULL : map;
}

/* ---- domains ---- */

int
world_open_domain(struct domain_view *view, const char *dir, uint32_t domid, uint32_t pages)
{
	size_t bytes = pages ? sizeof(struct world_domain) + (size_t)pages * WORLD_PAGE : 0;
	char path[160];

	snprintf(path, sizeof(path), "%s/domain.%u", dir, domid);
	view->fd = -1;
	view->domain = map_file(path, &bytes, &view->fd);
	if (!view->domain)
		return -errno;
	view->domid = domid;
	view->bytes = bytes;
	return 0;
}

void
world_close_domain(struct domain_view *view)
{
	if (view->fd < 0)
		return;
	munmap(view->domain, view->bytes);
	close(view->fd);
	view->fd = -1;
}

uint32_t
world_pages(const struct domain_view *view)
{
	return (uint32_t)((view->bytes - sizeof(struct world_domain)) / WORLD_PAGE);
}

/* ---- the machine ---- */

struct world_machine *
world_open_machine(const char *dir)
{
	size_t bytes = sizeof(struct world_machine);
	char path[160];

	snprintf(path, sizeof(path), "%s/machine", dir);
	return map_file(path, &bytes, NULL);
}

void
world_close_machine(struct world_machine *machine)
{
	if (machine)
		munmap(machine, sizeof(*machine));
}

/* ---- event channels ---- */

static void
inbox_path(const struct world_events *events, uint32_t inbox, char path[160])
{
	snprintf(path, 160, "%s/inbox.%u", events->dir, inbox);
}

int
world_open_events(struct world_events *events, const char *dir, uint32_t domid)
{
	char path[160];

	memset(events, 0, sizeof(*events));
	events->fd = -1;
	events->domid = domid;
	if (strlen(dir) >= sizeof(events->dir))
		return -ENAMETOOLONG;
	memcpy(events->dir, dir, strlen(dir) + 1);
	events->machine = world_open_machine(dir);
	if (!events->machine)
		return -errno;
	events->inbox = 1 + atomic_fetch_add(&events->machine->inboxes, 1);
	inbox_path(events, events->inbox, path);
	/* Open for writing, too: so there never is an end of file. */
	if (events->inbox < WORLD_INBOXES && mkfifo(path, 0600) == 0)
		events->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (events->fd < 0) {
		world_close_machine(events->machine);
		return -EIO;
	}
	return 0;
}

void
world_close_events(struct world_events *events)
{
	struct world_port *ports = events->machine->ports;
	char path[160];
	uint32_t i;

	for (i = 1; i < WORLD_PORTS; i++)
		if (atomic_load(&ports[i].word) & PORT_USED && ports[i].inbox == events->inbox)
			world_unbind(events, i);
	for (i = 0; i < WORLD_INBOXES; i++)
		if (events->inboxes[i])
			close(events->inboxes[i] - 1);
	close(events->fd);
	inbox_path(events, events->inbox, path);
	unlink(path);
	world_close_machine(events->machine);
}

/* Put the number of a port that fired into the inbox of its owner. */
static void
post(struct world_events *events, uint32_t port)
{
	uint32_t inbox = events->machine->ports[port].inbox;
	char path[160];
	int *fd;

	if (!inbox || inbox >= WORLD_INBOXES)
		return;
	fd = &events->inboxes[inbox];
	if (!*fd) {
		inbox_path(events, inbox, path);
		*fd = 1 + open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	}
	/* There is room for all ports; an owner that has gone is not told. */
	if (*fd && write(*fd - 1, &port, sizeof(port)) < 0 && errno == EPIPE)
		return;
}

static void
fire(struct world_events *events, uint32_t port)
{
	uint32_t word = atomic_fetch_or(&events->machine->ports[port].word, PORT_PENDING);

	if (word & PORT_USED && !(word & (PORT_PENDING | PORT_MASKED)))
		post(events, port);
}

static int
take_port(struct world_events *events, uint32_t remote)
{
	struct world_port *port;
	uint32_t i, free;

	for (i = 1; i < WORLD_PORTS; i++) {
		port = &events->machine->ports[i];
		free = 0;
		if (!atomic_compare_exchange_strong(&port->word, &free, PORT_USED))
			continue;
		port->owner = events->domid;
		port->remote = remote;
		port->peer = 0;
		port->inbox = events->inbox;
		return (int)i;
	}
	return -ENOSPC;
}

int
world_listen(struct world_events *events, uint32_t remote)
{
	return take_port(events, remote);
}

int
world_bind(struct world_events *events, uint32_t remote, uint32_t remote_port)
{
	struct world_port *far;
	uint32_t nobody = 0;
	int near;

	if (!remote_port || remote_port >= WORLD_PORTS)
		return -EINVAL;
	far = &events->machine->ports[remote_port];
	if (!(atomic_load(&far->word) & PORT_USED) || far->owner != remote ||
	    far->remote != events->domid)
		return -EINVAL;
	near = take_port(events, remote);
	if (near < 0)
		return near;
	if (!atomic_compare_exchange_strong(&far->peer, &nobody, (uint32_t)near)) {
		atomic_store(&events->machine->ports[near].word, 0);
		return -EINVAL;
	}
	events->machine->ports[near].peer = remote_port;
	fire(events, (uint32_t)near);
	return near;
}

static bool
is_ours(const struct world_events *events, uint32_t port)
{
	return port && port < WORLD_PORTS &&
	       atomic_load(&events->machine->ports[port].word) & PORT_USED &&
	       events->machine->ports[port].inbox == events->inbox;
}

int
world_unbind(struct world_events *events, uint32_t port)
{
	uint32_t peer;

	if (!is_ours(events, port))
		return -EINVAL;
	peer = atomic_exchange(&events->machine->ports[port].peer, 0);
	if (peer)
		atomic_compare_exchange_strong(&events->machine->ports[peer].peer, &port, 0);
	atomic_store(&events->machine->ports[port].word, 0);
	return 0;
}

int
world_notify(struct world_events *events, uint32_t port)
{
	uint32_t peer;

	if (!is_ours(events, port))
		return -EINVAL;
	atomic_fetch_add_explicit(&events->machine->notifies, 1, memory_order_relaxed);
	peer = events->machine->ports[port].peer;
	if (peer)
		fire(events, peer);
	return 0;
}

int
world_pending(struct world_events *events)
{
	uint32_t port;

	for (;;) {
		if (read(events->fd, &port, sizeof(port)) != sizeof(port))
			return -EAGAIN;
		if (!is_ours(events, port))
			continue;
		/* Not pending and masked, at one stroke. */
		atomic_exchange(&events->machine->ports[port].word, PORT_USED | PORT_MASKED);
		return (int)port;
	}
}

int
world_unmask(struct world_events *events, uint32_t port)
{
	uint32_t word;

	if (!is_ours(events, port))
		return -EINVAL;
	word = atomic_fetch_and(&events->machine->ports[port].word, ~(uint32_t)PORT_MASKED);
	if (word & PORT_PENDING && word & PORT_MASKED)
		post(events, port);
	return 0;
}
