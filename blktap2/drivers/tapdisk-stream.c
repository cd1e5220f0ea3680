/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tapdisk-stream: the content of a disk, as its drivers read it, to standard output.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tapdisk.h>

#include "common/number.h"
#include "drivers/chain-reader.h"

struct range {
	uint64_t skip;  /* sectors */
	uint64_t count; /* sectors; UINT64_MAX: up to the end */
};

static int
usage(int status)
{
	printf("usage: tapdisk-stream -n type:/path [-c sectors] [-s skip] [-h]\n"
	       "  -n  the disk, as tapdisk2 takes it\n"
	       "  -c  how many sectors of 512 bytes; all by default\n"
	       "  -s  the first sector\n");
	return status;
}

static int
bad_argument(const char *what)
{
	fprintf(stderr, "tapdisk-stream: %s\n", what);
	return usage(EINVAL);
}

static int
write_all(const uint8_t *data, size_t bytes)
{
	ssize_t put;

	while (bytes) {
		put = write(STDOUT_FILENO, data, bytes);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		data += put;
		bytes -= (size_t)put;
	}
	return 0;
}

static int
stream(struct chain_reader *reader, const char *name, const struct range *range)
{
	uint64_t sectors = chain_reader_sectors(reader), left;
	struct chain_piece piece = { 0 };
	int more, err = 0;

	if (range->skip > sectors) {
		fprintf(stderr,
			"tapdisk-stream: %s: sector %" PRIu64 " is beyond the end, %" PRIu64 "\n",
			name, range->skip, sectors);
		return -EINVAL;
	}
	left = sectors - range->skip;
	if (range->count < left)
		left = range->count;
	chain_reader_seek(reader, range->skip, range->skip + left);
	while (!err && (more = chain_reader_next(reader, &piece)) == 1)
		err = write_all(piece.data, (size_t)piece.sectors << SECTOR_SHIFT);
	if (err) {
		fprintf(stderr, "tapdisk-stream: standard output: %s\n", strerror(-err));
		return err;
	}
	if (more < 0)
		fprintf(stderr, "tapdisk-stream: %s: reading at sector 0x%" PRIx64 ": %s\n", name,
			piece.sector, strerror(-more));
	return more;
}

int
main(int argc, char **argv)
{
	struct range range = { .count = UINT64_MAX };
	struct reason why = { "" };
	struct chain_reader *reader;
	const char *name = NULL;
	int option, err;

	opterr = 0;
	while ((option = getopt(argc, argv, "n:c:s:h")) != -1) {
		if (option == 'h')
			return usage(0);
		if (option == 'n')
			name = optarg;
		else if (option == '?')
			return bad_argument("unknown option, or one without its argument");
		else if (!number_parse(optarg, UINT64_MAX,
				       option == 'c' ? &range.count : &range.skip))
			return bad_argument("not a number of sectors");
	}
	if (!name || optind != argc)
		return bad_argument("one disk is needed, with -n");
	signal(SIGPIPE, SIG_IGN);
	err = chain_reader_open(name, &reader, &why);
	if (err) {
		fprintf(stderr, "tapdisk-stream: %s\n", why.text);
		return -err;
	}
	err = stream(reader, name, &range);
	chain_reader_close(reader);
	return -err;
}
