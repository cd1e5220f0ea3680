/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an open index has behind its public members.
 */
#ifndef VHD_LIB_INDEX_H
#define VHD_LIB_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/libvhd-index.h>

#include "common/io.h"
#include "common/reason.h"
#include "vhd/lib/index-format.h"

#define VHDI_INDEX_SUFFIX ".index"
#define VHDI_FILES_SUFFIX ".files"

#define VHDI_OPEN_FILES 64    /* that are kept open */
#define VHDI_CACHED_BLOCKS 32 /* that are kept in memory */

/* Where files are opened: tests have others than the file system. */
struct vhdi_source {
	int (*open)(void *arg, const char *path, unsigned flags, struct io **io);
	void *arg;
};

/* A file that the index names. */
struct vhdi_open_file {
	uint32_t id;      /* VHDI_NOWHERE: this place is free */
	struct io *io;    /* owned */
	uint64_t sectors; /* that may be pointed at */
	uint64_t used;    /* when it was, by the clock */
};

struct vhdi_cached_block {
	uint32_t sector; /* 0: this place is free */
	vhdi_block_t block;
	uint64_t used;
};

struct vhdi_private {
	struct vhdi_source source;
	struct io *index;  /* owned; NAME.index */
	bool writes;       /* images may be added */
	int lock;          /* of who adds, or -1 */
	uint64_t end;      /* sectors of NAME.index */
	vhdi_file_t *list; /* owned; as many as the context says */
	uint64_t clock;
	struct vhdi_open_file open[VHDI_OPEN_FILES];
	struct vhdi_cached_block cached[VHDI_CACHED_BLOCKS];
	struct reason why;
};

/* Set the reason; returns err. */
int __attribute__((format(printf, 3, 4)))
vhdi_fail(vhdi_context_t *ctx, int err, const char *format, ...);

/*
 * vhdi_open() for reading, of files that the source has; name is absolute, and may be one that only
 * the source knows.
 */
int vhdi_open_from(vhdi_context_t *ctx, const char *name, const struct vhdi_source *source,
		   struct reason *why);

/* vhdi_open() that says why it failed. */
int vhdi_open_told(vhdi_context_t *ctx, const char *name, int flags, struct reason *why);

/*
 * vhdi_add() that reports how far it is, in bytes of the disk, and ends with what step returns if
 * that is not 0.
 */
int vhdi_add_watched(vhdi_context_t *ctx, const char *image,
		     int (*step)(void *arg, uint64_t done, uint64_t total), void *arg);

/* A path, and NAME.index, made canonical: also NAME of it; all are the caller's. */
int vhdi_names(const char *name, char **index, char **canonical);

/* "IMAGE.bat", where image may be missing; *path is the caller's. */
int vhdi_bat_path(const char *image, char **path);

/* The file called path and suffix, opened by the source. */
int vhdi_open_beside(vhdi_context_t *ctx, const char *path, const char *suffix, unsigned flags,
		     struct io **io);

/* A sector of NAME.index where a block may be. */
int vhdi_check_place(vhdi_context_t *ctx, uint32_t sector);

/* What the others have added since NAME.files was read. */
int vhdi_refresh(vhdi_context_t *ctx);

#endif
