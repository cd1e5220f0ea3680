/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cbt-util: files of changed blocks, made, asked, changed and merged.
 *
 * Every change is on stable storage before the program ends, and a crash in between leaves the old
 * file, or one whose bits say too much: never one that misses a change.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uuid/uuid.h>

#include "cbt/lib/cbt.h"
#include "common/cleanup.h"
#include "common/io.h"
#include "common/number.h"
#include "common/program.h"

#define CHUNK 65536 /* bytes of a bitmap handled at a time */
#define BAD_SIZE "-s: not a number of bytes from 1 to 2^63 - 1"

/* What was given on the command line: the argument of each option, "" where it takes none. */
struct given {
	const char *of[128];
};

struct command {
	const char *name;
	const char *options; /* for getopt */
	const char *help;
	int (*run)(const struct given *given);
};

#define CBT_COMMANDS(X)                                                                            \
	X(create, "n:s:h", "-n <file> -s <bytes>")                                                 \
	X(get, "n:pcfsbh", "-n <file> (-p parent | -c child | -f flag | -s size | -b bitmap)")     \
	X(set, "n:p:c:f:s:h", "-n <file> [-p <parent>] [-c <child>] [-f 0|1] [-s <bytes>]")        \
	X(coalesce, "p:c:h", "-p <parent file> -c <child file>")

#define X(n, o, h) static int run_##n(const struct given *given);
CBT_COMMANDS(X)
#undef X

#define X(n, o, h) { .name = #n, .options = o, .help = h, .run = run_##n },
static const struct command commands[] = { CBT_COMMANDS(X) };
#undef X

static const char *
command_name(size_t index)
{
	return commands[index].name;
}

static const struct program program = {
	.name = "cbt-util",
	.words = "COMMAND [OPTIONS]",
	.count = sizeof(commands) / sizeof(commands[0]),
	.command = command_name,
};

/* ---- words ------------------------------------------------------------------------------------
 */

static void
command_usage(const struct command *command)
{
	printf("usage: cbt-util %s %s\n", command->name, command->help);
}

/* Tell what went wrong with file, and hand err on. */
static int
failed(const char *command, const char *file, int err)
{
	fprintf(stderr, "cbt-util %s: %s: %s\n", command, file,
		err == -EINVAL ? "not a file of changed blocks, or too short" : strerror(-err));
	return err;
}

/* The command line is wrong. */
static int
wrong(const char *name, const char *why)
{
	fprintf(stderr, "cbt-util %s: %s\n", name, why);
	command_usage(&commands[program_find(&program, name)]);
	return -EINVAL;
}

static int
parse_size(const char *text, uint64_t *size)
{
	return number_parse(text, CBT_SIZE_MAX, size) && *size ? 0 : -EINVAL;
}

static int
parse_flag(const char *text, bool *flag)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		return -EINVAL;
	*flag = *text == '1';
	return 0;
}

/* ---- create -----------------------------------------------------------------------------------
 */

/* A name beside path that nobody has; owned by the caller. */
static char *
beside(const char *path)
{
	char *name;

	return asprintf(&name, "%s.new.%d", path, (int)getpid()) < 0 ? NULL : name;
}

static int
fill_new(int fd, const struct cbt_header *header)
{
	uint64_t length = CBT_HEADER_BYTES + cbt_bitmap_bytes(header->size);
	int err;

	if (ftruncate(fd, (off_t)length))
		return -errno;
	err = cbt_write_header(fd, header);
	return !err && fsync(fd) ? -errno : err;
}

/* Put a new file in the place of path, at once. */
static int
create_file(const char *path, const struct cbt_header *header)
{
	AUTO_FREE char *name = beside(path);
	int fd, err;

	if (!name)
		return -ENOMEM;
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	err = fill_new(fd, header);
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(name, path))
		err = -errno;
	if (err) {
		unlink(name);
		return err;
	}
	return io_file_sync_name(path);
}

