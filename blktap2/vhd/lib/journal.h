/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an open journal has behind its public members.
 */
#ifndef VHD_LIB_JOURNAL_H
#define VHD_LIB_JOURNAL_H

#include <stdbool.h>

#include <vhd/libvhd-journal.h>

#include "common/io.h"
#include "common/reason.h"
#include "vhd/lib/journal-entry.h"

struct vhd_journal_private {
	struct io *io; /* owned */
	struct vhd_journal_header header;
};

/*
 * The public functions, on any struct io; both are taken, also by a failure.  Names are for
 * messages and for vhd_journal_remove().
 */
int vhd_journal_create_io(vhd_journal_t *journal, vhd_context_t *vhd_taken, struct io *io_taken,
			  const char *jfile, struct reason *why);
/* The same with a journal in the file jfile. */
int vhd_journal_create_at(vhd_journal_t *journal, vhd_context_t *vhd_taken, const char *jfile,
			  struct reason *why);
int vhd_journal_open_io(vhd_journal_t *journal, struct io *image_taken, const char *file,
			struct io *io_taken, const char *jfile, struct reason *why);

/* For the two rooms of the journal: say that err came from its file; end a call that failed; drop
 * all entries, durably. */
int vhd_journal_failed(vhd_journal_t *journal, int err);
int vhd_journal_discard(vhd_journal_t *journal, struct reason *why, int err);
int vhd_journal_empty(vhd_journal_t *journal);

/* Why the last call failed. */
const char *vhd_journal_error(const vhd_journal_t *journal);

/*
 * Bytes of the image, as they are, before they are changed: in the journal, but durable only after
 * vhd_journal_publish().
 */
int vhd_journal_save(vhd_journal_t *journal, enum vhd_journal_type type, uint64_t offset,
		     uint32_t size);
int vhd_journal_publish(vhd_journal_t *journal);

#endif
