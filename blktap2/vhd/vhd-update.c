/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-update: images of version 0.1 become images of version 1.1.
 */
#include <errno.h>
#include <string.h>

#include <vhd/libvhd-journal.h>

#include "common/cleanup.h"
#include "vhd/lib/update.h"
#include "vhd/vhd-util.h"

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_TEXT('j', "JOURNAL", "file from which the update can be undone [NAME.journal]", false),
	ROW_FLAG('r', "undo an update that was interrupted, from its journal"),
	ROW_END,
};

static int
told(const char *name, const char *why, int err)
{
	fprintf(stderr, "vhd-update: %s: %s\n", name, *why ? why : strerror(-err));
	return err;
}

static int
undo(const char *name, const char *file)
{
	vhd_journal_t journal;
	int err = vhd_journal_open(&journal, name, file);

	if (err)
		return told(file, "", err);
	err = vhd_journal_revert(&journal);
	if (err) {
		told(name, vhd_error(&journal.vhd), err);
		vhd_journal_close(&journal);
		return err;
	}
	err = vhd_journal_remove(&journal);
	return err ? told(file, "", err) : 0;
}

static int
update(const char *name, const char *file)
{
	AUTO_FREE char *beside = NULL;
	struct reason why = { "" };
	int err;

	if (!file && asprintf(&beside, "%s.journal", name) < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	err = vhd_update(name, file ? file : beside, &why);
	return err ? told(name, why.text, err) : 0;
}

static int run(const struct options *options);

static const struct command command = {
	.name = "vhd-update",
	.help = "Make an image of version 0.1 readable for today's tools.",
	.rows = rows,
	.run = run,
};

static int
run(const struct options *options)
{
	const char *name = options->at['n'].text, *file = options->at['j'].text;
	int lock, err;

	if (options->at['r'].given && !file)
		return options_wrong(&command);
	err = image_lock(name, IMAGE_LOCK_EXCLUSIVE, &lock);
	if (err)
		return told(name, "", err);
	err = options->at['r'].given ? undo(name, file) : update(name, file);
	image_unlock(lock);
	return err;
}

int
main(int argc, char **argv)
{
	return command_main(&command, argc, argv);
}
