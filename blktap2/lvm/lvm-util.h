/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What LVM knows of a volume group: where on which device each logical volume begins.
 *
 * With this the headers of images in logical volumes are read without activating the volumes.
 */
#ifndef LVM_LVM_UTIL_H
#define LVM_LVM_UTIL_H

#include <stdint.h>

#include "common/reason.h"

#define LVM_SEG_TYPE_UNKNOWN 0
#define LVM_SEG_TYPE_LINEAR 1

/* A physical volume. */
struct pv {
	char *name;     /* owned; the path of the device */
	uint64_t start; /* bytes into the device: the first extent */
};

/* A run of extents on one device. */
struct lv_segment {
	int type;          /* LVM_SEG_TYPE_*; the rest is known of linear ones only */
	char *device;      /* owned; "unknown" when nothing is known */
	uint64_t pe_start; /* extents */
	uint64_t pe_size;  /* extents */
};

/* A logical volume. */
struct lv {
	char *name;        /* owned; without the group */
	uint64_t size;     /* bytes */
	uint64_t segments; /* as LVM counts them */
	struct lv_segment first_segment;
};

struct vg {
	char *name;           /* owned */
	uint64_t extent_size; /* bytes */
	int pv_cnt;
	int lv_cnt;
	struct pv *pvs; /* owned */
	struct lv *lvs; /* owned */
};

/*
 * Ask vgs(8) and lvs(8) of PATH about the group called name.  Returns 0 with *vg to be freed by
 * lvm_free_vg; or, with *why (which may be NULL): -EINVAL a name that LVM would not take, or an
 * answer that makes no sense; -ENOENT no such program; -EIO a program that failed; -ETIMEDOUT one
 * that did not end in time; -errno.
 */
int lvm_scan_vg(const char *name, struct vg *vg, struct reason *why);
void lvm_free_vg(struct vg *vg); /* zeroed is fine */

/*
 * The device that holds the beginning of lv, and where: 0 with *device borrowed from vg and *offset
 * in bytes; -ENOTSUP when its first segment is not linear or its device is not of the group.
 */
int lvm_first_bytes(const struct vg *vg, const struct lv *lv, const char **device,
		    uint64_t *offset);

#endif
