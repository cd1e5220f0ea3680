/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of nbd-load: one table for the parser, one text for people.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/number.h"

#include "bench/load-options.h"

#define SECONDS_MAX 86400

enum {
	OPT_OP = 256,
	OPT_SEQUENTIAL,
	OPT_BLOCK,
	OPT_DEPTH,
	OPT_READS,
	OPT_FLUSH_EVERY,
	OPT_SECONDS,
	OPT_REQUESTS,
	OPT_WARM_UP,
	OPT_SEED,
	OPT_EXPORT,
	OPT_PID,
	OPT_CPU,
	OPT_POLL,
	OPT_JSON,
};

static void
usage(FILE *out)
{
	fputs("usage: nbd-load [options] SOCKET\n"
	      "\n"
	      "Load the NBD server behind a Unix socket through one connection, and measure it.\n"
	      "\n"
	      "  --op OP           read, write, mixed or flush (read)\n"
	      "  --sequential      one block after the other (random)\n"
	      "  --block-size N    bytes of a read or write, with K or M as unit (4K)\n"
	      "  --depth N         requests in flight (1)\n"
	      "  --read-percent N  with --op mixed: of reads (70)\n"
	      "  --flush-every N   a flush after every N reads and writes (0: never)\n"
	      "  --seconds S       run so long (2)\n"
	      "  --requests N      run until so many are answered, instead\n"
	      "  --warm-up S       run so long before measuring (0)\n"
	      "  --seed N          draws the offsets (1)\n"
	      "  --export NAME     of the export (the default one)\n"
	      "  --pid PID         the server's, to measure its CPU time; may be repeated\n"
	      "  --cpu N           run on this CPU\n"
	      "  --poll            never sleep for a reply; wants a CPU of its own\n"
	      "  --json            print an object instead of lines\n"
	      "  -h, --help        this text\n",
	      out);
}

static bool
parse_unsigned(const char *text, unsigned max, unsigned *value)
{
	uint64_t number;

	if (!number_parse(text, max, &number))
		return false;
	*value = (unsigned)number;
	return true;
}

static bool
parse_block(const char *text, uint32_t *bytes)
{
	uint64_t number, unit = 1, product;
	char digits[16];
	size_t length = strlen(text);

	if (!length || length >= sizeof(digits))
		return false;
	memcpy(digits, text, length + 1);
	if (text[length - 1] == 'K' || text[length - 1] == 'k')
		unit = 1024;
	if (text[length - 1] == 'M' || text[length - 1] == 'm')
		unit = 1024 * 1024;
	if (unit > 1)
		digits[length - 1] = '\0';
	if (!number_parse(digits, UINT32_MAX, &number) || checked_mul(number, unit, &product) ||
	    product > LOAD_BLOCK_MAX)
		return false;
	*bytes = (uint32_t)product;
	return true;
}

/* Seconds, also fractions of one, as nanoseconds. */
static bool
parse_seconds(const char *text, uint64_t *ns)
{
	char *end;
	double seconds;

	if (*text < '0' || *text > '9')
		return false;
	seconds = strtod(text, &end);
	if (*end || !(seconds >= 0 && seconds <= SECONDS_MAX))
		return false;
	*ns = (uint64_t)(seconds * 1e9);
	return true;
}

static bool
parse_op(const char *text, struct load_spec *spec)
{
	spec->only_flush = !strcmp(text, "flush");
	if (!strcmp(text, "read"))
		spec->read_percent = 100;
	else if (!strcmp(text, "write"))
		spec->read_percent = 0;
	else if (strcmp(text, "mixed") != 0 && !spec->only_flush)
		return false;
	return true;
}

static bool
take_pid(struct load_options *options)
{
	unsigned pid;

	if (options->pid_count == LOAD_PIDS_MAX || !parse_unsigned(optarg, INT_MAX, &pid) || !pid)
		return false;
	options->pids[options->pid_count++] = (pid_t)pid;
	return true;
}

/* One option that has a value; false: the value is wrong. */
static bool
take(struct load_options *options, int option, const char **op)
{
	struct load_spec *spec = &options->spec;

	switch (option) {
	case OPT_OP:
		*op = optarg;
		return true;
	case OPT_BLOCK:
		return parse_block(optarg, &spec->block);
	case OPT_DEPTH:
		return parse_unsigned(optarg, LOAD_DEPTH_MAX, &spec->depth);
	case OPT_READS:
		return parse_unsigned(optarg, 100, &spec->read_percent);
	case OPT_FLUSH_EVERY:
		return parse_unsigned(optarg, UINT_MAX, &spec->flush_every);
	case OPT_SECONDS:
		return parse_seconds(optarg, &options->stop.ns);
	case OPT_REQUESTS:
		options->stop.ns = 0;
		return number_parse(optarg, UINT64_MAX, &options->stop.requests);
	case OPT_WARM_UP:
		return parse_seconds(optarg, &options->warm_up.ns);
	case OPT_SEED:
		return number_parse(optarg, UINT64_MAX, &spec->seed);
	case OPT_EXPORT:
		options->export_name = optarg;
		return true;
	case OPT_PID:
		return take_pid(options);
	case OPT_CPU: {
		unsigned cpu;

		if (!parse_unsigned(optarg, INT_MAX, &cpu))
			return false;
		options->cpu = (int)cpu;
		return true;
	}
	default:
		return false;
	}
}

static const struct option longs[] = {
	{ "op", required_argument, NULL, OPT_OP },
	{ "sequential", no_argument, NULL, OPT_SEQUENTIAL },
	{ "block-size", required_argument, NULL, OPT_BLOCK },
	{ "depth", required_argument, NULL, OPT_DEPTH },
	{ "read-percent", required_argument, NULL, OPT_READS },
	{ "flush-every", required_argument, NULL, OPT_FLUSH_EVERY },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "requests", required_argument, NULL, OPT_REQUESTS },
	{ "warm-up", required_argument, NULL, OPT_WARM_UP },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "export", required_argument, NULL, OPT_EXPORT },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "poll", no_argument, NULL, OPT_POLL },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

bool
load_options_parse(struct load_options *options, int argc, char **argv, int *status)
{
	const char *op = "read";
	int option, index = 0;

	*options = (struct load_options){
		.export_name = "",
		.spec = { .block = 4096, .depth = 1, .read_percent = 70, .seed = 1 },
		.stop = { .ns = 2000000000u },
		.cpu = -1,
	};
	*status = 0;
	while ((option = getopt_long(argc, argv, "h", longs, &index)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return true;
		}
		if (option == OPT_SEQUENTIAL) {
			options->spec.sequential = true;
		} else if (option == OPT_POLL) {
			options->spec.polling = true;
		} else if (option == OPT_JSON) {
			options->json = true;
		} else if (option == '?') {
			goto wrong;
		} else if (!take(options, option, &op)) {
			fprintf(stderr, "nbd-load: --%s: wrong value: %s\n", longs[index].name,
				optarg);
			goto wrong;
		}
	}
	if (!parse_op(op, &options->spec)) {
		fprintf(stderr, "nbd-load: --op: wrong value: %s\n", op);
		goto wrong;
	}
	if (optind == argc - 1 && (options->stop.ns || options->stop.requests)) {
		options->socket = argv[optind];
		return false;
	}
wrong:
	usage(stderr);
	*status = EINVAL;
	return true;
}
