/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lvm-util: what the library has understood of a volume group.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lvm/lvm-util.h"

static void
print_vg(const struct vg *vg)
{
	const struct lv_segment *first;
	int i;

	printf("vg %s: extent_size: %" PRIu64 ", pvs: %d, lvs: %d\n", vg->name, vg->extent_size,
	       vg->pv_cnt, vg->lv_cnt);
	for (i = 0; i < vg->pv_cnt; i++)
		printf("pv %s: start %" PRIu64 "\n", vg->pvs[i].name, vg->pvs[i].start);
	for (i = 0; i < vg->lv_cnt; i++) {
		first = &vg->lvs[i].first_segment;
		printf("lv %s: size: %" PRIu64 ", segments: %" PRIu64
		       ", type: %d, dev: %s, pe_start: %" PRIu64 ", pe_size: %" PRIu64 "\n",
		       vg->lvs[i].name, vg->lvs[i].size, vg->lvs[i].segments, first->type,
		       first->device, first->pe_start, first->pe_size);
	}
}

int
main(int argc, char **argv)
{
	struct reason why = { "" };
	struct vg vg;
	bool help;
	int err;

	help = argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0);
	if (help || argc != 2) {
		fprintf(help ? stdout : stderr, "usage: lvm-util <vgname>\n");
		return help ? 0 : EINVAL;
	}
	err = lvm_scan_vg(argv[1], &vg, &why);
	if (err) {
		fprintf(stderr, "lvm-util: %s\n", why.text);
		return -err;
	}
	print_vg(&vg);
	lvm_free_vg(&vg);
	if (fflush(stdout) || ferror(stdout)) {
		perror("lvm-util");
		return EIO;
	}
	return 0;
}
