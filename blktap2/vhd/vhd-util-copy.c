/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util copy: one image with the data of a whole chain, encrypted if there is a key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "vhd/lib/crypt.h"
#include "vhd/vhd-util.h"

#define PIECE_SECTORS 4096 /* a block of the new image */

static const struct option_row rows[] = {
	ROW_NAME,
	ROW_TEXT('N', "NAME", "the new image, which must not exist", true),
	ROW_TEXT('k', "FILE", "encrypt with this key", false),
	ROW_FLAG('E', "encrypt with the key on stdin"),
	ROW_PROGRESS,
	ROW_END,
};

/* Of both images, where they need one. */
static int
set_keys(vhd_context_t *from, vhd_context_t *to, const uint8_t *key, size_t bytes)
{
	struct vhd_keyhash keyhash = { .cookie = 1 }, old;
	int err;

	if (!key)
		return 0;
	err = vhd_get_keyhash(from, &old);
	if (!err && old.cookie == 1)
		err = vhd_context_set_key(from, key, bytes);
	if (!err)
		err = vhd_key_nonce(keyhash.nonce);
	if (!err)
		err = vhd_key_hash(keyhash.nonce, key, bytes, keyhash.hash);
	if (!err)
		err = vhd_set_keyhash(to, &keyhash);
	return err ? err : vhd_context_set_key(to, key, bytes);
}

static bool
is_zero(const char *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* The rest of a block, or the first part of it, *part: what no image of the chain has. */
static int
copy_part(vhd_context_t *from, vhd_context_t *to, char *buffer, uint64_t sector, uint32_t *part)
{
	uint32_t run;
	bool present;
	int err = vhd_chain_run(from, sector, *part, &run, &present);

	if (!err && !present) {
		*part = run;
		return 0;
	}
	if (!err)
		err = vhd_io_read(from, buffer, sector, *part);
	if (!err && !is_zero(buffer, (size_t)*part << VHD_SECTOR_SHIFT))
		err = vhd_io_write(to, buffer, sector, *part);
	return err;
}

static int
copy_data(vhd_context_t *from, vhd_context_t *to, struct progress *progress)
{
	AUTO_FREE char *buffer = malloc((size_t)PIECE_SECTORS << VHD_SECTOR_SHIFT);
	uint64_t sector, sectors = from->priv->image.sectors;
	uint32_t part;
	int err = buffer ? 0 : -ENOMEM;

	for (sector = 0; sector < sectors && !err; sector += part) {
		part = PIECE_SECTORS - (uint32_t)(sector % PIECE_SECTORS);
		if (part > sectors - sector)
			part = (uint32_t)(sectors - sector);
		err = progress_step(progress, sector << VHD_SECTOR_SHIFT,
				    sectors << VHD_SECTOR_SHIFT);
		if (!err)
			err = copy_part(from, to, buffer, sector, &part);
	}
	return err;
}

static int
copy(struct image *from, const char *name, const uint8_t *key, size_t bytes, bool show)
{
	struct progress progress;
	vhd_context_t to;
	int closed, err;

	err = vhd_create(name, from->vhd.priv->image.sectors << VHD_SECTOR_SHIFT, VHD_TYPE_DYNAMIC,
			 0, 0);
	if (err)
		return vhd_util_failed("creating", name, err);
	err = vhd_open(&to, name, VHD_OPEN_RDWR);
	if (!err) {
		progress_begin(&progress, 0, false, show);
		err = set_keys(&from->vhd, &to, key, bytes);
		if (!err)
			err = copy_data(&from->vhd, &to, &progress);
		closed = vhd_close(&to);
		err = err ? err : closed;
		progress_end(&progress, !err);
	}
	if (err)
		unlink(name);
	return vhd_util_failed("copying", from->name, err);
}

static int
run(const struct options *options)
{
	const char *to = options->at['N'].text, *file = options->at['k'].text;
	bool encrypt = file || options->at['E'].given;
	struct image from;
	uint8_t *key = NULL;
	size_t bytes = 0;
	int err;

	if (file && options->at['E'].given)
		return options_wrong(&cmd_copy);
	if (access(to, F_OK) == 0)
		return vhd_util_failed("creating", to, -EEXIST);
	err = encrypt ? vhd_util_failed("reading key from", file ? file : "stdin",
					vhd_util_read_key(file, &key, &bytes))
		      : 0;
	if (err)
		return err;
	err = image_open(&from, options->at['n'].text, VHD_OPEN_RDONLY, IMAGE_LOCK_SHARED);
	if (!err)
		err = image_close(&from,
				  copy(&from, to, key, bytes, options->at[OPTION_PROGRESS].given));
	if (key)
		secret_free(key, KEY_ROOM + 1);
	return err;
}

const struct command cmd_copy = {
	.name = "copy",
	.help = "Make a new image with all the data of an image and its parents.",
	.rows = rows,
	.run = run,
};
