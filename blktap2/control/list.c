/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who serves what: all tapdisks are asked at once, because callers hold locks of the whole host
 * meanwhile, and one that hangs must not hide the others.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/message.h"
#include "common/minor.h"
#include "control/ctl.h"

#define MAX_PID (1u << 30)
#define MAX_ROWS 16384 /* rows that one tapdisk is believed */

/* ---- rows -------------------------------------------------------------------------------------
 */

static void
row_free(tap_list_t *row)
{
	free(row->type);
	free(row->path);
}

void
ctl_rows_free(struct ctl_rows *rows)
{
	while (rows->count)
		row_free(&rows->at[--rows->count]);
	free(rows->at);
	rows->at = NULL;
}

/* Append a row; args ("type:path", may be empty) is copied. */
static int
add_row(struct ctl_rows *rows, int pid, int minor, int state, const char *args)
{
	tap_list_t row = { .id = pid, .pid = pid, .minor = minor, .state = state };
	const char *colon = strchr(args, ':');
	tap_list_t *at = reallocarray(rows->at, rows->count + 1, sizeof(*at));

	if (!at)
		return -ENOMEM;
	rows->at = at;
	if (colon) {
		row.type = strndup(args, (size_t)(colon - args));
		row.path = strdup(colon + 1);
		if (!row.type || !row.path) {
			row_free(&row);
			return -ENOMEM;
		}
	}
	rows->at[rows->count++] = row;
	return 0;
}

static bool
matches(const struct ctl_filter *filter, const tap_list_t *row)
{
	if (filter->pid >= 0 && row->pid != filter->pid)
		return false;
	if (filter->minor >= 0 && row->minor != filter->minor)
		return false;
	if (filter->type && (!row->type || strcmp(row->type, filter->type) != 0))
		return false;
	return !filter->path || (row->path && strcmp(row->path, filter->path) == 0);
}

