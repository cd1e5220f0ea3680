/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that can be wrong with an image: one row each, with the text that says so and with
 * what puts it right.  Each row has an image in tests/images/.
 *
 * Texts hold no equals sign: lines of words with one are made from them.
 */
#ifndef VHD_LIB_PROBLEMS_H
#define VHD_LIB_PROBLEMS_H

enum vhd_remedy {
	VHD_REMEDY_NONE,   /* the image has to be made anew, or its parent brought back */
	VHD_REMEDY_REPAIR, /* footers are written anew, a batmap is emptied */
	VHD_REMEDY_REVERT, /* the journal of the resize is played back */
	VHD_REMEDY_MODIFY, /* the parent is named anew */
	VHD_REMEDY_WAIT,   /* time, or a clock that is right */
};

/* X(name, remedy, text) */
#define VHD_PROBLEMS(X)                                                                            \
	/* file */                                                                                 \
	X(FILE_SHORT, NONE, "%" PRIu64 " bytes are too short for an image")                        \
	X(FILE_SIZE, NONE, "size of %" PRIu64 " bytes is not a multiple of 512")                   \
	X(FILE_FIXED_SHORT, NONE, "data end behind the footer at 0x%" PRIx64)                      \
	/* footer, footer copy */                                                                  \
	X(FOOTER_COOKIE, REPAIR, "bad cookie")                                                     \
	X(FOOTER_POISONED, REVERT, "resize in progress, revert the journal first")                 \
	X(FOOTER_SUM, REPAIR, "bad checksum 0x%x, should be 0x%x")                                 \
	X(FOOTER_FEATURES, NONE, "unknown features 0x%08x")                                        \
	X(FOOTER_VERSION, NONE, "unknown version 0x%08x")                                          \
	X(FOOTER_TYPE, NONE, "unknown disk type %u")                                               \
	X(FOOTER_DATA_OFFSET, NONE, "bad data offset 0x%" PRIx64)                                  \
	X(FOOTER_TIME, WAIT, "created in the future")                                              \
	X(FOOTER_CREATOR, NONE, "unsupported creator version 0x%08x")                              \
	X(FOOTER_SIZE, NONE, "bad disk size of %" PRIu64 " bytes")                                 \
	X(FOOTER_GEOMETRY, NONE, "geometry 0x%08x is larger than the disk")                        \
	X(FOOTER_SAVED, NONE, "bad saved state %u")                                                \
	X(FOOTER_HIDDEN, NONE, "bad hidden flag %u")                                               \
	X(FOOTER_RESERVED, NONE, "reserved bytes are not zero")                                    \
	X(FOOTER_UUID, REPAIR, "unique id is null")                                                \
	X(FOOTERS_DIFFER, REPAIR, "footer and copy are valid, and not equal")                      \
	/* header */                                                                               \
	X(HEADER_COOKIE, NONE, "bad cookie")                                                       \
	X(HEADER_SUM, NONE, "bad checksum 0x%x, should be 0x%x")                                   \
	X(HEADER_VERSION, NONE, "unknown version 0x%08x")                                          \
	X(HEADER_DATA_OFFSET, NONE, "bad data offset 0x%" PRIx64)                                  \
	X(HEADER_BLOCK_SIZE, NONE, "bad block size %u")                                            \
	X(HEADER_TABLE_OFFSET, NONE, "bad table offset 0x%" PRIx64)                                \
	X(HEADER_TABLE_SIZE, NONE, "table of %u entries does not fit")                             \
	X(HEADER_RESERVED, NONE, "reserved bytes are not zero")                                    \
	X(HEADER_PARENT, NONE, "an image without parent names one")                                \
	X(HEADER_PARENT_NAME, MODIFY, "parent has no name")                                        \
	/* bat */                                                                                  \
	X(BAT_SMALL, NONE, "%u entries are too few for the disk, %" PRIu64 " are needed")          \
	/* block n */                                                                              \
	X(BLOCK_METADATA, NONE,                                                                    \
	  "offset 0x%" PRIx64 " lies before the end of metadata, 0x%" PRIx64)                      \
	X(BLOCK_END, NONE, "offset 0x%" PRIx64 ": the block ends behind 0x%" PRIx64)               \
	X(BLOCK_LOCATOR, NONE, "offset 0x%" PRIx64 ": the block overlaps locator %u")              \
	X(BLOCK_OVERLAP, NONE, "blocks %u (0x%" PRIx64 ") and %u (0x%" PRIx64 ") overlap")         \
	X(BLOCK_DATA, NONE, "sector %u is marked absent, and is not zero")                         \
	/* batmap */                                                                               \
	X(BATMAP_COOKIE, NONE, "bad cookie")                                                       \
	X(BATMAP_VERSION, NONE, "unknown version 0x%08x")                                          \
	X(BATMAP_OFFSET, NONE, "bad offset 0x%" PRIx64)                                            \
	X(BATMAP_SIZE, NONE, "bad size of %u sectors")                                             \
	X(BATMAP_SUM, REPAIR, "bad checksum 0x%x, should be 0x%x")                                 \
	X(BATMAP_FULL, NONE, "block %u is marked full, and is not allocated")                      \
	/* locator n */                                                                            \
	X(LOCATOR_CODE, MODIFY, "unknown code 0x%08x")                                             \
	X(LOCATOR_UNUSED, MODIFY, "unused entry is not zero")                                      \
	X(LOCATOR_TWICE, MODIFY, "code 0x%08x occurs twice")                                       \
	X(LOCATOR_SPACE, MODIFY, "bad room of %u bytes")                                           \
	X(LOCATOR_LENGTH, MODIFY, "length of %u bytes is beyond its room")                         \
	X(LOCATOR_OFFSET, MODIFY, "room at 0x%" PRIx64 " is not inside the file")                  \
	X(LOCATOR_OVERLAP, NONE, "room at 0x%" PRIx64 " overlaps other metadata")                  \
	X(LOCATOR_TEXT, MODIFY, "name cannot be decoded")                                          \
	X(LOCATOR_NAME, MODIFY, "name is not the one in the header")                               \
	X(LOCATOR_MISSING, MODIFY, "parent is not there")                                          \
	X(LOCATOR_UUID, NONE, "unique id of the parent differs")                                   \
	/* parent */                                                                               \
	X(PARENT_UNNAMED, MODIFY, "no locator names the parent")                                   \
	X(PARENT_LOOP, MODIFY, "the chain comes back to %s")                                       \
	X(PARENT_DEPTH, MODIFY, "the chain is deeper than %u images")                              \
	X(PARENT_UNREADABLE, NONE, "%s cannot be read, error %d")                                  \
	X(PARENT_INVALID, NONE, "%s: %s")

enum vhd_problem_id {
	VHD_PROBLEM_NONE,
#define X(name, remedy, text) VHD_PROBLEM_##name,
	VHD_PROBLEMS(X)
#undef X
};

#endif
