/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The undo journal of a change: filling it, and ending a change that is complete.
 *
 * The journal is durable before the image is poisoned, and the image is not poisoned any more
 * before the journal is emptied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/context.h"
#include "vhd/lib/header.h"
#include "vhd/lib/journal.h"
#include "vhd/lib/locator.h"

const char *
vhd_journal_error(const vhd_journal_t *journal)
{
	return vhd_error(&journal->vhd);
}

int
vhd_journal_failed(vhd_journal_t *journal, int err)
{
	return err ? vhd_fail(&journal->vhd, err, "journal: %s: %s", journal->name, strerror(-err))
		   : 0;
}

static int
write_header(vhd_journal_t *journal)
{
	uint8_t raw[VHD_JOURNAL_HEADER_BYTES];
	int err;

	vhd_journal_header_encode(&journal->priv->header, raw);
	err = io_write_at(journal->priv->io, raw, sizeof(raw), 0);
	if (!err)
		err = io_sync(journal->priv->io);
	return vhd_journal_failed(journal, err);
}

/* ---- filling ------------------------------------------------------------------------------------
 */

static int
append(vhd_journal_t *journal, struct vhd_journal_entry *entry, const uint8_t *data)
{
	struct vhd_journal_private *priv = journal->priv;
	uint8_t raw[VHD_JOURNAL_ENTRY_BYTES];
	int err;

	vhd_journal_entry_encode(entry, data, raw);
	err = io_write_at(priv->io, raw, sizeof(raw), priv->header.end);
	if (!err)
		err = io_write_at(priv->io, data, entry->size, priv->header.end + sizeof(raw));
	if (err)
		return vhd_journal_failed(journal, err);
	if (entry->type == VHD_ENTRY_DATA) {
		if (!priv->header.data_entries)
			priv->header.data_offset = priv->header.end;
		priv->header.data_entries++;
	} else {
		priv->header.metadata_entries++;
	}
	priv->header.end += sizeof(raw) + entry->size;
	return 0;
}

int
vhd_journal_save(vhd_journal_t *journal, enum vhd_journal_type type, uint64_t offset, uint32_t size)
{
	struct vhd_journal_entry entry = { .type = type, .size = size, .offset = offset };
	AUTO_FREE uint8_t *data = malloc(size);
	int err;

	if (!data)
		return -ENOMEM;
	err = io_read_at(journal->vhd.priv->io, data, size, offset);
	if (err)
		return vhd_fail(&journal->vhd, err, "file: cannot be read: %s", strerror(-err));
	return append(journal, &entry, data);
}

int
vhd_journal_publish(vhd_journal_t *journal)
{
	int err = io_sync(journal->priv->io);

	return err ? vhd_journal_failed(journal, err) : write_header(journal);
}

static int
save_tables(vhd_journal_t *journal)
{
	const struct vhd_image *image = &journal->vhd.priv->image;
	const struct vhd_layout *layout = &image->layout;
	unsigned i;
	int err;

	err = vhd_journal_save(journal, VHD_ENTRY_COPY, 0, VHD_FOOTER_BYTES);
	if (!err)
		err = vhd_journal_save(journal, VHD_ENTRY_HEADER, image->footer.data_offset,
				       VHD_HEADER_BYTES);
	for (i = 0; !err && i < VHD_LOCATORS; i++) {
		const vhd_parent_locator_t *locator = &image->header.locator[i];

		if (locator->code != VHD_PLATFORM_NONE && vhd_locator_room(locator))
			err = vhd_journal_save(journal, VHD_ENTRY_LOCATOR, locator->data_offset,
					       (uint32_t)vhd_locator_room(locator));
	}
	if (!err)
		err = vhd_journal_save(journal, VHD_ENTRY_BAT, layout->table_offset,
				       (uint32_t)(layout->table_end - layout->table_offset));
	if (!err && image->has_batmap)
		err = vhd_journal_save(journal, VHD_ENTRY_BATMAP_HEADER,
				       vhd_batmap_header_at(layout), VHD_BATMAP_HEADER_BYTES);
	if (!err && image->has_batmap)
		err = vhd_journal_save(journal, VHD_ENTRY_BATMAP, image->batmap.batmap_offset,
				       image->batmap.batmap_size << VHD_SECTOR_SHIFT);
	return err;
}

