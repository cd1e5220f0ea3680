/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the public interface offers for single structures: byte order, checksums, soundness.
 */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "vhd/lib/batmap.h"
#include "vhd/lib/context.h"
#include "vhd/lib/footer.h"
#include "vhd/lib/header.h"
#include "vhd/lib/locator.h"

/* ---- byte order ---------------------------------------------------------------------------------
 */

void
vhd_footer_in(vhd_footer_t *footer)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	memcpy(raw, footer, sizeof(raw));
	vhd_footer_unpack(raw, footer);
}

void
vhd_footer_out(vhd_footer_t *footer)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	vhd_footer_pack(footer, raw);
	memcpy(footer, raw, sizeof(raw));
}

void
vhd_header_in(vhd_header_t *header)
{
	uint8_t raw[VHD_HEADER_BYTES];

	memcpy(raw, header, sizeof(raw));
	vhd_header_unpack(raw, header);
}

void
vhd_header_out(vhd_header_t *header)
{
	uint8_t raw[VHD_HEADER_BYTES];

	vhd_header_pack(header, raw);
	memcpy(header, raw, sizeof(raw));
}

void
vhd_bat_in(vhd_bat_t *bat)
{
	uint32_t i;

	for (i = 0; i < bat->entries; i++)
		bat->bat[i] = get_be32((const uint8_t *)&bat->bat[i]);
}

void
vhd_bat_out(vhd_bat_t *bat)
{
	uint32_t i;

	for (i = 0; i < bat->entries; i++)
		put_be32((uint8_t *)&bat->bat[i], bat->bat[i]);
}

void
vhd_batmap_header_in(vhd_batmap_t *batmap)
{
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];

	memcpy(raw, &batmap->header, sizeof(raw));
	vhd_batmap_header_unpack(raw, &batmap->header);
}

void
vhd_batmap_header_out(vhd_batmap_t *batmap)
{
	uint8_t raw[VHD_BATMAP_HEADER_BYTES];

	vhd_batmap_header_pack(&batmap->header, raw);
	memcpy(&batmap->header, raw, sizeof(raw));
}

/* ---- checksums ----------------------------------------------------------------------------------
 */

uint32_t
vhd_checksum_footer(const vhd_footer_t *footer)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	vhd_footer_pack(footer, raw);
	return vhd_footer_sum(raw);
}

uint32_t
vhd_checksum_header(const vhd_header_t *header)
{
	uint8_t raw[VHD_HEADER_BYTES];

	vhd_header_pack(header, raw);
	return vhd_header_sum(raw);
}

uint32_t
vhd_checksum_batmap(const vhd_context_t *ctx, const vhd_batmap_t *batmap)
{
	return vhd_batmap_sum(&batmap->header, ctx->footer.current_size,
			      (const uint8_t *)batmap->map,
			      (uint64_t)batmap->header.batmap_size << VHD_SECTOR_SHIFT);
}

/* ---- soundness ----------------------------------------------------------------------------------
 */

int
vhd_validate_footer(const vhd_footer_t *footer)
{
	uint8_t raw[VHD_FOOTER_BYTES];
	vhd_footer_t decoded;
	int err;

	vhd_footer_pack(footer, raw);
	err = vhd_footer_decode(raw, &decoded, NULL);
	return err ? err : vhd_footer_check(&decoded, NULL);
}

int
vhd_validate_header(const vhd_header_t *header)
{
	uint8_t raw[VHD_HEADER_BYTES];
	vhd_header_t decoded;

	vhd_header_pack(header, raw);
	return vhd_header_decode(raw, &decoded, NULL);
}

int
vhd_validate_batmap_header(const vhd_batmap_t *batmap)
{
	const vhd_batmap_header_t *header = &batmap->header;

	if (memcmp(header->cookie, VHD_BATMAP_COOKIE, sizeof(header->cookie)) != 0)
		return -EINVAL;
	if (header->version != VHD_BATMAP_VERSION && header->version != VHD_BATMAP_VERSION_SIGNED)
		return -EINVAL;
	return header->batmap_size ? 0 : -EINVAL;
}

int
vhd_validate_batmap(const vhd_context_t *ctx, const vhd_batmap_t *batmap)
{
	int err = vhd_validate_batmap_header(batmap);

	if (err)
		return err;
	if (!batmap->map)
		return -EINVAL;
	return vhd_checksum_batmap(ctx, batmap) == batmap->header.checksum ? 0 : -EINVAL;
}

int
vhd_validate_platform_code(uint32_t code)
{
	return vhd_platform_is_known(code) ? 0 : -EINVAL;
}
