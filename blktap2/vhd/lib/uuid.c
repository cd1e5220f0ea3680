/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unique ids, by libuuid.
 */
#include <errno.h>
#include <string.h>
#include <uuid.h>

#include <vhd/libvhd.h>

#define TEXT_BYTES 37

int
vhd_uuid_is_nil(const vhd_uuid_t *uuid)
{
	return uuid_is_null(uuid->bytes);
}

void
vhd_uuid_generate(vhd_uuid_t *uuid)
{
	uuid_generate_random(uuid->bytes);
}

void
vhd_uuid_to_string(const vhd_uuid_t *uuid, char *text, size_t room)
{
	char whole[TEXT_BYTES];

	if (!room)
		return;
	uuid_unparse_lower(uuid->bytes, whole);
	if (room > sizeof(whole))
		room = sizeof(whole);
	memcpy(text, whole, room);
	text[room - 1] = '\0';
}

int
vhd_uuid_from_string(vhd_uuid_t *uuid, const char *text)
{
	vhd_uuid_t parsed;

	if (uuid_parse(text, parsed.bytes))
		return -EINVAL;
	*uuid = parsed;
	return 0;
}

void
vhd_uuid_copy(vhd_uuid_t *to, const vhd_uuid_t *from)
{
	*to = *from;
}

void
vhd_uuid_clear(vhd_uuid_t *uuid)
{
	uuid_clear(uuid->bytes);
}

int
vhd_uuid_compare(const vhd_uuid_t *a, const vhd_uuid_t *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}
