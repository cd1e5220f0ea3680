/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program as toolstacks write it: the classic calls of libblktapctl, linked with the shared
 * library.
 *
 *	classic-caller IMAGE	creates, finds, looks at and destroys aio:IMAGE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tap-ctl.h>

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int
count_rows(tap_list_t **list)
{
	int rows = 0;

	while (list[rows])
		rows++;
	return rows;
}

int
main(int argc, char **argv)
{
	unsigned long long sectors = 0;
	unsigned sector_size = 0, info = 0;
	char params[512], *devname = NULL, stats[64];
	tap_list_t tap, **list;
	const char *message;
	int major, minor;

	MUST(argc == 2);
	snprintf(params, sizeof(params), "aio:%s", argv[1]);
	tap_ctl_version(&major, &minor);
	MUST(major == 1 && minor == 0);
	MUST(tap_ctl_check(&message) == 0 || strlen(message) > 0);
	MUST(tap_ctl_find("aio", argv[1], &tap) < 0);

	MUST(tap_ctl_create(params, &devname) == 0);
	MUST(strstr(devname, "/tapdisk/tapdisk-"));
	MUST(tap_ctl_find("aio", argv[1], &tap) == 0 && !tap.type && !tap.path);
	MUST(tap_ctl_find_minor("aio", argv[1]) == tap.minor);
	MUST(tap_ctl_get_pid(tap.id) == tap.pid);
	MUST(tap_ctl_list(&list) == 0 && count_rows(list) == 1);
	MUST(strcmp(list[0]->type, "aio") == 0 && strcmp(list[0]->path, argv[1]) == 0);
	tap_ctl_free_list(list);
	MUST(tap_ctl_list_pid(tap.pid, &list) == 0 && count_rows(list) == 1);
	tap_ctl_free_list(list);

	MUST(tap_ctl_info(tap.pid, tap.minor, &sectors, &sector_size, &info) == 0);
	MUST(sectors > 0 && sector_size == 512 && !info);
	MUST(tap_ctl_stats(tap.pid, tap.minor, stats, sizeof(stats)) > (ssize_t)sizeof(stats));
	MUST(strlen(stats) == sizeof(stats) - 1);
	MUST(tap_ctl_pause(tap.id, tap.minor) == 0);
	MUST(tap_ctl_unpause(tap.id, tap.minor, NULL) == 0);
	MUST(tap_ctl_detach(tap.id, tap.minor) < 0);
	MUST(tap_ctl_destroy(tap.id, tap.minor) == 0);
	MUST(tap_ctl_list(&list) == 0 && count_rows(list) == 0);
	tap_ctl_free_list(list);
	free(devname);
	return 0;
}
