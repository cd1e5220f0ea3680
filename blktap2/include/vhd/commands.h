/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of vhd-util, for programs that offer them under another name.
 *
 * argv[0] is the name of the command, options follow, and a NULL ends them.  All return 0 or
 * -errno; vhd-util's exit status is the errno.
 *
 * These functions are the exception to what libvhd.h says: they act for a program.  They print what
 * vhd-util(8) says to stdout, how a command is used to stdout (-h) or stderr, and how far they are
 * to a terminal on stderr; `copy -E` reads stdin.  They parse with getopt(3), and hold SIGHUP,
 * SIGINT and SIGTERM back while an image is not in order.  So only one of them runs at a time in a
 * process, and none while other threads use getopt(3).  None of them exits, but for those that the
 * environment asks to end as a crash would (VHD_UTIL_TEST_FAIL_*, ignored in privileged programs).
 */
#ifndef VHD_COMMANDS_H
#define VHD_COMMANDS_H

#ifdef __cplusplus
extern "C" {
#endif

int vhd_util_create(int argc, char **argv);
int vhd_util_snapshot(int argc, char **argv);
int vhd_util_query(int argc, char **argv);
int vhd_util_read(int argc, char **argv);
int vhd_util_set(int argc, char **argv);
int vhd_util_repair(int argc, char **argv);
int vhd_util_resize(int argc, char **argv);
int vhd_util_fill(int argc, char **argv);
int vhd_util_coalesce(int argc, char **argv);
int vhd_util_modify(int argc, char **argv);
int vhd_util_scan(int argc, char **argv);
int vhd_util_check(int argc, char **argv);
int vhd_util_revert(int argc, char **argv);
int vhd_util_key(int argc, char **argv);
int vhd_util_copy(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
