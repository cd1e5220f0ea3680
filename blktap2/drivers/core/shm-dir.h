/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Directories of pages that readers map.  They lie in a place that everybody may write, so nothing
 * there is trusted that this process has not made itself.
 */
#ifndef CORE_SHM_DIR_H
#define CORE_SHM_DIR_H

#include <stddef.h>

#define SHM_PAGE_BYTES 4096

struct shm_dir;

/*
 * The directory name below root, closed to others: made, or emptied when an earlier process has
 * left it.  root is borrowed.  NULL: errno.
 */
struct shm_dir *shm_dir_new(const char *root, const char *name);
void shm_dir_free(struct shm_dir *dir); /* removes it and all that is in it; NULL is fine */

/* A new page of zeroes, in the place of any that was called so.  NULL: there is no room. */
void *shm_map(struct shm_dir *dir, const char *name);
void shm_unmap(void *page); /* the file stays; NULL is fine */

/* Put a file of these bytes in the place of name, at one stroke.  0 or -errno. */
int shm_dir_replace(struct shm_dir *dir, const char *name, const void *data, size_t bytes);

void shm_dir_remove(struct shm_dir *dir, const char *name);

#endif
