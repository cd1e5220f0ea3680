/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the parent.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "vhd/lib/locator.h"
#include "vhd/lib/parent.h"

struct search {
	const struct vhd_parent_judge *judge;
	char *folders[2]; /* owned; of the child: canonical, as given (NULL: the same) */
	char *found;      /* owned */
	int refusal;      /* the first that says more than -ENOENT */
};

bool
vhd_uuid_is_zero(const vhd_uuid_t *uuid)
{
	static const vhd_uuid_t zero;

	return memcmp(uuid, &zero, sizeof(zero)) == 0;
}

bool
vhd_parent_is_raw(const vhd_footer_t *footer, const vhd_header_t *header)
{
	return footer->type == VHD_TYPE_DIFFERENCING && vhd_uuid_is_zero(&header->parent_uuid);
}

/* ---- paths --------------------------------------------------------------------------------------
 */

/* "folder/" of "folder/name", "./" of "name"; NULL: memory is short. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("./");
}

static int
canonical_folder(const char *path, char **canonical)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = folder_of(path);
	AUTO_FREE char *real = NULL;

	if (!folder)
		return -ENOMEM;
	real = realpath(folder, NULL);
	if (!real)
		return -errno;
	if (asprintf(canonical, "%s/%s", strcmp(real, "/") ? real : "", slash ? slash + 1 : path) <
	    0)
		return -ENOMEM;
	return 0;
}

int
vhd_canonical_path(const char *path, char **canonical)
{
	struct stat found;
	char *real;

	if (stat(path, &found))
		return -errno;
	if (S_ISBLK(found.st_mode))
		return canonical_folder(path, canonical);
	real = realpath(path, NULL);
	if (!real)
		return -errno;
	*canonical = real;
	return 0;
}

int
vhd_canonical_new_path(const char *path, char **canonical)
{
	int err = vhd_canonical_path(path, canonical);

	return err == -ENOENT ? canonical_folder(path, canonical) : err;
}

/* ---- candidates ---------------------------------------------------------------------------------
 */

/* 0: found.  -ENOENT: look further.  -ENOMEM. */
static int
try_path(struct search *search, const char *path)
{
	int err = search->judge->accept(search->judge->arg, path);

	if (err) {
		if (err != -ENOENT && err != -ENOTDIR && !search->refusal)
			search->refusal = err;
		return err == -ENOMEM ? err : -ENOENT;
	}
	search->found = strdup(path);
	return search->found ? 0 : -ENOMEM;
}

static int
try_in_folders(struct search *search, const char *name)
{
	int i, err = -ENOENT;

	while (*name == '/')
		name++;
	if (!*name)
		return -ENOENT;
	for (i = 0; i < 2 && err == -ENOENT; i++) {
		AUTO_FREE char *path = NULL;

		if (!search->folders[i])
			continue;
		if (asprintf(&path, "%s%s", search->folders[i], name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		err = try_path(search, path);
	}
	return err;
}

static int
try_name(struct search *search, const char *name)
{
	int err = -ENOENT;

	if (*name == '/')
		err = try_path(search, name);
	return err == -ENOENT ? try_in_folders(search, name) : err;
}

/* An escape in a URL counts only when no file has the name as it stands. */
static int
try_locator(struct search *search, uint32_t code, char *name)
{
	int err = try_name(search, name);

	if (err != -ENOENT || code != VHD_PLATFORM_MACX || !strchr(name, '%'))
		return err;
	vhd_percent_decode(name);
	return try_name(search, name);
}

int
vhd_locator_read(struct io *io, const vhd_parent_locator_t *locator, unsigned index,
		 uint64_t file_bytes, char **path, struct reason *why)
{
	AUTO_FREE uint8_t *data = NULL;
	int err;

	err = vhd_locator_check(locator, index, file_bytes, why);
	if (err)
		return err;
	if (!vhd_platform_is_path(locator->code) || locator->data_length > VHD_LOCATOR_MAX_PATH)
		return reason(why, -EINVAL, "locator %u: names no path", index);
	data = malloc(locator->data_length + 1ul);
	if (!data)
		return -ENOMEM;
	err = io_read_at(io, data, locator->data_length, locator->data_offset);
	if (err)
		return reason(why, err, "locator %u: cannot be read: %s", index, strerror(-err));
	err = vhd_locator_decode(locator->code, data, locator->data_length, path);
	return err ? reason(why, err, "locator %u: names no path", index) : 0;
}

/* Locators that make no sense are passed over, as others may. */
static int
try_locators(struct search *search, struct io *io, const vhd_header_t *header)
{
	const vhd_parent_locator_t *locator;
	uint64_t file_bytes;
	unsigned i;
	int err;

	err = io_size(io, &file_bytes);
	if (err)
		return err;
	for (i = 0; i < VHD_LOCATORS; i++) {
		AUTO_FREE char *name = NULL;

		locator = &header->locator[i];
		if (!vhd_platform_is_path(locator->code))
			continue;
		err = vhd_locator_read(io, locator, i, file_bytes, &name, NULL);
		if (err == -EINVAL)
			continue;
		if (!err)
			err = try_locator(search, locator->code, name);
		if (err != -ENOENT)
			return err;
	}
	return -ENOENT;
}

static int
try_header_name(struct search *search, const vhd_header_t *header)
{
	AUTO_FREE char *name = NULL;
	const char *slash;
	int err;

	err = vhd_parent_name_decode(header->parent_name, &name);
	if (err)
		return err == -EINVAL ? -ENOENT : err;
	slash = strrchr(name, '/');
	return try_in_folders(search, slash ? slash : name);
}

static int
begin_search(struct search *search, const char *child_path)
{
	AUTO_FREE char *canonical = NULL;
	int err;

	err = vhd_canonical_path(child_path, &canonical);
	if (err)
		return err;
	search->folders[0] = folder_of(canonical);
	search->folders[1] = folder_of(child_path);
	if (!search->folders[0] || !search->folders[1])
		return -ENOMEM;
	if (strcmp(search->folders[0], search->folders[1]) == 0) {
		free(search->folders[1]);
		search->folders[1] = NULL;
	}
	return 0;
}

static int
end_search(struct search *search, int err, char **path)
{
	free(search->folders[0]);
	free(search->folders[1]);
	if (err == -ENOENT && search->refusal)
		err = search->refusal;
	if (!err)
		*path = search->found;
	return err;
}

int
vhd_parent_find_name(const char *name, const char *child_path, const struct vhd_parent_judge *judge,
		     char **path)
{
	struct search search = { .judge = judge };
	int err;

	err = begin_search(&search, child_path);
	if (!err)
		err = try_name(&search, name);
	return end_search(&search, err, path);
}

int
vhd_parent_find(struct io *io, const vhd_header_t *header, const char *child_path,
		const struct vhd_parent_judge *judge, char **path, struct reason *why)
{
	struct search search = { .judge = judge };
	int err;

	err = begin_search(&search, child_path);
	if (!err)
		err = try_locators(&search, io, header);
	if (err == -ENOENT)
		err = try_header_name(&search, header);
	err = end_search(&search, err, path);
	return err ? reason(why, err, "parent: %s", strerror(-err)) : 0;
}
