/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any file in the place of a file of changed blocks.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cbt/lib/cbt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A header that is believed speaks of bits that are there. */
static void
read_file(int fd)
{
	struct cbt_header header;
	uint8_t *bits;
	size_t bytes;

	if (cbt_read_header(fd, &header))
		return;
	bytes = cbt_bitmap_bytes(header.size);
	bits = malloc(bytes);
	if (!bits || cbt_read_bits(fd, 0, bits, bytes))
		__builtin_trap();
	cbt_bits_set(bits, cbt_blocks(header.size) - 1, 1);
	if (!cbt_bits_all_set(bits, cbt_blocks(header.size) - 1, 1))
		__builtin_trap();
	free(bits);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("cbt", MFD_CLOEXEC);

	if (fd < 0)
		return 0;
	if (write(fd, data, size) == (ssize_t)size)
		read_file(fd);
	close(fd);
	return 0;
}