static int
write_zero_bits(int fd, uint64_t size)
{
	static const uint8_t zeroes[CHUNK];
	uint64_t left = cbt_bitmap_bytes(size), at = 0;
	int err = 0;

	while (!err && left) {
		size_t count = left < CHUNK ? (size_t)left : CHUNK;

		err = cbt_write_bits(fd, at, zeroes, count);
		at += count;
		left -= count;
	}
	return err;
}

/* A device cannot be replaced; it is inconsistent until all of it is written. */
static int
create_on_device(const char *path, const struct cbt_header *header)
{
	AUTO_CLOSE int fd = -1;
	int err = cbt_open(path, true, &fd);

	if (!err && cbt_check_length(fd, header->size))
		err = -ENOSPC;
	if (!err)
		err = cbt_write_header(fd, header);
	if (!err && fsync(fd))
		err = -errno;
	if (!err)
		err = write_zero_bits(fd, header->size);
	return !err && fsync(fd) ? -errno : err;
}

static int
create(const char *path, uint64_t size)
{
	const struct cbt_header header = { .size = size };
	AUTO_FREE char *real = realpath(path, NULL);
	struct stat file;

	/* What a link points to is replaced, not the link. */
	if (!real)
		return create_file(path, &header);
	if (stat(real, &file))
		return -errno;
	if (S_ISBLK(file.st_mode))
		return create_on_device(real, &header);
	if (!S_ISREG(file.st_mode))
		return -EINVAL;
	return create_file(real, &header);
}

static int
run_create(const struct given *given)
{
	const char *name = given->of['n'];
	uint64_t size;
	int err;

	if (!name || !given->of['s'])
		return wrong("create", "-n and -s are needed");
	if (parse_size(given->of['s'], &size))
		return wrong("create", BAD_SIZE);
	err = create(name, size);
	if (err)
		fprintf(stderr, "cbt-util create: %s: %s\n", name, strerror(-err));
	return err;
}

/* ---- get --------------------------------------------------------------------------------------
 */

static void
print_uuid(const uint8_t uuid[CBT_UUID_BYTES])
{
	char text[UUID_STR_LEN];

	uuid_unparse_lower(uuid, text);
	puts(text);
}

static int
print_bitmap(int fd, uint64_t size)
{
	uint64_t left = cbt_bitmap_bytes(size), at = 0;
	uint8_t chunk[CHUNK];
	int err;

	while (left) {
		size_t count = left < CHUNK ? (size_t)left : CHUNK;

		err = cbt_read_bits(fd, at, chunk, count);
		if (err)
			return err;
		if (fwrite(chunk, 1, count, stdout) != count)
			return -errno;
		at += count;
		left -= count;
	}
	return 0;
}

static int
get(const char *name, int what)
{
	AUTO_CLOSE int fd = -1;
	struct cbt_header header;
	int err = cbt_open(name, false, &fd);

	if (!err)
		err = cbt_read_header(fd, &header);
	if (err)
		return err;
	switch (what) {
	case 'p':
		print_uuid(header.parent);
		return 0;
	case 'c':
		print_uuid(header.child);
		return 0;
	case 'f':
		printf("%d\n", header.consistent);
		return 0;
	case 's':
		printf("%" PRIu64 "\n", header.size);
		return 0;
	default:
		return print_bitmap(fd, header.size);
	}
}

static int
run_get(const struct given *given)
{
	static const char items[] = "pcfsb";
	const char *name = given->of['n'];
	int what = 0, wanted = 0, err;
	size_t i;

	for (i = 0; items[i]; i++)
		if (given->of[(int)items[i]]) {
			what = items[i];
			wanted++;
		}
	if (!name || wanted != 1)
		return wrong("get", "-n and one of -p, -c, -f, -s, -b are needed");
	err = get(name, what);
	return err ? failed("get", name, err) : 0;
}

