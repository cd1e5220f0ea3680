/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver instances: opening, sharing and closing them.
 *
 * Chains are opened on worker threads, so the list of instances has a lock.  An instance that is
 * being opened is already in the list: a second disk that may share it waits for the outcome.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/image-lock.h"
#include "drivers/core/driver-events.h"
#include "drivers/core/image.h"
#include "drivers/core/list.h"
#include "drivers/core/server-internal.h"

/* ---- images -----------------------------------------------------------------------------------
 */

td_image_t *
td_image_new(struct tapdisk_server *server, int type, const char *name, td_flag_t flags)
{
	td_image_t *image = calloc(1, sizeof(*image));

	if (!image)
		return NULL;
	image->type = type;
	image->flags = flags;
	image->name = strdup(name);
	image->core = calloc(1, sizeof(*image->core));
	if (!image->name || !image->core) {
		td_image_free(image);
		return NULL;
	}
	image->core->server = server;
	return image;
}

void
td_image_free(td_image_t *image)
{
	if (!image)
		return;
	if (image->core)
		free(image->core->why);
	free(image->core);
	free(image->name);
	free(image);
}

/* ---- instances --------------------------------------------------------------------------------
 */

static void
driver_free(td_driver_t *driver)
{
	if (!driver)
		return;
	if (driver->core) {
		image_unlock(driver->core->lock_fd);
		driver_events_free(driver);
		free(driver->core->why);
	}
	free(driver->core);
	free(driver->data);
	free(driver->name);
	free(driver);
}

static td_driver_t *
driver_new(td_image_t *image, const struct tap_disk *ops)
{
	td_driver_t *driver = calloc(1, sizeof(*driver));
	size_t private = ops->private_data_size > 0 ? (size_t)ops->private_data_size : 1;

	if (!driver)
		return NULL;
	driver->type = image->type;
	driver->ops = ops;
	driver->name = strdup(image->name);
	driver->data = calloc(1, private);
	driver->core = calloc(1, sizeof(*driver->core));
	if (!driver->name || !driver->data || !driver->core) {
		driver_free(driver);
		return NULL;
	}
	driver->core->server = image->core->server;
	driver->core->quiet = image->flags & TD_OPEN_QUIET;
	driver->core->lock_fd = -1;
	if (image->flags & TD_OPEN_RDONLY)
		driver->state |= TD_DRIVER_RDONLY;
	return driver;
}

/* ---- sharing ----------------------------------------------------------------------------------
 */

static bool
is_singleton(const td_image_t *image)
{
	const struct tapdisk_type *type = tapdisk_server_type(image->core->server, image->type);

	return type && type->singleton;
}

/* An instance with a key is that of the disk which has the key. */
static bool
may_share(const td_image_t *image, const uint8_t *key)
{
	return is_singleton(image) ||
	       (image->flags & TD_OPEN_SHAREABLE && image->flags & TD_OPEN_RDONLY && !key);
}

/* May image use driver?  driver_lock is held. */
static bool
matches(const td_image_t *image, const td_driver_t *driver, const struct stat *file)
{
	if (driver->type != image->type || !driver->core->shared)
		return false;
	if (is_singleton(image))
		return !(driver->ops->flags & TD_DISK_PER_NAME) ||
		       strcmp(driver->name, image->name) == 0;
	if (!(driver->state & TD_DRIVER_RDONLY))
		return false;
	return file && driver->core->has_inode && driver->core->dev == file->st_dev &&
	       driver->core->ino == file->st_ino;
}

static td_driver_t *
find_shared(const td_image_t *image, const struct stat *file)
{
	struct list_head *at;
	td_driver_t *driver;

	list_for_each(at, &image->core->server->drivers)
	{
		driver = list_entry(at, td_driver_t, next);
		if (matches(image, driver, file))
			return driver;
	}
	return NULL;
}

/*
 * Join an instance that is open, waiting for one that is being opened.  driver_lock is held and
 * dropped while waiting, so the search starts anew.
 */
static int
join_locked(td_image_t *image, const struct stat *file)
{
	struct tapdisk_server *server = image->core->server;
	td_driver_t *driver;

	while ((driver = find_shared(image, file)) && driver->core->opening)
		pthread_cond_wait(&server->driver_opened, &server->driver_lock);
	if (!driver)
		return -ENODEV;
	driver->refcnt++;
	image->driver = driver;
	image->info = driver->info;
	return 0;
}

/* ---- open and close ---------------------------------------------------------------------------
 */

/* What every driver must have said about its image: 0 or -EINVAL. */
static int
check_info(const td_driver_t *driver)
{
	const td_disk_info_t *info = &driver->info;

	if (!info->size || info->size > (uint64_t)INT64_MAX >> SECTOR_SHIFT)
		return -EINVAL;
	if (info->sector_size < DEFAULT_SECTOR_SIZE || info->sector_size > 4096 ||
	    info->sector_size & (info->sector_size - 1))
		return -EINVAL;
	return 0;
}

