/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhd: reads.  What this image has is read, in one operation for each run that is contiguous in the
 * file; what it does not have goes down the chain.
 */
#include <errno.h>
#include <string.h>

#include "drivers/block-vhd.h"

static void
read_done(void *arg, struct tiocb *tiocb, int err)
{
	(void)tiocb;
	vd_finish(arg, err);
}

static void
read_data(struct vd_state *vd, const td_request_t *run, uint64_t offset)
{
	struct vd_request *request = vd_take_request(vd, run);

	if (!request) {
		td_complete_request(*run, -EBUSY);
		return;
	}
	vd_transfer(request, offset, read_done);
}

/* The bitmap is there, or could not be read. */
static void
read_again(struct vd_request *request, int err)
{
	td_request_t treq = request->treq;
	td_driver_t *driver = request->vd->driver;

	if (err) {
		vd_finish(request, err);
		return;
	}
	vd_give_request(request);
	vd_queue_read(driver, treq);
}

static void
read_unknown(struct vd_state *vd, const td_request_t *run)
{
	struct vd_request *request = vd_take_request(vd, run);
	struct vd_block *block = NULL;

	if (request)
		block = vd_block_get(vd, (uint32_t)(run->sec >> vd->spb_shift));
	if (!block) {
		if (request)
			vd_give_request(request);
		td_complete_request(*run, -EBUSY);
		return;
	}
	request->go = read_again;
	vd_block_wait(block, request);
}

static void
read_run(struct vd_state *vd, enum vd_kind kind, const td_request_t *run, uint64_t offset)
{
	switch (kind) {
	case VD_ABSENT:
		td_forward_request(*run);
		break;
	case VD_DATA:
		read_data(vd, run, offset);
		break;
	case VD_ZERO:
		memset(run->buf, 0, (size_t)run->secs << SECTOR_SHIFT);
		td_complete_request(*run, 0);
		break;
	case VD_UNKNOWN:
		read_unknown(vd, run);
		break;
	}
}

/* Runs of absent sectors that follow each other go down as one. */
void
vd_queue_read(td_driver_t *driver, td_request_t treq)
{
	struct vd_state *vd = driver->data;
	td_request_t run = treq;
	uint64_t offset = 0;
	enum vd_kind kind;
	int left = treq.secs, secs;

	run.secs = 0;
	while (left) {
		secs = left;
		kind = vd_lookup(vd, treq.sec, &secs, &offset);
		left -= secs;
		treq.sec += (td_sector_t)secs;
		if (kind == VD_ABSENT && left) {
			run.secs += secs;
			continue;
		}
		if (kind == VD_ABSENT) {
			run.secs += secs;
			secs = run.secs;
		} else if (run.secs) {
			read_run(vd, VD_ABSENT, &run, 0);
			run.sec += (td_sector_t)run.secs;
			run.buf += (size_t)run.secs << SECTOR_SHIFT;
		}
		run.secs = secs;
		read_run(vd, kind, &run, offset);
		run.sec += (td_sector_t)secs;
		run.buf += (size_t)secs << SECTOR_SHIFT;
		run.secs = 0;
	}
}
