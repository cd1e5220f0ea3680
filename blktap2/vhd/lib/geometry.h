/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cylinders, heads and sectors of a disk, and which of the two sizes in a footer is the disk's.
 */
#ifndef VHD_LIB_GEOMETRY_H
#define VHD_LIB_GEOMETRY_H

#include <stdint.h>

#include <vhd/vhd.h>

#define VHD_GEOMETRY_MAX 0xFFFF10FFu /* 65535/16/255, also for all larger disks */

/* The geometry for a disk of that many sectors, in the form of vhd_footer_t. */
uint32_t vhd_geometry(uint64_t sectors);

/* Cylinders times heads times sectors per track. */
uint64_t vhd_geometry_sectors(uint32_t geometry);

/* Which size counts; by default the creator of the image decides. */
enum vhd_size_rule { VHD_SIZE_BY_CREATOR, VHD_SIZE_CURRENT, VHD_SIZE_GEOMETRY };

/*
 * The size of the disk in sectors, never more than current_size says.  Nothing else has been
 * checked: it may be 0, or beyond VHD_MAX_SECTORS.
 */
uint64_t vhd_virtual_sectors(const vhd_footer_t *footer, enum vhd_size_rule rule);

#endif
