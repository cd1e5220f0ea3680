/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of vhd-util, for programs that offer them under another name.
 *
 * argv[0] is the name of the command, options follow.  Results go to stdout, as vhd-util(8) says;
 * how a command is used goes to stdout (-h) or stderr.  All return 0 or -errno.
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
