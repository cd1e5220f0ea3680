/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an image is: its footer, header and layout, read from a struct io and found sound.
 *
 * The first thing that the driver and the library do with an image.  Reads only, allocates nothing
 * and takes less than a page of the file, however large the image is.  Reasons have the form "area:
 * reason", where the area is footer, footer copy, footers differ, header, bat, block N, batmap,
 * locator N or file.
 */
#ifndef VHD_LIB_IMAGE_H
#define VHD_LIB_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/io.h"
#include "common/reason.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/geometry.h"
#include "vhd/lib/layout.h"

struct vhd_image {
	uint64_t file_bytes; /* of the file or device */
	bool is_device;

	vhd_footer_t footer; /* the one that counts */
	enum vhd_footer_state footers;
	/*
	 * Where the trailing footer is, in bytes; one that is missing: where it could be, on a
	 * device the last sector, of a file the end.
	 */
	uint64_t footer_at;
	bool footer_is_short; /* of 511 bytes: the first to write makes it a whole one */
	bool is_cut;          /* fixed: the file holds less than the footer says */
	uint64_t sectors;     /* of the disk; a fixed one's are all in the file */

	/* Of dynamic and differencing images. */
	vhd_header_t header;
	struct vhd_layout layout;
	bool has_batmap; /* its header is sound; the map need not be */
	vhd_batmap_header_t batmap;
};

/* The image will be written to: refuse what would only be dangerous then. */
#define VHD_IMAGE_WRITE 0x01u
/* Accept an image with a resize under way, for inspection and for its journal. */
#define VHD_IMAGE_POISONED 0x02u
/* The copy at offset 0 counts, whatever the trailing footer says (unless it says "fixed"). */
#define VHD_IMAGE_USE_COPY 0x04u
/*
 * As USE_COPY, and look at nothing but the footers and the header; a trailing footer that cannot be
 * read does not matter.  The layout lacks batmap and locators: not for writing.
 */
#define VHD_IMAGE_FAST 0x08u
/* Accept version 0.1, whose bitmaps have their bits in another order, for its update. */
#define VHD_IMAGE_OBSOLETE 0x10u

/* Read and check.  Returns 0, -EINVAL for what is no sound image, or what the io said. */
int vhd_image_read(struct io *io, unsigned flags, struct vhd_image *image, struct reason *why);

static inline bool
vhd_image_is_dynamic(const struct vhd_image *image)
{
	return vhd_footer_is_dynamic(&image->footer);
}

/* The number of blocks that the disk has; the BAT may have more. */
uint32_t vhd_image_blocks(const struct vhd_image *image);

/* ---- tables -------------------------------------------------------------------------------------
 */

/* Entries of the BAT, in the host's byte order; any part of it, so that a huge one can be paged. */
int vhd_image_read_bat(struct io *io, const struct vhd_image *image, uint32_t first, uint32_t count,
		       uint32_t *entries);

/*
 * The bytes of one sector of the BAT, from all the entries that are at hand: `entries` holds those
 * of the sector and no more, count of them (at most 128); what follows the last one is 0xFF.
 */
void vhd_bat_pack_sector(const uint32_t *entries, uint32_t count, uint8_t raw[VHD_SECTOR_SIZE]);

/*
 * Blocks of all count entries are where blocks may be: behind the tables, before the end, and,
 * unless no_overlap is false, clear of each other and of the locators.  Returns 0, -EINVAL,
 * -ENOMEM.  In a file without its trailing footer the last block may be cut: what is missing reads
 * as zeros.
 */
int vhd_image_check_bat(const struct vhd_image *image, const uint32_t *bat, uint32_t count,
			bool no_overlap, struct reason *why);

/* The bitmap of a block: bm_secs sectors into buf. */
int vhd_image_read_bitmap(struct io *io, const struct vhd_image *image, uint32_t entry,
			  uint8_t *buf);

/*
 * The batmap, if it can be believed: a map with one bit for each entry of the BAT, owned by the
 * caller, in which bits that no checksum covers are 0.  Returns 0; -ENOENT when there is none,
 * -EINVAL when its checksum is wrong: both mean that all bits are 0; or -ENOMEM, or what the io
 * said.
 */
int vhd_image_read_batmap(struct io *io, const struct vhd_image *image, uint8_t **map,
			  struct reason *why);

#endif
