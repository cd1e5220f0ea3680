/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From version 0.1 to 1.1: the bitmaps of 0.1 have the first sector in the lowest bit of a byte,
 * all others in the highest.
 *
 * Every bitmap is in the journal, durably, before it is written; the version is changed when all of
 * them are durable.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "vhd/lib/context.h"
#include "vhd/lib/journal.h"
#include "vhd/lib/update.h"

#define BATCH 256u /* bitmaps that become durable in the journal together */

static uint8_t
reversed(uint8_t byte)
{
	uint8_t result = 0;
	int bit;

	for (bit = 0; bit < 8; bit++)
		if (byte & 1u << bit)
			result |= (uint8_t)(0x80u >> bit);
	return result;
}

static int
turn_bitmap(vhd_context_t *vhd, uint32_t entry, uint8_t *bitmap)
{
	size_t bytes = (size_t)vhd->bm_secs << VHD_SECTOR_SHIFT, i;
	int err;

	err = vhd_image_read_bitmap(vhd->priv->io, &vhd->priv->image, entry, bitmap);
	if (err)
		return vhd_fail(vhd, err, "file: cannot be read: %s", strerror(-err));
	for (i = 0; i < bytes; i++)
		bitmap[i] = reversed(bitmap[i]);
	err = io_write_at(vhd->priv->io, bitmap, bytes, vhd_bitmap_offset(entry));
	return err ? vhd_fail(vhd, err, "file: cannot be written: %s", strerror(-err)) : 0;
}

/* The entries of the next blocks from *block on, at most BATCH: how many they are. */
static uint32_t
next_batch(const vhd_bat_t *bat, uint32_t *block, uint32_t entries[BATCH])
{
	uint32_t count = 0;

	for (; *block < bat->entries && count < BATCH; ++*block)
		if (bat->bat[*block] != VHD_BLOCK_UNUSED)
			entries[count++] = bat->bat[*block];
	return count;
}

static int
turn_bitmaps(vhd_journal_t *journal)
{
	vhd_context_t *vhd = &journal->vhd;
	uint32_t bytes = vhd->bm_secs << VHD_SECTOR_SHIFT;
	uint32_t entries[BATCH], block = 0, count, i;
	AUTO_FREE uint8_t *bitmap = malloc(bytes);
	int err = bitmap ? 0 : -ENOMEM;

	while (!err && (count = next_batch(&vhd->bat, &block, entries)) != 0) {
		for (i = 0; !err && i < count; i++)
			err = vhd_journal_save(journal, VHD_ENTRY_DATA,
					       vhd_bitmap_offset(entries[i]), bytes);
		if (!err)
			err = vhd_journal_publish(journal);
		for (i = 0; !err && i < count; i++)
			err = turn_bitmap(vhd, entries[i], bitmap);
	}
	return err;
}

/* More blocks than a journal can have entries would be no image of those tools. */
static int
check_blocks(vhd_context_t *vhd)
{
	uint32_t i, blocks = 0;
	int err = vhd_need_bat(vhd);

	for (i = 0; !err && i < vhd->bat.entries; i++)
		blocks += vhd->bat.bat[i] != VHD_BLOCK_UNUSED;
	if (!err && blocks > VHD_JOURNAL_MAX_ENTRIES)
		err = vhd_fail(vhd, -EFBIG, "bat: %u blocks are too many", blocks);
	return err;
}

static int
update(vhd_journal_t *journal)
{
	vhd_context_t *vhd = &journal->vhd;
	int err = 0;

	if (vhd_type_dynamic(vhd))
		err = turn_bitmaps(journal);
	if (err)
		return err;
	vhd->footer.creator_version = VHD_TAPDISK_VERSION_1_1;
	return vhd_journal_commit(journal);
}

static int
open_image(vhd_context_t *vhd, const char *file, int flags, struct reason *why)
{
	struct io *io;
	int err = io_file_open(file, flags & VHD_OPEN_RDWR ? IO_WRITE : 0, &io);

	if (err)
		return reason(why, err, "%s", strerror(-err));
	return vhd_open_io(vhd, io, file, flags | VHD_OPEN_OBSOLETE, why);
}

/* Nothing is written before it is clear that there is something to do. */
static int
is_due(const char *file, bool *due, struct reason *why)
{
	vhd_context_t vhd;
	int err = open_image(&vhd, file, VHD_OPEN_RDONLY, why);

	if (err)
		return err;
	*due = vhd.footer.creator_version == VHD_TAPDISK_VERSION_OLD;
	if (!vhd_creator_tapdisk(&vhd))
		err = reason(why, -EINVAL, "was made by other tools");
	vhd_close(&vhd);
	return err;
}

int
vhd_update(const char *file, const char *jfile, struct reason *why)
{
	vhd_journal_t journal;
	vhd_context_t vhd;
	bool due = false;
	int err;

	err = is_due(file, &due, why);
	if (err || !due)
		return err;
	err = open_image(&vhd, file, VHD_OPEN_RDWR, why);
	if (err)
		return err;
	err = vhd_type_dynamic(&vhd) ? check_blocks(&vhd) : 0;
	if (err) {
		reason(why, err, "%s", vhd_error(&vhd));
		vhd_close(&vhd);
		return err;
	}
	err = vhd_journal_create_at(&journal, &vhd, jfile, why);
	if (err)
		return err;
	err = update(&journal);
	if (!err)
		return vhd_journal_remove(&journal);
	reason(why, err, "%s", vhd_journal_error(&journal));
	/* The image belongs to the journal now. */
	journal.vhd.oflags = VHD_OPEN_RDONLY;
	vhd_journal_close(&journal);
	return err;
}
