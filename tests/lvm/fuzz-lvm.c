/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vgs and lvs may say: the first byte says which of them, the rest is the answer.
 */
#include <stdlib.h>
#include <string.h>

#include "lvm/lvm-parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vg vg = { .name = strdup("vg"), .extent_size = 4194304 };
	char *text = size ? strndup((const char *)data + 1, size - 1) : NULL;
	const char *device;
	struct reason why;
	uint64_t offset;
	int i;

	if (text && vg.name) {
		if (data[0] & 1)
			lvm_parse_pvs(&vg, text, &why);
		else
			lvm_parse_lvs(&vg, text, &why);
	}
	for (i = 0; i < vg.lv_cnt; i++)
		if (vg.lvs[i].first_segment.device)
			lvm_first_bytes(&vg, &vg.lvs[i], &device, &offset);
	free(text);
	lvm_free_vg(&vg);
	return 0;
}
