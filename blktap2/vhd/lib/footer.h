/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The footer: bytes to structure and back, what may be believed of it, and which of two to take.
 *
 * Pure functions.  Reasons say what is wrong, without the words "footer" or "footer copy" in front:
 * only the caller knows which one it was.
 */
#ifndef VHD_LIB_FOOTER_H
#define VHD_LIB_FOOTER_H

#include <stdbool.h>
#include <stdint.h>

#include <vhd/vhd.h>

#include "common/reason.h"

#define VHD_FOOTER_BYTES 512

/* The checksum that belongs into these bytes; those of the checksum itself do not count. */
uint32_t vhd_footer_sum(const uint8_t raw[VHD_FOOTER_BYTES]);

/* The bytes, with the checksum as it stands in the structure. */
void vhd_footer_pack(const vhd_footer_t *footer, uint8_t raw[VHD_FOOTER_BYTES]);

/* The structure, as the bytes say: nothing is checked. */
void vhd_footer_unpack(const uint8_t raw[VHD_FOOTER_BYTES], vhd_footer_t *footer);

/* The bytes that are written: the checksum is computed, and set in *footer, too. */
void vhd_footer_encode(vhd_footer_t *footer, uint8_t raw[VHD_FOOTER_BYTES]);

/*
 * Bytes that are a footer: its cookie, its checksum (also the one that some writers computed with
 * hidden = 0) and the major number of its version are right.  Returns 0, or -EINVAL with *footer
 * untouched.
 */
int vhd_footer_decode(const uint8_t raw[VHD_FOOTER_BYTES], vhd_footer_t *footer,
		      struct reason *why);

/*
 * A footer that can be worked with: a type that is known, a creator that is neither too old nor too
 * new, a size that is neither 0 nor too large.  Returns 0 or -EINVAL.  A poisoned one passes: see
 * vhd_footer_is_poisoned().
 */
int vhd_footer_check(const vhd_footer_t *footer, struct reason *why);

/* A resize is under way: nothing but reverting its journal may be done to the image. */
bool vhd_footer_is_poisoned(const vhd_footer_t *footer);

/* The creator is the tap family of tools, whatever its version. */
bool vhd_footer_by_tapdisk(const vhd_footer_t *footer);

/* A dynamic or differencing image. */
bool vhd_footer_is_dynamic(const vhd_footer_t *footer);

/* Versions 0.1 and 1.1: their tools hid an image in its copy alone, which may differ in that. */
bool vhd_footer_hides_by_copy(const vhd_footer_t *footer);

/* ---- which one to trust -------------------------------------------------------------------------
 */

/* What was found at both places.  Invalid ones are NULL. */
struct vhd_footers {
	const vhd_footer_t *trailing; /* at the end of the file */
	const vhd_footer_t *copy;     /* at offset 0 */
};

enum vhd_footer_state {
	VHD_FOOTERS_GOOD,      /* the trailing one counts, and the copy (if any is due) equals it */
	VHD_FOOTERS_COPY_LOST, /* the copy is not valid */
	VHD_FOOTERS_DIFFER,    /* in members that do not matter for where data are */
	VHD_FOOTERS_CONFLICT,  /* in type or data_offset: not to be written to */
	VHD_FOOTERS_RECOVERED, /* the copy counts: the trailing one is not valid */
};

/*
 * Choose: the trailing one if it is valid, else the copy of an image that is not fixed.  A fixed
 * image never has a copy: what is at offset 0 belongs to the guest, and callers need not even read
 * it. Returns 0, or -EINVAL when there is none to take.
 */
int vhd_footer_choose(const struct vhd_footers *found, const vhd_footer_t **chosen,
		      enum vhd_footer_state *state, struct reason *why);

#endif
