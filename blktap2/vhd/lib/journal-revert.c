/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking up the undo journal that another process left, and going back.
 *
 * Whether there is anything to undo is told by the footer that counts: an image whose footer is not
 * poisoned is either untouched or complete.  The image itself is not looked at: it may be in any
 * state.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "vhd/lib/context.h"
#include "vhd/lib/journal.h"

/* ---- entries ------------------------------------------------------------------------------------
 */

/* What of the entries revert wants at a time. */
typedef int (*visit_fn)(vhd_journal_t *journal, const struct vhd_journal_entry *entry,
			const uint8_t *data);

static int
visit_one(vhd_journal_t *journal, uint64_t *at, visit_fn visit)
{
	struct vhd_journal_private *priv = journal->priv;
	struct reason *why = &journal->vhd.priv->why;
	uint8_t raw[VHD_JOURNAL_ENTRY_BYTES];
	struct vhd_journal_entry entry;
	AUTO_FREE uint8_t *data = NULL;
	int err;

	err = io_read_at(priv->io, raw, sizeof(raw), *at);
	if (err)
		return vhd_journal_failed(journal, err);
	err = vhd_journal_entry_decode(raw, priv->header.footer_offset + VHD_FOOTER_BYTES, &entry,
				       why);
	if (err)
		return vhd_told(&journal->vhd, err);
	data = malloc(entry.size);
	if (!data)
		return -ENOMEM;
	err = io_read_at(priv->io, data, entry.size, *at + sizeof(raw));
	if (err)
		return vhd_journal_failed(journal, err);
	err = vhd_journal_entry_check(raw, &entry, data, why);
	if (err)
		return vhd_told(&journal->vhd, err);
	*at += sizeof(raw) + entry.size;
	return visit(journal, &entry, data);
}

static int
visit_all(vhd_journal_t *journal, visit_fn visit)
{
	const struct vhd_journal_header *header = &journal->priv->header;
	uint64_t at = header->metadata_offset;
	uint32_t i;
	int err = 0;

	for (i = 0; !err && i < header->metadata_entries; i++)
		err = visit_one(journal, &at, visit);
	at = header->data_offset;
	for (i = 0; !err && i < header->data_entries; i++)
		err = visit_one(journal, &at, visit);
	return err;
}

static int
visit_nothing(vhd_journal_t *journal, const struct vhd_journal_entry *entry, const uint8_t *data)
{
	(void)journal;
	(void)entry;
	(void)data;
	return 0;
}

static int
put_back(vhd_journal_t *journal, const struct vhd_journal_entry *entry, const uint8_t *data)
{
	int err = io_write_at(journal->vhd.priv->io, data, entry->size, entry->offset);

	return err ? vhd_fail(&journal->vhd, err, "file: cannot be written: %s", strerror(-err))
		   : 0;
}

static int
put_back_tables(vhd_journal_t *journal, const struct vhd_journal_entry *entry, const uint8_t *data)
{
	if (entry->type == VHD_ENTRY_FOOTER || entry->type == VHD_ENTRY_COPY)
		return 0;
	return put_back(journal, entry, data);
}

static int
put_back_footers(vhd_journal_t *journal, const struct vhd_journal_entry *entry, const uint8_t *data)
{
	if (entry->type != VHD_ENTRY_FOOTER && entry->type != VHD_ENTRY_COPY)
		return 0;
	return put_back(journal, entry, data);
}

/* The footer that counts; -EINVAL: none. */
static int
current_footer(vhd_journal_t *journal, vhd_footer_t *footer)
{
	struct io *io = journal->vhd.priv->io;
	uint8_t raw[VHD_FOOTER_BYTES];
	uint64_t bytes;
	int err;

	err = io_size(io, &bytes);
	if (!err && bytes < VHD_FOOTER_BYTES)
		err = -EINVAL;
	if (!err)
		err = io_read_at(io, raw, sizeof(raw), bytes - VHD_FOOTER_BYTES);
	if (err || !vhd_footer_decode(raw, footer, NULL))
		return err;
	err = io_read_at(io, raw, sizeof(raw), 0);
	if (!err)
		err = vhd_footer_decode(raw, footer, NULL);
	return err || vhd_footer_is_dynamic(footer) ? err : -EINVAL;
}

