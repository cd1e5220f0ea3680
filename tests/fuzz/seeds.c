/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The main function of fuzz targets in builds without a fuzzer: every seed, and changes of it.
 *
 * Without arguments the seeds are those of the folder NAME.corpus beside the target's source; each
 * is a test, and so are random inputs for a target without seeds.  FUZZ_SEED repeats a run.  With
 * arguments these files, and those in these folders, are run once, as they are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANGES 40       /* of each seed */
#define RANDOM 100       /* inputs of a target without seeds */
#define RANDOM_MOST 4096 /* bytes of one */
#define CHANGED_MOST 8   /* bytes at a time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	uint8_t *at; /* owned */
	size_t bytes;
};

static unsigned seed = 20261129;
static unsigned tests;

static size_t
pick(size_t limit)
{
	return (size_t)rand_r(&seed) % limit;
}

/* Of exactly its size, so that sanitizers see who reads behind it. */
static void
run(const uint8_t *at, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	if (!copy)
		exit(1);
	memcpy(copy, at, bytes);
	LLVMFuzzerTestOneInput(copy, bytes);
	free(copy);
}

static bool
load(const char *path, struct input *input)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat file;
	bool read_all = false;

	*input = (struct input){ .at = NULL };
	if (fd >= 0 && fstat(fd, &file) == 0) {
		input->bytes = (size_t)file.st_size;
		input->at = malloc(input->bytes + 1);
		read_all = input->at && read(fd, input->at, input->bytes) == (ssize_t)input->bytes;
	}
	if (fd >= 0)
		close(fd);
	return read_all;
}

/* Bytes that are others, and an end that is missing. */
static void
run_changed(const struct input *input)
{
	struct input changed = { .at = malloc(input->bytes + 1) };
	size_t i, count;

	if (!changed.at)
		exit(1);
	memcpy(changed.at, input->at, input->bytes);
	changed.bytes = input->bytes;
	count = input->bytes ? pick(CHANGED_MOST + 1) : 0;
	for (i = 0; i < count; i++)
		changed.at[pick(input->bytes)] = pick(4) ? (uint8_t)pick(256) : (uint8_t)-pick(2);
	if (pick(2))
		changed.bytes = pick(input->bytes + 1);
	run(changed.at, changed.bytes);
	free(changed.at);
}

static void
test_seed(const char *path)
{
	struct input input;
	int i;

	if (!load(path, &input)) {
		printf("not ok %u - %s: %s\n", ++tests, path, strerror(errno));
		free(input.at);
		return;
	}
	printf("# %s, FUZZ_SEED=%u\n", path, seed);
	fflush(stdout);
	run(input.at, input.bytes);
	for (i = 0; i < CHANGES; i++)
		run_changed(&input);
	free(input.at);
	printf("ok %u - %s\n", ++tests, path);
}

static void
test_random_inputs(void)
{
	static uint8_t data[RANDOM_MOST];
	size_t i, bytes;
	int n;

	printf("# FUZZ_SEED=%u\n", seed);
	fflush(stdout);
	for (n = 0; n < RANDOM; n++) {
		bytes = n ? pick(RANDOM_MOST + 1) : 0;
		for (i = 0; i < bytes; i++)
			data[i] = (uint8_t)pick(256);
		run(data, bytes);
	}
	printf("ok %u - random inputs\n", ++tests);
}

static int
test_all(const char *program)
{
	const char *given = getenv("FUZZ_SEED"), *top = getenv("top_srcdir");
	const char *slash = strrchr(program, '/');
	char pattern[512];
	glob_t seeds = { .gl_pathc = 0 };
	size_t i;

	if (given)
		seed = (unsigned)strtoul(given, NULL, 10);
	snprintf(pattern, sizeof(pattern), "%s/tests/*/%s.corpus/*", top ? top : ".",
		 slash ? slash + 1 : program);
	if (glob(pattern, 0, NULL, &seeds))
		test_random_inputs();
	for (i = 0; i < seeds.gl_pathc; i++)
		test_seed(seeds.gl_pathv[i]);
	globfree(&seeds);
	printf("1..%u\n", tests);
	return 0;
}

static int
run_file(const char *path)
{
	struct input input;
	bool loaded = load(path, &input);

	if (loaded)
		run(input.at, input.bytes);
	else
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	free(input.at);
	return loaded ? 0 : 1;
}

static int
run_folder(DIR *folder, const char *name)
{
	struct dirent *entry;
	char path[4096];
	int failed = 0;

	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
		failed |= run_file(path);
	}
	return failed;
}

int
main(int argc, char **argv)
{
	int i, failed = 0;
	DIR *folder;

	if (argc < 2)
		return test_all(argv[0]);
	for (i = 1; i < argc; i++) {
		folder = opendir(argv[i]);
		failed |= folder ? run_folder(folder, argv[i]) : run_file(argv[i]);
		if (folder)
			closedir(folder);
	}
	return failed;
}
