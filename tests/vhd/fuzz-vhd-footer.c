/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two footers, and which of them is chosen.  Input: a byte (1: the checksums are made right), the
 * trailing footer, its copy.
 */
#include <vhd/libvhd.h>

#include "tests/vhd/vhd-fuzz.h"
#include "vhd/lib/footer.h"

/* All bytes of what is accepted are in the structure. */
static const vhd_footer_t *
decoded(const uint8_t raw[VHD_FOOTER_BYTES], vhd_footer_t *footer)
{
	uint8_t again[VHD_FOOTER_BYTES];
	struct reason why;

	if (vhd_footer_decode(raw, footer, &why))
		return NULL;
	vhd_footer_pack(footer, again);
	fuzz_check(memcmp(raw, again, sizeof(again)) == 0);
	return footer;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t choice = fuzz_byte(&input), trailing[VHD_FOOTER_BYTES], copy[VHD_FOOTER_BYTES];
	vhd_footer_t one, other;
	const vhd_footer_t *chosen;
	struct vhd_footers found;
	enum vhd_footer_state state;
	struct reason why;
	char text[26];

	fuzz_take(&input, trailing, sizeof(trailing));
	fuzz_take(&input, copy, sizeof(copy));
	if (choice & 1) {
		fuzz_mend_footer(trailing);
		fuzz_mend_footer(copy);
	}
	found = (struct vhd_footers){ decoded(trailing, &one), decoded(copy, &other) };
	if (vhd_footer_choose(&found, &chosen, &state, &why))
		return 0;
	fuzz_check(chosen == found.trailing || chosen == found.copy);
	vhd_time_to_string(chosen->timestamp, text);
	fuzz_check(strlen(text) < sizeof(text));
	if (vhd_footer_check(chosen, &why))
		return 0;
	fuzz_check(chosen->current_size && chosen->current_size >> 9 <= VHD_MAX_SECTORS);
	return 0;
}
