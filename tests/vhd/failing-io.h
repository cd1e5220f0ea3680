/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file in memory behind struct io, whose n-th operation fails.
 */
#ifndef TESTS_VHD_FAILING_IO_H
#define TESTS_VHD_FAILING_IO_H

#include <stddef.h>
#include <stdint.h>

#include "common/io.h"

struct failing_io {
	struct io io;
	uint8_t *at; /* owned */
	size_t bytes;
	int fail_at;     /* the number of the operation that fails with -EIO, from 1; 0: none */
	int calls;       /* operations so far */
	int writes_only; /* only those that change something are counted */
	int closed;
};

/* An empty file; *memory is the caller's, and io_close() only notes that it was called. */
void failing_io_init(struct failing_io *memory);
void failing_io_free(struct failing_io *memory);

#endif
