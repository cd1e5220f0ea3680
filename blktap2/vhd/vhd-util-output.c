/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What commands say: errors in one form, bytes, names from images.
 */
#include <errno.h>
#include <stdarg.h>

#include "vhd/vhd-util.h"

int
vhd_util_failed_open(const char *name, int err)
{
	return vhd_util_failed("opening", name, err);
}

int
vhd_util_failed(const char *what, const char *name, int err)
{
	if (err)
		printf("error %s %s: %d\n", what, name, err);
	return err;
}

int
vhd_util_refused(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return err;
}

int
vhd_util_put_bytes(const void *bytes, size_t size)
{
	return fwrite(bytes, 1, size, stdout) == size ? 0 : -(errno ? errno : EIO);
}

void
vhd_util_put_hex(FILE *out, const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		fprintf(out, "%02x", bytes[i]);
}

void
vhd_util_put_name(FILE *out, const char *name)
{
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		fputc(c < ' ' || c == 127 ? '?' : c, out);
	}
}
