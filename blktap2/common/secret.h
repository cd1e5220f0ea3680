/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for keys: not written to core dumps, not swapped out where the system allows it, wiped.
 */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stddef.h>

/* Zeroed memory of that many bytes, in pages of its own; NULL: memory is short. */
void *secret_new(size_t bytes);

/* Wipe and give back; bytes as for secret_new.  NULL is fine. */
void secret_free(void *secret, size_t bytes);

#endif
