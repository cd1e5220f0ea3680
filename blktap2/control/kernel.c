/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel driver of blktap2, where a host has it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tap-ctl.h>

#include "common/cleanup.h"

#define BLOCK_NAME "tapdev"
#define CONTROL_NAME "blktap-control"

int
tap_ctl_blk_major(void)
{
	AUTO_FCLOSE FILE *devices = fopen("/proc/devices", "re");
	char line[128], name[64];
	int major, block = 0;

	while (devices && fgets(line, sizeof(line), devices)) {
		if (strncmp(line, "Block devices:", 14) == 0)
			block = 1;
		else if (block && sscanf(line, "%d %63s", &major, name) == 2 &&
			 strcmp(name, BLOCK_NAME) == 0)
			return major;
	}
	return -ENODEV;
}

/* The control device is a misc device with a number given at load time. */
static int
has_control_device(void)
{
	AUTO_FCLOSE FILE *misc = fopen("/proc/misc", "re");
	char line[128], name[64];
	int minor;

	while (misc && fgets(line, sizeof(line), misc))
		if (sscanf(line, "%d %63s", &minor, name) == 2 && strcmp(name, CONTROL_NAME) == 0)
			return 1;
	return 0;
}

int
tap_ctl_check_blktap(const char **message)
{
	if (!has_control_device() || tap_ctl_blk_major() < 0) {
		*message = "no blktap2 kernel driver is loaded: disks are served over NBD";
		return -ENOSYS;
	}
	*message = "ok";
	return 0;
}

int
tap_ctl_check(const char **message)
{
	return tap_ctl_check_blktap(message);
}
