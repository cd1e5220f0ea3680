/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options: one table for the parser, one text for people.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <tapdisk-message.h>

#include "common/cleanup.h"
#include "daemon/options.h"
#include "daemon/parse.h"
#include "daemon/ring.h"

#define DEFAULT_NAME "vbd3"
#define DEFAULT_CONFIG SYSCONFDIR "/blktap/blktap.conf"
#define DEFAULT_QUEUES 8
#define LINE_BYTES 512

/* Not given: the configuration file may say. */
#define NOT_GIVEN UINT32_MAX

enum { OPT_QUEUES = 256, OPT_ORDER, OPT_REMOVE };

static void
usage(FILE *out)
{
	fputs("usage: tapback [-dvb] [-n NAME] [-x DOMID] [-m MODE] [-p FILE] [-c FILE]\n"
	      "               [--max-queues N] [--max-ring-order N] [--remove-backend]\n"
	      "\n"
	      "Connects disks of tapdisks to guests, through xenstore.\n"
	      "\n"
	      "  -n, --name NAME      the type of backend (vbd3)\n"
	      "  -x, --domain DOMID   only the devices of this guest\n"
	      "  -m, --mode MODE      the toolstack: libxl (default), xapi or auto\n"
	      "  -b, --nobarrier      do not offer write barriers\n"
	      "  --max-queues N       offer at most so many queues (8)\n"
	      "  --max-ring-order N   offer rings of at most 2^N pages (4)\n"
	      "  --remove-backend     xapi: remove what belongs to a device that has gone\n"
	      "  -c, --config FILE    the configuration file (" DEFAULT_CONFIG ")\n"
	      "  -p, --pidfile FILE   write the process id there\n"
	      "  -d, --debug          stay in the foreground, log to standard error\n"
	      "  -v, --verbose        log more\n"
	      "  -h, --help           this text\n"
	      "  -V, --version        the version\n",
	      out);
}

/* ---- values -----------------------------------------------------------------------------------
 */

static bool
take_name(const char *text, const char **name)
{
	size_t i, length = strlen(text);

	if (!length || length > OPTIONS_NAME_MAX)
		return false;
	for (i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_' && text[i] != '-')
			return false;
	*name = text;
	return true;
}

static bool
take_mode(const char *text, enum tb_mode *mode)
{
	static const char *const names[] = {
		[TB_MODE_LIBXL] = "libxl",
		[TB_MODE_XAPI] = "xapi",
		[TB_MODE_AUTO] = "auto",
	};
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			*mode = (enum tb_mode)i;
			return true;
		}
	return false;
}

static bool
take_queues(const char *text, uint32_t *queues)
{
	uint32_t number;

	if (!parse_number(text, RING_QUEUES_MAX, &number) || !number)
		return false;
	*queues = number;
	return true;
}

/* ---- the command line -------------------------------------------------------------------------
 */

static bool
take_flag(struct tb_options *options, int option)
{
	switch (option) {
	case 'd':
		options->foreground = true;
		return true;
	case 'v':
		options->verbose = true;
		return true;
	case 'b':
		options->no_barrier = true;
		return true;
	case OPT_REMOVE:
		options->remove_backend = true;
		return true;
	default:
		return false;
	}
}

/* One option: false when the command line is wrong. */
static bool
take(struct tb_options *options, int option)
{
	switch (option) {
	case 'n':
		return take_name(optarg, &options->name);
	case 'p':
		options->pidfile = optarg;
		return *optarg;
	case 'c':
		options->config = optarg;
		return *optarg;
	case 'x':
		options->one_domain = true;
		return parse_number(optarg, DOMID_MAX, &options->domid);
	case 'm':
		return take_mode(optarg, &options->mode);
	case OPT_QUEUES:
		return take_queues(optarg, &options->max_queues);
	case OPT_ORDER:
		return parse_number(optarg, TAPDISK_RING_MAX_ORDER, &options->max_order);
	default:
		return take_flag(options, option);
	}
}

