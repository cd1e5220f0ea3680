/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether an image is what the format demands.  Only reads, believes nothing, and takes memory for
 * the tables of the image alone.
 */
#ifndef VHD_LIB_CHECK_H
#define VHD_LIB_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "vhd/lib/problems.h"

enum vhd_area {
	VHD_AREA_FILE,
	VHD_AREA_FOOTER,
	VHD_AREA_COPY,
	VHD_AREA_FOOTERS,
	VHD_AREA_HEADER,
	VHD_AREA_BAT,
	VHD_AREA_BLOCK, /* has a number */
	VHD_AREA_BATMAP,
	VHD_AREA_LOCATOR, /* has a number */
	VHD_AREA_PARENT,
};

#define VHD_PROBLEM_BYTES 512

/* The first thing that is wrong. */
struct vhd_problem {
	enum vhd_problem_id id;
	enum vhd_area area;
	uint32_t number;              /* of the block or locator */
	char text[VHD_PROBLEM_BYTES]; /* "footer: bad cookie": area and reason */
};

/* "BLOCK_OVERLAP"; and the remedy in a word, "none", "repair", "revert"...  Static. */
const char *vhd_problem_name(enum vhd_problem_id id);
const char *vhd_problem_remedy(enum vhd_problem_id id);

/* "footer copy", "locator"; static. */
const char *vhd_area_name(enum vhd_area area);

struct vhd_check_options {
	bool accept_lost_footer; /* the trailing footer may be invalid if its copy is good */
	bool ignore_parent_uuid;
	bool ignore_time;
	bool check_parents; /* and theirs */
	bool check_data;    /* absent sectors of allocated blocks are zero */
	bool skip_overlap;
	bool count; /* statistics */
	/* Called now and then; a result other than 0 ends the check with it.  Optional. */
	int (*step)(void *arg, uint64_t done, uint64_t total);
	void *step_arg;
};

/* In sectors of data; of the image that was asked for, not of its parents. */
struct vhd_check_statistics {
	uint64_t virtual_sectors;
	uint64_t allocated_sectors;
	uint64_t written_sectors;
};

/*
 * Returns 0 with problem->id none, -EINVAL with the problem, or -errno when the image cannot be
 * read.
 */
int vhd_check(const char *path, const struct vhd_check_options *options,
	      struct vhd_problem *problem, struct vhd_check_statistics *statistics);

#endif