int
vhd_journal_add_block(vhd_journal_t *journal, uint32_t block, char mode)
{
	const struct vhd_layout *layout = &journal->vhd.priv->image.layout;
	uint32_t entry;
	int err;

	if (!mode || mode & ~(VHD_JOURNAL_METADATA | VHD_JOURNAL_DATA))
		return -EINVAL;
	err = vhd_need_bat(&journal->vhd);
	if (err)
		return err;
	if (block >= journal->vhd.bat.entries)
		return vhd_fail(&journal->vhd, -ERANGE, "block %u: there are %u", block,
				journal->vhd.bat.entries);
	entry = journal->vhd.bat.bat[block];
	if (entry == VHD_BLOCK_UNUSED)
		return vhd_fail(&journal->vhd, -ENODATA, "block %u: not allocated", block);
	if (mode & VHD_JOURNAL_METADATA)
		err = vhd_journal_save(journal, VHD_ENTRY_DATA, vhd_bitmap_offset(entry),
				       layout->bm_secs << VHD_SECTOR_SHIFT);
	if (!err && mode & VHD_JOURNAL_DATA)
		err = vhd_journal_save(journal, VHD_ENTRY_DATA, vhd_data_offset(layout, entry),
				       layout->spb << VHD_SECTOR_SHIFT);
	return err ? err : vhd_journal_publish(journal);
}

/* ---- beginning ----------------------------------------------------------------------------------
 */

/* In memory the footer stays what it was: this process goes on. */
static int
poison(vhd_context_t *vhd)
{
	vhd_footer_t footer = vhd->footer;
	uint64_t at;
	int err;

	memcpy(footer.cookie, VHD_POISON_COOKIE, sizeof(footer.cookie));
	err = vhd_footer_place(vhd, &at);
	if (!err && vhd_image_is_dynamic(&vhd->priv->image))
		err = vhd_write_footer_at(vhd, &footer, 0);
	if (!err)
		err = io_sync(vhd->priv->io);
	if (!err)
		err = vhd_write_footer_at(vhd, &footer, (off_t)at);
	return err ? err : io_sync(vhd->priv->io);
}

static int
begin(vhd_journal_t *journal)
{
	vhd_context_t *vhd = &journal->vhd;
	struct vhd_journal_header *header = &journal->priv->header;
	int err;

	err = vhd_may_write(vhd);
	if (!err)
		err = vhd_sync(vhd);
	if (!err)
		err = vhd_footer_place(vhd, &header->footer_offset);
	if (err)
		return err;
	header->uuid = vhd->footer.uuid;
	header->metadata_offset = VHD_JOURNAL_HEADER_BYTES;
	header->end = VHD_JOURNAL_HEADER_BYTES;
	err = vhd_journal_save(journal, VHD_ENTRY_FOOTER, header->footer_offset, VHD_FOOTER_BYTES);
	if (!err && vhd_image_is_dynamic(&vhd->priv->image))
		err = save_tables(journal);
	if (!err)
		err = vhd_journal_publish(journal);
	return err ? err : poison(vhd);
}

int
vhd_journal_discard(vhd_journal_t *journal, struct reason *why, int err)
{
	if (why && journal->vhd.priv)
		*why = journal->vhd.priv->why;
	vhd_journal_close(journal);
	return err;
}

int
vhd_journal_create_io(vhd_journal_t *journal, vhd_context_t *vhd_taken, struct io *io_taken,
		      const char *jfile, struct reason *why)
{
	int err;

	*journal = (vhd_journal_t){ .vhd = *vhd_taken, .name = strdup(jfile) };
	journal->priv = calloc(1, sizeof(*journal->priv));
	if (!journal->priv || !journal->name) {
		io_close(io_taken);
		return vhd_journal_discard(journal, why, -ENOMEM);
	}
	journal->priv->io = io_taken;
	err = begin(journal);
	return err ? vhd_journal_discard(journal, why, err) : 0;
}