bool
tb_options_parse(struct tb_options *options, int argc, char **argv, int *status)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "debug", no_argument, NULL, 'd' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "nobarrier", no_argument, NULL, 'b' },
		{ "name", required_argument, NULL, 'n' },
		{ "pidfile", required_argument, NULL, 'p' },
		{ "domain", required_argument, NULL, 'x' },
		{ "mode", required_argument, NULL, 'm' },
		{ "max-queues", required_argument, NULL, OPT_QUEUES },
		{ "max-ring-order", required_argument, NULL, OPT_ORDER },
		{ "config", required_argument, NULL, 'c' },
		{ "remove-backend", no_argument, NULL, OPT_REMOVE },
		{ 0 },
	};
	int option;

	*options = (struct tb_options){
		.name = DEFAULT_NAME,
		.config = DEFAULT_CONFIG,
		.mode = (enum tb_mode)NOT_GIVEN,
		.max_queues = NOT_GIVEN,
		.max_order = NOT_GIVEN,
	};
	*status = 0;
	while ((option = getopt_long(argc, argv, "hVdvbn:p:x:m:c:", longs, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			return true;
		}
		if (option == 'V') {
			puts("tapback " PACKAGE_VERSION);
			return true;
		}
		if (!take(options, option))
			goto wrong;
	}
	if (optind == argc)
		return false;
wrong:
	usage(stderr);
	*status = EINVAL;
	return true;
}

/* ---- the configuration file -------------------------------------------------------------------
 */

/* Without the spaces around it; in place. */
static char *
trimmed(char *text)
{
	char *end;

	text += strspn(text, " \t");
	end = text + strcspn(text, "\n");
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return text;
}

static bool
take_setting(struct tb_options *options, const char *key, const char *value)
{
	uint32_t number;

	if (strcmp(key, "tapback-mode") == 0)
		return take_mode(value, &options->mode);
	if (strcmp(key, "tapback-max-queues") == 0)
		return take_queues(value, &options->max_queues);
	if (strcmp(key, "tapback-max-ring-order") == 0)
		return parse_number(value, TAPDISK_RING_MAX_ORDER, &options->max_order);
	if (strcmp(key, "tapback-barrier") == 0) {
		if (!parse_number(value, 1, &number))
			return false;
		options->no_barrier = !number;
	}
	if (strcmp(key, "tapback-persistent-grants") == 0) {
		if (!parse_number(value, 1, &number))
			return false;
		options->persistent = number;
	}
	return true; /* others read this file, too */
}

/* "key = value", "# comment", or nothing. */
static bool
take_line(struct tb_options *options, char *line)
{
	char *equals, *key;

	line[strcspn(line, "#")] = '\0';
	equals = strchr(line, '=');
	if (!equals)
		return !*trimmed(line);
	*equals = '\0';
	key = trimmed(line);
	return take_setting(options, key, trimmed(equals + 1));
}

int
tb_options_read(struct tb_options *options, const struct tb_options *given,
		void (*wrong)(void *arg, const char *line), void *arg)
{
	struct tb_options found = { .max_queues = DEFAULT_QUEUES,
				    .max_order = TAPDISK_RING_MAX_ORDER };
	AUTO_FCLOSE FILE *file = fopen(given->config, "re");
	char line[LINE_BYTES], copy[LINE_BYTES];

	if (!file && errno != ENOENT)
		return -errno;
	while (file && fgets(line, sizeof(line), file)) {
		memcpy(copy, line, sizeof(copy));
		if (!take_line(&found, line))
			wrong(arg, trimmed(copy));
	}
	*options = *given;
	options->no_barrier |= found.no_barrier;
	options->persistent = found.persistent;
	if (given->mode == (enum tb_mode)NOT_GIVEN)
		options->mode = found.mode;
	if (given->max_queues == NOT_GIVEN)
		options->max_queues = found.max_queues;
	if (given->max_order == NOT_GIVEN)
		options->max_order = found.max_order;
	return 0;
}
