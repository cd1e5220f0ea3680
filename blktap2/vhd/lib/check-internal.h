/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the check share.
 *
 * Each part returns 0, -EINVAL after it has noted a problem, or -errno.
 */
#ifndef VHD_LIB_CHECK_INTERNAL_H
#define VHD_LIB_CHECK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "vhd/lib/check.h"
#include "vhd/lib/layout.h"
#include "vhd/lib/view.h"

#define VHD_CHECK_MAX_DEPTH 64

struct vhd_check {
	const struct vhd_check_options *options; /* borrowed */
	struct vhd_problem *problem;             /* borrowed */
	struct vhd_check_statistics *statistics; /* borrowed, or NULL */
	const char *path;                        /* borrowed */
	const struct vhd_check *child;           /* who has this image as parent, or NULL */
	unsigned depth;
	struct vhd_view view;
	const vhd_footer_t *footer; /* the one that counts, in view */
	struct vhd_layout layout;
	uint32_t *bat;   /* owned */
	uint8_t *batmap; /* owned; NULL: none */
	uint32_t blocks; /* that the disk needs */
	uint64_t virtual_sectors;
};

/* Note a problem: -EINVAL.  The arguments are those of the text of its row. */
int vhd_check_found(struct vhd_check *check, enum vhd_area area, uint32_t number,
		    enum vhd_problem_id id, ...);

int vhd_check_footers(struct vhd_check *check);
int vhd_check_header_part(struct vhd_check *check);
int vhd_check_blocks(struct vhd_check *check);
int vhd_check_data(struct vhd_check *check); /* bitmaps, and statistics */
int vhd_check_batmap_part(struct vhd_check *check);
int vhd_check_locators(struct vhd_check *check);

/* An image, with what it has open closed again; child is NULL for the first one. */
int vhd_check_image(const char *path, const struct vhd_check *child,
		    const struct vhd_check_options *options, struct vhd_problem *problem,
		    struct vhd_check_statistics *statistics);

bool vhd_all_zero(const void *bytes, size_t size);

#endif
