/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of tapback: descriptors and timers.  Nothing called from it may block.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct tb_loop;

/* Embedded by its owner; zeroed before the first use. */
struct tb_watch {
	void (*fn)(void *arg, uint32_t events); /* EPOLL* */
	void *arg;
	int fd;
	uint32_t slot; /* of the loop; 0: not watched */
};

/* Embedded by its owner; zeroed before the first use. */
struct tb_timer {
	void (*fn)(void *arg);
	void *arg;
	uint64_t at; /* loop milliseconds; 0: not set */
	TAILQ_ENTRY(tb_timer) link;
};

int tb_loop_new(struct tb_loop **out);
void tb_loop_free(struct tb_loop *loop); /* NULL is fine */

/* Milliseconds of a clock that does not jump. */
uint64_t tb_loop_now(void);

/* Call fn(arg, events) when fd is ready: 0 or -errno.  Repeated: other events of the same fd. */
int tb_watch_set(struct tb_loop *loop, struct tb_watch *watch, int fd, uint32_t events);

/* Before the descriptor is closed.  May be called from any callback; twice is fine. */
void tb_watch_clear(struct tb_loop *loop, struct tb_watch *watch);

/* Call fn(arg) once, in so many milliseconds; an earlier setting is replaced. */
void tb_timer_set(struct tb_loop *loop, struct tb_timer *timer, uint64_t in_ms);
void tb_timer_clear(struct tb_loop *loop, struct tb_timer *timer);

/* Call turn(arg) after each turn, until it returns false. */
int tb_loop_run(struct tb_loop *loop, bool (*turn)(void *arg), void *arg);

#endif
