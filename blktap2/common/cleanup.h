/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scoped ownership: what a function acquires is released on every way out.
 *
 * A function uses either these or `goto out`, never both; STEAL hands the result to the caller.
 */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void
cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void
cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void
cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))
#define AUTO_FCLOSE __attribute__((cleanup(cleanup_fclose)))

/* The value of an AUTO_FREE pointer; the variable forgets it. */
#define STEAL(pointer)                                                                             \
	__extension__({                                                                            \
		__typeof__(pointer) stolen_ = (pointer);                                           \
		(pointer) = NULL;                                                                  \
		stolen_;                                                                           \
	})

/* The same for an AUTO_CLOSE descriptor. */
static inline int
steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
