/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the parent of an image: the paths that its locators name, in order, until one is
 * accepted.
 */
#ifndef VHD_LIB_PARENT_H
#define VHD_LIB_PARENT_H

#include <stdbool.h>

#include <vhd/vhd.h>

#include "common/io.h"
#include "common/reason.h"

/*
 * Who decides about a candidate.  An image is foreign: it may name any file, so this is where the
 * policy of the host is applied, before the file is even opened.
 */
struct vhd_parent_judge {
	/*
	 * Is this the parent?  0: yes.  -ENOENT and any other -errno: no, look further; the first
	 * one that is not -ENOENT is what the search ends with.  Must not follow what it was not
	 * told to.
	 */
	int (*accept)(void *arg, const char *path);
	void *arg;
};

/*
 * The parent of the differencing image at child_path, whose header this is.  Absolute paths are
 * tried as they are, relative ones from the folder of the child: first of its canonical path, then
 * of the path as given; last comes the bare name in the header.  *path is owned by the caller.
 * Returns 0, -ENOENT, the first other refusal, -ENOMEM, or what reading the locators said.
 */
int vhd_parent_find(struct io *io, const vhd_header_t *header, const char *child_path,
		    const struct vhd_parent_judge *judge, char **path, struct reason *why);

/* The same for one path, as a locator or a header has it. */
int vhd_parent_find_name(const char *name, const char *child_path,
			 const struct vhd_parent_judge *judge, char **path);

/*
 * The path that one locator names, as vhd_locator_decode() gives it; nothing is looked for.
 * file_bytes: size of the image.  Returns 0, -EINVAL, -ENOMEM, or what the io said.
 */
int vhd_locator_read(struct io *io, const vhd_parent_locator_t *locator, unsigned index,
		     uint64_t file_bytes, char **path, struct reason *why);

/*
 * The path of a file without symbolic links, "." and "..".  Names of devices are kept, as those of
 * logical volumes are links to names that say nothing: only their folder is made canonical.
 * *canonical is owned by the caller.  Returns 0 or -errno.
 */
int vhd_canonical_path(const char *path, char **canonical);

/* The same for a file that need not exist yet; its folder must. */
int vhd_canonical_new_path(const char *path, char **canonical);

/* The image has a raw parent: a differencing image whose parent has no unique id. */
bool vhd_parent_is_raw(const vhd_footer_t *footer, const vhd_header_t *header);

bool vhd_uuid_is_zero(const vhd_uuid_t *uuid);

#endif
