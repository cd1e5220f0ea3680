/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of this folder begin with.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vhd/program.h"

/* Where a standard stream is closed, an image must not take its number. */
static int
open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int
program_begin(void)
{
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return open_standard_streams();
}

bool
program_tells_version(const char *name, int argc, char **argv)
{
	if (argc != 2 || (strcmp(argv[1], "-V") != 0 && strcmp(argv[1], "--version") != 0))
		return false;
	printf("%s %s\n", name, PACKAGE_VERSION);
	return true;
}
