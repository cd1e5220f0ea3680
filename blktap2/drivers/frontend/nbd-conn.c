/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a connection: handshake, events, the end of each turn, the end. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/frontend/nbd-conn.h"

#define RETRY_MS 10 /* between two tries to get memory */

void
nbd_conn_touch(struct nbd_conn *conn)
{
	loop_defer(conn->export->loop, &conn->task);
}

void
nbd_conn_watch(struct nbd_conn *conn)
{
	unsigned events = 0;

	if (!conn->watch)
		return;
	if (nbd_input_wanted(conn))
		events |= LOOP_READ;
	if (conn->stalled)
		events |= LOOP_WRITE;
	if (events == conn->watched)
		return;
	conn->watched = events;
	loop_watch_set(conn->watch, events);
}

static void
retry(void *arg)
{
	nbd_input_resume(arg);
}

void
nbd_conn_starve(struct nbd_conn *conn)
{
	conn->blocked = true;
	/* Requests of its own that end wake it; without any it has to ask. */
	if (conn->in_flight <= (conn->receiving != NULL))
		(void)loop_timer_set(conn->export->loop, &conn->retry, RETRY_MS);
}

/* ---- handshake ---- */

static void
end_greeting(struct nbd_conn *conn)
{
	loop_timer_cancel(conn->export->loop, &conn->deadline);
	nbd_handshake_fini(&conn->greeting->machine);
	free(conn->greeting);
	conn->greeting = NULL;
}

/* Begin a handshake with our greeting.  Returns 0 or -ENOMEM. */
static int
begin_greeting(struct nbd_conn *conn)
{
	struct nbd_facts facts = nbd_export_facts(conn->export);
	struct nbd_greeting *greeting = malloc(sizeof(*greeting));

	if (!greeting)
		return -ENOMEM;
	nbd_handshake_init(&greeting->machine);
	greeting->sent = 0;
	greeting->step = NBD_STEP_NEXT;
	if (conn->oldstyle) {
		greeting->machine.out_size =
			nbd_put_oldstyle(greeting->machine.out, facts.size, facts.flags);
		greeting->step = NBD_STEP_READY;
	}
	conn->greeting = greeting;
	conn->ending = false;
	conn->again = false;
	return 0;
}

static void
too_late(void *arg)
{
	nbd_conn_abort(arg);
}

bool
nbd_conn_greet(struct nbd_conn *conn)
{
	struct nbd_greeting *greeting = conn->greeting;
	struct nbd_handshake *machine = &greeting->machine;
	ssize_t sent;

	while (greeting->sent < machine->out_size) {
		sent = send(conn->fd, machine->out + greeting->sent,
			    machine->out_size - greeting->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN) {
			conn->stalled = true;
			return false;
		}
		if (sent < 0) {
			nbd_conn_abort(conn);
			return false;
		}
		greeting->sent += (size_t)sent;
	}
	greeting->sent = 0;
	machine->out_size = 0;
	conn->stalled = false;
	if (greeting->step == NBD_STEP_CLOSE) {
		conn->ending = true;
		nbd_conn_touch(conn);
	} else if (greeting->step == NBD_STEP_READY) {
		conn->mode = machine->mode;
		conn->contexts = machine->contexts;
		end_greeting(conn);
	}
	return true;
}

/* ---- events ---- */

static void
on_event(void *arg, unsigned events)
{
	struct nbd_conn *conn = arg;

	if (events & LOOP_WRITE) {
		conn->stalled = false;
		nbd_conn_touch(conn);
	}
	if ((events & LOOP_READ) && nbd_input_wanted(conn))
		nbd_input_receive(conn);
	else
		nbd_conn_watch(conn);
}

/* Everything was answered after a disconnect or the end of the stream. */
static void
finish(struct nbd_conn *conn)
{
	if (!conn->again || !conn->passed || conn->export->shutdown || begin_greeting(conn))
		nbd_conn_free(conn);
	else
		nbd_input_resume(conn); /* the next client may take its time: no deadline */
}

static void
end_of_turn(void *arg)
{
	struct nbd_conn *conn = arg;

	conn->turn_bytes = 0;
	if (!conn->stalled)
		nbd_output_flush(conn);
	if (conn->fd < 0) {
		if (conn->in_flight == 0)
			nbd_conn_free(conn);
		return;
	}
	if (conn->ending && conn->in_flight == 0) {
		finish(conn);
		return;
	}
	if (conn->blocked || conn->greeting)
		nbd_input_resume(conn);
	else
		nbd_conn_watch(conn);
}

/* ---- life ---- */

/* A connection that is not watched yet; NULL, and fd is closed, when memory is short. */
static struct nbd_conn *
make_conn(struct nbd_export *export, int fd, struct shm_tally *tally)
{
	struct nbd_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		close(fd);
		return NULL;
	}
	conn->export = export;
	conn->tally = tally;
	conn->fd = fd;
	conn->task.fn = end_of_turn;
	conn->task.arg = conn;
	conn->deadline.fn = too_late;
	conn->deadline.arg = conn;
	conn->retry.fn = retry;
	conn->retry.arg = conn;
	STAILQ_INIT(&conn->free_slots);
	STAILQ_INIT(&conn->out);
	TAILQ_INSERT_TAIL(&export->conns, conn, link);
	export->clients++;
	return conn;
}

static int
watch_conn(struct nbd_conn *conn)
{
	int err = loop_watch(conn->export->loop, conn->fd, LOOP_READ, on_event, conn, &conn->watch);

	if (!err)
		conn->watched = LOOP_READ;
	return err;
}

void
nbd_conn_new(struct nbd_endpoint *endpoint, int fd, bool oldstyle, bool passed)
{
	struct nbd_export *export = endpoint->export;
	struct nbd_conn *conn = make_conn(export, fd, &endpoint->tally);
	int on = 1;

	if (!conn)
		return;
	conn->oldstyle = oldstyle;
	conn->passed = passed;

	/* For TCP only. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

	if (begin_greeting(conn) || watch_conn(conn) ||
	    loop_timer_set(export->loop, &conn->deadline, NBD_HANDSHAKE_MS)) {
		nbd_conn_free(conn);
		return;
	}
	nbd_conn_greet(conn);
	nbd_conn_watch(conn);
}

int
nbd_conn_new_ready(struct nbd_export *export, int fd, struct shm_tally *tally)
{
	struct nbd_conn *conn = make_conn(export, fd, tally);
	int err;

	if (!conn)
		return -ENOMEM;
	err = watch_conn(conn);
	if (err)
		nbd_conn_free(conn);
	return err;
}

void
nbd_conn_abort(struct nbd_conn *conn)
{
	struct nbd_slot *slot;

	if (conn->fd < 0)
		return;
	loop_unwatch(conn->watch);
	conn->watch = NULL;
	close(conn->fd);
	conn->fd = -1;
	if (conn->receiving)
		nbd_request_end(conn->receiving);
	conn->receiving = NULL;
	while ((slot = STAILQ_FIRST(&conn->out))) {
		STAILQ_REMOVE_HEAD(&conn->out, link);
		nbd_request_end(slot);
	}
	nbd_conn_touch(conn);
}

void
nbd_conn_free(struct nbd_conn *conn)
{
	struct nbd_export *export = conn->export;

	nbd_conn_abort(conn);
	loop_defer_cancel(export->loop, &conn->task);
	loop_timer_cancel(export->loop, &conn->retry);
	if (conn->greeting)
		end_greeting(conn);
	nbd_input_free(conn);
	nbd_slots_free(conn);
	TAILQ_REMOVE(&export->conns, conn, link);
	export->clients--;
	free(conn);
}
