/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The undo journal of a resize: what the image held before, in a file or device of its own.
 *
 * While there is one, the footers of the image are poisoned, and nobody but vhd_journal_revert()
 * may write to it.  Returns are as everywhere in libvhd.
 */
#ifndef VHD_LIBVHD_JOURNAL_H
#define VHD_LIBVHD_JOURNAL_H

#include <vhd/libvhd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VHD_JOURNAL_METADATA 0x01 /* the bitmap of the block */
#define VHD_JOURNAL_DATA 0x02     /* its data */

/* Zeroed or opened. */
typedef struct vhd_journal {
	vhd_context_t vhd; /* the image, open for reading and writing */
	char *name;        /* of the journal */
	struct vhd_journal_private *priv;
} vhd_journal_t;

/*
 * Begin: save all metadata of the image at file into the new journal jfile, durably, then poison
 * the image.  -EEXIST: jfile holds something already.
 */
int vhd_journal_create(vhd_journal_t *journal, const char *file, const char *jfile);

/* Take up the journal that another process left: -EINVAL when it is not one of this image. */
int vhd_journal_open(vhd_journal_t *journal, const char *file, const char *jfile);

/* Save a block before it is changed: durable when this returns.  mode: what of it. */
int vhd_journal_add_block(vhd_journal_t *journal, uint32_t block, char mode);

/* The change is complete: the image may be used, and the journal is empty. */
int vhd_journal_commit(vhd_journal_t *journal);

/* Undo all: the image is as it was, and the journal is empty.  May be repeated until it succeeds.
 */
int vhd_journal_revert(vhd_journal_t *journal);

/* Close both files; the journal stays. */
int vhd_journal_close(vhd_journal_t *journal);

/* The same, and the journal's file is removed; a device gets its header wiped. */
int vhd_journal_remove(vhd_journal_t *journal);

#ifdef __cplusplus
}
#endif

#endif
