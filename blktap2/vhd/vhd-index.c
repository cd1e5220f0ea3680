/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-index: make indexes of VHD chains, and show what is in them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "vhd/lib/index.h"
#include "vhd/vhd-util.h"

static const struct option_row rows[] = {
	ROW_TEXT('i', "INDEX", "add an image to this index, which is made if need be", false),
	ROW_TEXT('s', "INDEX", "show what is in this index", false),
	ROW_TEXT('v', "VHD", "the image", false),
	ROW_NUMBER('b', "BLOCK", "show where this block of the image is", false, UINT32_MAX),
	ROW_PROGRESS,
	ROW_END,
};

static int
told(const char *name, const char *why, int err)
{
	fprintf(stderr, "vhd-index: %s: %s\n", name, *why ? why : strerror(-err));
	return err;
}

/* ---- adding -----------------------------------------------------------------------------------
 */

static void
remove_file(const char *name, const char *suffix)
{
	AUTO_FREE char *path = NULL;

	if (asprintf(&path, "%s%s", name, suffix) < 0)
		path = NULL;
	else
		unlink(path);
}

/* *made: it was not there before. */
static int
open_or_make(vhdi_context_t *index, const char *name, bool *made)
{
	struct reason why = { "" };
	int err = vhdi_create(name);

	*made = !err;
	if (err && err != -EEXIST)
		return told(name, "", err);
	err = vhdi_open_told(index, name, VHD_OPEN_RDWR, &why);
	return err ? told(name, why.text, err) : 0;
}

static int
add(const char *name, const char *image, bool show)
{
	struct progress progress;
	vhdi_context_t index;
	bool made;
	int err = open_or_make(&index, name, &made);

	if (err)
		return err;
	progress_begin(&progress, 0, false, show);
	err = vhdi_add_watched(&index, image, progress_step, &progress);
	progress_end(&progress, !err);
	if (err)
		told(name, vhdi_error(&index), err);
	if (err && made) {
		remove_file(index.name, VHDI_INDEX_SUFFIX);
		remove_file(index.name, VHDI_FILES_SUFFIX);
	}
	vhdi_close(&index);
	return err;
}

/* ---- showing ----------------------------------------------------------------------------------
 */

static int
show_index(vhdi_context_t *index)
{
	const vhdi_file_t *file;
	char uuid[37];
	uint32_t id;

	printf("index: ");
	vhd_util_put_name(stdout, index->name);
	printf("\nblocks: %" PRIu64 "\nfiles: %u\n",
	       (index->priv->end - VHDI_FIRST_BLOCK) / VHDI_BLOCK_SECTORS, index->files);
	for (id = 1; id <= index->files; id++) {
		if (vhdi_get_file(index, id, &file))
			continue;
		vhd_uuid_to_string(&file->uuid, uuid, sizeof(uuid));
		printf("file %u: %s ", id, file->is_raw ? "raw" : uuid);
		vhd_util_put_name(stdout, file->path);
		putchar('\n');
	}
	return 0;
}

static int
show_image(vhdi_context_t *index, const vhdi_bat_t *bat)
{
	const vhdi_file_t *file;
	uint32_t block, used = 0;
	int err = vhdi_get_file(index, bat->file_id, &file);

	if (err)
		return err;
	for (block = 0; block < bat->entries; block++)
		used += bat->table[block] != VHDI_UNUSED;
	printf("image: ");
	vhd_util_put_name(stdout, file->path);
	printf("\nsize: %" PRIu64 "\nblocks: %u of %u\n", bat->bytes, used, bat->entries);
	for (block = 0; block < bat->entries; block++)
		if (bat->table[block] != VHDI_UNUSED)
			printf("block %u: sector %u\n", block, bat->table[block]);
	return 0;
}

/* The sector behind the last of those that follow each other in one file, or are nowhere. */
static uint32_t
end_of_run(const vhdi_block_t *entries, uint32_t from)
{
	const vhdi_entry_t *first = &entries->table[from], *entry;
	uint32_t end = from + 1, step = first->file_id == VHDI_NOWHERE ? 0 : 1;

	for (; end < entries->entries; end++) {
		entry = &entries->table[end];
		if (entry->file_id != first->file_id ||
		    entry->offset - first->offset != step * (end - from))
			break;
	}
	return end;
}

static int
show_block(vhdi_context_t *index, const vhdi_bat_t *bat, uint64_t number)
{
	vhdi_block_t entries;
	uint32_t from, end;
	int err;

	if (number >= bat->entries)
		return vhdi_fail(index, -ERANGE, "block %" PRIu64 ": there are %u", number,
				 bat->entries);
	if (bat->table[number] == VHDI_UNUSED) {
		printf("0 %u nowhere\n", VHDI_BLOCK_ENTRIES);
		return 0;
	}
	err = vhdi_read_block(index, bat->table[number], &entries);
	for (from = 0; !err && from < entries.entries; from = end) {
		end = end_of_run(&entries, from);
		printf("%u %u ", from, end - from);
		if (entries.table[from].file_id == VHDI_NOWHERE)
			puts("nowhere");
		else
			printf("file %u sector %u\n", entries.table[from].file_id,
			       entries.table[from].offset);
	}
	if (!err)
		vhdi_free_block(&entries);
	return err;
}

static int
show(const char *name, const char *image, const struct option_value *block)
{
	struct reason why = { "" };
	vhdi_context_t index;
	vhdi_bat_t bat;
	int err = vhdi_open_told(&index, name, VHD_OPEN_RDONLY, &why);

	if (err)
		return told(name, why.text, err);
	if (!image) {
		err = show_index(&index);
	} else {
		err = vhdi_read_bat(&index, image, &bat);
		if (!err) {
			err = block->given ? show_block(&index, &bat, block->number)
					   : show_image(&index, &bat);
			vhdi_free_bat(&bat);
		}
	}
	if (err)
		told(name, vhdi_error(&index), err);
	vhdi_close(&index);
	return err;
}

/* ---- the program ------------------------------------------------------------------------------
 */

static int run(const struct options *options);

static const struct command command = {
	.name = "vhd-index",
	.help = "Add an image and its parents to an index, or show what is in an index.",
	.rows = rows,
	.run = run,
};

static int
run(const struct options *options)
{
	const char *into = options->at['i'].text, *from = options->at['s'].text;
	const char *image = options->at['v'].text;
	const struct option_value *block = &options->at['b'];

	if (into && !from && image && !block->given)
		return add(into, image, options->at[OPTION_PROGRESS].given);
	if (from && !into && (image || !block->given))
		return show(from, image, block);
	return options_wrong(&command);
}

int
main(int argc, char **argv)
{
	return command_main(&command, argc, argv);
}
