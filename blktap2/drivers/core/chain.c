/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening and closing the images of a disk.
 *
 * What the user names (a stack) is opened from the bottom up, so that each filter sees the image it
 * sits on; then the parents that the lowest image names are followed downwards.  Parents are always
 * read-only.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "drivers/core/chain.h"
#include "drivers/core/driver-events.h"
#include "drivers/core/image.h"
#include "drivers/core/params.h"
#include "drivers/core/server-internal.h"

static const char *
type_handle(const struct tapdisk_server *server, int type)
{
	const struct tapdisk_type *row = tapdisk_server_type(server, type);

	return row ? row->handle : "?";
}

/* What is wrong with a file, where the number alone would not tell. */
static const char *
explain(const char *name, int err)
{
	struct stat file;

	if (err == -EBUSY)
		return "another disk has it open";
	if (err != -EINVAL || name[0] != '/' || stat(name, &file))
		return strerror(-err);
	if (S_ISDIR(file.st_mode))
		return "it is a directory";
	if (!S_ISREG(file.st_mode) && !S_ISBLK(file.st_mode))
		return "it is neither a regular file nor a block device";
	if (S_ISREG(file.st_mode) && !file.st_size)
		return "it is empty";
	if (S_ISREG(file.st_mode) && file.st_size % DEFAULT_SECTOR_SIZE)
		return "its size is no multiple of 512 bytes";
	return strerror(-err);
}

static int
open_failed(struct chain *chain, const td_image_t *image, int err, struct reason *why)
{
	return reason(why, err, "%s:%s: cannot open: %s", type_handle(chain->server, image->type),
		      image->name, image->core->why ? image->core->why : explain(image->name, err));
}

/* Open image and put it on top of the chain (bottom == false) or below it. */
static int
open_image(struct chain *chain, const struct chain_spec *spec, td_image_t *image, bool bottom,
	   struct reason *why)
{
	const td_disk_info_t *seed = NULL;
	int err;

	if (chain->count == CHAIN_MAX) {
		err = reason(why, -ELOOP, "%s: more than %d images in the chain", image->name,
			     CHAIN_MAX);
		td_image_free(image);
		return err;
	}
	if (!bottom && chain->count)
		seed = &chain->images[0]->info;
	err = td_open(image, seed, spec->key, spec->key_len);
	if (err) {
		open_failed(chain, image, err, why);
		td_image_free(image);
		return err;
	}
	if (bottom) {
		chain->images[chain->count++] = image;
	} else {
		memmove(&chain->images[1], &chain->images[0],
			(size_t)chain->count * sizeof(chain->images[0]));
		chain->images[0] = image;
		chain->count++;
	}
	return 0;
}

static int
open_stack(struct chain *chain, const struct chain_spec *spec, td_flag_t flags, struct reason *why)
{
	struct params params;
	td_image_t *image;
	int err, i;

	err = params_parse(chain->server, spec->params, &params, why);
	for (i = params.count - 1; !err && i >= 0; i--) {
		image = td_image_new(chain->server, params.at[i].type, params.at[i].name, flags);
		err = image ? open_image(chain, spec, image, false, why) : -ENOMEM;
	}
	params_free(&params);
	return err;
}

/* An image that is its own ancestor would be followed for ever. */
static bool
is_loop(const struct chain *chain, const td_image_t *image)
{
	const struct td_driver_core *core = image->driver->core;
	int i;

	for (i = 0; i < chain->count; i++) {
		const struct td_driver_core *other = chain->images[i]->driver->core;

		if (chain->images[i] != image && core->has_inode && other->has_inode &&
		    core->dev == other->dev && core->ino == other->ino)
			return true;
	}
	return false;
}

/* Parents named by image files are files or block devices, whatever else the name may reach. */
static int
check_parent_file(const struct chain *chain, const td_disk_id_t *id, struct reason *why)
{
	struct stat file;

	if (id->name[0] != '/')
		return 0;
	if (stat(id->name, &file))
		return reason(why, -errno, "%s:%s: cannot open the parent of %s: %s",
			      type_handle(chain->server, id->drivertype), id->name,
			      chain->images[chain->count - 1]->name, strerror(errno));
	if (!S_ISREG(file.st_mode) && !S_ISBLK(file.st_mode))
		return reason(why, -EINVAL, "%s: a parent must be a regular file or a block device",
			      id->name);
	return 0;
}

