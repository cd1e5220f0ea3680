/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far down a chain a read went the last time.
 */
#include <sys/mman.h>

#include "drivers/core/shortcuts.h"

#define ROWS (1u << 18) /* 1 GiB of the disk in 4 MiB of memory */

struct shortcuts {
	struct {
		td_sector_t page_after; /* the page, and 1: 0 is an empty row */
		td_image_t *image;      /* borrowed: of the chain */
	} rows[ROWS];
};

struct shortcuts *
shortcuts_new(void)
{
	void *memory = mmap(NULL, sizeof(struct shortcuts), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void
shortcuts_free(struct shortcuts *shortcuts)
{
	if (shortcuts)
		munmap(shortcuts, sizeof(*shortcuts));
}

td_image_t *
shortcuts_find(const struct shortcuts *shortcuts, td_sector_t page)
{
	uint32_t row = page % ROWS;

	return shortcuts->rows[row].page_after == page + 1 ? shortcuts->rows[row].image : NULL;
}

void
shortcuts_note(struct shortcuts *shortcuts, td_sector_t page, td_image_t *image)
{
	uint32_t row = page % ROWS;

	shortcuts->rows[row].page_after = page + 1;
	shortcuts->rows[row].image = image;
}
