/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * td-util: images of several types made, asked and changed by one program, as older tools call it.
 *
 * What is asked of VHD images is what vhd-util does; raw images are simple enough to be dealt with
 * here.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vhd/commands.h>

#include "common/cleanup.h"
#include "common/number.h"
#include "common/program.h"

#define NO_COMMAND 255 /* exit status */
#define OPERANDS_MAX 3
#define WORDS_MAX 16

/* A command line: which options were given, and what else. */
struct given {
	const char *of[128]; /* the argument of each option, "" where it takes none */
	char *operands[OPERANDS_MAX];
	int count;
};

struct command {
	const char *name;
	const char *options; /* for getopt */
	const char *help;
	int operands;
	int (*vhd)(const struct given *given); /* 0 or -errno */
	int (*aio)(const struct given *given); /* NULL: not for raw images */
};

static int vhd_create(const struct given *given);
static int vhd_snapshot(const struct given *given);
static int vhd_query(const struct given *given);
static int vhd_set(const struct given *given);
static int aio_create(const struct given *given);
static int aio_query(const struct given *given);

static const struct command commands[] = {
	{ "create", "hrb", "[-h] [-r] [-b] <SIZE(MB)> <FILE>", 2, vhd_create, aio_create },
	{ "snapshot", "hmbl:", "[-h] [-m] [-b] [-l depth] <FILE> <BACKING>", 2, vhd_snapshot,
	  NULL },
	{ "query", "hvpfdb", "[-h] [-v] [-p] [-f] [-d] [-b] <FILE>", 1, vhd_query, aio_query },
	{ "set", "h", "[-h] <FILE> hidden <VALUE>", 3, vhd_set, NULL },
};

static const char *
command_name(size_t index)
{
	return commands[index].name;
}

static const struct program program = {
	.name = "td-util",
	.words = "COMMAND [TYPE] [OPTIONS]",
	.count = sizeof(commands) / sizeof(commands[0]),
	.command = command_name,
};

/* ---- VHD images -------------------------------------------------------------------------------
 */

/* The words of a command of vhd-util. */
struct words {
	char *at[WORDS_MAX];
	int count;
};

static void
add(struct words *words, const char *word)
{
	words->at[words->count++] = (char *)word;
}

/* The option, if it was given here. */
static void
pass(struct words *words, const struct given *given, char option)
{
	static const char flags[] = "-r\0-m\0-v\0-p\0-f\0-d\0-b";
	const char *flag;

	if (!given->of[(int)option])
		return;
	for (flag = flags; flag[1] != option; flag += 3)
		;
	add(words, flag);
}

static int
vhd_create(const struct given *given)
{
	struct words words = { { NULL }, 0 };

	add(&words, "create");
	pass(&words, given, 'r');
	add(&words, "-s");
	add(&words, given->operands[0]);
	add(&words, "-n");
	add(&words, given->operands[1]);
	return vhd_util_create(words.count, words.at);
}

static int
vhd_snapshot(const struct given *given)
{
	struct words words = { { NULL }, 0 };

	add(&words, "snapshot");
	pass(&words, given, 'm');
	if (given->of['l']) {
		add(&words, "-l");
		add(&words, given->of['l']);
	}
	add(&words, "-n");
	add(&words, given->operands[0]);
	add(&words, "-p");
	add(&words, given->operands[1]);
	return vhd_util_snapshot(words.count, words.at);
}

static int
vhd_query(const struct given *given)
{
	struct words words = { { NULL }, 0 };
	const char *option;

	add(&words, "query");
	for (option = "vpfdb"; *option; option++)
		pass(&words, given, *option);
	add(&words, "-n");
	add(&words, given->operands[0]);
	return vhd_util_query(words.count, words.at);
}

static int
vhd_set(const struct given *given)
{
	struct words words = { { NULL }, 0 };

	if (strcmp(given->operands[1], "hidden") != 0) {
		fprintf(stderr, "td-util set: %s: no such field; there is: hidden\n",
			given->operands[1]);
		return -EINVAL;
	}
	add(&words, "set");
	add(&words, "-n");
	add(&words, given->operands[0]);
	add(&words, "-f");
	add(&words, "hidden");
	add(&words, "-v");
	add(&words, given->operands[2]);
	return vhd_util_set(words.count, words.at);
}

/* ---- raw images -------------------------------------------------------------------------------
 */

static bool
parse_megabytes(const char *text, uint64_t *bytes)
{
	uint64_t megabytes;

	if (!number_parse(text, INT64_MAX >> 20, &megabytes) || !megabytes)
		return false;
	*bytes = megabytes << 20;
	return true;
}