/* -EEXIST: it is a journal from which something can be undone. */
static int
check_entries(struct io *io)
{
	uint8_t raw[VHD_JOURNAL_HEADER_BYTES];
	struct vhd_journal_header header;
	int err = io_read_at(io, raw, sizeof(raw), 0);

	if (err || vhd_journal_header_decode(raw, &header, NULL))
		return err;
	return header.metadata_entries ? -EEXIST : 0;
}

/* A device may hold the journal of something else, or anything. */
static int
check_unused(struct io *io)
{
	uint64_t bytes;
	int err = io_size(io, &bytes);

	if (err)
		return err;
	if (io->is_device)
		return check_entries(io);
	return bytes ? -EEXIST : 0;
}

/* *made: there was no such file. */
static int
open_unused(const char *jfile, struct io **io, bool *made)
{
	int err;

	err = io_file_open(jfile, IO_WRITE | IO_CREATE | IO_EXCLUSIVE, io);
	*made = !err;
	if (err == -EEXIST)
		err = io_file_open(jfile, IO_WRITE, io);
	if (err)
		return err;
	/* Nobody undoes anything with a journal that cannot be found. */
	err = *made ? io_file_sync_name(jfile) : check_unused(*io);
	if (err)
		io_close(*io);
	return err;
}

/* A new journal that is not complete: as long as it is not, nothing of the image is touched. */
static void
remove_unpublished(const char *jfile)
{
	struct io *io;

	if (io_file_open(jfile, 0, &io))
		return;
	if (check_entries(io) != -EEXIST)
		unlink(jfile);
	io_close(io);
}

int
vhd_journal_create_at(vhd_journal_t *journal, vhd_context_t *vhd_taken, const char *jfile,
		      struct reason *why)
{
	struct io *io;
	bool made;
	int err = open_unused(jfile, &io, &made);

	if (err) {
		if (made)
			unlink(jfile);
		vhd_close(vhd_taken);
		return reason(why, err, "journal: %s: %s", jfile, strerror(-err));
	}
	err = vhd_journal_create_io(journal, vhd_taken, io, jfile, why);
	if (err && made)
		remove_unpublished(jfile);
	return err;
}

int
vhd_journal_create(vhd_journal_t *journal, const char *file, const char *jfile)
{
	vhd_context_t vhd;
	int err;

	memset(journal, 0, sizeof(*journal));
	err = vhd_open(&vhd, file, VHD_OPEN_RDWR);
	return err ? err : vhd_journal_create_at(journal, &vhd, jfile, NULL);
}

/* ---- ending -------------------------------------------------------------------------------------
 */

int
vhd_journal_empty(vhd_journal_t *journal)
{
	struct vhd_journal_private *priv = journal->priv;
	int err;

	priv->header = (struct vhd_journal_header){
		.uuid = priv->header.uuid,
		.end = VHD_JOURNAL_HEADER_BYTES,
	};
	err = write_header(journal);
	if (!err && !priv->io->is_device)
		err = vhd_journal_failed(journal, io_truncate(priv->io, VHD_JOURNAL_HEADER_BYTES));
	return err;
}

int
vhd_journal_commit(vhd_journal_t *journal)
{
	int err;

	err = io_sync(journal->vhd.priv->io);
	if (!err)
		err = vhd_write_footer(&journal->vhd, &journal->vhd.footer);
	return err ? err : vhd_journal_empty(journal);
}

int
vhd_journal_close(vhd_journal_t *journal)
{
	int err = 0;

	if (journal->priv)
		io_close(journal->priv->io);
	if (journal->vhd.priv)
		err = vhd_close(&journal->vhd);
	free(journal->priv);
	free(journal->name);
	memset(journal, 0, sizeof(*journal));
	return err;
}

int
vhd_journal_remove(vhd_journal_t *journal)
{
	static const uint8_t zeros[VHD_JOURNAL_HEADER_BYTES];
	int err = 0;

	if (journal->priv->io->is_device) {
		err = io_write_at(journal->priv->io, zeros, sizeof(zeros), 0);
		if (!err)
			err = io_sync(journal->priv->io);
	} else if (unlink(journal->name)) {
		err = -errno;
	}
	if (err)
		return vhd_journal_failed(journal, err);
	return vhd_journal_close(journal);
}
