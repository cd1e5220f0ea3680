/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VHD images for tests of the driver: made field by field, with whatever shape a test wants.
 */
#ifndef TESTS_DRIVER_KIT_MAKE_VHD_H
#define TESTS_DRIVER_KIT_MAKE_VHD_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/vhd.h>

struct make_vhd {
	uint32_t type;       /* VHD_TYPE_* */
	uint64_t sectors;    /* of the disk */
	uint32_t block_size; /* bytes */
	uint32_t entries;    /* of the BAT; 0: as many as the disk needs */
	bool batmap;
	const char *parent;            /* file name in the same folder, or a path; NULL: none */
	const vhd_uuid_t *parent_uuid; /* NULL: the parent is raw */
	const struct vhd_keyhash *key; /* NULL: not encrypted; needs a batmap */
};

/* Make the image at path, with a unique id of its own, which goes to *uuid (NULL is fine). */
int make_vhd(const char *path, const struct make_vhd *how, vhd_uuid_t *uuid); /* 0 or -errno */

#endif
