/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options: one table for the parser, one text for people.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>

#include "common/cleanup.h"
#include "common/number.h"
#include "drivers/core/server.h"
#include "drivers/options.h"
#include "drivers/tapdisk-disktype.h"

#define DEFAULT_IDLE_TIMEOUT_S 60

enum { OPT_VERSION = 256, OPT_IDLE_TIMEOUT };

static void
usage(FILE *out)
{
	AUTO_FREE struct tapdisk_type *types = tapdisk_disktype_table();
	const struct tapdisk_type *type;

	fprintf(out,
		"usage: tapdisk2 [-D] [-n type:path[|type:path...]]\n"
		"\n"
		"Without -n: wait on the control socket, whose path is printed, for disks to "
		"attach.\n"
		"\n"
		"  -n PARAMS            serve one disk, and print where\n"
		"  -r                   with -n: read-only\n"
		"  -K                   with -n: a kernel block device, or fail\n"
		"  -N                   with -n: NBD only\n"
		"  -D                   stay in the foreground\n"
		"  --idle-timeout SECS  leave when no disk is attached for so long (60; 0: never)\n"
		"  -h, --help           this text\n"
		"  --version            the version\n"
		"\n"
		"types:");
	for (type = types; type && type->handle; type++)
		if (type->ops)
			fprintf(out, " %s", type->handle);
	fputc('\n', out);
}

static bool
parse_seconds(const char *text, unsigned *seconds)
{
	uint64_t value;

	if (!number_parse(text, INT_MAX / 1000, &value))
		return false;
	*seconds = (unsigned)value;
	return true;
}

/* One option: false when the command line is wrong. */
static bool
take(struct options *options, int option, int *status)
{
	switch (option) {
	case 'n':
		options->params = optarg;
		return true;
	case 'D':
		options->foreground = true;
		return true;
	case 'r':
		options->read_only = true;
		return true;
	case 'K':
		options->kernel_device = true;
		return true;
	case 'N':
		options->nbd_only = true;
		return true;
	case OPT_IDLE_TIMEOUT:
		return parse_seconds(optarg, &options->idle_timeout_s);
	case 's':
		fprintf(stderr, "tapdisk2: -s: serving a domain directly is not supported\n");
		*status = 1;
		return false;
	default:
		return false;
	}
}

bool
options_parse(struct options *options, int argc, char **argv, int *status)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
		{ 0 },
	};
	int option;

	*options = (struct options){ .idle_timeout_s = DEFAULT_IDLE_TIMEOUT_S };
	*status = 0;
	while ((option = getopt_long(argc, argv, "n:DrKNs:h", longs, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return true;
		}
		if (option == OPT_VERSION) {
			puts("tapdisk2 " PACKAGE_VERSION);
			return true;
		}
		if (!take(options, option, status))
			goto wrong;
	}
	if (optind == argc && !(options->kernel_device && options->nbd_only))
		return false;
wrong:
	if (!*status) {
		usage(stderr);
		*status = EINVAL;
	}
	return true;
}
