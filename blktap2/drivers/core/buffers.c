/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pool of data buffers: see buffers.h.
 *
 * Each size has a list of free buffers, linked through their first bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "drivers/core/buffers.h"

#define SIZES 14                      /* BUFFER_MIN << 0 .. BUFFER_MIN << 13 */
#define CACHE_MAX (64u * 1024 * 1024) /* bytes kept for reuse, until they are trimmed */

_Static_assert(BUFFER_MIN << (SIZES - 1) == BUFFER_MAX, "the sizes end at BUFFER_MAX");

struct free_buffer {
	struct free_buffer *next;
};

struct buffers {
	size_t limit;
	size_t out;  /* bytes handed out */
	size_t kept; /* bytes on the lists */
	struct free_buffer *free[SIZES];
};

static unsigned
index_of(size_t bytes)
{
	unsigned i = 0;

	while ((size_t)BUFFER_MIN << i < bytes)
		i++;
	return i;
}

struct buffers *
buffers_new(size_t limit)
{
	struct buffers *pool = calloc(1, sizeof(*pool));

	if (pool)
		pool->limit = limit;
	return pool;
}

void
buffers_free(struct buffers *pool)
{
	if (!pool)
		return;
	buffers_trim(pool);
	free(pool);
}

size_t
buffers_left(const struct buffers *pool)
{
	return pool->limit > pool->out ? pool->limit - pool->out : 0;
}

static char *
take(struct buffers *pool, unsigned i)
{
	struct free_buffer *buffer = pool->free[i];

	pool->free[i] = buffer->next;
	pool->kept -= (size_t)BUFFER_MIN << i;
	return (char *)buffer;
}

char *
buffers_get(struct buffers *pool, size_t bytes)
{
	void *memory;
	size_t size;
	unsigned i;

	if (!bytes || bytes > BUFFER_MAX)
		return NULL;
	i = index_of(bytes);
	size = (size_t)BUFFER_MIN << i;
	if (pool->out > pool->limit || size > pool->limit - pool->out)
		return NULL;
	if (pool->free[i]) {
		pool->out += size;
		return take(pool, i);
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	pool->out += size;
	return memory;
}

void
buffers_put(struct buffers *pool, char *buffer, size_t bytes)
{
	struct free_buffer *unused;
	size_t size;
	unsigned i;

	if (!buffer)
		return;
	i = index_of(bytes);
	size = (size_t)BUFFER_MIN << i;
	pool->out -= size;
	if (size > CACHE_MAX - pool->kept) {
		munmap(buffer, size);
		return;
	}
	unused = (struct free_buffer *)(void *)buffer;
	unused->next = pool->free[i];
	pool->free[i] = unused;
	pool->kept += size;
}

void
buffers_trim(struct buffers *pool)
{
	unsigned i;

	for (i = 0; i < SIZES; i++) {
		while (pool->free[i])
			munmap(take(pool, i), (size_t)BUFFER_MIN << i);
	}
}