/* The trailing footer was written, or never changed: the copy follows it. */
static int
keep(vhd_journal_t *journal, vhd_footer_t *footer)
{
	int err = 0;

	if (vhd_footer_is_dynamic(footer))
		err = vhd_write_footer_at(&journal->vhd, footer, 0);
	return err ? err : io_sync(journal->vhd.priv->io);
}

static int
undo(vhd_journal_t *journal)
{
	struct io *io = journal->vhd.priv->io;
	uint64_t end = journal->priv->header.footer_offset + VHD_FOOTER_BYTES;
	int err;

	err = visit_all(journal, visit_nothing);
	if (!err)
		err = visit_all(journal, put_back_tables);
	if (!err && !io->is_device)
		err = io_truncate(io, end);
	if (!err)
		err = io_sync(io);
	if (!err)
		err = visit_all(journal, put_back_footers);
	return err ? err : io_sync(io);
}

int
vhd_journal_revert(vhd_journal_t *journal)
{
	vhd_footer_t footer;
	int err;

	journal->vhd.priv->why.text[0] = '\0';
	err = current_footer(journal, &footer);
	if (err && err != -EINVAL)
		return vhd_journal_failed(journal, err);
	if (!err && !vhd_footer_is_poisoned(&footer))
		err = keep(journal, &footer);
	else if (journal->priv->header.metadata_entries)
		err = undo(journal);
	else
		err = vhd_fail(&journal->vhd, -EINVAL, "journal: %s: is empty", journal->name);
	return err ? err : vhd_journal_empty(journal);
}

static int
check_belongs(vhd_journal_t *journal)
{
	struct reason *why = &journal->vhd.priv->why;
	uint8_t raw[VHD_JOURNAL_HEADER_BYTES];
	vhd_footer_t footer;
	int err;

	err = io_read_at(journal->priv->io, raw, sizeof(raw), 0);
	if (err)
		return vhd_journal_failed(journal, err == -ENODATA ? -EINVAL : err);
	err = vhd_journal_header_decode(raw, &journal->priv->header, why);
	if (err)
		return vhd_told(&journal->vhd, err);
	/* A fixed image whose footer was on its way has none that could be compared. */
	err = current_footer(journal, &footer);
	if (err)
		return err == -EINVAL ? 0 : vhd_journal_failed(journal, err);
	if (vhd_uuid_compare(&footer.uuid, &journal->priv->header.uuid) != 0)
		return vhd_fail(&journal->vhd, -EINVAL, "journal: %s: is another image's",
				journal->name);
	return 0;
}

int
vhd_journal_open_io(vhd_journal_t *journal, struct io *image_taken, const char *file,
		    struct io *io_taken, const char *jfile, struct reason *why)
{
	int err;

	*journal = (vhd_journal_t){ .name = strdup(jfile) };
	journal->priv = calloc(1, sizeof(*journal->priv));
	if (!journal->priv || !journal->name) {
		io_close(image_taken);
		io_close(io_taken);
		return vhd_journal_discard(journal, why, -ENOMEM);
	}
	journal->priv->io = io_taken;
	err = vhd_open_unread(&journal->vhd, image_taken, file,
			      VHD_OPEN_RDWR | VHD_OPEN_IGNORE_DISABLED);
	if (!err)
		err = check_belongs(journal);
	return err ? vhd_journal_discard(journal, why, err) : 0;
}

int
vhd_journal_open(vhd_journal_t *journal, const char *file, const char *jfile)
{
	struct io *image, *io;
	int err;

	memset(journal, 0, sizeof(*journal));
	err = io_file_open(file, IO_WRITE, &image);
	if (err)
		return err;
	err = io_file_open(jfile, IO_WRITE, &io);
	if (err) {
		io_close(image);
		return err;
	}
	err = vhd_journal_open_io(journal, image, file, io, jfile, NULL);
	if (!err)
		journal->vhd.fd = io_file_fd(image);
	return err;
}
