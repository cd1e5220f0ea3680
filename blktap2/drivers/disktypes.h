/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of drivers: the only place that knows them all.
 *
 * A new driver needs four things in here, in the order of blktap2/README: its struct tap_disk, a
 * number, its disk_info_t, and the slot of that number in dtypes[].  The Python list of disk types,
 * the table in the manual and the conformance tests follow from it.  The build stops with a message
 * when a slot, a number or a name is wrong or taken (drivers/disktypes-gen.c).
 */
#ifndef DISKTYPES_H
#define DISKTYPES_H

#define MAX_DISK_TYPES 20

typedef struct disk_info {
	int idnum;          /* DISK_TYPE_ number, the index in dtypes[] */
	char name[50];      /* for people */
	char handle[10];    /* the word before the colon: [a-z0-9]{1,9} */
	int single_handler; /* 1: one driver instance serves all disks of the type */
#ifdef TAPDISK
	struct tap_disk *drv;
#endif
} disk_info_t;

#define DISKTYPES_UNUSED __attribute__((unused))

/* Step 1: the drivers. */
extern struct tap_disk tapdisk_aio;
extern struct tap_disk tapdisk_sync;
extern struct tap_disk tapdisk_vhd;
extern struct tap_disk tapdisk_ram;
extern struct tap_disk tapdisk_log;
extern struct tap_disk tapdisk_null;

/* Step 2: their numbers.  10 stays free: the guide's example uses it. */
#define DISK_TYPE_AIO 0
#define DISK_TYPE_SYNC 1
#define DISK_TYPE_VMDK 2
#define DISK_TYPE_VHDSYNC 3
#define DISK_TYPE_VHD 4
#define DISK_TYPE_RAM 5
#define DISK_TYPE_QCOW 6
#define DISK_TYPE_BLOCK_CACHE 7
#define DISK_TYPE_VINDEX 8
#define DISK_TYPE_LOG 9
#define DISK_TYPE_REMUS 11
#define DISK_TYPE_QCOW2 12
#define DISK_TYPE_VHDX 13
#define DISK_TYPE_NBD 14
#define DISK_TYPE_NULL 19

/* Step 3: what is known of each. */
DISKTYPES_UNUSED static disk_info_t null_disk = {
	-1, "null disk", "null", 0,
#ifdef TAPDISK
	0,
#endif
};

DISKTYPES_UNUSED static disk_info_t aio_disk = {
	DISK_TYPE_AIO, "raw image (aio)", "aio", 0,
#ifdef TAPDISK
	&tapdisk_aio,
#endif
};

DISKTYPES_UNUSED static disk_info_t sync_disk = {
	DISK_TYPE_SYNC, "raw image (sync)", "sync", 0,
#ifdef TAPDISK
	&tapdisk_sync,
#endif
};

DISKTYPES_UNUSED static disk_info_t vhd_disk = {
	DISK_TYPE_VHD, "Virtual Hard Disk (vhd)", "vhd", 0,
#ifdef TAPDISK
	&tapdisk_vhd,
#endif
};

DISKTYPES_UNUSED static disk_info_t ram_disk = {
	DISK_TYPE_RAM, "ramdisk image (ram)", "ram", 1,
#ifdef TAPDISK
	&tapdisk_ram,
#endif
};

DISKTYPES_UNUSED static disk_info_t log_disk = {
	DISK_TYPE_LOG, "write logger (log)", "log", 0,
#ifdef TAPDISK
	&tapdisk_log,
#endif
};

/* Reads zeroes, swallows writes: to measure everything but the storage. */
DISKTYPES_UNUSED static disk_info_t null_image_disk = {
	DISK_TYPE_NULL, "no image (null)", "null", 0,
#ifdef TAPDISK
	&tapdisk_null,
#endif
};

/* Step 4: each at the index of its number; unused numbers hold &null_disk. */
DISKTYPES_UNUSED static disk_info_t *dtypes[] = {
	&aio_disk,        /*  0 */
	&sync_disk,       /*  1 */
	&null_disk,       /*  2 vmdk */
	&null_disk,       /*  3 vhdsync */
	&vhd_disk,        /*  4 */
	&ram_disk,        /*  5 */
	&null_disk,       /*  6 qcow */
	&null_disk,       /*  7 bc */
	&null_disk,       /*  8 vhdi */
	&log_disk,        /*  9 */
	&null_disk,       /* 10 free: your first driver */
	&null_disk,       /* 11 remus */
	&null_disk,       /* 12 qcow2 */
	&null_disk,       /* 13 vhdx */
	&null_disk,       /* 14 nbd */
	&null_disk,       /* 15 free */
	&null_disk,       /* 16 free */
	&null_disk,       /* 17 free */
	&null_disk,       /* 18 free */
	&null_image_disk, /* 19 */
};

/* Raise MAX_DISK_TYPES when this stops the compiler: a negative array size means a full table. */
typedef char disktypes_fit_in_the_table[sizeof(dtypes) / sizeof(dtypes[0]) <= MAX_DISK_TYPES
						? 1
						: -1] DISKTYPES_UNUSED;

#endif
