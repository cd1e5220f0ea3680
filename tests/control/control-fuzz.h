/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole server on empty disks, for inputs that nobody has thought of.
 */
#ifndef TESTS_CONTROL_FUZZ_H
#define TESTS_CONTROL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_CLIENTS 4
#define FUZZ_MINORS 3 /* 0, 1, 2 have markers; only 0 is attached */

struct control_server;
struct tapdisk_server;
struct tapdisk_type;

struct fuzz {
	char dir[32];
	struct tapdisk_type *types;
	struct tapdisk_server *server;
	struct control_server *control;
	int fds[FUZZ_CLIENTS]; /* -1: not connected */
};

/* What the input is taken from. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

/* The next number of so many bytes; 0 at the end. */
uint32_t fuzz_number(struct fuzz_input *input, size_t bytes);

/* The next bytes, at most most of them, how many is said first; *length of them. */
const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t most, size_t *length);

void fuzz_begin(struct fuzz *fuzz);

/* Send as client i, connecting first if need be; answers are read and forgotten. */
void fuzz_send(struct fuzz *fuzz, unsigned i, const void *data, size_t length);
void fuzz_leave(struct fuzz *fuzz, unsigned i);

/* Everybody leaves; nothing may be left of them. */
void fuzz_end(struct fuzz *fuzz);

/* The inputs of the two fuzz targets (fuzz-control-legacy.c, fuzz-control-versioned.c). */
void fuzz_legacy(const uint8_t *data, size_t size);
void fuzz_versioned(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
