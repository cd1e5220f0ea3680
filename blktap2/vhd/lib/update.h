/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making images of version 0.1 of the tap family readable.
 */
#ifndef VHD_LIB_UPDATE_H
#define VHD_LIB_UPDATE_H

#include "common/reason.h"

/*
 * Make the image at file one of version 1.1, with an undo journal in jfile that is removed at the
 * end.  After a failure the journal stays, for vhd_journal_revert().  Returns 0, also when the
 * image is of a later version and nothing is to be done; -EINVAL: another family's; -EEXIST: jfile
 * holds something; or -errno.
 */
int vhd_update(const char *file, const char *jfile, struct reason *why);

#endif