static int
open_driver(td_driver_t *driver, td_image_t *image)
{
	int err = 0;

	if (!(driver->ops->flags & TD_DISK_FILTER) && !(image->flags & TD_OPEN_QUERY))
		err = image_lock(image->name,
				 image->flags & TD_OPEN_RDONLY ? IMAGE_LOCK_SHARED
							       : IMAGE_LOCK_EXCLUSIVE,
				 &driver->core->lock_fd);
	if (err)
		return err;
	err = driver->ops->td_open(driver, image->name, image->flags);
	if (err)
		return err > 0 ? -err : err;
	err = check_info(driver);
	if (err)
		driver->ops->td_close(driver);
	return err;
}

/* Put a new instance into the list, or join one that somebody else put there first. */
static int
enter_list(td_image_t *image, td_driver_t *driver)
{
	struct tapdisk_server *server = image->core->server;
	struct stat file;
	bool exists = stat(image->name, &file) == 0;
	int err = -ENODEV;

	if (exists) {
		driver->core->has_inode = true;
		driver->core->dev = file.st_dev;
		driver->core->ino = file.st_ino;
	}
	pthread_mutex_lock(&server->driver_lock);
	if (may_share(image, driver->core->key))
		err = join_locked(image, exists ? &file : NULL);
	if (err) {
		driver->core->shared = may_share(image, driver->core->key);
		driver->core->opening = true;
		list_add_tail(&driver->next, &server->drivers);
	}
	pthread_mutex_unlock(&server->driver_lock);
	return err;
}

/* The open has ended: let those who wait for it look again. */
static void
leave_opening(struct tapdisk_server *server, td_driver_t *driver, int err)
{
	pthread_mutex_lock(&server->driver_lock);
	driver->core->opening = false;
	if (err) {
		list_del(&driver->next);
	} else {
		driver->state |= TD_DRIVER_OPEN;
		driver->refcnt = 1;
	}
	pthread_cond_broadcast(&server->driver_opened);
	pthread_mutex_unlock(&server->driver_lock);
}

int
td_open(td_image_t *image, const td_disk_info_t *seed, const uint8_t *key, size_t key_len)
{
	struct tapdisk_server *server = image->core->server;
	const struct tapdisk_type *type = tapdisk_server_type(server, image->type);
	td_driver_t *driver;
	int err;

	if (!type)
		return -ENOENT;
	if (!type->ops)
		return -ENOSYS;
	driver = driver_new(image, type->ops);
	if (!driver)
		return -ENOMEM;
	if (seed)
		driver->info = *seed;
	driver->core->key = key;
	driver->core->key_len = key_len;
	if (enter_list(image, driver) == 0) {
		driver_free(driver);
		return 0;
	}
	err = open_driver(driver, image);
	/* It may outlive the disk that the key is borrowed from. */
	if (driver->core->shared) {
		driver->core->key = NULL;
		driver->core->key_len = 0;
	}
	leave_opening(server, driver, err);
	if (err) {
		free(image->core->why);
		image->core->why = driver->core->why;
		driver->core->why = NULL;
		driver_free(driver);
		return err;
	}
	image->driver = driver;
	image->info = driver->info;
	return 0;
}

int
td_close(td_image_t *image)
{
	struct tapdisk_server *server = image->core->server;
	td_driver_t *driver = image->driver;
	int err = 0;
	bool last;

	if (!driver)
		return -ENODEV;
	image->driver = NULL;
	/* While the last user closes it nobody may join: "opening" makes them wait, then open anew.
	 */
	pthread_mutex_lock(&server->driver_lock);
	last = --driver->refcnt == 0;
	if (last)
		driver->core->opening = true;
	pthread_mutex_unlock(&server->driver_lock);
	if (!last)
		return 0;

	driver->state &= ~(td_flag_t)TD_DRIVER_OPEN;
	err = driver->ops->td_close(driver);
	leave_opening(server, driver, -ENODEV);
	driver_free(driver);
	return err > 0 ? -err : err;
}

/* ---- dispatch ---------------------------------------------------------------------------------
 */

int
td_get_parent_id(td_image_t *image, td_disk_id_t *id)
{
	if (!image->driver)
		return -EBADF;
	if (!(image->driver->state & TD_DRIVER_OPEN))
		return -ENODEV;
	memset(id, 0, sizeof(*id));
	return image->driver->ops->td_get_parent_id(image->driver, id);
}

int
td_validate_parent(td_image_t *image, td_image_t *parent)
{
	if (!image->driver || !parent->driver)
		return -EBADF;
	if (!(image->driver->state & TD_DRIVER_OPEN) || !(parent->driver->state & TD_DRIVER_OPEN))
		return -ENODEV;
	return image->driver->ops->td_validate_parent(image->driver, parent->driver, image->flags);
}

void
td_debug(td_image_t *image)
{
	if (image->driver && image->driver->ops->td_debug)
		image->driver->ops->td_debug(image->driver);
}