/* ---- set --------------------------------------------------------------------------------------
 */

/* A new header, and which of its fields are meant. */
struct change {
	bool parent, child, flag, size;
	struct cbt_header to;
};

/* Set bits [first, blocks of the new size): nothing is known of what was not there before. */
static int
write_new_bits(int fd, uint64_t first, uint64_t size)
{
	uint64_t end = cbt_bitmap_bytes(size), at = first / 8, blocks = cbt_blocks(size);
	uint8_t chunk[CHUNK] = { 0 };
	int err = 0;

	/* The first byte has old bits, too. */
	if (first % 8)
		err = cbt_read_bits(fd, at, chunk, 1);
	while (!err && at < end) {
		size_t count = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		uint64_t from = first > at * 8 ? first - at * 8 : 0;
		uint64_t to = blocks - at * 8 < count * 8 ? blocks - at * 8 : count * 8;

		cbt_bits_set(chunk, from, to - from);
		err = cbt_write_bits(fd, at, chunk, count);
		memset(chunk, 0, sizeof(chunk));
		at += count;
	}
	return err;
}

/* Room for the larger bitmap, before anything else is touched. */
static int
make_room(int fd, uint64_t size)
{
	const uint64_t end = CBT_HEADER_BYTES + cbt_bitmap_bytes(size);
	struct stat file;
	int err;

	if (cbt_check_length(fd, size) == 0)
		return 0;
	if (fstat(fd, &file))
		return -errno;
	if (!S_ISREG(file.st_mode))
		return -ENOSPC;
	if (fallocate(fd, 0, 0, (off_t)end) == 0)
		return 0;
	if (errno == EOPNOTSUPP)
		return ftruncate(fd, (off_t)end) ? -errno : 0;
	/* Half of the room is of no use. */
	err = -errno;
	return ftruncate(fd, file.st_size) ? -errno : err;
}

/*
 * The new bits are durable before the header speaks of them.  A block that the old size covered in
 * part has new content as well.
 */
static int
grow(int fd, uint64_t old_size, uint64_t size)
{
	int err = make_room(fd, size);

	if (!err)
		err = write_new_bits(fd, old_size >> CBT_BLOCK_SHIFT, size);
	return !err && fsync(fd) ? -errno : err;
}

static int
set_header(int fd, const struct change *change, struct cbt_header *header)
{
	int err = 0;

	if (change->size && change->to.size > header->size)
		err = grow(fd, header->size, change->to.size);
	if (change->parent)
		memcpy(header->parent, change->to.parent, CBT_UUID_BYTES);
	if (change->child)
		memcpy(header->child, change->to.child, CBT_UUID_BYTES);
	if (change->flag)
		header->consistent = change->to.consistent;
	if (change->size)
		header->size = change->to.size;
	if (!err)
		err = cbt_write_header(fd, header);
	return !err && fsync(fd) ? -errno : err;
}

static int
set(const char *name, const struct change *change)
{
	AUTO_CLOSE int fd = -1;
	struct cbt_header header;
	int err = cbt_open(name, true, &fd);

	if (!err)
		err = cbt_read_header(fd, &header);
	if (!err && change->size && change->to.size < header.size) {
		fprintf(stderr,
			"cbt-util set: %s: the size may only grow: it is %" PRIu64 " bytes\n", name,
			header.size);
		return -EINVAL;
	}
	if (!err)
		err = set_header(fd, change, &header);
	return err ? failed("set", name, err) : 0;
}

