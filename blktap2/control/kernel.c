/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's part: drivers that make block devices for tapdisks, and the classic one of blktap2.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tap-ctl.h>

#include "common/cleanup.h"
#include "common/minor.h"
#include "common/nbd-netlink.h"
#include "control/ctl.h"

#define BLOCK_NAME "tapdev"
#define NBD_NODE "/dev/nbd"

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

bool
ctl_can_make_devices(void)
{
	return access("/dev/ublk-control", F_OK) == 0 || nbd_netlink_is_there();
}

int
tap_ctl_check_blktap(const char **message)
{
	if (!ctl_can_make_devices()) {
		*message = MINOR_NO_DEVICES;
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

/* ---- what is left of a device -----------------------------------------------------------------
 */

/* Is /dev/nbd<number> one that this tapdisk made? */
static bool
is_nbd_of(int number, int pid, int minor)
{
	char path[64], wanted[NBD_NETLINK_BACKEND], found[NBD_NETLINK_BACKEND] = "";
	AUTO_FCLOSE FILE *file = NULL;

	snprintf(path, sizeof(path), "/sys/block/nbd%d/backend", number);
	snprintf(wanted, sizeof(wanted), NBD_NETLINK_NAME, pid, minor);
	file = fopen(path, "re");
	if (!file || !fgets(found, sizeof(found), file))
		return false;
	found[strcspn(found, "\n")] = '\0';
	return strcmp(found, wanted) == 0;
}

/*
 * ublk's disk ends with its server.  That of the NBD client stays, and fails whatever is asked of
 * it, until it is told to go.
 */
void
ctl_clean_device(const struct ctl *ctl, int pid, int minor)
{
	AUTO_FREE char *name = NULL;
	AUTO_CLOSE int lock = -1;
	char target[64] = "";
	unsigned long number;

	/* By now the number may be another tapdisk's, and what has its name with it. */
	if (minor_lock(ctl->dir, minor, &lock) || !minor_wants_device(ctl->dir, minor))
		return;
	name = minor_device(minor);
	if (!name || readlink(name, target, sizeof(target) - 1) < 0)
		return;
	if (strncmp(target, NBD_NODE, strlen(NBD_NODE)) == 0 &&
	    ctl_parse_number(target + strlen(NBD_NODE), INT_MAX, &number) &&
	    is_nbd_of((int)number, pid, minor))
		(void)nbd_netlink_disconnect((int)number);
	unlink(name);
}
