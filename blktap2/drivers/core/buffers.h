/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process's pool of data buffers: page-aligned, in power-of-two sizes, kept for reuse and given
 * back to the kernel when idle.
 */
#ifndef CORE_BUFFERS_H
#define CORE_BUFFERS_H

#include <stddef.h>

struct buffers;

#define BUFFER_MIN 4096u               /* bytes */
#define BUFFER_MAX (32u * 1024 * 1024) /* bytes */

/* A pool that hands out at most limit bytes at a time.  Returns NULL when memory is short. */
struct buffers *buffers_new(size_t limit);
void buffers_free(struct buffers *pool);

/*
 * At least bytes (1..BUFFER_MAX) bytes at a page boundary, or NULL: the limit is reached or memory
 * is short, and the caller waits for its own completions.  Fresh memory is zeroed, reused memory
 * holds whatever this process left there.
 */
char *buffers_get(struct buffers *pool, size_t bytes);
void buffers_put(struct buffers *pool, char *buffer, size_t bytes); /* bytes as for buffers_get */

/* Bytes that may still be handed out: for those who share, and leave something to others. */
size_t buffers_left(const struct buffers *pool);

/* Give what is not handed out back to the kernel. */
void buffers_trim(struct buffers *pool);

#endif
