/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers of vgs(8) and lvs(8), taken apart: for the library, and for those who test it.
 */
#ifndef LVM_LVM_PARSE_H
#define LVM_LVM_PARSE_H

#include <stdbool.h>

#include "lvm/lvm-util.h"

/* A name as LVM allows it; and none that a program would take for an option. */
bool lvm_is_name(const char *name);

/*
 * Add to vg, which has its name, what text says of physical volumes, or then of logical ones.  The
 * text is cut to pieces.  0, or -EINVAL and *why, -ENOMEM; lvm_free_vg is up to the caller.
 */
int lvm_parse_pvs(struct vg *vg, char *text, struct reason *why);
int lvm_parse_lvs(struct vg *vg, char *text, struct reason *why);

#endif