/* Open the parent that the lowest image names, if any: 0, TD_NO_PARENT, or -errno. */
static int
open_parent(struct chain *chain, const struct chain_spec *spec, struct reason *why)
{
	td_flag_t flags = TD_OPEN_RDONLY | TD_OPEN_SHAREABLE |
			  (spec->flags & (TD_OPEN_QUIET | TD_OPEN_STRICT));
	td_image_t *child = chain->images[chain->count - 1];
	td_image_t *image;
	td_disk_id_t id;
	int err;

	if (spec->flags & TD_OPEN_NO_O_DIRECT && !(spec->flags & TD_OPEN_LOCAL_CACHE))
		flags |= TD_OPEN_NO_O_DIRECT;
	err = td_get_parent_id(child, &id);
	if (err == TD_NO_PARENT)
		return err;
	if (err == -EINVAL)
		return reason(why, err, "%s:%s: needs an image below it",
			      type_handle(chain->server, child->type), child->name);
	if (err)
		return reason(why, err, "%s: its parent is not known: %s", child->name,
			      child->driver->core->why ? child->driver->core->why : strerror(-err));
	err = check_parent_file(chain, &id, why);
	if (!err) {
		image = td_image_new(chain->server, id.drivertype, id.name, flags);
		err = image ? open_image(chain, spec, image, true, why) : -ENOMEM;
	}
	free(id.name);
	if (!err && is_loop(chain, chain->images[chain->count - 1]))
		err = reason(why, -ELOOP, "%s: is its own ancestor",
			     chain->images[chain->count - 1]->name);
	return err;
}

/* Join the images, and ask each whether it meant the one below. */
static int
link_images(struct chain *chain, struct reason *why)
{
	td_image_t *image, *below;
	int err, i;

	for (i = 0; i + 1 < chain->count; i++) {
		image = chain->images[i];
		below = chain->images[i + 1];
		image->core->below = below;
		err = td_validate_parent(image, below);
		if (err)
			return reason(why, err, "%s:%s does not belong on %s:%s",
				      type_handle(chain->server, image->type), image->name,
				      type_handle(chain->server, below->type), below->name);
	}
	return 0;
}

/* Put the log of changes on top of the leaf. */
static int
open_log(struct chain *chain, const struct chain_spec *spec, td_flag_t flags, struct reason *why)
{
	const struct tapdisk_type *type = tapdisk_server_log_type(chain->server);
	AUTO_FREE char *name = NULL;
	td_image_t *image;
	int err;

	if (!type)
		return reason(why, -EOPNOTSUPP, "%s: a log of changed blocks is not supported",
			      spec->params);
	if (asprintf(&name, "%s%s", spec->log_path ? TD_CHANGE_LOG_FILE : "",
		     spec->log_path ? spec->log_path : chain_leaf(chain)->name) < 0)
		return -ENOMEM;
	image = td_image_new(chain->server, type->number, name, flags | TD_OPEN_ADD_LOG);
	err = image ? open_image(chain, spec, image, false, why) : -ENOMEM;
	chain->log_refused = err != 0;
	return err;
}

static int
open_all(struct chain *chain, const struct chain_spec *spec, struct reason *why)
{
	const td_flag_t inherited = TD_OPEN_QUIET | TD_OPEN_STRICT | TD_OPEN_SHAREABLE |
				    TD_OPEN_NO_O_DIRECT | TD_OPEN_RDONLY;
	td_flag_t flags = spec->flags & inherited;
	int err;

	if (chain->read_only)
		flags |= TD_OPEN_RDONLY;
	err = open_stack(chain, spec, flags, why);
	while (!err)
		err = open_parent(chain, spec, why);
	if (err == TD_NO_PARENT)
		err = spec->flags & TD_OPEN_ADD_LOG ? open_log(chain, spec, flags, why) : 0;
	if (!err)
		err = link_images(chain, why);
	return err;
}

static int
close_images(struct chain *chain, struct reason *why)
{
	int err, first = 0, i;

	for (i = 0; i < chain->count; i++) {
		err = td_close(chain->images[i]);
		if (err && !first)
			first = reason(why, err, "%s: closing failed: %s", chain->images[i]->name,
				       strerror(-err));
		td_image_free(chain->images[i]);
	}
	chain->count = 0;
	return first;
}

