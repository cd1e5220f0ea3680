/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an undo journal: its header, and the heads of its entries.
 *
 * An entry is a head, and the bytes that were at an offset of the image.  Pure functions over
 * bytes.
 */
#ifndef VHD_LIB_JOURNAL_ENTRY_H
#define VHD_LIB_JOURNAL_ENTRY_H

#include <stdint.h>

#include <vhd/vhd.h>

#include "common/reason.h"

#define VHD_JOURNAL_HEADER_BYTES 512
#define VHD_JOURNAL_ENTRY_BYTES 32
#define VHD_JOURNAL_MAX_ENTRIES (1u << 20)
#define VHD_JOURNAL_MAX_SIZE (512u << 20) /* bytes of one entry */

struct vhd_journal_header {
	vhd_uuid_t uuid;        /* of the image */
	uint64_t footer_offset; /* bytes; of the trailing footer before the change */
	uint32_t data_entries;  /* both 0: there is nothing to undo */
	uint32_t metadata_entries;
	uint64_t data_offset; /* bytes of the journal; of the first entry of each kind */
	uint64_t metadata_offset;
	uint64_t end; /* of the journal, in bytes */
};

enum vhd_journal_type {
	VHD_ENTRY_FOOTER = 1, /* trailing */
	VHD_ENTRY_COPY,       /* of the footer, at offset 0 */
	VHD_ENTRY_HEADER,
	VHD_ENTRY_LOCATOR,
	VHD_ENTRY_BAT,
	VHD_ENTRY_BATMAP_HEADER,
	VHD_ENTRY_BATMAP,
	VHD_ENTRY_DATA,
};

struct vhd_journal_entry {
	enum vhd_journal_type type;
	uint32_t size;   /* bytes; a multiple of 512, not 0 */
	uint64_t offset; /* of the image, in bytes */
	uint32_t checksum;
};

/* The end is in the byte order of the host: that is how the format came to be. */
void vhd_journal_header_encode(const struct vhd_journal_header *header,
			       uint8_t raw[VHD_JOURNAL_HEADER_BYTES]);

/* Returns 0, or -EINVAL for what is no header, or none that makes sense. */
int vhd_journal_header_decode(const uint8_t raw[VHD_JOURNAL_HEADER_BYTES],
			      struct vhd_journal_header *header, struct reason *why);

/* The head for so many bytes of data; the checksum is computed, and set in *entry, too. */
void vhd_journal_entry_encode(struct vhd_journal_entry *entry, const uint8_t *data,
			      uint8_t raw[VHD_JOURNAL_ENTRY_BYTES]);

/*
 * A head that makes sense for an image that ended at image_end.  Returns 0 or -EINVAL; the checksum
 * is up to vhd_journal_entry_check(), once the data are at hand.
 */
int vhd_journal_entry_decode(const uint8_t raw[VHD_JOURNAL_ENTRY_BYTES], uint64_t image_end,
			     struct vhd_journal_entry *entry, struct reason *why);
int vhd_journal_entry_check(const uint8_t raw[VHD_JOURNAL_ENTRY_BYTES],
			    const struct vhd_journal_entry *entry, const uint8_t *data,
			    struct reason *why);

#endif
