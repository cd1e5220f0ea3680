/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of changed blocks: bytes, bits and files.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cbt/lib/cbt.h"
#include "common/bytes.h"
#include "common/checked.h"
#include "common/cleanup.h"
#include "common/whole.h"

#define CHILD_AT 16
#define SIZE_AT 40

/* ---- bytes ------------------------------------------------------------------------------------
 */

void
cbt_encode(const struct cbt_header *header, uint8_t raw[CBT_HEADER_BYTES])
{
	memset(raw, 0, CBT_HEADER_BYTES);
	memcpy(raw, header->parent, CBT_UUID_BYTES);
	memcpy(raw + CHILD_AT, header->child, CBT_UUID_BYTES);
	put_le32(raw + CBT_CONSISTENT_AT, header->consistent);
	put_le64(raw + SIZE_AT, header->size);
}

int
cbt_decode(const uint8_t raw[CBT_HEADER_BYTES], struct cbt_header *header)
{
	uint32_t consistent = get_le32(raw + CBT_CONSISTENT_AT);
	uint64_t size = get_le64(raw + SIZE_AT);

	if (consistent > 1 || !size || size > CBT_SIZE_MAX)
		return -EINVAL;
	memcpy(header->parent, raw, CBT_UUID_BYTES);
	memcpy(header->child, raw + CHILD_AT, CBT_UUID_BYTES);
	header->consistent = consistent;
	header->size = size;
	return 0;
}

uint64_t
cbt_blocks(uint64_t size)
{
	const uint64_t rest = size & ((1u << CBT_BLOCK_SHIFT) - 1);

	return (size >> CBT_BLOCK_SHIFT) + (rest != 0);
}

uint64_t
cbt_bitmap_bytes(uint64_t size)
{
	return (cbt_blocks(size) + 7) / 8;
}

/* The bits of one byte from bit "from" up to, not including, bit "to". */
static uint8_t
mask(unsigned from, unsigned to)
{
	return (uint8_t)((0xffu << from) & (0xffu >> (8 - to)));
}

void
cbt_bits_set(uint8_t *bits, uint64_t first, uint64_t count)
{
	uint64_t end = first + count, byte = first / 8, last = end / 8;

	if (!count)
		return;
	if (byte == last) {
		bits[byte] |= mask(first % 8, end % 8);
		return;
	}
	bits[byte] |= mask(first % 8, 8);
	memset(bits + byte + 1, 0xff, last - byte - 1);
	if (end % 8)
		bits[last] |= mask(0, end % 8);
}

bool
cbt_bits_all_set(const uint8_t *bits, uint64_t first, uint64_t count)
{
	uint64_t end = first + count, byte = first / 8, last = end / 8;
	uint8_t want;

	if (!count)
		return true;
	if (byte == last) {
		want = mask(first % 8, end % 8);
		return (bits[byte] & want) == want;
	}
	want = mask(first % 8, 8);
	if ((bits[byte] & want) != want)
		return false;
	while (++byte < last)
		if (bits[byte] != 0xff)
			return false;
	want = end % 8 ? mask(0, end % 8) : 0;
	return !want || (bits[last] & want) == want;
}

/* ---- files ------------------------------------------------------------------------------------
 */

/* A file that is too short is none of ours. */
static int
read_at(int fd, void *buf, size_t count, uint64_t at)
{
	int err = whole_read(fd, buf, count, at);

	return err == -ENODATA ? -EINVAL : err;
}

int
cbt_open(const char *path, bool writable, int *out)
{
	/* O_NONBLOCK: a FIFO is to be refused, not waited for. */
	AUTO_CLOSE int fd =
		open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat file;

	if (fd < 0 || fstat(fd, &file))
		return errno == EISDIR ? -EINVAL : -errno;
	if (!S_ISREG(file.st_mode) && !S_ISBLK(file.st_mode))
		return -EINVAL;
	*out = steal_fd(&fd);
	return 0;
}

int
cbt_check_length(int fd, uint64_t size)
{
	/* Unlike st_size this knows the length of a device, too. */
	const off_t length = lseek(fd, 0, SEEK_END);

	if (length < 0)
		return -errno;
	return range_fits(CBT_HEADER_BYTES, cbt_bitmap_bytes(size), (uint64_t)length) ? 0 : -EINVAL;
}

int
cbt_read_header(int fd, struct cbt_header *header)
{
	uint8_t raw[CBT_HEADER_BYTES];
	struct cbt_header found;
	int err = read_at(fd, raw, sizeof(raw), 0);

	if (!err)
		err = cbt_decode(raw, &found);
	if (!err)
		err = cbt_check_length(fd, found.size);
	if (!err)
		*header = found;
	return err;
}

int
cbt_write_header(int fd, const struct cbt_header *header)
{
	uint8_t raw[CBT_HEADER_BYTES];

	cbt_encode(header, raw);
	return whole_write(fd, raw, sizeof(raw), 0);
}

int
cbt_write_inconsistent(int fd)
{
	static const uint8_t zero[4];

	return whole_write(fd, zero, sizeof(zero), CBT_CONSISTENT_AT);
}

int
cbt_read_bits(int fd, uint64_t at, void *buf, size_t count)
{
	return read_at(fd, buf, count, CBT_HEADER_BYTES + at);
}

int
cbt_write_bits(int fd, uint64_t at, const void *buf, size_t count)
{
	return whole_write(fd, buf, count, CBT_HEADER_BYTES + at);
}