/* A file of zeroes that has its room; nothing is left of one that has not. */
static int
make_raw(const char *name, uint64_t bytes)
{
	AUTO_CLOSE int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	struct stat file;
	int err;

	if (fd < 0 || fstat(fd, &file))
		return -errno;
	if (!S_ISREG(file.st_mode))
		return -EINVAL;
	if (file.st_size)
		return -EEXIST;
	err = -posix_fallocate(fd, 0, (off_t)bytes);
	if (!err && fsync(fd))
		err = -errno;
	if (err)
		unlink(name);
	return err;
}

static int
aio_create(const struct given *given)
{
	uint64_t bytes = 0;
	int err;

	if (!given->of['r']) {
		fprintf(stderr, "td-util create: a raw image has all of its room: -r is needed\n");
		return -EINVAL;
	}
	if (!parse_megabytes(given->operands[0], &bytes)) {
		fprintf(stderr, "td-util create: %s: not a number of MB\n", given->operands[0]);
		return -EINVAL;
	}
	err = make_raw(given->operands[1], bytes);
	if (err)
		fprintf(stderr, "td-util create: %s: %s\n", given->operands[1], strerror(-err));
	return err;
}

static int
raw_size(const char *name, uint64_t *bytes)
{
	AUTO_CLOSE int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat file;
	off_t end;

	if (fd < 0 || fstat(fd, &file))
		return -errno;
	if (!S_ISREG(file.st_mode) && !S_ISBLK(file.st_mode))
		return -EINVAL;
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	*bytes = (uint64_t)end;
	return 0;
}

static int
aio_query(const struct given *given)
{
	const char *name = given->operands[0];
	uint64_t bytes = 0;
	int err = raw_size(name, &bytes);

	if (err) {
		printf("error opening %s: %d\n", name, err);
		return err;
	}
	if (given->of['v'])
		printf("%" PRIu64 "\n", bytes >> 20);
	if (given->of['p'])
		printf("%s has no parent\n", name);
	if (given->of['f'])
		puts("hidden: 0");
	if (given->of['d'])
		puts("chain depth: 1");
	return 0;
}

/* ---- the program ------------------------------------------------------------------------------
 */

static int
usage(void)
{
	fputs("Tapdisk Utilities: v" PACKAGE_VERSION "\n", stderr);
	program_usage(&program, stderr);
	return NO_COMMAND;
}

static int
command_usage(const struct command *command, const char *type, FILE *out)
{
	fprintf(out, "usage: td-util %s %s %s\n", command->name, type, command->help);
	return out == stdout ? 0 : -EINVAL;
}

/* Options and operands: 0, 1 for a help text that is asked for, or -EINVAL. */
static int
take_words(const struct command *command, int argc, char **argv, struct given *given)
{
	int option;

	opterr = 0;
	while ((option = getopt(argc, argv, command->options)) != -1) {
		if (option == 'h')
			return 1;
		if (option == '?')
			return -EINVAL;
		given->of[option] = optarg ? optarg : "";
	}
	if (argc - optind != command->operands)
		return -EINVAL;
	for (; optind < argc; optind++)
		given->operands[given->count++] = argv[optind];
	/* Others parse words of their own. */
	optind = 0;
	return 0;
}

/* argv begins with the type. */
static int
run(const struct command *command, int argc, char **argv)
{
	int (*function)(const struct given *given) =
		strcmp(argv[0], "vhd") == 0 ? command->vhd : command->aio;
	struct given given = { { NULL }, { NULL }, 0 };
	int err = take_words(command, argc, argv, &given), unprinted;

	if (err)
		return command_usage(command, argv[0], err > 0 ? stdout : stderr);
	if (!function) {
		fprintf(stderr, "td-util %s: not for images of type %s\n", command->name, argv[0]);
		return -EINVAL;
	}
	err = function(&given);
	unprinted = program_flush();
	if (unprinted && !err) {
		err = unprinted;
		fprintf(stderr, "td-util %s: standard output: %s\n", command->name, strerror(-err));
	}
	return err;
}

int
main(int argc, char **argv)
{
	int err = program_begin(), index = argc > 2 ? program_find(&program, argv[1]) : -1;

	if (err)
		return -err;
	if (index < 0 || (strcmp(argv[2], "vhd") != 0 && strcmp(argv[2], "aio") != 0))
		return usage();
	return -run(&commands[index], argc - 2, argv + 2);
}
