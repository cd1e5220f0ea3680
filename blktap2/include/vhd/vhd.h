/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VHD image format: its structures, as the program sees them, and its constants.
 *
 * The members of each structure stand in the order and with the widths of the format, so that
 * sizeof() is the size on disk; in memory they are in the byte order of the host unless a function
 * says otherwise (vhd_footer_in and its likes).  A sector has 512 bytes, everywhere.
 */
#ifndef VHD_VHD_H
#define VHD_VHD_H

#include <stdint.h>

#define VHD_SECTOR_SHIFT 9
#define VHD_SECTOR_SIZE 512
#define VHD_BLOCK_SHIFT 21
#define VHD_BLOCK_SIZE (1u << VHD_BLOCK_SHIFT)
#define VHD_MAX_NAME_LEN 1024         /* bytes, with the NUL */
#define VHD_MAX_SECTORS 0xFF000000ull /* of a disk: 2040 GiB */
#define VHD_LOCATORS 8
#define VHD_UUID_SIZE 16

/* ---- values of members --------------------------------------------------------------------------
 */

#define VHD_TYPE_NONE 0
#define VHD_TYPE_FIXED 2
#define VHD_TYPE_DYNAMIC 3
#define VHD_TYPE_DIFFERENCING 4

#define VHD_COOKIE "conectix"         /* footer */
#define VHD_POISON_COOKIE "v_poison"  /* footer while a resize is under way */
#define VHD_HEADER_COOKIE "cxsparse"  /* dynamic header */
#define VHD_BATMAP_COOKIE "tdbatmap"  /* header of the batmap */
#define VHD_JOURNAL_COOKIE "vjournal" /* header of a journal */

#define VHD_FEATURE_TEMPORARY 0x1u
#define VHD_FEATURE_RESERVED 0x2u /* always written as 1 */

#define VHD_VERSION 0x00010000u                /* footer and dynamic header */
#define VHD_TAPDISK_VERSION 0x00010003u        /* creator version that is written */
#define VHD_TAPDISK_VERSION_BATMAP 0x00010002u /* from here on there is a batmap */
#define VHD_TAPDISK_VERSION_OLD 0x00000001u
#define VHD_TAPDISK_VERSION_1_1 0x00010001u
#define VHD_BATMAP_VERSION 0x00010002u
#define VHD_BATMAP_VERSION_SIGNED 0x00010001u /* its checksum adds signed bytes */

#define VHD_NO_OFFSET 0xFFFFFFFFFFFFFFFFull
#define VHD_BLOCK_UNUSED 0xFFFFFFFFu /* entry of the BAT */
#define VHD_EPOCH 946684800          /* 2000-01-01 00:00 UTC, as time_t */

#define VHD_PLATFORM_NONE 0u
#define VHD_PLATFORM_W2RU 0x57327275u /* relative path, UTF-16LE */
#define VHD_PLATFORM_W2KU 0x57326B75u /* absolute path, UTF-16LE */
#define VHD_PLATFORM_MACX 0x4D616358u /* file:// URL, UTF-8 */
#define VHD_PLATFORM_MAC 0x4D616320u  /* alias blob */
#define VHD_PLATFORM_WI2R 0x57693272u /* deprecated */
#define VHD_PLATFORM_WI2K 0x5769326Bu /* deprecated */

/* ---- structures ---------------------------------------------------------------------------------
 */

typedef struct vhd_uuid {
	uint8_t bytes[VHD_UUID_SIZE];
} vhd_uuid_t;

/* The last 512 bytes of every image; of the other types than fixed, with a copy at offset 0. */
typedef struct vhd_footer {
	char cookie[8];
	uint32_t features;
	uint32_t format_version;
	uint64_t data_offset; /* bytes; of the dynamic header */
	uint32_t timestamp;   /* seconds since VHD_EPOCH */
	char creator[4];
	uint32_t creator_version;
	uint32_t creator_os;
	uint64_t original_size; /* bytes */
	uint64_t current_size;  /* bytes */
	uint32_t geometry;      /* cylinders << 16 | heads << 8 | sectors per track */
	uint32_t type;          /* VHD_TYPE_* */
	uint32_t checksum;
	vhd_uuid_t uuid;
	uint8_t saved_state;
	uint8_t hidden;
	uint8_t reserved[426];
} vhd_footer_t;

typedef struct vhd_parent_locator {
	uint32_t code;        /* VHD_PLATFORM_* */
	uint32_t data_space;  /* bytes; below 512: sectors */
	uint32_t data_length; /* bytes */
	uint32_t reserved;
	uint64_t data_offset; /* bytes */
} vhd_parent_locator_t;

/* The dynamic header. */
typedef struct vhd_header {
	char cookie[8];
	uint64_t data_offset;  /* VHD_NO_OFFSET */
	uint64_t table_offset; /* bytes */
	uint32_t header_version;
	uint32_t max_table_entries;
	uint32_t block_size; /* bytes */
	uint32_t checksum;
	vhd_uuid_t parent_uuid; /* all zero in a differencing image: the parent is raw */
	uint32_t parent_timestamp;
	uint32_t reserved1;
	uint8_t parent_name[512]; /* UTF-16BE, zero padded: never swapped */
	vhd_parent_locator_t locator[VHD_LOCATORS];
	uint8_t reserved2[256];
} vhd_header_t;

struct vhd_keyhash {
	uint8_t cookie; /* 1: there is one */
	uint8_t nonce[32];
	uint8_t hash[32]; /* SHA-256 of the nonce and the key */
};

typedef struct vhd_batmap_header {
	char cookie[8];
	uint64_t batmap_offset; /* bytes */
	uint32_t batmap_size;   /* sectors */
	uint32_t version;
	uint32_t checksum; /* of the map */
	uint8_t marker;
	struct vhd_keyhash keyhash;
	uint8_t reserved[418];
} vhd_batmap_header_t;

#endif
