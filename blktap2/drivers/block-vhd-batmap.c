/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: the batmap, which calls blocks full whose bitmaps need not be read.
 *
 * It is read at open and written at close.  In between a block that is full in the file's batmap
 * may lose sectors, by a discard, and the batmap must not say otherwise after a power cut.  So
 * before the first bit is cleared the whole map becomes zero, durably: once for each time that the
 * image is open.  Header and map are written together.  While only a part is in the file, the
 * checksum is wrong and nobody believes the map; or the part of it that is left is right still.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "drivers/block-vhd.h"
#include "vhd/lib/batmap.h"

static size_t
map_bytes(const struct vd_state *vd)
{
	return (size_t)vd->image.batmap.batmap_size << VHD_SECTOR_SHIFT;
}

static void
pack_header(struct vd_state *vd, const uint8_t *map, uint8_t raw[VHD_BATMAP_HEADER_BYTES])
{
	vhd_batmap_header_t *header = &vd->image.batmap;

	header->checksum =
		vhd_batmap_sum(header, vd->image.footer.current_size, map, map_bytes(vd));
	vhd_batmap_header_pack(header, raw);
}

int
vd_batmap_read(struct vd_state *vd, struct io *io)
{
	AUTO_FREE uint8_t *map = NULL;
	uint32_t i;
	int err;

	err = vhd_image_read_batmap(io, &vd->image, &map, NULL);
	if (err)
		return err == -ENOENT || err == -EINVAL ? 0 : err;
	if (!vhd_bits_none(map, 0, vd->image.layout.entries))
		vd->batmap.state = VD_BATMAP_PROMISES;
	for (i = 0; i < vd->image.layout.entries; i++)
		if (vd->map[i].inverted && vhd_bits_test(map, i))
			vd->map[i].slot = VD_SLOT_FULL;
	return 0;
}

int
vd_batmap_write(struct vd_state *vd)
{
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];
	AUTO_FREE uint8_t *map = NULL;
	uint32_t i;
	int err;

	if (!vd->image.has_batmap)
		return 0;
	map = calloc(1, map_bytes(vd));
	if (!map)
		return -ENOMEM;
	for (i = 0; i < vd->image.layout.entries; i++)
		if (vd->map[i].slot == VD_SLOT_FULL)
			vhd_bits_set(map, i);
	pack_header(vd, map, raw);
	err = io_write_at(vd->io, map, map_bytes(vd), vd->image.batmap.batmap_offset);
	return err ? err
		   : io_write_at(vd->io, raw, sizeof(raw), vhd_batmap_header_at(&vd->image.layout));
}

/* ---- taking it back -----------------------------------------------------------------------------
 */

static void start_sync(struct vd_state *vd);

static void
end_taking_back(struct vd_state *vd)
{
	struct vd_batmap *batmap = &vd->batmap;
	struct vd_request *request = vd_queue_take(&batmap->waiters), *next;
	int err = batmap->err;

	free(batmap->raw);
	batmap->raw = NULL;
	batmap->state = err ? VD_BATMAP_PROMISES : VD_BATMAP_EMPTY;
	for (; request; request = next) {
		next = request->next;
		request->go(request, err);
	}
}

static void
step_done(void *arg, struct tiocb *tiocb, int err)
{
	struct vd_state *vd = arg;
	struct vd_batmap *batmap = &vd->batmap;

	(void)tiocb;
	if (err && !batmap->err)
		batmap->err = err;
	if (--batmap->pending)
		return;
	if (batmap->err || batmap->state == VD_BATMAP_SYNC)
		end_taking_back(vd);
	else
		start_sync(vd);
}

static void
start_sync(struct vd_state *vd)
{
	struct vd_batmap *batmap = &vd->batmap;

	batmap->state = VD_BATMAP_SYNC;
	batmap->pending = 1;
	td_prep_fsync(&batmap->tiocbs[0], vd->file.fd, step_done, vd);
	vd_queue_tiocb(vd, &batmap->tiocbs[0]);
}

static int
start_clearing(struct vd_state *vd)
{
	struct vd_batmap *batmap = &vd->batmap;
	size_t bytes = map_bytes(vd);
	uint8_t *map;
	void *raw;

	if (posix_memalign(&raw, 4096, VHD_BATMAP_HEADER_BYTES + bytes))
		return -ENOMEM;
	batmap->raw = raw;
	map = batmap->raw + VHD_BATMAP_HEADER_BYTES;
	memset(map, 0, bytes);
	pack_header(vd, map, batmap->raw);
	batmap->state = VD_BATMAP_CLEARING;
	batmap->err = 0;
	batmap->pending = 2;
	td_prep_write(&batmap->tiocbs[0], vd->file.fd, (char *)batmap->raw, VHD_BATMAP_HEADER_BYTES,
		      (long long)vhd_batmap_header_at(&vd->image.layout), step_done, vd);
	td_prep_write(&batmap->tiocbs[1], vd->file.fd, (char *)map, bytes,
		      (long long)vd->image.batmap.batmap_offset, step_done, vd);
	vd_queue_tiocb(vd, &batmap->tiocbs[0]);
	vd_queue_tiocb(vd, &batmap->tiocbs[1]);
	return 0;
}

int
vd_batmap_take_back(struct vd_state *vd, struct vd_request *request)
{
	int err = 0;

	if (vd->batmap.state == VD_BATMAP_EMPTY)
		return 0;
	if (vd->batmap.state == VD_BATMAP_PROMISES)
		err = start_clearing(vd);
	if (err)
		return err;
	vd_queue_add(&vd->batmap.waiters, request);
	return VD_WAITS;
}
