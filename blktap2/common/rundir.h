/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control directory: where tapdisks, tap-ctl and tapback meet.
 */
#ifndef COMMON_RUNDIR_H
#define COMMON_RUNDIR_H

#define RUNDIR_MAX 80 /* bytes, so that every socket path in it fits into a sockaddr_un */

/*
 * Where it is: BLKTAP_CONTROL_DIR of the environment (ignored in set-uid programs), else
 * control-dir of /etc/blktap/blktap.conf, else what configure said.  *path is owned by the caller.
 * Returns 0, -EINVAL not absolute, -ENAMETOOLONG, -ENOMEM.
 */
int rundir_path(char **path);

/*
 * Make path and path/tapdisk, mode 0700, where they are missing.  Returns 0, -EPERM when a
 * directory is not ours alone, or -errno.
 */
int rundir_create(const char *path);

#endif
