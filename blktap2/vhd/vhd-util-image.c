/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening and closing images for commands, and what may be made in the place of what.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "vhd/lib/context.h"
#include "vhd/lib/view.h"
#include "vhd/vhd-util.h"

#define OPEN_TRIES 10
#define OPEN_PAUSE_MS 1000

/* A path to a disk may come back. */
static int
open_patiently(vhd_context_t *vhd, const char *name, int flags)
{
	int err, tries;

	for (tries = 1;; tries++) {
		err = vhd_open(vhd, name, flags);
		if (err != -EIO || tries == OPEN_TRIES || vhd_util_interrupted())
			return err;
		poll(NULL, 0, OPEN_PAUSE_MS);
	}
}

int
image_peek(struct image *image, const char *name, int flags)
{
	memset(image, 0, sizeof(*image));
	image->name = name;
	image->lock = -1;
	return vhd_util_failed_open(name, open_patiently(&image->vhd, name, flags));
}

int
image_open(struct image *image, const char *name, int flags, enum image_lock_mode mode)
{
	int lock, err = image_lock(name, mode, &lock);

	if (err)
		return vhd_util_failed_open(name, err);
	err = image_peek(image, name, flags);
	if (err) {
		image_unlock(lock);
		return err;
	}
	image->lock = lock;
	return 0;
}

int
image_close(struct image *image, int err)
{
	int closed = vhd_close(&image->vhd);

	image_unlock(image->lock);
	return err ? err : vhd_util_failed("closing", image->name, closed);
}

/* ---- what is there already --------------------------------------------------------------------
 */

static bool
is_image(const char *name)
{
	struct vhd_view view;
	bool is;

	if (vhd_view_open(&view, name))
		return false;
	is = view.chosen != NULL;
	vhd_view_close(&view);
	return is;
}

int
image_may_replace(const char *name, bool force, int *lock)
{
	struct stat file;

	*lock = -1;
	if (stat(name, &file))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(file.st_mode))
		return -EISDIR;
	if (!S_ISBLK(file.st_mode) && !S_ISREG(file.st_mode))
		return -EINVAL;
	if (S_ISREG(file.st_mode) && file.st_size && !force && !is_image(name))
		return -EEXIST;
	return image_lock(name, IMAGE_LOCK_EXCLUSIVE, lock);
}

static bool
is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

bool
image_in_chain(const char *path, const char *name)
{
	AUTO_FREE char *at = strdup(path);
	int depth;

	for (depth = 0; at && depth < VHD_CHAIN_MAX; depth++) {
		char *parent = NULL;
		vhd_context_t vhd;

		if (is_same_file(at, name))
			return true;
		if (vhd_open(&vhd, at, VHD_OPEN_RDONLY | VHD_OPEN_IGNORE_DISABLED))
			return false;
		if (vhd.footer.type == VHD_TYPE_DIFFERENCING)
			vhd_parent_locator_get(&vhd, &parent);
		vhd_close(&vhd);
		free(at);
		at = parent;
	}
	return false;
}

/* ---- keys -------------------------------------------------------------------------------------
 */

static int
read_some(int fd, uint8_t *to, size_t room, size_t *bytes)
{
	ssize_t n;

	for (*bytes = 0; *bytes < room; *bytes += (size_t)n) {
		n = read(fd, to + *bytes, room - *bytes);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
	}
	return 0;
}

int
vhd_util_read_key(const char *file, uint8_t **key, size_t *bytes)
{
	AUTO_CLOSE int opened = -1;
	uint8_t *raw;
	int err;

	if (file) {
		opened = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (opened < 0)
			return -errno;
	}
	raw = secret_new(KEY_ROOM + 1);
	if (!raw)
		return -ENOMEM;
	err = read_some(file ? opened : STDIN_FILENO, raw, KEY_ROOM + 1, bytes);
	if (!err && *bytes != 32 && *bytes != 64)
		err = -EINVAL;
	if (err) {
		secret_free(raw, KEY_ROOM + 1);
		return err;
	}
	*key = raw;
	return 0;
}

/* ---- failing on request -----------------------------------------------------------------------
 */

int
vhd_util_test_point(void *arg, enum vhd_point point)
{
	static const char *const names[] = {
		[VHD_POINT_REPARENT_BEGIN] = "VHD_UTIL_TEST_FAIL_REPARENT_BEGIN",
		[VHD_POINT_REPARENT_LOCATOR] = "VHD_UTIL_TEST_FAIL_REPARENT_LOCATOR",
		[VHD_POINT_REPARENT_END] = "VHD_UTIL_TEST_FAIL_REPARENT_END",
		[VHD_POINT_RESIZE_BEGIN] = "VHD_UTIL_TEST_FAIL_RESIZE_BEGIN",
		[VHD_POINT_RESIZE_DATA_MOVED] = "VHD_UTIL_TEST_FAIL_RESIZE_DATA_MOVED",
		[VHD_POINT_RESIZE_METADATA_MOVED] = "VHD_UTIL_TEST_FAIL_RESIZE_METADATA_MOVED",
		[VHD_POINT_RESIZE_END] = "VHD_UTIL_TEST_FAIL_RESIZE_END",
	};

	(void)arg;
	if (!secure_getenv(names[point]))
		return 0;
	printf("Failing at %s\n", names[point]);
	fflush(stdout);
	_exit(EINVAL); /* as a crash would: nothing is put in order */
}