static bool
refuses_writing(int err)
{
	return err == -EROFS || err == -EACCES || err == -EPERM;
}

/* What a chain may be asked for, but drivers of this build cannot give: 0 or -EOPNOTSUPP. */
static int
check_features(const struct chain_spec *spec, struct reason *why)
{
	if (spec->flags & TD_OPEN_VHD_INDEX)
		return reason(why, -EOPNOTSUPP, "%s: an index of images is not supported",
			      spec->params);
	if (spec->flags & TD_OPEN_REUSE_PARENT)
		return reason(why, -EOPNOTSUPP,
			      "%s: a parent served by another disk is not supported", spec->params);
	if (spec->flags & TD_OPEN_SECONDARY)
		return reason(why, -EOPNOTSUPP, "%s: a secondary image is not supported",
			      spec->params);
	if (spec->flags & (TD_OPEN_ADD_CACHE | TD_OPEN_LOCAL_CACHE))
		tlog(tapdisk_server_log(spec->server), LOG_NOTICE,
		     "%s: no read cache is built in: opened without", spec->params);
	return 0;
}

int
chain_open(struct chain **out, const struct chain_spec *spec, struct reason *why)
{
	int err = check_features(spec, why);
	struct chain *chain;

	if (err)
		return err;
	chain = calloc(1, sizeof(*chain));
	if (!chain)
		return -ENOMEM;
	chain->server = spec->server;
	chain->read_only = spec->flags & TD_OPEN_RDONLY;
	err = open_all(chain, spec, why);
	/* Hotplug scripts never ask for a read-only disk, so the storage decides (info says so). */
	if (refuses_writing(err) && !chain->read_only && !chain->log_refused) {
		close_images(chain, NULL);
		chain->read_only = true;
		err = open_all(chain, spec, why);
		if (!err)
			tlog(tapdisk_server_log(spec->server), LOG_NOTICE,
			     "%s: cannot be written: opened read-only", spec->params);
	}
	if (err) {
		close_images(chain, NULL);
		free(chain);
		return err;
	}
	*out = chain;
	return 0;
}

int
chain_close(struct chain *chain, struct reason *why)
{
	int err = close_images(chain, why);

	free(chain);
	return err;
}

int
chain_max_secs(const struct chain *chain)
{
	int i;

	for (i = 0; i < chain->count; i++)
		if (!(chain->images[i]->driver->ops->flags & TD_DISK_BIG_REQUESTS))
			return TD_MAX_REQUEST_SECS;
	return TD_MAX_RANGE_SECS;
}

int
chain_data(const struct chain *chain)
{
	int i = 0;

	while (i + 1 < chain->count && chain->images[i]->driver->ops->flags & TD_DISK_FILTER)
		i++;
	return i;
}

int
chain_resize(struct chain *chain, td_sector_t sectors)
{
	const int data = chain_data(chain);
	td_image_t *image;
	int err = 0, i;

	for (i = 0; i <= data; i++)
		if (!chain->images[i]->driver->ops->td_resize)
			return -EOPNOTSUPP;
	for (i = data; i >= 0 && !err; i--) {
		image = chain->images[i];
		err = image->driver->ops->td_resize(image->driver, sectors);
		image->info = image->driver->info;
		sectors = image->info.size;
	}
	return err;
}

void
chain_arm(struct chain *chain)
{
	int i;

	loop_forget_files(chain->server->loop);
	for (i = 0; !chain->armed && i < chain->count; i++)
		td_driver_arm(chain->images[i]->driver);
	chain->armed = true;
}

void
chain_disarm(struct chain *chain)
{
	int i;

	for (i = 0; chain->armed && i < chain->count; i++)
		td_driver_disarm(chain->images[i]->driver);
	chain->armed = false;
}

/* How many chains have an instance is known to the workers only, who open and close them. */
bool
chain_is_busy(const struct chain *chain)
{
	td_driver_t *driver;
	int i;

	for (i = 0; i < chain->count; i++) {
		driver = chain->images[i]->driver;
		if (!driver->core->served && driver->ops->td_is_busy &&
		    driver->ops->td_is_busy(driver))
			return true;
	}
	return false;
}
