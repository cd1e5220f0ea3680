/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages that hold keys.
 */
#include <string.h>
#include <sys/mman.h>

#include "common/secret.h"

void *
secret_new(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	/* Both may be refused, by a limit or an old kernel: then the key is held without. */
	madvise(at, bytes, MADV_DONTDUMP);
	mlock(at, bytes);
	return at;
}

void
secret_free(void *secret, size_t bytes)
{
	if (!secret)
		return;
	explicit_bzero(secret, bytes);
	munmap(secret, bytes);
}
