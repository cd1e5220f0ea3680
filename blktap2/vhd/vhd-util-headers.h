/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dump of an image's metadata that `read -p` and a failed `check` print.
 */
#ifndef VHD_VHD_UTIL_HEADERS_H
#define VHD_VHD_UTIL_HEADERS_H

#include "vhd/lib/view.h"

/* What is readable of it, damaged or not.  backup: the footer is the copy at the start. */
void vhd_util_print_headers(const struct vhd_view *view, bool backup);

#endif
