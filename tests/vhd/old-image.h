/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images as the first tools of the tap family made them.
 */
#ifndef TESTS_VHD_OLD_IMAGE_H
#define TESTS_VHD_OLD_IMAGE_H

/* Make an image one of version 0.1: bits in the other order, no batmap.  0 or -errno. */
int make_old(const char *path);

#endif
