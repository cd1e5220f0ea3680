/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes an image one of version 0.1: vhd-age IMAGE.
 */
#include <errno.h>

#include "tests/vhd/old-image.h"

int
main(int argc, char **argv)
{
	return argc == 2 ? -make_old(argv[1]) : EINVAL;
}