static int
run_set(const struct given *given)
{
	const char *const *of = given->of;
	struct change to = {
		.parent = of['p'], .child = of['c'], .flag = of['f'], .size = of['s']
	};

	if (!of['n'] || !(to.parent || to.child || to.flag || to.size))
		return wrong("set", "-n and something to set are needed");
	if (to.parent && uuid_parse(of['p'], to.to.parent))
		return wrong("set", "-p: not a uuid");
	if (to.child && uuid_parse(of['c'], to.to.child))
		return wrong("set", "-c: not a uuid");
	if (to.flag && parse_flag(of['f'], &to.to.consistent))
		return wrong("set", "-f: neither 0 nor 1");
	if (to.size && parse_size(of['s'], &to.to.size))
		return wrong("set", BAD_SIZE);
	return set(of['n'], &to);
}

/* ---- coalesce ---------------------------------------------------------------------------------
 */

/* Of one chunk: set in the child what is set in the parent. */
static int
merge_chunk(int parent, int child, uint64_t at, size_t count)
{
	uint8_t from[CHUNK], to[CHUNK], merged[CHUNK];
	size_t i;
	int err = cbt_read_bits(parent, at, from, count);

	if (!err)
		err = cbt_read_bits(child, at, to, count);
	if (err)
		return err;
	for (i = 0; i < count; i++)
		merged[i] = from[i] | to[i];
	return memcmp(merged, to, count) ? cbt_write_bits(child, at, merged, count) : 0;
}

static int
open_with_header(const char *name, bool writable, int *fd, struct cbt_header *header)
{
	int err = cbt_open(name, writable, fd);

	if (!err)
		err = cbt_read_header(*fd, header);
	return err ? failed("coalesce", name, err) : 0;
}

static int
coalesce(const char *parent_name, const char *child_name)
{
	AUTO_CLOSE int parent = -1;
	AUTO_CLOSE int child = -1;
	struct cbt_header parent_header, child_header;
	uint64_t bytes, at = 0;
	int err;

	err = open_with_header(parent_name, false, &parent, &parent_header);
	if (!err)
		err = open_with_header(child_name, true, &child, &child_header);
	if (err)
		return err;
	bytes = cbt_bitmap_bytes(parent_header.size);
	if (bytes > cbt_bitmap_bytes(child_header.size)) {
		fprintf(stderr, "cbt-util coalesce: %s: larger than %s\n", parent_name, child_name);
		return -EINVAL;
	}
	while (!err && at < bytes) {
		size_t count = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;

		err = merge_chunk(parent, child, at, count);
		at += count;
	}
	if (!err && fsync(child))
		err = -errno;
	return err ? failed("coalesce", child_name, err) : 0;
}

static int
run_coalesce(const struct given *given)
{
	if (!given->of['p'] || !given->of['c'])
		return wrong("coalesce", "-p and -c are needed");
	return coalesce(given->of['p'], given->of['c']);
}

/* ---- the program ------------------------------------------------------------------------------
 */

/* Take the options of command: 0, 1 for a help text that was asked for, or -EINVAL. */
static int
take_options(const struct command *command, int argc, char **argv, struct given *given)
{
	int option;

	opterr = 0;
	while ((option = getopt(argc, argv, command->options)) != -1) {
		if (option == '?')
			return wrong(command->name, "unknown option, or one without its argument");
		if (option == 'h') {
			command_usage(command);
			return 1;
		}
		given->of[option] = optarg ? optarg : "";
	}
	return optind == argc ? 0 : wrong(command->name, "more words than it takes");
}

int
main(int argc, char **argv)
{
	int err = program_begin(), index, unprinted;
	struct given given = { { NULL } };

	if (err)
		return -err;
	if (program_answers(&program, argc > 1 ? argv[1] : "help"))
		return 0;
	index = program_find(&program, argv[1]);
	if (index < 0)
		return program_unknown(&program, argv[1], stdout);
	err = take_options(&commands[index], argc - 1, argv + 1, &given);
	if (!err)
		err = commands[index].run(&given);
	unprinted = program_flush();
	if (unprinted && err >= 0) {
		err = unprinted;
		fprintf(stderr, "cbt-util: standard output: %s\n", strerror(-err));
	}
	return err < 0 ? -err : 0;
}
