/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metadata of an image as they are, right or wrong: for those who judge them, and for those who
 * show them.
 */
#ifndef VHD_LIB_VIEW_H
#define VHD_LIB_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/io.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/header.h"

struct vhd_view {
	struct io *io; /* owned after vhd_view_open() */
	uint64_t file_bytes;
	uint64_t footer_at; /* of the trailing one; bytes */

	/* What the file is long enough for; bytes and, unjudged, their meaning. */
	bool has_footer, has_copy, has_header, has_batmap;
	uint8_t raw_footer[VHD_FOOTER_BYTES];
	uint8_t raw_copy[VHD_FOOTER_BYTES];
	uint8_t raw_header[VHD_HEADER_BYTES];
	uint8_t raw_batmap[VHD_BATMAP_HEADER_BYTES];
	vhd_footer_t footer;
	vhd_footer_t copy;
	vhd_header_t header;
	vhd_batmap_header_t batmap;
	const vhd_footer_t *chosen; /* the one to go by; NULL: neither is a footer */
	bool is_fixed;              /* by the chosen one */
};

/*
 * Read the footers of what io is; then header and batmap header, if the chosen footer leads there.
 * Returns 0 or -errno; damage is no error.
 */
int vhd_view_read(struct vhd_view *view, struct io *io);

/* The same for a file or block device, closed by vhd_view_close(); nothing is open after a failure.
 */
int vhd_view_open(struct vhd_view *view, const char *path);
void vhd_view_close(struct vhd_view *view);

/* The path in a locator: 0 with *path owned by the caller, -EINVAL, -ENOMEM, or -errno. */
int vhd_view_locator(const struct vhd_view *view, unsigned index, char **path);

#endif
