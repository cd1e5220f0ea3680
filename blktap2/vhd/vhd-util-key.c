/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd-util key: what an image knows of the key that encrypts it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "vhd/lib/crypt.h"
#include "vhd/vhd-util.h"

#define HASH_BYTES 32

static const struct option_row rows[] = {
	ROW_FLAG('C', "print the hash of a key"),
	ROW_FLAG('s', "set the key of an image that holds nothing yet"),
	ROW_FLAG('c', "check whether this is the key of an image"),
	ROW_FLAG('p', "print nonce and hash of an image"),
	ROW_TEXT('n', "NAME", "the image", false),
	ROW_TEXT('k', "FILE", "the key: 32 or 64 bytes", false),
	ROW_TEXT('N', "NONCE", "64 hexadecimal digits", false),
	ROW_TEXT('H', "HASH", "64 hexadecimal digits, instead of the key", false),
	ROW_END,
};

/* ---- parts ------------------------------------------------------------------------------------
 */

static int
complain(const char *what, const char *name, int err)
{
	if (err)
		fprintf(stderr, "vhd-util: key: %s %s: %s\n", what, name, strerror(-err));
	return err;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
parse_hex(const char *text, uint8_t bytes[HASH_BYTES])
{
	size_t i;

	if (strlen(text) != 2 * HASH_BYTES)
		return false;
	for (i = 0; i < HASH_BYTES; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Nonce and hash of the key file, or of what the options say of them. */
static int
make_hash(const struct options *options, struct vhd_keyhash *keyhash)
{
	uint8_t *key;
	size_t bytes;
	int err;

	memset(keyhash, 0, sizeof(*keyhash));
	keyhash->cookie = 1;
	if (options->at['N'].given && !parse_hex(options->at['N'].text, keyhash->nonce))
		return complain("no nonce:", options->at['N'].text, -EINVAL);
	if (options->at['H'].given)
		return parse_hex(options->at['H'].text, keyhash->hash)
			       ? 0
			       : complain("no hash:", options->at['H'].text, -EINVAL);
	err = vhd_util_read_key(options->at['k'].text, &key, &bytes);
	if (err)
		return complain("error reading", options->at['k'].text, err);
	err = vhd_key_hash(keyhash->nonce, key, bytes, keyhash->hash);
	secret_free(key, KEY_ROOM + 1);
	return complain("error hashing", options->at['k'].text, err);
}

static int
open_image(struct image *image, const char *name, bool write)
{
	int err;

	memset(image, 0, sizeof(*image));
	image->name = name;
	image->lock = -1;
	err = write ? image_lock(name, IMAGE_LOCK_EXCLUSIVE, &image->lock) : 0;
	if (!err)
		err = vhd_open(&image->vhd, name, write ? VHD_OPEN_RDWR : VHD_OPEN_RDONLY);
	if (err)
		image_unlock(image->lock);
	return complain("error opening", name, err);
}

/* ---- what can be done -------------------------------------------------------------------------
 */

static int
compute(const struct options *options)
{
	struct vhd_keyhash keyhash;
	int err = make_hash(options, &keyhash);

	if (err)
		return err;
	vhd_util_put_hex(stdout, keyhash.hash, sizeof(keyhash.hash));
	putchar('\n');
	return 0;
}

static int
set(const struct options *options)
{
	const char *name = options->at['n'].text;
	struct vhd_keyhash keyhash;
	struct image image;
	int err = make_hash(options, &keyhash);

	if (!err)
		err = open_image(&image, name, true);
	if (err)
		return err;
	err = complain("error setting key of", name, vhd_set_keyhash(&image.vhd, &keyhash));
	return image_close(&image, err);
}

static int
get_hash(const char *name, struct vhd_keyhash *keyhash)
{
	struct image image;
	int err = open_image(&image, name, false);

	if (err)
		return err;
	err = complain("error reading key hash of", name, vhd_get_keyhash(&image.vhd, keyhash));
	return image_close(&image, err);
}

static int
check(const struct options *options)
{
	const char *name = options->at['n'].text, *file = options->at['k'].text;
	struct vhd_keyhash keyhash;
	uint8_t *key;
	size_t bytes;
	int err = get_hash(name, &keyhash);

	if (err)
		return err;
	err = vhd_util_read_key(file, &key, &bytes);
	if (err)
		return complain("error reading", file, err);
	err = vhd_key_check(&keyhash, key, bytes);
	secret_free(key, KEY_ROOM + 1);
	return complain("not the key of", name, err);
}

static int
print(const struct options *options)
{
	struct vhd_keyhash keyhash;
	int err = get_hash(options->at['n'].text, &keyhash);

	if (err)
		return err;
	if (keyhash.cookie != 1) {
		puts("none");
		return 0;
	}
	vhd_util_put_hex(stdout, keyhash.nonce, sizeof(keyhash.nonce));
	putchar(' ');
	vhd_util_put_hex(stdout, keyhash.hash, sizeof(keyhash.hash));
	putchar('\n');
	return 0;
}

static int
run(const struct options *options)
{
	const struct option_value *at = options->at;
	int chosen = at['C'].given + at['s'].given + at['c'].given + at['p'].given;

	if (chosen != 1 || (!at['C'].given && !at['n'].given) ||
	    ((at['C'].given || at['c'].given) && !at['k'].given) ||
	    (at['s'].given && at['k'].given == at['H'].given) || (at['H'].given && !at['s'].given))
		return options_wrong(&cmd_key);
	if (at['C'].given)
		return compute(options);
	if (at['s'].given)
		return set(options);
	return at['c'].given ? check(options) : print(options);
}

const struct command cmd_key = {
	.name = "key",
	.help = "What an image knows of its key.",
	.rows = rows,
	.run = run,
};