static void
apply_filter(const struct ctl_filter *filter, struct ctl_rows *rows)
{
	size_t from, to = 0;

	for (from = 0; from < rows->count; from++) {
		if (matches(filter, &rows->at[from]))
			rows->at[to++] = rows->at[from];
		else
			row_free(&rows->at[from]);
	}
	rows->count = to;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

/* One tapdisk that is being asked. */
struct asked {
	int pid;
	int fd;    /* -1: done with, one way or the other */
	bool gone; /* there is no such tapdisk */
	bool answered;
	size_t sent, got; /* bytes of the current message */
	tapdisk_message_t message;
	struct ctl_rows rows;
};

static void
finish(struct asked *asked, bool answered)
{
	if (asked->fd >= 0)
		close(asked->fd);
	asked->fd = -1;
	asked->answered = answered;
	if (!answered)
		ctl_rows_free(&asked->rows);
}

/* Whoever has the socket must be the process it is named after. */
static bool
is_genuine(const struct asked *asked)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(asked->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       peer.pid == asked->pid;
}

static void
start_asking(const struct ctl *ctl, struct asked *asked)
{
	struct deadline at_once = { .at = 1, .cancel_fd = -1 };
	AUTO_FREE char *path = ctl_path(ctl, "ctl", asked->pid);
	int err;

	asked->fd = -1;
	asked->message = ipc_message(TAPDISK_MESSAGE_LIST, -1);
	if (!path)
		return;
	err = ipc_connect(path, &at_once, &asked->fd);
	if (err == -ECONNREFUSED || err == -ENOENT)
		asked->gone = true;
	if (err == -ECONNREFUSED)
		ctl_clean_pid(ctl, asked->pid, false, NULL, NULL);
	if (!err && !is_genuine(asked)) {
		finish(asked, false);
		asked->gone = true;
	}
}

static void
take_row(struct asked *asked)
{
	tapdisk_message_list_t *row = &asked->message.u.list;
	char *path = row->path;

	if (asked->message.type != TAPDISK_MESSAGE_LIST_RSP ||
	    !message_text_ends(path, sizeof(row->path)) || asked->rows.count > MAX_ROWS) {
		finish(asked, false);
		return;
	}
	if (row->count == 0)
		finish(asked, true);
	else if (add_row(&asked->rows, asked->pid, row->minor, row->state, path))
		finish(asked, false);
	asked->got = 0;
}

/* As many bytes as there are, or as fit. */
static void
go_on(struct asked *asked)
{
	bool sending = asked->sent < sizeof(asked->message);
	char *bytes = (char *)&asked->message;
	ssize_t n;

	if (sending)
		n = send(asked->fd, bytes + asked->sent, sizeof(asked->message) - asked->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = recv(asked->fd, bytes + asked->got, sizeof(asked->message) - asked->got,
			 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(asked, false);
		return;
	}
	if (sending)
		asked->sent += (size_t)n;
	else
		asked->got += (size_t)n;
	if (asked->got == sizeof(asked->message))
		take_row(asked);
}

/* Fill fds with who is still being talked to; returns how many. */
static size_t
gather(const struct asked *all, size_t count, struct pollfd *fds, size_t *index)
{
	size_t i, used = 0;

	for (i = 0; i < count; i++) {
		if (all[i].fd < 0)
			continue;
		fds[used].fd = all[i].fd;
		fds[used].events = all[i].sent < sizeof(all[i].message) ? POLLOUT : POLLIN;
		index[used++] = i;
	}
	return used;
}

static int
ask_all(struct ctl *ctl, struct asked *all, size_t count)
{
	struct deadline deadline = deadline_in(ctl, IPC_LIST_MS);
	AUTO_FREE struct pollfd *fds = calloc(count + 2, sizeof(*fds));
	AUTO_FREE size_t *index = calloc(count + 1, sizeof(*index));
	size_t used, i;
	int ready;

	if (!fds || !index)
		return -ENOMEM;
	while ((used = gather(all, count, fds, index))) {
		fds[used] = (struct pollfd){ .fd = deadline.cancel_fd, .events = POLLIN };
		ready = poll(fds, (nfds_t)used + 1, deadline_left(&deadline));
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			break;
		if (fds[used].revents)
			return -ECANCELED;
		for (i = 0; i < used; i++)
			if (fds[i].revents)
				go_on(&all[index[i]]);
	}
	for (i = 0; i < count; i++)
		if (all[i].fd >= 0)
			finish(&all[i], false);
	return 0;
}

/* ---- putting it together -----------------------------------------------------------------------
 */

static bool
is_claimed(const struct ctl_rows *rows, int minor)
{
	size_t i;

	for (i = 0; i < rows->count; i++)
		if (rows->at[i].minor == minor)
			return true;
	return false;
}

static int
add_answers(struct asked *asked, struct ctl_rows *rows, void (*unanswered)(int pid))
{
	size_t i;
	int err;

	if (asked->gone)
		return 0;
	if (!asked->answered && unanswered)
		unanswered(asked->pid);
	if (!asked->rows.count)
		return add_row(rows, asked->pid, -1, -1, "");
	for (i = 0; i < asked->rows.count; i++) {
		err = add_row(rows, asked->pid, asked->rows.at[i].minor, asked->rows.at[i].state,
			      "");
		if (err)
			return err;
		rows->at[rows->count - 1].type = STEAL(asked->rows.at[i].type);
		rows->at[rows->count - 1].path = STEAL(asked->rows.at[i].path);
	}
	return 0;
}

static int
add_unclaimed(const struct ctl *ctl, struct ctl_rows *rows)
{
	AUTO_FREE char *dir = NULL;
	AUTO_FREE int *minors = NULL;
	size_t count, i;
	int err;

	if (asprintf(&dir, "%s/%s", ctl->dir, MINOR_DIR) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	err = ctl_numbers(dir, MINOR_PREFIX, &minors, &count);
	for (i = 0; !err && i < count; i++)
		if (minors[i] <= MINOR_MAX && !is_claimed(rows, minors[i]))
			err = add_row(rows, -1, minors[i], -1, "");
	return err;
}

/* The socket of one that was killed is there for a while: io_uring has hold of it. */
static void
look_whether_gone(const struct ctl *ctl, struct asked *asked)
{
	if (asked->answered || asked->gone || ctl_is_alive(asked->pid))
		return;
	asked->gone = true;
	ctl_clean_pid(ctl, asked->pid, false, NULL, NULL);
}

static int
list_of(struct ctl *ctl, int *pids, size_t count, struct ctl_rows *rows,
	void (*unanswered)(int pid))
{
	struct asked *all = calloc(count + 1, sizeof(*all));
	size_t i;
	int err;

	if (!all)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		all[i].pid = pids[i];
		start_asking(ctl, &all[i]);
	}
	err = ask_all(ctl, all, count);
	for (i = 0; i < count; i++) {
		look_whether_gone(ctl, &all[i]);
		if (!err)
			err = add_answers(&all[i], rows, unanswered);
		finish(&all[i], false);
	}
	free(all);
	return err;
}

int
ctl_list(struct ctl *ctl, const struct ctl_filter *filter, struct ctl_rows *out,
	 void (*unanswered)(int pid))
{
	AUTO_FREE int *pids = NULL;
	struct ctl_rows rows = { 0 };
	size_t count, i, to = 0;
	int err;

	err = ctl_numbers(ctl->dir, "ctl", &pids, &count);
	if (err)
		return err;
	for (i = 0; i < count; i++)
		if (filter->pid < 0 || pids[i] == filter->pid)
			pids[to++] = pids[i];
	err = list_of(ctl, pids, to, &rows, unanswered);
	if (!err && filter->pid < 0)
		err = add_unclaimed(ctl, &rows);
	if (err) {
		ctl_rows_free(&rows);
		return err;
	}
	apply_filter(filter, &rows);
	*out = rows;
	return 0;
}
