/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of `vhd-util scan` share: the images that were found, and how they are shown.
 */
#ifndef VHD_VHD_UTIL_SCAN_H
#define VHD_VHD_UTIL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/io.h"
#include "common/reason.h"
#include "lvm/lvm-util.h"

/* One image; strings are owned. */
struct scanned {
	char *path;   /* without symbolic links where it could be found */
	char *parent; /* the path of the parent, or its bare name; NULL: none */
	int err;      /* 0, or -errno: then only path and message are known */
	char *message;
	uint64_t capacity; /* bytes */
	uint64_t size;     /* bytes */
	unsigned hidden;
	unsigned marker;
	struct vhd_keyhash keyhash;
};

struct scan {
	bool fast;
	bool full_names;
	bool parents;
	bool tree;
	bool markers;
	bool json;
	const char *group;      /* of volumes; NULL: files */
	struct vg vg;           /* if group */
	struct scanned **found; /* owned, in the order found */
	size_t count, room;
	void *by_path; /* the same, as a tree of tsearch(3) */
	int err;       /* the first one that an image had */
};

/*
 * Look at the image at path (of a volume: /dev/GROUP/NAME).  may_vanish: one that is not there is
 * skipped.  Returns 0 with *scanned, owned by the caller, which may hold an error; *scanned NULL:
 * skipped; or -ENOMEM.
 */
int scan_image(const struct scan *scan, const char *path, bool may_vanish,
	       struct scanned **scanned);
void scanned_free(struct scanned *scanned); /* NULL is fine */

/* ---- showing ----------------------------------------------------------------------------------
 */

void scan_print_line(const struct scan *scan, const struct scanned *image, unsigned level,
		     const char *suffix);
int scan_print_tree(const struct scan *scan);
int scan_print_json(const struct scan *scan);

#endif
