/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A volume group, as vgs(8) and lvs(8) describe it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "lvm/command.h"
#include "lvm/lvm-parse.h"
#include "lvm/lvm-util.h"

static int
scan_pvs(struct vg *vg, struct reason *why)
{
	char *argv[] = { "vgs",
			 vg->name,
			 "--noheadings",
			 "--nosuffix",
			 "--units=b",
			 "--options=vg_name,vg_extent_size,lv_count,pv_count,pv_name,pe_start",
			 "--unbuffered",
			 NULL };
	AUTO_FREE char *output = NULL;
	int err = command_output(argv, &output, why);

	return err ? err : lvm_parse_pvs(vg, output, why);
}

static int
scan_lvs(struct vg *vg, struct reason *why)
{
	char *argv[] = { "lvs",
			 vg->name,
			 "--noheadings",
			 "--nosuffix",
			 "--units=b",
			 "--options=lv_name,lv_size,segtype,seg_count,seg_start,seg_size,devices",
			 "--unbuffered",
			 NULL };
	AUTO_FREE char *output = NULL;
	int err = command_output(argv, &output, why);

	return err ? err : lvm_parse_lvs(vg, output, why);
}

int
lvm_scan_vg(const char *name, struct vg *vg, struct reason *why)
{
	int err;

	*vg = (struct vg){ 0 };
	if (!lvm_is_name(name))
		return reason(why, -EINVAL, "%s: not the name of a volume group", name);
	vg->name = strdup(name);
	if (!vg->name)
		return reason(why, -ENOMEM, "%s: %s", name, strerror(ENOMEM));
	err = scan_pvs(vg, why);
	if (!err)
		err = scan_lvs(vg, why);
	if (err == -ENOMEM)
		reason(why, err, "%s: %s", name, strerror(ENOMEM));
	if (err)
		lvm_free_vg(vg);
	return err;
}

void
lvm_free_vg(struct vg *vg)
{
	int i;

	for (i = 0; i < vg->pv_cnt; i++)
		free(vg->pvs[i].name);
	for (i = 0; i < vg->lv_cnt; i++) {
		free(vg->lvs[i].name);
		free(vg->lvs[i].first_segment.device);
	}
	free(vg->pvs);
	free(vg->lvs);
	free(vg->name);
	*vg = (struct vg){ 0 };
}

int
lvm_first_bytes(const struct vg *vg, const struct lv *lv, const char **device, uint64_t *offset)
{
	const struct lv_segment *segment = &lv->first_segment;
	uint64_t extents;
	int i;

	for (i = 0; segment->type == LVM_SEG_TYPE_LINEAR && i < vg->pv_cnt; i++) {
		if (strcmp(vg->pvs[i].name, segment->device) != 0)
			continue;
		if (checked_mul(segment->pe_start, vg->extent_size, &extents) ||
		    checked_add(extents, vg->pvs[i].start, offset) || *offset > INT64_MAX)
			return -ENOTSUP;
		*device = vg->pvs[i].name;
		return 0;
	}
	return -ENOTSUP;
}
