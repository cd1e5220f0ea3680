/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving an image another size, with an undo journal.
 */
#ifndef VHD_LIB_RESIZE_H
#define VHD_LIB_RESIZE_H

#include <stdint.h>

#include <vhd/libvhd-journal.h>

#include "common/reason.h"
#include "vhd/lib/context.h"

/* How far it is: blocks moved, and blocks to move.  May be NULL. */
typedef void (*vhd_progress_fn)(void *arg, uint64_t done, uint64_t total);

struct vhd_resize {
	uint64_t bytes; /* of the disk; a multiple of 512 */
	struct vhd_hooks hooks;
	vhd_progress_fn progress;
	void *arg; /* of progress */
};

/*
 * Resize the image at file: a dynamic or differencing one grows, a fixed one grows or shrinks.  Its
 * journal is made, and removed again.  A failure reverts what was done; when that fails, too, the
 * journal stays, and so does a hook's failure.  Returns 0; -ENOSYS to shrink a dynamic image;
 * -EEXIST when jfile holds something; -ENOSPC; or what the io said.
 */
int vhd_resize(const char *file, const char *jfile, const struct vhd_resize *what,
	       struct reason *why);

/* The part between making the journal and removing it; the image is that of the journal. */
int vhd_resize_journaled(vhd_journal_t *journal, const struct vhd_resize *what);

#endif
